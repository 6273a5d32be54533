"""What folds are to have in equal parts: classes, labels, mask areas, numbers, as columns of an array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from podium.data.folds.assignment import FoldInput, Label
from podium.errors import DataError

Floats = NDArray[np.float64]
Kind = Literal["class", "labels", "number", "numbers"]

MOST_COLUMNS = 200
"""The classes beyond the commonest are evened out together."""


@dataclass(frozen=True)
class Column:
    """One number a sample, whose mean the folds should share.

    Attributes:
        share: Whether it is 0 or 1, so that the mean is a share.
        values: nan where it is not known, shape (N,).
    """

    name: str
    share: bool
    values: Floats


def kind_of(labels: Sequence[Label]) -> Kind | None:
    """What labels are; whole numbers and texts are classes."""
    if not labels:
        return None
    if isinstance(labels[0], tuple):
        zero_one = all(v in (0, 1) for label in labels for v in label)  # type: ignore[union-attr]
        return "labels" if zero_one else "numbers"
    return "number" if any(isinstance(v, float) for v in labels) else "class"


def described(input: FoldInput) -> list[Column]:
    """What a person wants to see of each fold: class shares, the mean target, the mean area and the empty masks."""
    columns: list[Column] = []
    kind = kind_of(input.labels)
    if kind == "class":
        for_class = {name: np.array([float(v == name) for v in input.labels]) for name in _classes(input.labels)}
        columns = [Column(f"class {name}", True, values) for name, values in for_class.items()]
    elif kind == "number":
        columns.append(Column("mean target", False, np.array(input.labels, float)))
    elif kind:
        for n, values in enumerate(np.array(input.labels, float).T):
            name = f"label {n}" if kind == "labels" else f"mean target {n}"
            columns.append(Column(name, kind == "labels", values))
    if input.area:
        area = np.array(input.area, float)
        if np.isfinite(area).any():
            columns.append(Column("mean area", False, area))
            columns.append(Column("empty", True, np.where(np.isnan(area), np.nan, area == 0)))
    return columns


def to_even_out(input: FoldInput, by: str, bins: int) -> tuple[Floats, Floats]:
    """Columns whose sums the folds should share, and what to deal samples by.

    A column is centred, so that a fold with the shares of the whole has sum 0, and scaled as chi-square scales it: a
    sample too many of a class costs the more, the rarer the class.

    Args:
        by: As `strategies.Choice` has it.
        bins: How many quantile bins of a number.

    Returns:
        Columns of shape (N, C), keys of shape (N, K).
    """
    if by == "class":
        index = {name: i for i, name in enumerate(_classes(input.labels))}
        codes = np.array([index[v] for v in input.labels])
        return _indicators(codes), codes[:, None].astype(float)
    if by == "labels":
        many = np.array(input.labels, float)
        sets = np.unique(many, axis=0, return_inverse=True)[1].ravel()
        return np.hstack([_scaled(many), _indicators(sets)]), np.column_stack([-many.sum(axis=1), sets])
    if by == "empty":
        empty = (np.array(input.area, float) == 0).astype(int)
        return _indicators(empty), empty[:, None].astype(float)
    parts = [_number(values, bins) for values in numbers(input, by).T]
    return np.hstack([columns for columns, _ in parts]), np.column_stack([rank for _, rank in parts])


def numbers(input: FoldInput, by: str) -> Floats:
    """The numbers that ``by`` stands for, shape (N, C); nan where there is none.

    Raises:
        DataError: if a value is not a number.
    """
    values: Sequence[object] = {"area": input.area, "target": input.labels}.get(by, input.order)
    if not values:
        raise DataError(f"there is no '{by}' to split by", where="competition.toml: folds.by")
    try:
        found = np.array([[np.nan if v == "" else v for v in (r if isinstance(r, tuple) else (r,))] for r in values])
        return found.astype(float)
    except ValueError:
        odd = next((id, v) for id, v in zip(input.ids, values, strict=True) if not _is_number(v))
        raise DataError(
            f"'{odd[1]}' of '{odd[0]}' is not a number",
            where=f"competition.toml: folds.by = '{by}'",
            expected="a number for each sample",
            remedy='name a column of numbers; or, to keep the shares of a class, folds.strategy = "stratified"',
        ) from None


def _is_number(value: object) -> bool:
    try:
        float(str(value or "nan"))
    except ValueError:
        return False
    return True


def _classes(labels: Sequence[Label]) -> list[Label]:
    return sorted(set(labels), key=lambda v: (isinstance(v, str), v))


def _indicators(codes: NDArray[np.int64]) -> Floats:
    counts = Counter(codes.tolist())
    common = sorted(c for c, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_COLUMNS])
    return _scaled((codes[:, None] == np.array(common)[None, :]).astype(float))


def _scaled(columns: Floats) -> Floats:
    share = columns.mean(axis=0)
    return np.asarray((columns - share) / np.sqrt(np.maximum(columns.sum(axis=0), 1)))


def _number(values: Floats, bins: int) -> tuple[Floats, Floats]:
    """The share below each quantile, zeros and unknowns apart, with the number itself; and its rank.

    Shares below, not within: a fold whose samples all lie one bin too high is nearly right, and must cost little.
    """
    known = np.isfinite(values)
    filled = known & (values != 0) if (values[known] >= 0).all() else known
    bin = np.where(known, 1, 0)
    edges = np.unique(np.quantile(values[filled], np.arange(1, bins) / bins)) if filled.any() else np.zeros(0)
    bin[filled] = 2 + np.searchsorted(edges, values[filled], "left")
    above = (bin[:, None] > np.unique(bin)[None, :-1]).astype(float)
    above = 2 * (above - above.mean(axis=0)) / np.sqrt(len(values))
    mean, spread = (values[known].mean(), values[known].std()) if known.any() else (0.0, 0.0)
    itself = np.where(known, values - mean, 0.0) / (spread * np.sqrt(len(values)) or 1.0)
    rank = np.unique(np.where(known, values, -np.inf), return_inverse=True)[1].ravel().astype(float)
    return np.column_stack([above, itself]), rank
