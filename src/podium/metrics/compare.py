"""From a prediction and the truth of one sample, as pixels, to what a metric reads of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from podium.metrics.boundary import boundary_counts
from podium.metrics.instances import hits
from podium.metrics.multiclass import confusion
from podium.metrics.overlap import Ints
from podium.metrics.registry import Kind

Array = npt.NDArray[Any]
Masks = npt.NDArray[np.bool_]

IGNORED = 255
"""In a map of classes: not scored."""


def compare_masks(kind: Kind, truth: Masks, predicted: Masks, counted: Masks | None = None) -> Ints:
    """Masks of classes that may overlap, bool (K, H, W).

    Args:
        counted: bool (H, W): only these pixels are scored; None = all.

    Returns:
        (intersection, predicted, truth) of each class, int64 (K, 3), or (3,) of one class; of a confusion metric, for
        one class only, (2, 2).
    """
    if kind == "confusion":
        return confusion(truth[0], predicted[0], 2)
    rows = []
    for true, guess in zip(truth, predicted, strict=True):
        if counted is not None:
            true, guess = true & counted, guess & counted
        if kind == "boundary":
            rows.append(boundary_counts(true, guess))
        else:
            rows.append((int(np.count_nonzero(true & guess)), int(guess.sum()), int(true.sum())))
    table = np.array(rows, np.int64)
    return table[0] if len(table) == 1 else table


def compare_maps(kind: Kind, truth: Array, predicted: Array, names: list[str]) -> Ints:
    """Maps of class indices, (H, W); the truth's `IGNORED` pixels do not count, a class called background no more.

    Returns:
        Of a confusion metric (C, C); else (intersection, predicted, truth) of each class but the background, (K, 3).
    """
    if kind == "confusion":
        return confusion(truth, predicted, len(names), ignore=IGNORED)
    each = np.array([k for k, name in enumerate(names) if name != "background"])[:, None, None]
    return compare_masks(kind, truth == each, predicted == each, truth != IGNORED)


def compare_objects(kind: Kind, truth: Array, predicted: Array) -> Ints:
    """Numbers of objects, (H, W), 0 = none: (10, 3) of an instances metric, else (3,) of all objects together."""
    if kind == "instances":
        return hits(truth, predicted)
    return compare_masks(kind, truth[None] > 0, predicted[None] > 0)
