"""How well two masks of each sample overlap, from the counts of their pixels alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Foreground pixels of each sample.

    Attributes:
        intersection: Foreground in both the prediction and the truth, int64 of shape (N,).
        predicted: Foreground in the prediction, same shape.
        truth: Foreground in the truth, same shape.
    """

    intersection: Ints
    predicted: Ints
    truth: Ints

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int]]) -> Counts:
        """From one (intersection, predicted, truth) a sample."""
        table = np.array(rows, np.int64).reshape(-1, 3)
        return cls(table[:, 0], table[:, 1], table[:, 2])

    @property
    def union(self) -> Ints:
        """Foreground in at least one of the two."""
        return self.predicted + self.truth - self.intersection


def dice(counts: Counts) -> Floats:
    """Twice the intersection over the sum of both areas; 1 where both are empty.

    Source: Dice 1945, Measures of the amount of ecologic association between species.
    """
    return _ratio(2 * counts.intersection, counts.predicted + counts.truth)


def iou(counts: Counts) -> Floats:
    """Intersection over union; 1 where both are empty.

    Source: Jaccard 1912, The distribution of the flora in the alpine zone.
    """
    return _ratio(counts.intersection, counts.union)


def tgs_iou(counts: Counts) -> Floats:
    """The share of the thresholds 0.50, 0.55, …, 0.95 that the IoU lies above, as the TGS Salt challenge scores it.

    "Above" is strict and exact: thresholds are k/20, so IoU > k/20 is 20 × intersection > k × union in whole
    numbers. With an empty truth it is 1 for an empty prediction and 0 otherwise.

    Source: kaggle.com/c/tgs-salt-identification-challenge, Evaluation.
    """
    passed = 20 * counts.intersection[:, None] > np.arange(10, 20) * counts.union[:, None]
    score: Floats = np.where(counts.truth == 0, counts.predicted == 0, passed.sum(axis=1) / 10)
    return score


def dice_pooled(counts: Counts) -> float:
    """`dice` of the pixels of all samples together: large objects weigh more; 1 where nothing is foreground."""
    return float(dice(_together(counts))[0])


def iou_pooled(counts: Counts) -> float:
    """`iou` of the pixels of all samples together: large objects weigh more; 1 where nothing is foreground."""
    return float(iou(_together(counts))[0])


def _together(counts: Counts) -> Counts:
    return Counts.of([(int(counts.intersection.sum()), int(counts.predicted.sum()), int(counts.truth.sum()))])


def _ratio(part: Ints, whole: Ints) -> Floats:
    return np.asarray(np.where(whole == 0, 1.0, part / np.maximum(whole, 1)), np.float64)
