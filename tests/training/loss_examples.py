"""Logits, targets and single losses, for the tests of losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from podium.training.losses import LOSSES, Kind, fitting, make_case

PAIRS = [(name, kind) for name, spec in LOSSES.items() for kind in spec.kinds]
PIXELS = [(name, kind) for name, kind in PAIRS if kind != "values"]
every_pair = pytest.mark.parametrize(("name", "kind"), PAIRS)
planes_losses = pytest.mark.parametrize("name", fitting("planes"))


def value(
    name: str, logits: Tensor, target: Tensor, weight: Tensor | None = None, kind: Kind = "planes", **options: Any
) -> Tensor:
    """One loss, one value a sample."""
    spec = LOSSES[name]
    return spec.function(make_case(kind, logits, target, weight), **spec.read(options, kind))


def example(kind: Kind, seed: int = 0, n: int = 3, classes: int = 4, size: tuple[int, ...] = (6, 7)) -> Any:
    """Logits and a target of a kind."""
    rng = torch.Generator().manual_seed(seed)
    shape = (n, classes) if kind == "values" else (n, classes, *size)
    logits = 2 * torch.randn(shape, generator=rng)
    if kind == "planes":
        return logits, (torch.rand(shape, generator=rng) < 0.3).float()
    if kind == "labels":
        return logits, torch.randint(0, classes, (n, *size), generator=rng)
    return logits, torch.randn(shape, generator=rng)


def maps(*rows: list[float]) -> Tensor:
    """One-row images, (N, 1, 1, W)."""
    return torch.tensor(rows)[:, None, None, :]
