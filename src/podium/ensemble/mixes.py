"""Mixtures of members, measured: what a hill-climb asks for. Of tables, and of pixels of whatever kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from podium.ensemble.combine import Combiner, Mean
from podium.ensemble.shares import Shares
from podium.metrics import Measured
from podium.training.tasks import TableTask

Floats = NDArray[np.float64]


class Mix(Protocol):
    """Mixtures of M members, over the same samples in the same order."""

    @property
    def members(self) -> int:
        """How many there are."""

    def climb(self, shares: Shares) -> list[Measured]:
        """What the metric reads of each mixture with one share of one member more."""


@dataclass
class ValueMix:
    """Mixtures of a table's predictions.

    Attributes:
        values: (M, N, outputs).
        truth: (N, T), as `Values.targets`.
    """

    task: TableTask
    values: Floats
    truth: Floats

    @property
    def members(self) -> int:
        """How many there are."""
        return len(self.values)

    def measured(self, combined: Floats) -> Measured:
        """What the metric reads of predictions, (N, outputs)."""
        task = self.task
        return Measured.of_table(task.truth(self.truth), task.predicted(task.adjusted(combined)))

    def of(self, combiner: Combiner) -> Measured:
        """What the metric reads of what a combiner makes of the members."""
        return self.measured(combiner(self.values))

    def climb(self, shares: Shares) -> list[Measured]:
        """See `Mix.climb`."""
        total, parts = np.tensordot(shares.astype(np.float64), self.values, axes=1), int(shares.sum()) + 1
        return [self.measured((total + own) / parts) for own in self.values]


@dataclass
class SlowMix:
    """Mixtures of pixels that have to be put together and decided anew each time: objects, maps of classes, outlines.

    Attributes:
        evaluate: Puts a mixture together and measures it.
    """

    members: int
    evaluate: Callable[[Mean], Measured]
    _known: dict[bytes, Measured] = field(default_factory=dict)

    def climb(self, shares: Shares) -> list[Measured]:
        """See `Mix.climb`."""
        return [self._measured(shares + more) for more in np.eye(self.members, dtype=np.int64)]

    def _measured(self, shares: Shares) -> Measured:
        shares = shares // np.gcd.reduce(shares)
        key = shares.tobytes()
        if key not in self._known:
            self._known[key] = self.evaluate(Mean(shares))
        return self._known[key]
