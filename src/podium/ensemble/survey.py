"""How much alike the members of a blend are, and what least squares needs; from some of the pixels, or all values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

PIXELS = 4096
"""Of one sample that are looked at, evenly spread."""


@dataclass
class Survey:
    """Sums over what members predict; samples are added one by one.

    Attributes:
        products: {fold: sums of products of members' predictions, (M, M)}.
        targets: {fold: sums of their products with the truth, (M,)}.
        differ: How often the decisions of two members differ, (M, M).
    """

    members: int
    products: dict[int, Floats] = field(default_factory=dict)
    targets: dict[int, Floats] = field(default_factory=dict)
    sums: Floats = field(init=False)
    centred: Floats = field(init=False)
    differ: Floats = field(init=False)
    count: int = 0
    decisions: int = 0

    def __post_init__(self) -> None:
        m = self.members
        self.sums, self.centred, self.differ = np.zeros(m), np.zeros((m, m)), np.zeros((m, m))

    def add(self, fold: int, predicted: Array, truth: Array, decided: Array) -> None:
        """Add predictions (M, n), their truth (n,), and decisions (M, d) in whole numbers."""
        p = predicted.astype(np.float64)
        gram, target = p @ p.T, p @ truth.astype(np.float64)
        self.products[fold] = self.products.get(fold, 0) + gram
        self.targets[fold] = self.targets.get(fold, 0) + target
        self.sums += p.sum(axis=1)
        self.centred += gram
        self.count += p.shape[1]
        self.decisions += decided.shape[1]
        for m in range(self.members):
            self.differ[m] += np.count_nonzero(decided != decided[m], axis=1)

    @property
    def correlation(self) -> Floats:
        """Of each two members' predictions (Pearson), (M, M); 1 where one does not vary."""
        means = self.sums / max(1, self.count)
        covariance = self.centred / max(1, self.count) - np.outer(means, means)
        sd = np.sqrt(np.maximum(np.diag(covariance), 0))
        scale = np.outer(sd, sd)
        found = np.where(scale > 1e-12, covariance / np.maximum(scale, 1e-12), 1.0)
        np.fill_diagonal(found, 1.0)
        return np.clip(found, -1, 1)

    @property
    def disagreement(self) -> Floats:
        """The share of decisions in which each two members differ, (M, M)."""
        return self.differ / max(1, self.decisions)

    def least_squares(self, but: int | None = None) -> tuple[Floats, Floats]:
        """(products, targets) of all folds, or of all but one."""
        folds = [fold for fold in self.products if fold != but]
        return (
            np.asarray(sum(self.products[fold] for fold in folds), np.float64),
            np.asarray(sum(self.targets[fold] for fold in folds), np.float64),
        )


def some_pixels(pixels: int) -> NDArray[np.intp]:
    """Indices of at most `PIXELS` of so many pixels, evenly spread."""
    return np.linspace(0, pixels - 1, min(PIXELS, pixels)).astype(np.intp) if pixels else np.zeros(0, np.intp)
