"""One fold run as the verdict sees it: a value a group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from podium.errors import LedgerError
from podium.ledger.verdict.formulas import Floats

MOST_BLOCKS = 200
"""More groups than these are left out by the block, for a metric that is computed anew each time."""


def weighed(means: Floats, sizes: Floats) -> Floats:
    """Values whose plain mean is the mean over samples, from the mean score of each group and its number of samples.

    The value of group g is ``m + (n_g / mean n) * (mean of g - m)``, with m the mean over all samples: the linear form
    of a ratio of sums, so that the scatter of the values over G is the variance of m with groups drawn at random.
    Source: Cochran, Sampling Techniques, 1977, 6.13. Equal weights for unequal groups would judge another metric than
    the board does: where large groups are harder than small ones, the two may disagree on the sign of a gain.

    Args:
        means: Shape (…, G).
        sizes: Shape (G,).
    """
    weights = sizes / sizes.mean()
    mean = (means * weights).mean(-1, keepdims=True)
    return np.asarray(mean + weights * (means - mean), np.float64)


@dataclass(frozen=True, eq=False)
class Run:
    """The values of one training's validation fold, one a group.

    Attributes:
        groups: Codes in ascending order, shape (G,).
        values: Shape (G,); their mean is the metric, their scatter what the choice of groups does to it (`weighed`).
            For a metric that is not a mean over samples, jackknife values.
    """

    fold: int
    seed: int
    groups: npt.NDArray[np.int64]
    values: Floats

    @classmethod
    def of_scores(cls, fold: int, seed: int, score: Any, group: Any) -> Self:
        """From one score a sample: the metric is their mean.

        The value of a group is `weighed`; of groups of equal size it is the mean score of the group's samples.

        Args:
            score: Shape (N,).
            group: Whole number, 0 or more, of each sample's group, shape (N,); without groups `np.arange(N)`.

        Raises:
            LedgerError: if a score is not a finite number, there is none, or the shapes differ.
        """
        score, group = np.asarray(score, np.float64), _codes(group)
        where = f"fold {fold}, seed {seed}"
        if score.shape != group.shape or score.ndim != 1 or not len(score):
            raise LedgerError(
                f"scores of shape {score.shape} and groups of shape {group.shape}",
                where=where,
                expected="one score and one group a sample, at least one sample",
            )
        if not np.isfinite(score.sum()) and not np.isfinite(score).all():
            row = int(np.flatnonzero(~np.isfinite(score))[0])
            raise LedgerError(
                f"the score of sample {row} is {score[row]}",
                where=where,
                expected="a number for every sample; otherwise gains cannot be compared",
                remedy="find out why the metric has no value there; leave the sample out in exclude.csv if it must be",
            )
        groups, inverse, sizes = _grouped(group)
        return cls(fold, seed, groups, weighed(np.bincount(inverse, score, len(groups)) / sizes, sizes))

    @classmethod
    def of_metric(cls, fold: int, seed: int, score: Callable[[npt.NDArray[np.bool_]], float], group: Any) -> Self:
        """From a metric that is not a mean over samples: leave-one-group-out jackknife values.

        The value of group g is ``G * score(all) - (G - 1) * score(all but g)``; for a mean over groups of equal size
        that is the group's mean. More than 200 groups are taken together into 200 blocks (code modulo 200).

        Args:
            score: The metric of the samples that a mask of shape (N,) selects.
            group: As in `of_scores`.

        Raises:
            LedgerError: if the metric is not a finite number, for all samples or without a group.
        """
        group = _codes(group)
        groups, inverse, _ = _grouped(group)
        if len(groups) > MOST_BLOCKS:
            groups, inverse, _ = _grouped(group % MOST_BLOCKS)
        whole = float(score(np.ones(len(group), bool)))
        n = len(groups)
        values = np.full(n, whole)
        if n > 1:
            values = np.array([n * whole - (n - 1) * score(inverse != g) for g in range(n)], np.float64)
        if not np.isfinite(values).all():
            left = "" if np.isnan(whole) else f" without group {groups[np.flatnonzero(~np.isfinite(values))[0]]}"
            raise LedgerError(
                f"the metric has no value{left}",
                where=f"fold {fold}, seed {seed}",
                expected="a fold in which the metric can be computed when any one group is left out",
                remedy="use fewer or stratified folds, so that each has every class in several groups",
            )
        return cls(fold, seed, groups, values)


def _codes(group: Any) -> npt.NDArray[np.int64]:
    codes = np.asarray(group)
    if not np.issubdtype(codes.dtype, np.integer) or (len(codes) and codes.min() < 0):
        raise LedgerError("groups are not codes", expected="a whole number, 0 or more, for each sample")
    return codes.astype(np.int64, copy=False)


def _grouped(codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """(groups in ascending order, each sample's place among them, their sizes); no sort where codes are small."""
    if int(codes.max()) > 10 * len(codes) + 1000:
        groups, inverse, sizes = np.unique(codes, return_inverse=True, return_counts=True)
        return groups, inverse, sizes.astype(np.float64)
    counts = np.bincount(codes)
    if counts.all():
        return np.arange(len(counts)), codes, counts.astype(np.float64)
    groups = np.flatnonzero(counts)
    place = np.cumsum(counts > 0) - 1
    return groups, place[codes], counts[groups].astype(np.float64)
