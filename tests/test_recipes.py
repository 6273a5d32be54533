"""The published solutions as recipes: they load, and their losses, optimisers and rates are those of the authors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from podium.models import create_model
from podium.recipe import Recipe
from podium.recipes import FOLDER, find_recipe, shipped
from podium.training.losses import Kind, create_loss
from podium.training.optim import create_optimizer
from podium.training.phases import Course, phase_at

NAMES = shipped()


def load(name: str) -> Recipe:
    return Recipe.load(FOLDER / f"{name}.toml")


def rates(recipe: Recipe, steps: int = 5) -> list[float]:
    """The learning rate of each epoch."""
    course, epochs = Course(recipe), recipe.train.epochs
    return [course.lr(e * steps / (epochs * steps - 1)) for e in range(epochs)]


def kind(name: str) -> Kind:
    return "labels" if name in ("robotic-parts", "histology") else "planes"


def test_all_are_here() -> None:
    published = {"carvana-1", "carvana-2", "carvana-3", "carvana-4", "robotic-binary", "robotic-parts", "giana"}
    published |= {"histology"}
    assert published <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_makes_its_loss_optimizer_and_schedule(name: str) -> None:
    recipe = load(name)
    for stage in Course(recipe).stages:
        with torch.device("meta"):
            create_model(stage.recipe.model, load=False, dense=name != "histology")
        model = nn.Conv2d(3, 4, 3, padding=1)
        optimizer = create_optimizer(stage.recipe.optim, model)
        logits = model(torch.randn(2, 3, 32, 32))
        target = torch.randint(0, 2, (2, 32, 32)) if kind(name) == "labels" else (logits.detach() > 0).float()
        loss, parts = create_loss(stage.recipe.loss, kind(name))(logits, target)
        loss.backward()
        optimizer.step()
        assert set(parts) == set(stage.recipe.loss.terms)
    assert Recipe.from_tree(recipe.tree()) == recipe


def test_a_recipe_of_the_workspace_comes_first(tmp_path: Path) -> None:
    assert find_recipe(tmp_path, "giana") == FOLDER / "giana.toml"
    (tmp_path / "giana.toml").touch()
    assert find_recipe(tmp_path, "giana") == tmp_path / "giana.toml"
    assert find_recipe(tmp_path, "nothing") is None


def test_the_rates_of_carvana() -> None:
    one = [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5]
    assert rates(load("carvana-1")) == pytest.approx((one * 11)[:52])
    two = [1e-4, 1e-4, 1e-5, 1e-5, 1e-6]
    assert rates(load("carvana-2")) == pytest.approx([1e-4] * 12 + [1e-5] * 11 + (two * 4)[:17])
    assert rates(load("carvana-3")) == pytest.approx([5e-3] * 100 + [2.5e-3] * 100 + [1.25e-3] * 50)
    assert rates(load("carvana-4")) == pytest.approx(([1e-4] * 10 + [1e-5] * 5 + [1e-6] * 5) * 3)


def test_the_rates_of_the_others() -> None:
    assert rates(load("robotic-binary")) == pytest.approx([1e-4] * 10 + [1e-5] * 10)
    assert rates(load("giana")) == pytest.approx([1e-4] * 10 + [1e-5] * 5)


def test_phases_of_carvana() -> None:
    two, four = load("carvana-2"), load("carvana-4")
    assert [phase_at(two, e).optim.name for e in (1, 23, 24, 40)] == ["rmsprop", "rmsprop", "adam", "adam"]
    assert [phase_at(four, e).augment.grey for e in (15, 16)] == [0.25, 0.0]


def test_streams_3_and_4_train_on_the_worst_batch_of_ten_again() -> None:
    streams = [load(f"carvana-{n}").train for n in (1, 2, 3, 4)]
    assert [train.replay for train in streams] == [None, None, 10, 10]
    assert [train.checkpoint for train in streams] == ["loss", "loss", "best", "best"]


def test_the_loss_of_stream_1_is_written_out() -> None:
    """BCE - log(soft Dice pooled over the batch)."""
    logits, target = torch.randn(3, 1, 9, 9), (torch.rand(3, 1, 9, 9) < 0.4).float()
    probs = logits.sigmoid()
    soft = (2 * (probs * target).sum() + 1) / (probs.sum() + target.sum() + 1)
    bce = nn.functional.binary_cross_entropy_with_logits(logits, target)
    found = create_loss(load("carvana-1").loss)(logits, target)[0]
    torch.testing.assert_close(found, bce - soft.log())
