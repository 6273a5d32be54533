"""Phases and hard samples in a real training: what they change, and that a killed one ends as if it had not been."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch

from podium.recipe import Recipe
from podium.training import loop
from podium.training.fold_run import FoldData, run_fold
from podium.training.phases import Course

BASE = ["model.width=0.25", "model.depth=3", "optim.lr=1e-2", "train.epochs=4", "train.batch_size=4"]
PHASES = (
    "phases=[{at=1, optim={name='sgd', lr=0.05}, augment={strength=0.5}}, "
    "{at=3, loss={terms={bce=1.0}}, input={train_crop=32}, schedule={name='constant'}}]"
)


class Killed(BaseException):
    pass


def last(folder: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / "last.pt", weights_only=True)["model"])


@pytest.mark.parametrize(
    "changes",
    [[PHASES, "optim.reset=1"], ["sampling={replacement=true, by='hardness', power=2.0, per_epoch=12}"]],
    ids=["phases", "hardness"],
)
def test_a_killed_training_ends_as_if_it_had_not_been(
    changes: list[str], fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe().with_overrides([*BASE, "train.precision=fp32", *changes])
    whole = run_fold(fold_data, recipe, 0, 0, tmp_path / "whole")
    original, calls = loop.Training._save, 0

    def dying(self: loop.Training) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Killed
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_save", dying)
        with pytest.raises(Killed):
            run_fold(fold_data, recipe, 0, 0, tmp_path / "killed")
    resumed = run_fold(fold_data, recipe, 0, 0, tmp_path / "killed")
    one, other = last(whole.folder), last(resumed.folder)
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_the_rates_of_the_phases_are_trained_with(fold_data: FoldData, tmp_path: Path) -> None:
    recipe = Recipe().with_overrides([*BASE, PHASES])
    run = run_fold(fold_data, recipe, 0, 0, tmp_path)
    rates = pl.read_csv(run.folder / "history.csv")["lr"].to_list()
    assert rates[3] == 0.05
    assert max(rates[1:3]) > 1e-2
    assert torch.load(run.folder / "last.pt", weights_only=True)["optim"]["name"] == "sgd"
    assert [s.recipe.loss.terms for s in Course(recipe).stages][-1] == {"bce": 1.0}
