"""Learning curves of an attempt beside its parent's: read from `history.csv`, drawn with characters."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, quantiles
from typing import Any

from podium.ledger.fold_runs import FoldRun

Points = list[tuple[int, float]]
"""(epoch, value), where there is one."""

MARKS = "*·"
"""The attempt, its parent."""


@dataclass(frozen=True)
class Curve:
    """One fold run's epochs.

    Attributes:
        values: {"score", "loss", "val_loss": its points}.
    """

    fold: int
    seed: int
    values: dict[str, Points]

    @classmethod
    def read(cls, run: FoldRun) -> Curve:
        """From `history.csv`; rows and numbers that cannot be read are passed over."""
        values: dict[str, Points] = {"score": [], "loss": [], "val_loss": []}
        try:
            with open(run.folder / "history.csv", encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error):
            rows = []
        for row in rows:
            for name, points in values.items():
                at, value = _number(row.get("epoch")), _number(row.get(name))
                if at is not None and value is not None:
                    points.append((int(at), value))
        return cls(run.fold, run.seed, values)

    def tree(self) -> dict[str, Any]:
        """For a program."""
        return {"fold": self.fold, "seed": self.seed} | {k: v for k, v in self.values.items() if v}


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_curves(runs: Iterable[FoldRun], folds: Iterable[int] | None = None) -> list[Curve]:
    """Of each fold run that has any; of some folds only, if those are given."""
    kept = None if folds is None else set(folds)
    found = [Curve.read(run) for run in runs if kept is None or run.fold in kept]
    return [curve for curve in found if any(curve.values.values())]


def mean_curve(curves: Sequence[Curve], name: str) -> Points:
    """The mean over fold runs, at the epochs that at least half of them have."""
    at: dict[int, list[float]] = defaultdict(list)
    for curve in curves:
        for epoch, value in curve.values[name]:
            at[epoch].append(value)
    runs = sum(bool(curve.values[name]) for curve in curves)
    return [(epoch, fmean(values)) for epoch, values in sorted(at.items()) if 2 * len(values) >= runs]


def limits(lines: Sequence[Points], *, up: bool, beside: Sequence[Points] = ()) -> tuple[float, float]:
    """(lowest, highest) value to show: where a curve begins, often far off, is cut, so that its end can be read.

    Args:
        up: Whether the better values are the higher ones.
        beside: Lines whose better values are shown too, but whose worse ones may be cut.
    """
    values = [value for line in lines for _, value in line]
    low, high = min(values), max(values)
    if len(values) >= 8:
        tenth = quantiles(values, n=10)
        low, high = (max(low, tenth[0]), high) if up else (low, min(high, tenth[-1]))
    others = [value for line in beside for _, value in line]
    low, high = (low, max(high, *others, high)) if up else (min(low, *others, low), high)
    room = 0.04 * (high - low) or 0.01 * abs(high) or 0.01
    return low - room, high + room


def ticks(low: float, high: float) -> list[float]:
    """Round values of a range, three to seven."""
    rough = (high - low) / 6
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * n for n in (1, 2, 2.5, 5, 10) if unit * n >= rough * 0.999)
    return [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def to_text(lines: Sequence[Points], *, up: bool, width: int = 64, height: int = 10) -> list[str]:
    """Lines of text: the first curve as ``*``, the second as ``·``; epochs from left to right.

    Nothing for curves of a single epoch.
    """
    drawn = [line for line in lines if line]
    last = max((line[-1][0] for line in drawn), default=0)
    first = min((line[0][0] for line in drawn), default=0)
    if last <= first:
        return []
    low, high = limits(drawn, up=up)
    cells = [[" "] * width for _ in range(height)]
    for mark, line in reversed([*zip(MARKS, lines, strict=False)]):
        for column in range(width):
            value = _at(line, first + (last - first) * column / (width - 1))
            if value is not None and low <= value <= high:
                share = (value - low) / (high - low)
                cells[round((1 - share) * (height - 1))][column] = mark
    labels = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    rows = [f"{labels.get(n, ''):>8} {''.join(row)}".rstrip() for n, row in enumerate(cells)]
    return [*rows, f"{'epoch':>8} {first}{str(last).rjust(width - len(str(first)))}"]


def _at(line: Points, epoch: float) -> float | None:
    """Between two points on a straight line; None before the first and behind the last."""
    for (a, x), (b, y) in pairwise(line):
        if a <= epoch <= b:
            return x + (y - x) * (epoch - a) / (b - a) if b > a else y
    return None
