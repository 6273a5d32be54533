"""Instance segmentation: predicted objects matched to true ones by their overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from podium.metrics.multiclass import not_negative, same_shape
from podium.metrics.overlap import Floats, Ints
from podium.metrics.pairs import count_pairs

STEPS = np.arange(10, 20)
"""The thresholds .50:.05:.95 as twentieths: IoU > k/20 is 20 × intersection > k × union, in whole numbers."""

_DENSE = 1 << 22  # cells of a table that is made without relabelling first


def hits(truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> Ints:
    """Hits, false alarms and misses of one sample at each threshold .50:.05:.95.

    An object is hit where a predicted one has an IoU with it *above* the threshold; from one half on there can be
    one at most, so matching needs no search.

    Args:
        truth: Label map: 0 is background, every other number one object (numbers may be missing), shape (H, W).
        predicted: The same, of the prediction.

    Returns:
        int64 of shape (10, 3): true positives, false positives, false negatives.

    Raises:
        DataError: if the shapes differ or labels are no whole numbers from 0.
    """
    return hits_of(*_joint(truth, predicted))


def hits_by_area(truth: npt.NDArray[Any], predicted: npt.NDArray[Any], least: Sequence[int]) -> Ints:
    """`hits` of what is left of the predicted objects without those of fewer pixels, for each of several limits.

    Returns:
        int64 of shape (A, 10, 3).
    """
    common, areas, others = _joint(truth, predicted)
    return np.stack([hits_of(common[:, others >= area], areas, others[others >= area]) for area in least])


def hits_of(common: Ints, areas: Ints, others: Ints) -> Ints:
    """`hits` from what the objects have in common.

    Args:
        common: Pixels in common, shape (A, B).
        areas: Of the true objects, shape (A,).
        others: Of the predicted ones, shape (B,).
    """
    unions = areas[:, None] + others - common
    found = (20 * common > STEPS[:, None, None] * unions).sum(axis=(1, 2))
    return np.stack([found, len(others) - found, len(areas) - found], axis=1).astype(np.int64)


def dsb2018(counts: Ints) -> Floats:
    """The mean over the thresholds .50:.05:.95 of TP / (TP + FP + FN), of each sample; 1 where both have no object.

    Args:
        counts: One `hits` a sample, shape (N, 10, 3).

    Returns:
        Shape (N,).

    Source: kaggle.com/c/data-science-bowl-2018, Evaluation.
    """
    whole = counts.sum(axis=2)
    return np.asarray(np.where(whole > 0, counts[:, :, 0] / np.maximum(whole, 1), 1.0).mean(axis=1), np.float64)


def _joint(truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> tuple[Ints, Ints, Ints]:
    """(pixels in common (A, B), areas of the true objects (A,), of the predicted ones (B,)), background left out."""
    same_shape(truth, predicted)
    truth, predicted = not_negative(truth, "the truth"), not_negative(predicted, "the prediction")
    if not truth.size:
        return np.zeros((0, 0), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows, columns = int(truth.max()) + 1, int(predicted.max()) + 1
    if rows * columns > _DENSE:
        truth, rows = _relabelled(truth)
        predicted, columns = _relabelled(predicted)
    table = count_pairs(truth, predicted, rows, columns)
    areas, others = table.sum(axis=1), table.sum(axis=0)
    true, guessed = np.flatnonzero(areas[1:]) + 1, np.flatnonzero(others[1:]) + 1
    return table[np.ix_(true, guessed)], areas[true], others[guessed]


def _relabelled(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """The same objects numbered without gaps, and one more than their number."""
    values, index = np.unique(np.concatenate([[0], labels.ravel()]), return_inverse=True)
    return index[1:].reshape(labels.shape).astype(np.uint32), len(values)
