"""A second, plain implementation of grading, to check podium's against: pixel loops, no podium code."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def decode(text: str, height: int, width: int, order: str) -> Mask:
    """A run-length mask, pixels counted from 1."""
    flat = np.zeros(height * width, bool)
    numbers = [int(n) for n in text.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        flat[start - 1 : start - 1 + length] = True
    return flat.reshape(width, height).T if order == "column" else flat.reshape(height, width)


def dice(truth: Mask, predicted: Mask) -> float:
    total = truth.sum() + predicted.sum()
    return 1.0 if total == 0 else 2.0 * (truth & predicted).sum() / total


def tgs(truth: Mask, predicted: Mask) -> float:
    if not truth.any():
        return float(not predicted.any())
    iou = (truth & predicted).sum() / (truth | predicted).sum()
    return float(np.mean([iou > t for t in np.arange(10, 20) / 20]))


def rows(path: Path, id_column: str, value_column: str) -> dict[str, str]:
    """{id: run-length mask} of a submission file."""
    with gzip.open(path, "rt", newline="") as f:
        return {row[id_column]: row[value_column] for row in csv.DictReader(f)}


def board_scores(
    submission: dict[str, str], solution: Path, truth: Callable[[str], Mask], metric: Callable[[Mask, Mask], float],
    order: str,
) -> dict[str, float]:  # fmt: skip
    """{"Public": mean, "Private": mean}; which id is which is read from the solution, masks come from ``truth``."""
    with open(solution, newline="") as f:
        usage = {row[0]: row[-1] for row in csv.reader(f)}
    scores: dict[str, list[float]] = {"Public": [], "Private": []}
    for id, text in submission.items():
        true = truth(id)
        scores[usage[id]].append(metric(true, decode(text, *true.shape, order)))
    return {part: float(np.mean(values)) for part, values in scores.items()}
