"""How far one figure goes with another over samples that come in groups, with an interval that counts the groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

FEWEST = 10
"""Samples on either side, and groups, below which nothing is said."""


@dataclass(frozen=True)
class Strength:
    """How far two figures go together.

    Attributes:
        kind: "AUC" (0.5: not at all), or "rank correlation" and "correlation of neighbours" (0: not at all).
        value: The figure; ``low`` and ``high`` are the bounds of its interval.
        n: Samples it is of.
    """

    kind: str
    value: float
    low: float
    high: float
    n: int

    @property
    def size(self) -> float:
        """0 (not at all) to 1, whichever way."""
        return abs(self._centred(self.value))

    @property
    def least(self) -> float:
        """The end of the interval that is nearer to nothing, as `size`; 0 if nothing lies within."""
        low, high = self._centred(self.low), self._centred(self.high)
        return 0.0 if low <= 0 <= high else min(abs(low), abs(high))

    def _centred(self, value: float) -> float:
        return 2 * value - 1 if self.kind == "AUC" else value

    def __str__(self) -> str:
        sign = "" if self.kind == "AUC" else "+"
        return f"{self.kind} {self.value:{sign}.2f} ({self.low:{sign}.2f} to {self.high:{sign}.2f})"


def strength(x: Floats, y: Floats, groups: Codes, looks: int = 1) -> Strength | None:
    """AUC where ``y`` is 0 and 1, the rank correlation otherwise; None where there is too little to tell.

    Args:
        groups: A number for the group of each sample; samples of one group count as one draw.
        looks: How many such figures are looked at: the intervals hold for all of them at 95 % (Bonferroni).
    """
    if len(np.unique(groups)) < FEWEST or x.std() == 0 or y.std() == 0:
        return None
    if set(np.unique(y).tolist()) == {0.0, 1.0}:
        positive = y > 0
        if min(positive.sum(), (~positive).sum()) < FEWEST:
            return None
        fewer = min(len(np.unique(groups[positive])), len(np.unique(groups[~positive])))
        if fewer < FEWEST // 2:
            return None
        value, parts = _auc(x, positive)
        chance = float(np.sqrt((len(y) + 1) / (12 * positive.sum() * (~positive).sum())))
        return _interval("AUC", value, parts, groups, looks, (0.0, 1.0), chance, fewer - 1)
    a, b = _standard(ranks(x)), _standard(ranks(y))
    value = float((a * b).mean())
    parts = a * b - value * (a**2 + b**2) / 2  # the influence of each sample on a correlation
    return _interval("rank correlation", value, parts, groups, looks, (-1.0, 1.0), len(x) ** -0.5)


def neighbours(x: Floats, y: Floats, groups: Codes, looks: int = 1) -> Strength | None:
    """The correlation of ``y`` between each sample and the next in the order of ``x``, where their groups differ."""
    order = np.argsort(x, kind="stable")
    left, right = order[:-1], order[1:]
    apart = (groups[left] != groups[right]) & (x[left] != x[right])
    left, right = left[apart], right[apart]
    if len(left) < 5 * FEWEST or len(np.unique(groups[left])) < FEWEST or y.std() == 0:
        return None
    b = _standard(ranks(y))
    parts = b[left] * b[right]
    value = float(np.clip(parts.mean(), -1, 1))
    kind, chance = "correlation of neighbours", len(left) ** -0.5
    found = _interval(kind, value, parts - value, groups[left], looks, (-1.0, 1.0), chance)
    return replace(found, n=len(x))


def _auc(x: Floats, positive: NDArray[np.bool_]) -> tuple[float, Floats]:
    """The AUC, and the influence of each sample on it.

    Source: DeLong, DeLong & Clarke-Pearson 1988: a sample's place among those of the other side.
    """
    both, parts = ranks(x), np.empty(len(x))
    n, m = int(positive.sum()), int((~positive).sum())
    above = (both[positive] - ranks(x[positive])) / m
    below = 1 - (both[~positive] - ranks(x[~positive])) / n
    value = float(above.mean())
    parts[positive], parts[~positive] = (above - value) * (n + m) / n, (below - value) * (n + m) / m
    return value, parts


def _interval(
    kind: str,
    value: float,
    parts: Floats,
    groups: Codes,
    looks: int,
    ends: tuple[float, float],
    chance: float,
    freedom: int = 0,
) -> Strength:
    """The interval by the spread of the groups' influences, but not narrower than chance alone would have it."""
    from scipy.stats import t

    _, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, parts)
    error = float(np.sqrt((sums**2).sum())) / len(parts)
    plain = float(np.sqrt((parts**2).sum())) / len(parts)
    inflation = max(1.0, error / plain) if plain > 0 else 1.0
    # near the end of its range a figure varies less than by chance in the middle
    room = 1 - ((value - sum(ends) / 2) / ((ends[1] - ends[0]) / 2)) ** 2
    error = max(error, chance * inflation * room)
    far = float(t.ppf(1 - 0.025 / max(1, looks), freedom or len(sums) - 1)) * error
    return Strength(kind, value, max(ends[0], value - far), min(ends[1], value + far), len(parts))


def ranks(values: NDArray[Any]) -> Floats:
    """Ranks from 1, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std(), np.float64)
