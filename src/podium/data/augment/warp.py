"""Every geometric change as one map from the frame to the image: one look at each pixel, and only at those needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.augment.affine import affine, fits
from podium.data.augment.colour import recoloured
from podium.data.augment.draws import Draws, between, generator
from podium.data.geometry import BORDERS, Canvas
from podium.recipe import AugmentConfig

Pixels = NDArray[Any]
Matrix = NDArray[np.float64]
Field = NDArray[np.float32]

FAR = 30_000
"""Pixels from the image that nothing looks beyond."""


class Source(Protocol):
    """An array, or something that reads just the part that is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, …)."""

    def __getitem__(self, part: tuple[slice, slice], /) -> Pixels:
        """Some rows and columns."""


@dataclass(frozen=True)
class Cut:
    """A part of the image as it is: turned by quarters, then flipped. Nothing is interpolated."""

    top: int
    left: int
    quarters: int
    flip_h: bool
    flip_v: bool


@dataclass(frozen=True)
class Warp:
    """Where each pixel of the frame comes from.

    Attributes:
        matrix: 3x3, from the frame (x, y, 1) to the image.
        field: Displacements (dx, dy) in the frame, before the matrix, float32 (H, W, 2); None for none.
    """

    matrix: Matrix
    field: Field | None = None


def plan(
    config: AugmentConfig, canvas: Canvas, draws: Draws, come: frozenset[str], shape: tuple[int, ...]
) -> Cut | Warp:
    """The geometry of one variant of an image of ``shape``: a plain cut where that is all there is."""
    h, w = shape[:2]
    flip_h, flip_v = "hflip" in come, "vflip" in come
    quarters = _quarters(canvas, draws["quarter"]) if "rot90" in come else 0
    top = left = 0
    if canvas.crop:
        top = int(draws["top"] * (max(h - canvas.height, 0) + 1))
        left = int(draws["left"] * (max(w - canvas.width, 0) + 1))
    zooms = config.resized_crop is not None or config.aspect * config.strength > 0
    if not (zooms or come & {"shift", "scale", "rotate", "shear", "perspective", "elastic", "grid"}):
        return Cut(top, left, quarters, flip_h, flip_v)
    centre, stretch = _placed(config, canvas, draws, (h, w), (top, left))
    turn = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), quarters)
    linear = np.diag(stretch) @ _linear(config, draws, come) @ turn @ np.diag([-1.0 if flip_h else 1.0, 1.0])
    linear = linear @ np.diag([1.0, -1.0 if flip_v else 1.0])
    if "shift" in come:
        reach = np.array([canvas.width, canvas.height]) * min(1.0, config.shift * config.strength)
        centre = centre + (np.array([draws["shift_x"], draws["shift_y"]]) * 2 - 1) * reach * stretch
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ _middle(canvas)
    if "perspective" in come:
        matrix = matrix @ _perspective(config, canvas, draws)
    return Warp(matrix, _field(config, canvas, draws, come))


def _quarters(canvas: Canvas, number: float) -> int:
    return 1 + int(number * 3) if canvas.height == canvas.width else 2


def _middle(canvas: Canvas) -> NDArray[np.float64]:
    return np.array([(canvas.width - 1) / 2, (canvas.height - 1) / 2])


def _placed(
    config: AugmentConfig, canvas: Canvas, draws: Draws, shape: tuple[int, int], cut: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The point of the image under the frame's middle, and image pixels per pixel of the frame along x and y."""
    (h, w), (cx, cy) = shape, _middle(canvas)
    stretch = np.ones(2)
    if config.aspect * config.strength > 0:
        root = (1 + config.aspect * config.strength) ** ((draws["aspect"] * 2 - 1) / 2)
        stretch = np.array([root, 1 / root])
    if config.resized_crop is not None:
        least, most = (1 - (1 - share) * min(config.strength, 1 / (1 - share + 1e-3)) for share in config.resized_crop)
        side = math.sqrt(between(draws["area"], least, most) * h * w / (canvas.height * canvas.width))
        stretch *= side
        cut_w, cut_h = canvas.width * stretch[0], canvas.height * stretch[1]
        over = max(cut_w / w, cut_h / h, 1)
        stretch, cut_w, cut_h = stretch / over, cut_w / over, cut_h / over
        corner = np.array([draws["left"] * (w - cut_w), draws["top"] * (h - cut_h)])
        return corner + np.array([cut_w, cut_h]) / 2 - 0.5, stretch
    rows, columns = canvas.inside((min(h, canvas.height), min(w, canvas.width)))
    return np.array([cut[1] + cx - columns.start, cut[0] + cy - rows.start]), stretch


def _linear(config: AugmentConfig, draws: Draws, come: frozenset[str]) -> Matrix:
    """Zoom, rotation and shear about the middle."""
    zoom, angle, across, down = 1.0, 0.0, 0.0, 0.0
    if "scale" in come:
        zoom = 1 + (draws["scale"] * 2 - 1) * min(0.95, config.scale * config.strength)
    if "rotate" in come:
        angle = math.radians((draws["rotate"] * 2 - 1) * min(180.0, config.rotate * config.strength))
    if "shear" in come:
        most = min(75.0, config.shear * config.strength)
        across, down = (math.tan(math.radians((draws[n] * 2 - 1) * most)) for n in ("shear_x", "shear_y"))
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.asarray(turn @ np.array([[1, across], [0, 1]]) @ np.array([[1, 0], [down, 1]]))


def _perspective(config: AugmentConfig, canvas: Canvas, draws: Draws) -> Matrix:
    w, h = canvas.width - 1, canvas.height - 1
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    moves = np.array([draws[f"corner{i}"] for i in range(8)], np.float32).reshape(4, 2) * 2 - 1
    moved = corners + moves * np.array([w, h], np.float32) * min(0.3, config.perspective * config.strength)
    return np.asarray(cv2.getPerspectiveTransform(corners, moved.astype(np.float32)), np.float64)


def _field(config: AugmentConfig, canvas: Canvas, draws: Draws, come: frozenset[str]) -> Field | None:
    """Elastic and grid displacements, summed; smooth fields are drawn coarsely and blown up."""
    h, w = canvas.height, canvas.width
    field: Field | None = None
    if "elastic" in come:
        nodes = generator(draws, "elastic_seed").standard_normal((8, 8, 2), np.float32)
        reach = np.array([w, h], np.float32) * np.float32(config.elastic_size)
        field = np.asarray(cv2.resize(np.clip(nodes, -2, 2) * reach, (w, h), interpolation=cv2.INTER_CUBIC))
    if "grid" in come:
        rng, lines = generator(draws, "grid_seed"), np.zeros((h, w, 2), np.float32)
        lines[..., 0] = _stretched(rng, w, config.grid_size)[None, :]
        lines[..., 1] = _stretched(rng, h, config.grid_size)[:, None]
        field = lines if field is None else field + lines
    return field


def _stretched(rng: np.random.Generator, side: int, most: float) -> Field:
    """Displacements along one axis whose 5 cells are stretched and squeezed, the ends staying where they are."""
    cells = 1 + (rng.random(5) * 2 - 1) * most
    ends = np.concatenate([[0], np.cumsum(cells / cells.sum())]) * (side - 1)
    x = np.arange(side)
    return np.asarray(np.interp(x, np.linspace(0, side - 1, 6), ends) - x, np.float32)


# ---------------------------------------------------------------------- carried out


def cut(source: Source, cut: Cut, canvas: Canvas, outside: int | None = None) -> Pixels:
    """The pixels of a `Cut`: a view of the source where it covers the frame, else padded.

    Args:
        outside: Value outside the image; None = as the canvas pads.
    """
    h, w = source.shape[:2]
    if canvas.crop:
        bottom, right = min(h, cut.top + canvas.height), min(w, cut.left + canvas.width)
        part = source[cut.top : bottom, cut.left : right]
    else:
        part = source[0:h, 0:w]
    part = _padded(part, canvas, outside)
    if cut.quarters:
        part = np.rot90(part, cut.quarters)
    return part[:: -1 if cut.flip_v else 1, :: -1 if cut.flip_h else 1]


def _padded(part: Pixels, canvas: Canvas, outside: int | None) -> Pixels:
    if outside is None or part.shape[:2] == (canvas.height, canvas.width):
        return _whole(canvas.place(part), part)
    out = np.full((canvas.height, canvas.width, *part.shape[2:]), outside, part.dtype)
    out[canvas.inside((part.shape[0], part.shape[1]))] = part
    return out


def border_of(canvas: Canvas, shape: tuple[int, ...]) -> int:
    """How OpenCV is to go on beyond the edges: a side of one pixel has nothing to reflect."""
    return BORDERS["edge" if canvas.pad == "reflect" and min(shape[:2]) == 1 else canvas.pad]


def warp(
    source: Source,
    warp: Warp,
    canvas: Canvas,
    *,
    nearest: bool,
    outside: int | None = None,
    colour: Matrix | None = None,
) -> Pixels:
    """The pixels of a `Warp`.

    Args:
        nearest: Values are picked, never mixed: for masks.
        outside: Value outside the image; None = as the canvas pads.
        colour: 3x4, of three channels: what is done to each pixel's colours on the way.
    """
    top, bottom, left, right = window(warp, canvas, source.shape)
    part = source[top:bottom, left:right]
    to_part = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
    step = 1 if nearest else shrink(warp)
    if step > 1 and min(part.shape[:2]) >= 2 * step:  # much smaller than the image: averaged first, else it aliases
        h, w = part.shape[0] // step, part.shape[1] // step
        fx, fy = w / part.shape[1], h / part.shape[0]
        part = _whole(cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA), part)
        to_part = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]]) @ to_part
    matrix = to_part @ warp.matrix
    if warp.field is None and is_affine(matrix) and fits(part, canvas):
        border = border_of(canvas, part.shape) if outside is None else cv2.BORDER_CONSTANT
        return affine(part, matrix, (canvas.height, canvas.width), border, outside or 0, colour, nearest=nearest)
    if nearest or part.shape[2:] != (3,):
        return _warped(part, matrix, warp.field, canvas, nearest, outside)
    # OpenCV interpolates four channels 2.5 times as fast as three
    four = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2RGBA))
    out = cv2.cvtColor(_warped(four, matrix, warp.field, canvas, nearest, outside), cv2.COLOR_RGBA2RGB)
    return np.asarray(out if colour is None else recoloured(out, colour))


def shrink(warp: Warp) -> int:
    """How many pixels of the image are averaged into one before it is warped."""
    return int(1e-6 + np.linalg.svd(warp.matrix[:2, :2], compute_uv=False).min() / 1.5)


def _warped(
    part: Pixels, matrix: Matrix, field: Field | None, canvas: Canvas, nearest: bool, outside: int | None
) -> Pixels:
    size, kind = (canvas.width, canvas.height), cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    border = border_of(canvas, part.shape) if outside is None else cv2.BORDER_CONSTANT
    value = (outside or 0,) * 4
    if field is not None:
        at = field + np.stack(np.meshgrid(*map(np.arange, size)), -1).astype(np.float32)
        if is_affine(matrix):
            at = np.asarray(cv2.transform(at, matrix[:2]), np.float32)
        else:
            at = np.asarray(cv2.perspectiveTransform(at, matrix), np.float32)
            at = np.clip(at, -FAR, FAR)  # reflecting goes side by side: from the horizon it would take for ever
        no_second: Any = None  # which OpenCV's stubs do not know
        out = cv2.remap(part, at, no_second, kind, borderMode=border, borderValue=value)
    elif is_affine(matrix):
        out = cv2.warpAffine(part, matrix[:2], size, None, kind | cv2.WARP_INVERSE_MAP, border, value)
    else:
        out = cv2.warpPerspective(part, matrix, size, None, kind | cv2.WARP_INVERSE_MAP, border, value)
    return _whole(out, part)


def is_affine(matrix: Matrix) -> bool:
    """Whether a 3x3 matrix has no perspective."""
    return bool((matrix[2] == (0, 0, 1)).all())


def _whole(out: object, part: Pixels) -> Pixels:
    """OpenCV drops the axis of a single channel."""
    pixels = np.asarray(out)
    return pixels[..., None] if pixels.ndim < part.ndim else pixels


def window(warp: Warp, canvas: Canvas, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Rows [top, bottom) and columns [left, right) of the image that a warp looks at, reflections included."""
    grow = np.zeros(2) if warp.field is None else np.abs(warp.field).max((0, 1)).astype(float)
    low, high = -grow - 1, np.array([canvas.width, canvas.height]) + grow
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    seen = np.column_stack([corners, np.ones(4)]) @ warp.matrix.T
    if seen[:, 2].min() <= 0.05:  # nearly edge-on: look at everything
        return 0, shape[0], 0, shape[1]
    x, y = (seen[:, :2] / seen[:, 2:]).T
    return (*_span(y, shape[0]), *_span(x, shape[1]))


def _span(positions: NDArray[np.float64], side: int) -> tuple[int, int]:
    low, high = math.floor(positions.min()) - 1, math.ceil(positions.max()) + 2
    if low < 0:
        low, high = 0, max(high, -low + 2)
    if high > side:
        low, high = min(low, 2 * side - high - 2), side
    return max(0, min(low, side - 2)), min(side, max(high, 2))
