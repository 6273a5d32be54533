"""Means of predictions, against numpy; ranks against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from torch import nn

from podium.data.competition import Competition
from podium.errors import ConfigError
from podium.recipe import Recipe
from podium.training.check import check_recipe
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.means import ranked
from podium.training.tasks import create_task
from task_drawing import SPECS, metric_of


class Fixed(nn.Module):
    """The same logits for whatever image."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x), -1)


def predictor(name: str, models: list[nn.Module], *changes: str) -> Predictor:
    arch = [] if name == "plain" else ["model.arch=resnet_small"]
    recipe = Recipe().with_overrides([*arch, "train.precision=fp32", *changes])
    competition = Competition.from_tree({"name": "x", **SPECS[name]})
    return Predictor(
        create_fabric("fp32"),
        models,
        create_task(competition, metric_of(competition), recipe),
    )


A, B = np.array([1.0, -2.0, 0.5]), np.array([-0.5, 3.0, 0.25])
IMAGE = np.zeros((1, 32, 32, 3), np.uint8)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


@pytest.mark.parametrize(
    ("change", "mean"),
    [
        ("predict.mean=probs", lambda p, q, of: (p + q) / 2),
        ("predict.mean=logits", lambda p, q, of: of((A + B) / 2)),
        ("predict.mean=geometric", lambda p, q, of: np.sqrt(p * q)),
        ("predict.mean=power", lambda p, q, of: np.sqrt((p**2 + q**2) / 2)),
        ("predict.power=0.5", lambda p, q, of: ((np.sqrt(p) + np.sqrt(q)) / 2) ** 2),
    ],
)
@pytest.mark.parametrize(("name", "of"), [("several labels", sigmoid), ("one class", softmax)])
def test_means(name, of, change, mean):
    changes = ["predict.mean=power", change] if "power=0.5" in change else [change]
    found = predictor(name, [Fixed(*A), Fixed(*B)], *changes)(IMAGE)[0]
    expected = mean(of(A), of(B), of)
    assert found == pytest.approx(expected / expected.sum() if name == "one class" else expected, abs=1e-5)


@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 2**31))
def test_ranks_are_those_of_scipy(n, members, seed):
    values = np.random.default_rng(seed).integers(0, 9, (n, members, 2)).astype(np.float32)
    expected = (rankdata(values, axis=0) - 0.5).mean(1) / n
    assert ranked(values) == pytest.approx(expected)


def test_ranks_are_of_all_samples_whatever_the_batches():
    class Brightness(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale * x.mean((1, 2, 3))[:, None]

    class Greys:
        def shape(self, i: int) -> tuple[int, int]:
            return 32, 32

        def image(self, i: int) -> np.ndarray:
            return np.full((32, 32, 3), 20 * (i * 7 % 10), np.uint8)

    of = predictor("yes or no", [Brightness(9.0), Brightness(0.01)], "predict.mean=rank")
    found = dict(of.stream(Greys(), range(10), 3))
    assert [float(found[i][0]) for i in range(10)] == pytest.approx([(i * 7 % 10 + 0.5) / 10 for i in range(10)])


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("class map", ["predict.mean=rank"], "ranks are of samples"),
        ("number", ["predict.mean=logits"], "does nothing for regression"),
        ("one class", ["predict.tile=128"], "does nothing for classification"),
        ("one class", ["predict.power=3"], 'power beside mean = "power"'),
        ("one class", ["predict.tile=32"], "predict.tile"),
    ],
)
def test_what_says_nothing_is_refused(name, changes, told):
    spec = SPECS[name]
    competition = Competition.from_tree({"name": "x", **spec})
    arch = [] if name == "class map" else ["model.arch=resnet_small"]
    kind = create_task(competition, metric_of(competition), Recipe()).kind
    loss = {"planes": "{bce=1}", "labels": "{ce=1}", "values": "{huber=1}"}[kind]

    def check() -> None:
        recipe = Recipe().with_overrides([*arch, f"loss.terms={loss}", *changes])
        check_recipe(recipe, create_task(competition, metric_of(competition), recipe))

    with pytest.raises(ConfigError, match=told):
        check()
