"""Tiny trainings for the tests of the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from podium.recipe import Recipe
from podium.training.fold_run import FoldData, run_fold

TINY = ["model.width=0.25", "model.depth=3", "optim.lr=1e-2", "train.epochs=4", "train.batch_size=4"]


def recipe(*changes: str) -> Recipe:
    return Recipe().with_overrides([*TINY, "train.precision=fp32"]).with_overrides(list(changes))


def run(data: FoldData, folder: Path, *changes: str) -> Path:
    return run_fold(data, recipe(*changes), 0, 0, folder).folder


def loaded(folder: Path, name: str = "last.pt") -> dict[str, Any]:
    return dict(torch.load(folder / name, weights_only=True))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], atol: float) -> bool:
    return all(torch.allclose(a[k].float(), b[k].float(), atol=atol) for k in a)


class Killed(BaseException):
    pass
