"""Columns that a model may use beside the image, as numbers: fitted on training samples, kept in the checkpoint."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from podium.errors import DataError

MOST_CATEGORIES = 32
"""Categories of a column that get a number of their own: the commonest ones."""


@dataclass(frozen=True)
class Column:
    """One column: a number, standardised, or a category, one of several.

    Attributes:
        mean, sd: Of a number.
        categories: Those that get an input of their own; none for a number.
    """

    name: str
    mean: float = 0.0
    sd: float = 1.0
    categories: list[str] = field(default_factory=list)

    @classmethod
    def fit(cls, name: str, values: Sequence[str]) -> Self:
        """A number if every value that is there is one, else categories."""
        numbers = [_number(v) for v in values if v.strip()]
        known = [n for n in numbers if n is not None]
        if known and len(known) == len(numbers):
            sd = float(np.std(known))
            return cls(name, float(np.mean(known)), sd if sd > 0 else 1.0)
        counts = Counter(v.strip() for v in values if v.strip())
        return cls(
            name, categories=sorted(v for v, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:MOST_CATEGORIES])
        )

    @property
    def width(self) -> int:
        """How many inputs it becomes: a number and whether it is missing, or one a category."""
        return len(self.categories) or 2

    def encode(self, values: Sequence[str]) -> NDArray[np.float32]:
        """(N, width). What is missing, or was never seen, is 0; a missing number says so beside.

        Raises:
            DataError: for a value that is no number in a column of numbers.
        """
        out = np.zeros((len(values), self.width), np.float32)
        for i, text in enumerate(v.strip() for v in values):
            if self.categories:
                if text in self.categories:
                    out[i, self.categories.index(text)] = 1
                continue
            number = _number(text)
            if text and number is None:
                raise DataError(f"'{text}' is no number, as '{self.name}' has them in the training samples")
            out[i] = (0, 1) if number is None else ((number - self.mean) / self.sd, 0)
        return out


@dataclass(frozen=True)
class Metadata:
    """The columns of `data.inputs`."""

    columns: list[Column]

    @classmethod
    def fit(cls, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Self:
        """From the training samples' values, a row a sample."""
        return cls([Column.fit(name, [row[i] for row in rows]) for i, name in enumerate(names)])

    @property
    def width(self) -> int:
        """Numbers a sample."""
        return sum(c.width for c in self.columns)

    def encode(self, rows: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """(N, width) of rows like those it was fitted on."""
        if not self.columns:
            return np.zeros((len(rows), 0), np.float32)
        return np.concatenate([c.encode([row[i] for row in rows]) for i, c in enumerate(self.columns)], axis=1)

    def state(self) -> list[dict[str, Any]]:
        """As plain data."""
        return [{"name": c.name, "mean": c.mean, "sd": c.sd, "categories": c.categories} for c in self.columns]

    @classmethod
    def of_state(cls, state: Sequence[dict[str, Any]]) -> Self:
        """The inverse of `state`."""
        return cls([Column(**c) for c in state])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
