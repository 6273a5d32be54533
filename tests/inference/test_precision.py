"""Half precision is compared with full once; where it will not do, full is taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from stand_ins import Bright, Made, predictor_of
from torch import nn

from podium.data.several_targets import parts_of
from podium.inference import sources
from podium.inference.precision import _sides, compare
from podium.training.device import create_fabric


class Halved(nn.Module):
    """What it says depends on whether it is under autocast."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, :1] - 0.5) * 20 + (self.offset if torch.is_autocast_enabled("cpu") else 0.0)


def compared(model: nn.Module, precision: str = "bf16", n: int = 6):
    predictor = predictor_of("plain", model=model)
    predictor.fabric = create_fabric(precision)
    predictor.autocast = predictor.fabric.autocast
    images = Made(n)
    return compare(predictor, sources.TestSet(images, {}), list(range(n)))


def test_full_precision_is_not_compared():
    assert compared(Bright(), "fp32") is None


@pytest.mark.parametrize(("offset", "good"), [(0.0, True), (0.001, True), (3.0, False), (float("nan"), False)])
def test_half_precision(offset, good):
    found = compared(Halved(offset))
    assert found.good == good
    assert ("so the prediction is in fp32" in str(found)) == (not good)
    if offset == 0.0:
        assert (found.mean, found.most, found.changed) == (0, 0, 0)
    if offset == 3.0:
        assert found.changed > 0.1
        assert 0.05 < found.mean < found.most <= 1


@pytest.mark.parametrize(
    ("kind", "parts", "changed"),
    [
        ("planes", (), 1 / 8),
        ("labels", (), 1 / 2),
        ("labels", parts_of(["a", "b"], {"a:0": 0, "a:1": 1, "b:0": 2, "b:1": 3}, {}), 1 / 4),
    ],
)
def test_what_is_decided_depends_on_the_task(kind, parts, changed):
    """Of several classes each is there or not; of one, or of each of several targets, the likeliest is taken."""
    task: Any = SimpleNamespace(kind=kind, competition=SimpleNamespace(parts=parts))
    full = torch.tensor([[0.9, 0.1, 0.52, 0.48], [0.9, 0.1, 0.91, 0.09]])
    half = torch.tensor([[0.9, 0.1, 0.53, 0.51], [0.9, 0.1, 0.89, 0.11]])
    if parts:
        half[0, 2:] = torch.tensor([0.48, 0.52])
    assert float((_sides(full, task) != _sides(half, task)).float().mean()) == changed


def test_only_images_of_one_size_are_compared():
    assert compared(Halved(0.0)).images == 2, "of three widths in turn, two of the first four"
