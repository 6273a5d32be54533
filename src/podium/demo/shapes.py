"""The shape of a car: quads with a colour, built from a few dimensions.

Axes in metres: x to the car's front, y to its left, z up from the floor. Body and cabin are rings in plan, stacked into
levels; what lies flat on them (glass, lamps, door gaps) is cut out of the same surface, so it needs no depth test.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
Span = tuple[float, float]

UNDERBODY, MIRRORS, SHELL, SHELL_TRIM, GAPS, CABIN, CABIN_TRIM, ANTENNA = 4, 5, 7, 8, 9, 10, 11, 12
"""Part numbers; 0 to 3 are the wheels, and there are two mirrors."""

BLACK, RUBBER, CHROME = (0.025, 0.025, 0.03), (0.035, 0.035, 0.04), (0.62, 0.62, 0.63)


@dataclass(frozen=True)
class Body:
    """Dimensions of one body type; lengths in metres, ``*_x`` as fractions of the length from the middle."""

    length: float
    half_width: float
    height: float
    wheelbase: float
    wheel: float
    clearance: float
    profile: tuple[float, float, float, float, float]
    """Height of hood and deck at the nose, behind it, at the windscreen, at the back of the cabin and at the tail."""
    cabin_x: tuple[float, float]
    roof_x: tuple[float, float]
    side_glass: tuple[tuple[float, float], ...]
    """Side windows as fractions of the cabin's side, from its front."""
    roundness: float


BODIES = {
    "sedan": Body(
        4.75, 0.91, 1.45, 2.80, 0.33, 0.19, (0.64, 0.75, 0.94, 0.99, 0.91), (0.22, -0.385), (0.05, -0.19),
        ((0.10, 0.47), (0.51, 0.83)), 4.8,
    ),
    "compact": Body(
        4.05, 0.86, 1.50, 2.52, 0.31, 0.18, (0.66, 0.80, 0.97, 1.00, 0.93), (0.27, -0.475), (0.08, -0.35),
        ((0.10, 0.46), (0.50, 0.76), (0.79, 0.90)), 4.6,
    ),
    "suv": Body(
        4.75, 0.95, 1.74, 2.78, 0.38, 0.25, (0.82, 0.99, 1.09, 1.13, 1.08), (0.22, -0.48), (0.085, -0.42),
        ((0.10, 0.40), (0.43, 0.70), (0.73, 0.90)), 5.6,
    ),
    "pick_up": Body(
        5.45, 0.96, 1.84, 3.45, 0.40, 0.31, (0.92, 1.07, 1.15, 1.17, 1.15), (0.215, -0.13), (0.125, -0.105),
        ((0.12, 0.50), (0.55, 0.88)), 6.6,
    ),
}  # fmt: skip


_TRACK = 0.935  # where the wheels' outer sides stand, in half widths


def f32(values: npt.ArrayLike) -> Floats:
    """An array of 32-bit floats."""
    return np.asarray(values, np.float32)


class Mesh(NamedTuple):
    """Quads in the car's axes; a triangle is a quad with one corner twice."""

    quads: Floats
    """(N, 4, 3), counter-clockwise seen from outside."""
    colour: Floats
    """(N, 3) in linear [0, 1]."""
    gloss: Floats
    """(N,) share of mirror reflection: 0 rubber, about 0.5 paint, 1 glass."""
    part: npt.NDArray[np.int32]
    """(N,) part numbers, see the constants above."""


class _Builder:
    def __init__(self) -> None:
        self.faces: list[tuple[Floats, Floats, Floats, npt.NDArray[np.int32]]] = []

    def add(self, quads: npt.ArrayLike, colour: Colour, gloss: float, part: int) -> None:
        q = np.asarray(quads, np.float32).reshape(-1, 4, 3)
        n = len(q)
        self.faces.append((q, np.tile(f32(colour), (n, 1)), np.full(n, gloss, np.float32), np.full(n, part, np.int32)))

    def mesh(self) -> Mesh:
        return Mesh(*(np.concatenate(column) for column in zip(*self.faces, strict=True)))


def grid_quads(grid: Floats) -> Floats:
    """The faces between neighbours of a (rows, columns, 3) grid of points."""
    corners = (grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1])
    return np.stack(corners, axis=2).reshape(-1, 4, 3)


class _Rings:
    """Rings stacked into levels, from the front's middle counter-clockwise round the car."""

    def __init__(self, points: Floats) -> None:
        self.points = points  # (levels, ring, 3); the last column repeats the first
        self.n = points.shape[1] - 1

    def sides(self) -> Floats:
        return grid_quads(self.points)

    def deck(self, crown: float) -> Floats:
        """The lid over the topmost ring, a little higher in the middle."""
        half = self.n // 2
        left, right = self.points[-1, : half + 1], self.points[-1, self.n - half :][::-1]
        across = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None]
        grid = left[None] * (1 - across) + right[None] * across
        flat = np.clip(3 - 3 * np.abs(2 * np.linspace(0, 1, half + 1) - 1), 0, 1)  # no crown at front and tail
        grid[..., 2] += crown * flat[None] * (1 - (2 * across[..., 0] - 1) ** 2)
        return grid_quads(grid)

    def patch(self, u: Span, v: Span, steps: int) -> Floats:
        """A piece of the surface: ``u`` along the ring, ``v`` up the levels, both as indices with fractions."""
        us = np.linspace(u[0], u[1], steps + 1)
        rows = [[self.at(a, b) for a in us] for b in np.linspace(v[0], v[1], 3)]
        return grid_quads(f32(rows))

    def at(self, u: float, v: float) -> Floats:
        u = u % self.n
        i, j = int(u), min(int(v), len(self.points) - 2)
        a, b = u - i, v - j
        below, above = self.points[j], self.points[j + 1]
        return f32((below[i] * (1 - a) + below[i + 1] * a) * (1 - b) + (above[i] * (1 - a) + above[i + 1] * a) * b)


_FRONT = np.array([0, 0.2, 0.4, 0.56, 0.7, 0.8, 0.88])
"""Where the ring's points lie across front and tail, as fractions of the half width."""


def _half_plan(n: float, stations: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Half a rounded rectangle of half sides 1, from the front's middle over the left side to the tail's middle."""
    end = (1 - _FRONT**n) ** (1 / n)
    x = np.sort(stations[np.abs(stations) < end[-1] - 0.015])[::-1]
    y = (1 - np.abs(x) ** n) ** (1 / n)
    front, side = np.stack([end, _FRONT], 1), np.stack([x, y], 1)
    plan: npt.NDArray[np.float64] = np.concatenate([front, side, front[::-1] * (-1, 1)])
    return plan


def _close(half: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A whole ring (front middle twice) from its left half, for points (..., ring, 3)."""
    right = half[..., ::-1, :] * np.array([1.0, -1.0, 1.0])
    return np.concatenate([half, right[..., 1:, :]], axis=-2)


def _shell(b: Body) -> tuple[_Rings, int]:
    """Everything below the windows, with the wheel arches cut out, and how many ring points half of it has."""
    long, axle, arch = b.length / 2, b.wheelbase / 2, b.wheel * 1.16
    # just outside the arch the sill is back at its own height
    round_arch = np.append(np.cos(np.linspace(0, np.pi, 9)), (1.03, -1.03)) * arch
    stations = np.concatenate([axle + round_arch, -axle + round_arch, [-0.2, 0.2, 0.0], np.linspace(-0.9, 0.9, 9)])
    stations[:-9] /= long
    plan = _half_plan(b.roundness, np.unique(np.round(stations, 3)))
    levels = np.array([0.0, 0.12, 0.26, 0.4, 0.52, 0.62, 0.72, 0.82, 0.91, 0.97, 1.0])
    swell = np.array([0.945, 0.965, 0.98, 0.99, 0.997, 1.0, 0.988, 0.98, 0.965, 0.94, 0.89])
    nose = np.array([0.965, 0.99, 1.0, 1.0, 0.995, 0.99, 0.982, 0.972, 0.958, 0.94, 0.91])
    x, y = plan[:, 0] * long, plan[:, 1] * b.half_width
    top = deck_height(b, x)
    from_axle = np.minimum(np.abs(x - axle), np.abs(x + axle))
    low = np.where(from_axle < arch, b.wheel + np.sqrt(np.maximum(arch**2 - from_axle**2, 0)), b.clearance)
    z = low + levels[:, None] * np.maximum(top - low, 0.05)
    wide = np.interp((z - b.clearance) / (top - b.clearance), levels, swell)
    ends = 1 - (1 - nose[:, None]) * np.clip((np.abs(plan[:, 0]) - 0.5) / 0.45, 0, 1)[None]
    half = np.stack([x[None] * ends, y[None] * wide, z], axis=-1)
    return _Rings(f32(_close(half))), len(plan)


def deck_height(b: Body, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Height of hood, waist and boot lid at ``x``."""
    at = np.array([-0.5, b.cabin_x[1], b.cabin_x[0], 0.42, 0.5]) * b.length
    heights: npt.NDArray[np.float64] = np.interp(x, at, b.profile[::-1])
    return heights


def _cabin(b: Body) -> tuple[_Rings, int]:
    levels = np.array([0, 0.25, 0.5, 0.7, 0.84, 0.92, 0.97, 1.0])
    inward = np.array([0, 0.2, 0.43, 0.64, 0.82, 0.94, 1.06, 1.25])  # the roof's edge is round
    plan = _half_plan(5.0, np.linspace(-0.86, 0.86, 15))
    front, back = (np.interp(inward, (0, 1), ends) for ends in zip(b.cabin_x, b.roof_x, strict=True))
    middle, reach = (front + back) / 2 * b.length, (front - back) / 2 * b.length
    width = b.half_width * np.interp(inward, (0, 1, 1.25), (0.925, 0.74, 0.62))
    x = middle[:, None] + plan[None, :, 0] * reach[:, None]
    y = plan[None, :, 1] * width[:, None]
    base = deck_height(b, x[0])
    crown = 0.035 * np.clip(1 - np.abs(plan[:, 0]), 0, 1) ** 0.7
    z = base[None] + levels[:, None] * (b.height - 0.06 + crown - base)[None]
    return _Rings(f32(_close(np.stack([x, y, z], axis=-1)))), len(plan)


def _wheel(out: _Builder, b: Body, part: int, spokes: int, rim: Colour) -> None:
    """One wheel: tread, tyre, rim and spokes over a dark dish."""
    front, side = (1, 1, -1, -1)[part] * b.wheelbase / 2, (1, -1)[part % 2]
    outer, inner = side * b.half_width * _TRACK, side * (b.half_width * _TRACK - 0.23)
    turn = np.linspace(0, 2 * np.pi, 23)[::-side]

    def ring(radius: float, y: float) -> Floats:
        r = radius * b.wheel
        points = (front + r * np.cos(turn), np.full_like(turn, y), b.wheel + r * np.sin(turn))
        return f32(np.stack(points, axis=-1))

    def between(a: tuple[float, float], c: tuple[float, float]) -> Floats:
        return grid_quads(np.stack([ring(*a), ring(*c)]))

    out.add(between((1.0, inner), (1.0, outer - side * 0.03)), RUBBER, 0.02, part)
    out.add(between((0.0, inner), (1.0, inner)), BLACK, 0.0, part)
    out.add(between((1.0, outer - side * 0.03), (0.94, outer)), RUBBER, 0.06, part)
    out.add(between((0.94, outer), (0.7, outer)), RUBBER, 0.03, part)
    out.add(between((0.7, outer), (0.63, outer)), rim, 0.4, part)
    out.add(between((0.63, outer), (0.0, outer)), (0.05, 0.05, 0.055), 0.0, part)
    for k in range(spokes):
        a = 2 * np.pi * (k + 0.3) / spokes
        along, across = np.array([np.cos(a), 0, np.sin(a)]), np.array([-np.sin(a), 0, np.cos(a)])
        wide = 0.62 / spokes
        corners = [(0.1, -0.8), (0.66, -1), (0.66, 1), (0.1, 0.8)][::-side]
        centre = np.array([front, outer, b.wheel])
        out.add([centre + b.wheel * (p * along + q * wide * across) for p, q in corners], rim, 0.4, part)
    out.add(between((0.2, outer), (0.0, outer)), rim, 0.3, part)


def _mirror(out: _Builder, b: Body, side: int, colour: Colour, size: float) -> None:
    turn, rise = np.linspace(0, 2 * np.pi, 11), np.linspace(-np.pi / 2, np.pi / 2, 7)
    x0 = b.cabin_x[0] * b.length - 0.42
    z0 = float(deck_height(b, np.array([x0]))[0]) + 0.09 * size
    square = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.6, np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.6
    x = x0 + 0.08 * size * np.cos(rise)[:, None] ** 0.6 * square[0][None]
    y = side * (b.half_width + 0.03 + 0.04 * size) + 0.125 * size * np.cos(rise)[:, None] ** 0.6 * square[1][None]
    z = z0 + 0.085 * size * np.sin(rise)[:, None] * np.ones_like(turn)[None]
    out.add(grid_quads(f32(np.stack([x, y, z], axis=-1))), colour, 0.4, MIRRORS + (side < 0))
    arm = np.array([[0.03, 0.16], [0.03, 0.0], [-0.03, 0.0], [-0.03, 0.16]])
    top = [(x0 + p, side * (b.half_width + q - 0.1), z0 - 0.05) for p, q in arm]
    out.add(top[::-side], BLACK, 0.05, MIRRORS + (side < 0))


@lru_cache(maxsize=16)
def car_mesh(
    b: Body,
    antenna: tuple[Colour, Colour],
    paint: Colour,
    rim: Colour,
    glass: Colour,
    roof: Colour,
    spokes: int,
    cladding: bool,
) -> Mesh:
    """All faces of a car.

    Args:
        b: Dimensions.
        antenna: Its foot and tip (x, y, z).
        paint: Colour of the body, linear RGB.
        rim: Colour of the wheels' rims and spokes.
        glass: Colour seen through the windows.
        roof: Colour of roof and pillars, ``paint`` except on two-tone cars.
        spokes: Spokes of a wheel.
        cladding: Whether sills and bumpers are bare dark plastic.
    """
    out = _Builder()
    for part in range(4):
        _wheel(out, b, part, spokes, rim)
    _underbody(out, b)
    shell, half = _shell(b)
    out.add(shell.sides(), paint, 0.8, SHELL)
    out.add(shell.deck(0.05), paint, 0.8, SHELL)
    dark = (paint[0] * 0.25, paint[1] * 0.25, paint[2] * 0.25)
    trim = _Trim(out, shell, half)
    _bumpers_and_sills(trim, dark, cladding)
    _lamps_and_grille(trim, b.height > 1.6)
    _doors(trim, b, dark)
    if b.cabin_x[1] > -0.2:
        _bed(out, b)
    cabin, half = _cabin(b)
    out.add(cabin.sides(), roof, 0.8, CABIN)
    out.add(cabin.deck(0.03), roof, 0.8, CABIN)
    _glass(out, b, cabin, half, glass)
    for side in (1, -1):
        _mirror(out, b, side, BLACK if cladding else paint, 1.35 if b.height > 1.8 else 1.0)
    _antenna(out, *antenna)
    return out.mesh()


def _antenna(out: _Builder, foot: Colour, tip: Colour) -> None:
    turn = np.linspace(0, 2 * np.pi, 5)
    around = np.stack([np.cos(turn), np.sin(turn), np.zeros(5)], axis=-1)
    rows = np.stack([foot + 0.008 * around, tip + 0.004 * around])
    out.add(grid_quads(f32(rows)), (0.02, 0.02, 0.022), 0.1, ANTENNA)


def _underbody(out: _Builder, b: Body) -> None:
    """A dark block between the wheels: what one sees in the arches and under the sills."""
    x, y, low = b.length * 0.43, b.half_width * _TRACK - 0.24, b.clearance * 0.86
    plan = np.array([(x, 0), (x, y), (-x, y), (-x, -y), (x, -y), (x, 0)])
    rows = [np.concatenate([plan, np.full((6, 1), z)], axis=1) for z in (low, b.wheel * 2.1)]
    out.add(grid_quads(f32(rows)), BLACK, 0.0, UNDERBODY)


class _Trim:
    """Pieces laid flat on the body, on one side or on both."""

    def __init__(self, out: _Builder, shell: _Rings, half: int) -> None:
        self.out, self.shell = out, shell
        self.tail = half - 1
        self.front_corner, self.rear_corner = len(_FRONT) - 1, half - len(_FRONT)

    def one(self, u: Span, v: Span, colour: Colour, gloss: float, steps: int = 8, part: int = SHELL_TRIM) -> None:
        self.out.add(self.shell.patch(u, v, steps), colour, gloss, part)

    def both(self, u: Span, v: Span, colour: Colour, gloss: float, steps: int = 4, part: int = SHELL_TRIM) -> None:
        self.one(u, v, colour, gloss, steps, part)
        self.one((self.shell.n - u[1], self.shell.n - u[0]), v, colour, gloss, steps, part)

    def index(self, x: float) -> float:
        """Where the left side is ``x`` metres ahead of the middle."""
        xs = self.shell.points[4, : self.tail + 1, 0]
        return float(np.interp(-x, -xs, np.arange(len(xs))))


def _bumpers_and_sills(trim: _Trim, dark: Colour, cladding: bool) -> None:
    if cladding:
        trim.one((0, trim.shell.n), (0.02, 1.9), (0.06, 0.06, 0.065), 0.08, trim.shell.n)
    else:
        trim.both((trim.front_corner + 2, trim.rear_corner - 2), (0.02, 0.6), dark, 0.1, 24)
    for u in ((-2.6, 2.6), (trim.tail - 3.2, trim.tail + 3.2)):
        trim.one(u, (0.1, 1.25), (0.04, 0.04, 0.045), 0.1)


def _lamps_and_grille(trim: _Trim, tall: bool) -> None:
    trim.one((-2.9, 2.9), (4.3, 7.8), CHROME, 0.6)
    trim.one((-2.7, 2.7), (4.6, 7.5), (0.03, 0.03, 0.035), 0.2)
    for v in (5.3, 6.0, 6.7):
        trim.one((-2.7, 2.7), (v, v + 0.22), (0.3, 0.3, 0.3), 0.4)
    trim.both((3.3, trim.front_corner + 1.6), (5.7, 7.9), (0.45, 0.47, 0.5), 0.9)
    trim.both((4.0, trim.front_corner + 0.4), (6.1, 7.3), (0.9, 0.9, 0.88), 0.6)
    trim.both((trim.rear_corner - 0.8, trim.tail - 3.5), (3.0 if tall else 5.4, 8.6), (0.42, 0.01, 0.015), 0.5)
    trim.both((trim.rear_corner + 0.4, trim.tail - 3.7), (7.2, 7.8), (0.75, 0.45, 0.4), 0.5)
    for middle, low, high in ((0, 2.2, 4.0), (trim.tail, 3.6, 5.6)):  # number plates
        trim.one((middle - 1.0, middle + 1.0), (low, high), (0.8, 0.82, 0.84), 0.05)
        trim.one((middle - 0.9, middle + 0.9), (low, low + 0.5), (0.1, 0.32, 0.6), 0.05)


def _doors(trim: _Trim, b: Body, dark: Colour) -> None:
    for place in (b.cabin_x[0] * 0.8, (b.cabin_x[0] + b.cabin_x[1]) * 0.5, b.cabin_x[1] * 0.78):
        x = place * b.length
        trim.both((trim.index(x), trim.index(x - 0.014)), (0.6, 9.2), dark, 0.0, 1, GAPS)
        if place < b.cabin_x[0] * 0.5:
            trim.both((trim.index(x + 0.28), trim.index(x + 0.10)), (7.0, 7.5), dark, 0.3, 1, GAPS)


def _bed(out: _Builder, b: Body) -> None:
    """A pick-up's bed: from a camera just above its rails one sees its dark inside only."""
    front, back, y = (b.cabin_x[1] + 0.005) * b.length, -0.425 * b.length, b.half_width * 0.79
    z = f32(b.profile[3] + 0.012)
    xs, ys = np.linspace(back, front, 9), np.linspace(-y, y, 7)
    grid = np.stack([*np.meshgrid(xs, ys), np.full((7, 9), z)], axis=-1)
    out.add(grid_quads(f32(grid)), (0.03, 0.03, 0.033), 0.0, CABIN)


def _glass(out: _Builder, b: Body, cabin: _Rings, half: int, glass: Colour) -> None:
    n, tail, first = cabin.n, half - 1, len(_FRONT) - 1
    side = (first + 0.5, half - len(_FRONT) - 0.5)

    def add(u: Span, v: Span, steps: int) -> None:
        grow = 0.12
        out.add(cabin.patch((u[0] - grow, u[1] + grow), (v[0] - 0.1, v[1] + 0.12), steps), BLACK, 0.3, CABIN_TRIM)
        out.add(cabin.patch(u, v, steps), glass, 0.7, CABIN_TRIM)

    add((-first + 0.6, first - 0.6), (0.15, 4.3), 10)
    add((tail - first + 1.0, tail + first - 1.0), (0.6 if b.height < 1.6 else 0.2, 3.9), 10)
    for a, c in b.side_glass:
        u = (np.interp(a, (0, 1), side), np.interp(c, (0, 1), side))
        add((float(u[0]), float(u[1])), (0.2, 3.8), 5)
        add((float(n - u[1]), float(n - u[0])), (0.2, 3.8), 5)
