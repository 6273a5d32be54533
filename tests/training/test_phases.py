"""Phases: what holds when, refused before training if it cannot be, and the learning rate over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podium.errors import ConfigError
from podium.recipe import Recipe
from podium.training.phases import Course, phase_at

SOLUTION = """
[optim]
name = "rmsprop"
lr = 1e-4

[schedule]
name = "multistep"
milestones = [12]

[train]
epochs = 40

[[phases]]
at = 23
optim.name = "adam"
schedule = { name = "stepped", milestones = "none", rates = [1e-4, 1e-4, 1e-5, 1e-5, 1e-6] }

[[phases]]
at = 0.75
augment.strength = 0.5
input.train_crop = 512
optim = { lr = 1e-5, freeze = "encoder" }
schedule.rates = [1, 1, 0.1, 0.1, 0.01]
loss.terms = { bce = 1.0 }
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "r.toml").write_text(SOLUTION)
    return Recipe.load(tmp_path / "r.toml")


def test_the_recipe_of_each_epoch(recipe: Recipe) -> None:
    names = [phase_at(recipe, e).optim.name for e in range(1, 41)]
    assert names == ["rmsprop"] * 23 + ["adam"] * 17
    strengths = [phase_at(recipe, e).augment.strength for e in range(1, 41)]
    assert strengths == [1.0] * 30 + [0.5] * 10
    last = phase_at(recipe, 31)
    assert (last.input.train_crop, last.optim.lr, last.optim.freeze) == (512, 1e-5, "encoder")
    assert last.loss.terms == {"bce": 1.0}
    assert last.phases == []
    assert phase_at(recipe, 1) == recipe.model_copy(update={"phases": []})


def test_without_phases_nothing_changes() -> None:
    assert phase_at(Recipe(), 7) == Recipe()
    assert [s.end for s in Course(Recipe()).stages] == [Recipe().train.epochs]


def test_the_learning_rate_over_phases(recipe: Recipe) -> None:
    course, steps = Course(recipe), 5
    rates = [course.lr(step / (40 * steps - 1)) for step in range(40 * steps)][::steps]
    cycle = [1e-4, 1e-4, 1e-5, 1e-5, 1e-6]
    assert rates[:23] == pytest.approx([1e-4] * 12 + [1e-5] * 11)
    assert rates[23:30] == pytest.approx([*cycle, *cycle][:7])  # the cycle begins with its phase
    assert rates[30:] == pytest.approx([0.1 * r for r in (*cycle, *cycle)])


def test_a_change_of_the_rate_alone_leaves_the_schedule_running() -> None:
    recipe = Recipe.from_tree({"train": {"epochs": 10}, "phases": [{"at": 5, "optim": {"lr": 5e-4}}]})
    plain, changed = Course(Recipe.from_tree({"train": {"epochs": 10}})), Course(recipe)
    assert changed.lr(0.3) == plain.lr(0.3)
    assert changed.lr(0.7) == pytest.approx(plain.lr(0.7) / 2)


def test_scores_count_from_the_schedule_that_reads_them() -> None:
    tree: dict[str, Any] = {
        "optim": {"lr": 1.0},
        "schedule": {"name": "constant"},
        "train": {"epochs": 10},
        "phases": [{"at": 4, "schedule": {"name": "plateau", "patience": 2}}],
    }
    course = Course(Recipe.from_tree(tree))
    assert course.lr(0.45, [0.9, 0.8, 0.7, 0.6]) == 1
    assert course.lr(0.75, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]) == pytest.approx(0.1)


def test_by_the_clock_scores_count_from_where_the_schedule_really_began() -> None:
    tree: dict[str, Any] = {
        "optim": {"lr": 1.0},
        "train": {"epochs": 10, "time": "1h"},
        "phases": [{"at": 4, "schedule": {"name": "plateau", "patience": 2}}],
    }
    course = Course(Recipe.from_tree(tree))
    assert course.lr(0.75, [0.9, 0.8, 0.7], {0: 0, 4: 1}) == 1  # one epoch took 40 % of the time
    assert course.lr(0.75, [0.9, 0.8, 0.7, 0.6], {0: 0, 4: 1}) == pytest.approx(0.1)
    assert course.lr(0.75, [0.5] * 9, {0: 0}) == 1  # it begins within an epoch


def test_a_phase_from_the_start_and_overrides(recipe: Recipe) -> None:
    small = Recipe.from_tree(
        {
            "input": {"size": [256, 256]},
            "phases": [{"at": 0, "input": {"size": [64, 64]}}, {"at": 9, "input": {"size": [256, 256]}}],
        }
    )
    assert [phase_at(small, e).input.size for e in (1, 9, 10, 20)] == [[64, 64]] * 2 + [[256, 256]] * 2
    given = Recipe().with_overrides(["phases=[{at=0.5, optim={lr=1e-5}}]"])
    assert [start for start, _ in given.stages()] == [0, 10]
    assert Recipe.from_tree(given.tree()) == given
    assert recipe.with_overrides(["train.epochs=50"]).stages()[2][0] == 38


def test_round_trip_through_toml(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "again.toml").write_text(recipe.to_toml())
    assert Recipe.load(tmp_path / "again.toml") == recipe


@pytest.mark.parametrize(
    ("schedule", "epochs", "ends"),
    [
        ({"name": "stepped", "rates": [1, 1, 0.5, 0.5, 0.25]}, 12, [5, 10, 12]),
        ({"name": "cosine", "cycles": 4}, 20, [5, 10, 15, 20]),
        ({"name": "cosine", "cycles": 20}, 20, [*range(1, 21)]),
        ({"name": "triangular", "cycles": 5}, 20, [4, 8, 12, 16, 20]),
        ({"name": "triangular", "cycles": 4}, 10, [3, 5, 8, 10]),
        ({"name": "one_cycle"}, 20, [20]),
        ({"name": "step"}, 20, [20]),
        ({"name": "constant"}, 3, [3]),
    ],
)
def test_where_cycles_end(schedule: dict[str, Any], epochs: int, ends: list[int]) -> None:
    assert Course(Recipe.from_tree({"schedule": schedule, "train": {"epochs": epochs}})).cycle_ends() == ends


@pytest.mark.parametrize(
    ("phases", "told"),
    [
        ([{"at": 20, "optim": {"lr": 0.1}}], r"number 1: it begins after 20 epochs, and there are 20"),
        ([{"at": 5, "optim": {"lr": 0.1}}, {"at": 3, "optim": {"lr": 0.2}}], r"number 2(.|\n)*in order of `at`"),
        ([{"at": 5, "optim": {"lr": 1e-3}}], "number 1: it changes nothing"),
        ([{"at": 5}], "number 1: it changes nothing"),
        ([{"at": 2.5, "optim": {"lr": 0.1}}], "whole epochs"),
        ([{"at": 5, "input": {"crop": "centre 64"}}], r"cannot change 'input\.crop'(.|\n)*size, train_crop"),
        ([{"at": 5, "optim": {"lrr": 0.1}}], r"cannot change 'optim\.lrr'(.|\n)*lr, "),
        ([{"at": 5, "optim": {"lr": -1}}], r"number 1: 'optim\.lr' is -1(.|\n)*greater than 0"),
        (
            [{"at": 5, "schedule": {"name": "stepped", "rates": [3e-4]}}],
            r"optim\.lr is 0\.001(.|\n)*set optim\.lr=0\.0003",
        ),
        ([{"at": 5, "opt": {"lr": 1}}], r"unknown key 'phases\.1\.opt'|opt"),
    ],
)
def test_a_phase_that_cannot_be_is_refused(phases: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Recipe.from_tree({"phases": phases})


def test_a_schedule_in_a_phase_must_read_its_keys() -> None:
    recipe = Recipe.from_tree({"phases": [{"at": 5, "schedule": {"name": "poly", "patience": 3}}]})
    with pytest.raises(ConfigError, match=r"schedule\.patience: poly does not read"):
        Course(recipe)
