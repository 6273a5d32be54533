"""Where everything stands in a picture of learning curves: two panels, as lines and texts for whatever draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from podium.ledger.views.curves import Curve, Points, limits, mean_curve, ticks

WIDTH, HEIGHT, TOP, BOTTOM, LEFT, RIGHT = 470, 360, 64, 46, 64, 14
"""Of a panel, in pixels."""


@dataclass(frozen=True)
class Stroke:
    """A line through points.

    Attributes:
        kind: What it is, in words: "grid"; "one" fold run or the "mean", of the "parent", of the "val" loss.
    """

    kind: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Text:
    """Words on a base line, that begin, have their middle or end at a point."""

    x: float
    y: float
    words: str
    at: Literal["start", "middle", "end"] = "start"
    title: bool = False


Shape = Stroke | Text


def scene(title: str, score: str, attempt: Sequence[Curve], parent: Sequence[Curve], *, up: bool) -> list[Shape]:
    """Score and loss beside one another, in 2 `WIDTH` x `HEIGHT` pixels; what is drawn first lies below.

    Args:
        score: What the score is called.
        up: Whether a higher one is better.
    """
    shapes: list[Shape] = [Text(LEFT, 24, title, title=True), *_legend(bool(parent))]
    shapes += _panel(0, f"{score}, validation fold", ("score",), attempt, parent, up=up)
    measured = any(curve.values["val_loss"] for curve in attempt)
    told = "loss (dashed: validation fold)" if measured else "loss, training folds"
    shapes += _panel(WIDTH, told, ("loss", "val_loss"), attempt, parent, up=False)
    return shapes


def _legend(parent: bool) -> Iterator[Shape]:
    entries = [("mean", "this attempt"), *([("parent mean", "its parent, same folds")] if parent else [])]
    for n, (kind, told) in enumerate(entries):
        x = WIDTH + LEFT + n * 150
        yield Stroke(kind, ((x, 20), (x + 24, 20)))
        yield Text(x + 30, 24, told)


def _panel(
    left: int, title: str, names: Sequence[str], attempt: Sequence[Curve], parent: Sequence[Curve], *, up: bool
) -> Iterator[Shape]:
    sides = [("parent ", parent), ("", attempt)]
    means = [(side + "mean" + _dash(n), mean_curve(curves, n)) for side, curves in sides for n in names]
    ones = [(side + "one" + _dash(n), c.values[n]) for side, curves in sides for n in names for c in curves]
    lines = [line for _, line in means if line]
    yield Text(left + LEFT, TOP - 12, title)
    if not lines:
        yield Text(left + LEFT, HEIGHT // 2, "not measured")
        return
    low, high = limits(lines, up=up, beside=[line for _, line in ones])
    every = [line for _, line in (*ones, *means) if line]  # by the clock, some fold runs have more epochs than others
    first, last = min(line[0][0] for line in every), max(line[-1][0] for line in every)

    def x(epoch: float) -> float:
        return left + LEFT + (epoch - first) / max(1, last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM)

    for value in ticks(low, high):
        yield Stroke("grid", ((left + LEFT, y(value)), (left + WIDTH - RIGHT, y(value))))
        yield Text(left + LEFT - 8, y(value) + 4, f"{value:.4g}", "end")
    for epoch in sorted({first, (first + last) // 2, last}):
        yield Text(x(epoch), HEIGHT - BOTTOM + 20, str(epoch), "middle")
    yield Text(x((first + last) / 2), HEIGHT - 8, "epoch", "middle")
    for kind, line in (*ones, *means):
        for piece in _pieces(line, low, high):
            yield Stroke(kind, tuple((x(epoch), y(value)) for epoch, value in piece))


def _dash(name: str) -> str:
    return " val" if name == "val_loss" else ""


def _pieces(line: Points, low: float, high: float) -> Iterator[list[tuple[float, float]]]:
    """The parts of a line whose values can be shown; a single epoch as a dash, or nothing would be seen."""
    if len(line) == 1 and low <= line[0][1] <= high:
        yield [(line[0][0] - 0.1, line[0][1]), (line[0][0] + 0.1, line[0][1])]
    piece: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in pairwise(line):
        # where the segment enters and leaves the band, as shares of its length
        ends = sorted(((low - y0) / (y1 - y0), (high - y0) / (y1 - y0))) if y1 != y0 else [0.0, 1.0]
        a, b = max(0.0, ends[0]), min(1.0, ends[1])
        if a <= b and (y1 != y0 or low <= y0 <= high):
            piece = piece or [(x0 + a * (x1 - x0), y0 + a * (y1 - y0))]
            piece.append((x0 + b * (x1 - x0), y0 + b * (y1 - y0)))
        if piece and (b < 1 or a > b):
            yield piece
            piece = []
    if piece:
        yield piece
