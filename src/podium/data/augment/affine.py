"""The affine warp of three bytes a pixel, or of a label map, by the compiled loops of `kernels`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.geometry import Canvas

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]

MODES = {cv2.BORDER_REFLECT_101: 0, cv2.BORDER_REPLICATE: 1, cv2.BORDER_CONSTANT: 2}
"""`kernels.REFLECT`, `EDGE`, `CONSTANT`."""

UNIT = 2.0**32
"""Places are counted in 1 / UNIT of a pixel."""

LONGEST = 2**20
"""Pixels of a side: beyond them places would overflow."""

HALF_STEP = 1 << 24
"""Half of 1/128 of a pixel, in which places are rounded."""

LIMITS = np.array([2.0**41, 2.0**41, 2.0**60])
"""Of steps and starts: what looks farther sees nothing but the border."""


def fits(part: Pixels, canvas: Canvas) -> bool:
    """Whether the compiled loops can warp it: bytes, a label map or three channels, of a sane size."""
    known = part.dtype == np.uint8 and part.shape[2:] in ((), (3,))
    return known and min(part.shape) > 0 and max(*part.shape, canvas.height, canvas.width) < LONGEST


def affine(
    part: Pixels,
    matrix: Matrix,
    size: tuple[int, int],
    border: int,
    value: int = 0,
    colour: Matrix | None = None,
    *,
    nearest: bool = False,
) -> Pixels:
    """Warp, and change colours in the same pass.

    Args:
        part: uint8 (H, W, 3), or (H, W) of labels.
        matrix: 3x3 or 2x3, from the result (x, y, 1) to ``part``.
        size: (height, width) of the result.
        border: OpenCV's number of what lies beyond the edges.
        value: There, with `cv2.BORDER_CONSTANT`.
        colour: 3x4 applied to (R, G, B, 1), for three channels.
        nearest: Label maps: values are picked, never mixed. A tie goes right and down.

    Returns:
        uint8 (height, width, 3), or (height, width).
    """
    from podium.data.augment import kernels  # imports numba

    part = part if part.strides[1:] in ((1,), (3, 1)) and part.strides[0] > 0 else np.ascontiguousarray(part)
    extent = (part.shape[0] - 1) * part.strides[0] + part[0].size
    source = np.lib.stride_tricks.as_strided(part[0].reshape(-1), (extent,), (1,), writeable=False)
    places = np.clip((matrix[:2] * UNIT).round(), -LIMITS, LIMITS)
    (right_x, down_x, x), (right_y, down_y, y) = places.astype(np.int64).tolist()
    steps, shape, out = (right_x, right_y, down_x, down_y), part.shape[:2], np.empty((*size, *part.shape[2:]), np.uint8)
    if nearest or part.ndim == 2:
        half = 1 << 31
        kernels.affine_nearest(source, shape, part.strides[0], (x + half, y + half), steps, MODES[border], value, out)
        return out
    half, table = HALF_STEP, None if colour is None else table_of(colour)
    kernels.affine3(source, shape, part.strides[0], (x + half, y + half), steps, MODES[border], value, table, out)
    return out


def table_of(colour: Matrix) -> NDArray[np.float32]:
    """A colour matrix as `kernels.blend8` wants it: of channels in 1/128, half a level added."""
    table = np.ascontiguousarray(colour, np.float32) / np.array([128, 128, 128, 1], np.float32)
    table[:, 3] += np.float32(0.5)
    return np.asarray(table, np.float32)
