"""Half precision beside full, on a few images, before thousands are predicted in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from podium.inference.sources import TestSet
from podium.training.device import device_name
from podium.training.evaluate import Predictor
from podium.training.tasks import Task

FEW = 4
"""Images that are compared."""

MOST_CHANGED = 0.01
"""Share of decisions that half precision may change before full is taken instead."""


@dataclass(frozen=True)
class Compared:
    """How far half precision is from full, of one model and images as they are.

    Attributes:
        mean, most: Differences of probabilities; of numbers, against their size.
        changed: Share of decisions about pixels, or samples, that are others: which class, or whether one of several is
            there; None where numbers are predicted.
        finite: Whether half precision gave numbers at all.
    """

    images: int
    mean: float
    most: float
    changed: float | None
    finite: bool
    name: str

    @property
    def good(self) -> bool:
        """Whether half precision will do."""
        return self.finite and (self.changed or 0.0) <= MOST_CHANGED and (self.changed is not None or self.mean < 0.01)

    def __str__(self) -> str:
        if not self.finite:
            return f"{self.name} gives what is no number, so the prediction is in fp32"
        of = f"{self.mean:.2g} on average, {self.most:.2g} at most"
        sides = "" if self.changed is None else f"; {self.changed:.2%} of decisions change"
        on = f"{self.images} image{'s' * (self.images != 1)}"
        told = f"{self.name} against fp32 on {on}: predictions differ by {of}{sides}"
        return told if self.good else f"{told}: too much, so the prediction is in fp32"


def compare(predictor: Predictor, test: TestSet, rows: Sequence[int]) -> Compared | None:
    """Predict a few images both ways; None where the precision is full anyway."""
    if str(predictor.fabric._precision.precision).startswith("32") or not rows:
        return None
    shape = test.images.shape(rows[0])
    few = [row for row in rows[:FEW] if test.images.shape(row) == shape]
    frame = predictor.preprocess.canvas(shape)
    images = torch.from_numpy(np.stack([frame.place(test.images.image(row)) for row in few]))
    inputs = [test.inputs[row] for row in few] if test.inputs else []
    one = predictor.reduced(1, 1)
    half, full = (p.mean(images, inputs).float() for p in (one, one.precise()))
    finite = bool(torch.isfinite(half).all())
    numbers = predictor.task.kind == "values"
    gap = (half - full).abs() / (full.abs().clamp(min=1e-6) if numbers else 1.0)
    task = predictor.task
    changed = None if numbers or not finite else float((_sides(half, task) != _sides(full, task)).float().mean())
    name = device_name(predictor.fabric).rpartition(", ")[2]
    return Compared(len(few), float(gap.mean()), float(gap.max()), changed, finite, name)


def _sides(probs: Tensor, task: Task) -> Tensor:
    """What is decided of (N, outputs, …): the class, or one of each of several targets; or which outputs are there."""
    if task.kind != "labels":
        return probs > 0.5
    parts = task.competition.parts
    return torch.stack([probs[:, p.outputs].argmax(1) for p in parts], 1) if parts else probs.argmax(1)
