"""Mixtures of masks, measured by the pixels that members disagree on: all others are the same in every mixture.

Where every member is above the threshold, so is any mean of them with weights that are not negative; and where none is,
none. What is left is kept as 8-bit probabilities; or (fast) some of it, evenly spread.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from podium.ensemble.shares import Shares
from podium.metrics import Measured

Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]

THREADS = 2

Counted = Callable[["Contested", int], Ints]


@dataclass(frozen=True)
class Contested:
    """One mask of one sample.

    Attributes:
        probs: uint8 (M, U) of the contested pixels, the true ones first.
        true: How many those are.
        sure, sure_true: Certain foreground pixels, and those of them that are true.
        truth: Foreground pixels of the truth.
        stand_for: Contested pixels that a true one, and another one, of ``probs`` stands for.
    """

    probs: Pixels
    true: int
    sure: int
    sure_true: int
    truth: int
    stand_for: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(cls, planes: Pixels, truth: NDArray[np.bool_], level: int, *, most: int | None = None) -> Contested:
        """From all pixels: planes uint8 (M, P), truth (P,).

        Args:
            level: A pixel is foreground above it.
            most: Of more contested pixels only so many are kept, evenly spread.
        """
        certain = planes.min(axis=0) > level
        open_ = (planes.max(axis=0) > level) & ~certain
        kinds = [np.flatnonzero(open_ & truth), np.flatnonzero(open_ & ~truth)]
        kept = kinds if most is None else [_spread(kind, most * len(kind) // max(1, open_.sum())) for kind in kinds]
        each = [len(kind) / max(1, len(some)) for kind, some in zip(kinds, kept, strict=True)]
        probs = np.ascontiguousarray(planes[:, np.concatenate(kept)])
        sure, sure_true = int(np.count_nonzero(certain)), int(np.count_nonzero(certain & truth))
        return cls(probs, len(kept[0]), sure, sure_true, int(np.count_nonzero(truth)), (each[0], each[1]))

    def climb(self, shares: Shares, level: int) -> Ints:
        """(hits, predicted) of each mixture with one more share, int64 (M, 2)."""
        short = _least(int(shares.sum()) + 1, level) - 1 - self._sums(shares)  # above where a probability is more
        always = short < 0
        limit = np.where(always, 255, np.minimum(short, 255)).astype(np.uint8)  # bytes are compared fastest
        more = self.probs > limit
        more |= always
        return np.array([self._counts(own) for own in more], np.int64)

    def mixed(self, shares: Shares, level: int) -> Ints:
        """(hits, predicted) of one mixture, int64 (2,)."""
        return np.array(self._counts(self._sums(shares) >= _least(int(shares.sum()), level)), np.int64)

    def _counts(self, above: NDArray[np.bool_]) -> tuple[int, int]:
        hits = round(self.stand_for[0] * np.count_nonzero(above[: self.true]))
        false = round(self.stand_for[1] * np.count_nonzero(above[self.true :]))
        return self.sure_true + hits, self.sure + hits + false

    def _sums(self, shares: Shares) -> NDArray[np.int32]:
        """Of shares times probabilities, (U,)."""
        total = np.zeros(self.probs.shape[1], np.int32)
        for m in np.flatnonzero(shares):
            total += self.probs[m] * np.int32(shares[m])
        return total


def _spread(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Some of the indices, evenly spread; at least one, where there is one."""
    if len(indices) <= max(1, most):
        return indices
    return indices[np.linspace(0, len(indices) - 1, max(1, most)).astype(np.intp)]


def _least(parts: int, level: int) -> int:
    """The least sum of ``parts`` shares that is rounded half up to more than ``level``."""
    return -(-parts * (2 * level + 1) // 2)


@dataclass
class PixelMix:
    """Mixtures of the masks of N samples with K classes.

    Attributes:
        samples: Of each sample its K masks.
        levels: Of each class: a pixel is foreground above it.
        whole: Whether every contested pixel is kept, so that what is measured is exact.
    """

    samples: Sequence[Sequence[Contested]]
    levels: Sequence[int]
    members: int
    whole: bool = True
    _climbed: dict[bytes, Ints] = field(default_factory=dict)

    def measured(self, shares: Shares) -> Measured:
        """What an overlap metric reads of every sample under one mixture."""
        return self._measured(self._all(lambda mask, level: mask.mixed(shares, level)))

    def climb(self, shares: Shares) -> list[Measured]:
        """The same of each mixture with one share of one member more; asked again, it is not computed again."""
        key = shares.tobytes()
        if key not in self._climbed:
            self._climbed[key] = self._all(lambda mask, level: mask.climb(shares, level))
        found = self._climbed[key]
        return [self._measured(found[:, :, m]) for m in range(self.members)]

    def _all(self, of: Counted) -> Ints:
        """Of every sample and class, (N, K, …)."""

        def several(part: Sequence[Sequence[Contested]]) -> list[list[Ints]]:
            return [[of(mask, level) for mask, level in zip(masks, self.levels, strict=True)] for masks in part]

        cuts = np.linspace(0, len(self.samples), 4 * THREADS + 1).astype(int)
        with ThreadPoolExecutor(THREADS) as pool:
            parts = pool.map(several, [self.samples[a:b] for a, b in itertools.pairwise(cuts)])
            return np.array([row for part in parts for row in part], np.int64)

    def _measured(self, counts: Ints) -> Measured:
        truth = np.array([[mask.truth for mask in masks] for masks in self.samples], np.int64)
        rows = np.concatenate([counts, truth[..., None]], axis=-1)
        return Measured.of_counts("overlap", rows if rows.shape[1] > 1 else rows[:, 0])
