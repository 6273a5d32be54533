"""Mixtures of maps of classes, measured by the pixels that members disagree on.

Where every member finds the same class likelier than each other one, by a level of 255 or more, so does any mean of
them with weights that are not negative, rounded or not. What is left is kept as 8-bit probabilities, as far as memory
goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.ensemble.shares import Shares
from podium.metrics import Measured

Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]

THREADS = 2

MOST_BYTES = 1 << 30
"""That the contested pixels of all samples may take; of more than that some are kept, evenly spread."""


@dataclass(frozen=True)
class ContestedMap:
    """The map of one sample.

    Attributes:
        probs: uint8 (M, U, C) of the contested pixels.
        truth: uint8 (U,), the class of each; ignored pixels are not among them.
        sure: Confusion of the certain pixels, int64 (C, C): truth in rows.
        stand_for: Contested pixels that one of ``probs`` stands for.
    """

    probs: Pixels
    truth: Pixels
    sure: Ints
    stand_for: float = 1.0

    @classmethod
    def of(cls, planes: Pixels, truth: NDArray[Any], ignored: int, most: int) -> ContestedMap:
        """From all pixels: planes uint8 (M, P, C), truth (P,).

        Args:
            most: Of more contested pixels only so many are kept, evenly spread.
        """
        classes = planes.shape[2]
        labels, strict = _decided(planes)
        certain, counted = strict.all(axis=0) & (labels == labels[0]).all(axis=0), truth != ignored
        sure = np.bincount(truth[certain & counted].astype(np.int64) * classes + labels[0][certain & counted])
        open_ = np.flatnonzero(~certain & counted)
        kept = open_
        if len(open_) > most:
            kept = open_[np.linspace(0, len(open_) - 1, max(1, most)).astype(np.intp)]
        table = np.zeros(classes * classes, np.int64)
        table[: len(sure)] = sure
        probs, true = np.ascontiguousarray(planes[:, kept]), truth[kept].astype(np.uint8)
        return cls(probs, true, table.reshape(classes, classes), len(open_) / max(1, len(kept)))

    def climb(self, shares: Shares) -> Ints:
        """The confusion of each mixture with one more share, int64 (M, C, C)."""
        return self._confused(shares, np.arange(len(self.probs)))

    def mixed(self, shares: Shares) -> Ints:
        """The confusion of one mixture, int64 (C, C)."""
        return np.asarray(self._confused(shares, np.array([-1]))[0])

    def _confused(self, shares: Shares, more: NDArray[np.intp]) -> Ints:
        from podium.ensemble import kernels

        found = np.zeros((len(more), *self.sure.shape), np.int64)
        kernels.confuse(self.probs, shares.astype(np.int64), more, self.truth, found)
        return self.sure + np.round(found * self.stand_for).astype(np.int64)


def _decided(planes: Pixels) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """(class, whether it is strictly the likeliest) of each pixel of each member, (M, P)."""
    labels = planes.argmax(axis=2)
    top = planes.max(axis=2)
    return labels, np.count_nonzero(planes == top[:, :, None], axis=2) == 1


@dataclass
class MapMix:
    """Mixtures of the maps of N samples with C classes."""

    samples: Sequence[ContestedMap]
    members: int
    _climbed: dict[bytes, Ints] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether every contested pixel is kept, so that what is measured is exact."""
        return all(sample.stand_for == 1 for sample in self.samples)

    def measured(self, shares: Shares) -> Measured:
        """What a confusion metric reads of every sample under one mixture."""
        return Measured.of_counts("confusion", self._all(lambda sample: sample.mixed(shares)))

    def climb(self, shares: Shares) -> list[Measured]:
        """The same of each mixture with one share of one member more; asked again, it is not computed again."""
        key = shares.tobytes()
        if key not in self._climbed:
            self._climbed[key] = self._all(lambda sample: sample.climb(shares))
        found = self._climbed[key]
        return [Measured.of_counts("confusion", found[:, m]) for m in range(self.members)]

    def _all(self, of: Callable[[ContestedMap], Ints]) -> Ints:
        with ThreadPoolExecutor(THREADS) as pool:
            return np.array(list(pool.map(of, self.samples)), np.int64)
