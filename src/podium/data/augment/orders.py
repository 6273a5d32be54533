"""A variant as an order that a device can carry out: which part of the image, through which matrix, in which colours.

What an order says is exactly what `pipeline.variant` does on the CPU; a variant that has no order (a blur, a mixup, …)
is made there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podium.data.augment.affine import MODES, UNIT
from podium.data.augment.colour import MIXING, linear
from podium.data.augment.draws import Draws, chosen, draw, probability
from podium.data.augment.warp import Cut, Warp, border_of, is_affine, plan, shrink, window
from podium.data.geometry import Canvas
from podium.recipe import COLOURS, PARTS, SINGLES, AugmentConfig

Matrix = NDArray[np.float64]

ORDERED = frozenset({"hflip", "vflip", "rot90", "shift", "scale", "rotate", "shear"} | {*COLOURS, *MIXING} - {"gamma"})
"""Changes that a device carries out."""


@dataclass(frozen=True, slots=True)
class Order:
    """How one frame is made from one image of three channels.

    Attributes:
        box: Rows [top, bottom) and columns [left, right) of the image that it looks at; its edges are the image's
            wherever it looks beyond them.
        start, steps: Where the frame's first pixel comes from within the box, and how far that moves: x, y; x, y for
            each column, x, y for each row. In 1/2^32 of a pixel.
        border: What is beyond the edges, a number of `affine.MODES`.
        colour: 3x4 on (R, G, B, 1), or None.
    """

    box: tuple[int, int, int, int]
    start: tuple[int, int]
    steps: tuple[int, int, int, int]
    border: int
    colour: Matrix | None


def order(config: AugmentConfig, canvas: Canvas, rng: np.random.Generator, shape: tuple[int, ...]) -> Order | None:
    """The order of the variant that `augment` makes of ``rng`` in the same state; None if it must make it itself."""
    draws = draw(rng)
    come = chosen(config, draws)
    if not come <= ORDERED or config.extra is not None or shape[2:] != (3,):
        return None
    if config.colour_where != "all" and come & {*COLOURS, *MIXING}:
        return None
    planned = plan(config, canvas, draws, come, shape)
    where = _as_warp(planned, canvas, (shape[0], shape[1])) if isinstance(planned, Cut) else planned
    if not is_affine(where.matrix):
        return None
    top, bottom, left, right = window(where, canvas, shape)
    if shrink(where) > 1:
        return None
    return _order(config, draws, come, canvas, where, (top, bottom, left, right))


def _order(
    config: AugmentConfig,
    draws: Draws,
    come: frozenset[str],
    canvas: Canvas,
    where: Warp,
    box: tuple[int, int, int, int],
) -> Order:
    top, bottom, left, right = box
    matrix = where.matrix[:2] - np.array([[0, 0, left], [0, 0, top]])
    (right_x, down_x, x), (right_y, down_y, y) = (matrix * UNIT).round().astype(np.int64).tolist()
    border = MODES[border_of(canvas, (bottom - top, right - left))]  # as `warp` sees it
    colour = linear(config, draws, come, (1, 1, 3))
    return Order(box, (x, y), (right_x, right_y, down_x, down_y), border, colour)


def _as_warp(cut: Cut, canvas: Canvas, shape: tuple[int, int]) -> Warp:
    """The matrix that a cut is."""
    h, w = canvas.height, canvas.width
    matrix = np.eye(3)
    if canvas.crop:
        seen = min(shape[0] - cut.top, h), min(shape[1] - cut.left, w)
        matrix[:2, 2] = cut.left, cut.top
    else:
        seen = shape
    rows, columns = canvas.inside(seen)
    matrix[:2, 2] -= columns.start, rows.start
    sides = (h, w)
    for _ in range(cut.quarters):  # np.rot90: what is at (x, y) now was at (side - 1 - y, x)
        matrix = matrix @ np.array([[0.0, -1, sides[1] - 1], [1, 0, 0], [0, 0, 1]])
        sides = sides[::-1]
    if cut.flip_h:
        matrix = matrix @ np.array([[-1.0, 0, w - 1], [0, 1, 0], [0, 0, 1]])
    if cut.flip_v:
        matrix = matrix @ np.array([[1.0, 0, 0], [0, -1, h - 1], [0, 0, 1]])
    return Warp(matrix)


def unordered(config: AugmentConfig) -> list[str]:
    """The names of the changes that are on and that no device carries out: samples that get one are made on the CPU."""
    names = [n for n in (*SINGLES, *PARTS) if n not in ORDERED and probability(config, n) > 0]
    if config.colour_where != "all" and any(probability(config, n) > 0 for n in (*COLOURS, *MIXING)):
        names.append("colour_where")
    return [*names, "extra"] if config.extra is not None else names
