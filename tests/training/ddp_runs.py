"""Small trainings on some devices, and their weights compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from podium.recipe import Recipe
from podium.training.fold_run import FoldData, run_fold

TINY = [
    "model.width=0.125",
    "model.depth=3",
    "optim.lr=1e-2",
    "train.batch_size=8",
    "train.epochs=2",
    "train.precision=fp32",
]
PLAIN = ["model.norm=none", "optim.name=sgd"]


def recipe(*changes: str) -> Recipe:
    return Recipe().with_overrides(TINY).with_overrides(list(changes))


def run(data: FoldData, folder: Path, devices: int, *changes: str) -> Path:
    return run_fold(data, recipe(*PLAIN).with_overrides([f"train.devices={devices}", *changes]), 0, 0, folder).folder


def loaded(folder: Path, name: str = "last.pt") -> dict[str, Any]:
    return dict(torch.load(folder / name, weights_only=True))


def close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], atol: float = 2e-5) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[k].float(), b[k].float(), atol=atol, rtol=1e-4) for k in a)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
