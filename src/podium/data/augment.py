"""Random changes of a training image: geometry as one warp straight from the store, colour as one look-up table.

Masks go through the same warp with nearest-neighbour sampling. Everything is a pure function of a seeded generator.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.geometry import Canvas, place
from podium.recipe import AugmentConfig

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]


def augment(
    config: AugmentConfig, canvas: Canvas, rng: np.random.Generator, image: Pixels, mask: Pixels
) -> tuple[Pixels, Pixels]:
    """One random variant of an image and its mask.

    Args:
        image: uint8 (H, W, 3).
        mask: uint8 (H, W) of 0 and 1.

    Returns:
        Image and mask of the canvas' size.
    """
    draws = rng.random(13)  # always the same number, so that one setting does not reshuffle the others
    matrix, plain = _geometry(config, canvas, draws, image.shape[:2])
    size = (canvas.width, canvas.height)
    if plain is not None:
        top, left, flip_h, flip_v = plain
        image, mask = (_cut(a, canvas, top, left) for a in (image, mask))
        step = (slice(None, None, -1 if flip_v else 1), slice(None, None, -1 if flip_h else 1))
        image, mask = image[step], mask[step]
    else:
        flags, border = cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT_101
        image = np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR | flags, borderMode=border))
        mask = np.asarray(cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST | flags, borderMode=border))
    return _colour(config, draws, image), mask


def _cut(a: Pixels, canvas: Canvas, top: int, left: int) -> Pixels:
    if canvas.crop and a.shape[0] >= canvas.height and a.shape[1] >= canvas.width:
        return a[top : top + canvas.height, left : left + canvas.width]
    return place(a, max(canvas.height, a.shape[0]), max(canvas.width, a.shape[1]))[
        top : top + canvas.height, left : left + canvas.width
    ]


def _geometry(
    config: AugmentConfig, canvas: Canvas, draws: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[Matrix, tuple[int, int, bool, bool] | None]:
    """The inverse warp (canvas -> image); or a plain cut and flips where that is all there is."""
    h, w = shape[:2]
    flip_h, flip_v = bool(draws[0] < config.hflip), bool(draws[1] < config.vflip)
    top = left = 0
    if canvas.crop:
        top = int(draws[2] * (max(h - canvas.height, 0) + 1))
        left = int(draws[3] * (max(w - canvas.width, 0) + 1))
    if not (draws[4] < config.warp and (config.shift or config.scale or config.rotate)):
        return np.zeros((2, 3)), (top, left, flip_h, flip_v)
    dx, dy, zoom, turn = draws[5:9] * 2 - 1
    angle, factor = math.radians(turn * config.rotate), 1 / (1 + zoom * config.scale)
    cos, sin = math.cos(angle) * factor, math.sin(angle) * factor
    sx, sy = -1 if flip_h else 1, -1 if flip_v else 1
    linear = np.array([[cos * sx, -sin * sy], [sin * sx, cos * sy]])
    cx, cy = (canvas.width - 1) / 2, (canvas.height - 1) / 2
    if canvas.crop:  # the canvas' centre falls on the centre of the cut
        px = left + cx if w >= canvas.width else (w - 1) / 2
        py = top + cy if h >= canvas.height else (h - 1) / 2
    else:
        oy, ox = (canvas.height - h) // 2, (canvas.width - w) // 2
        px, py = cx - ox, cy - oy
    centre = np.array([px + dx * config.shift * canvas.width, py + dy * config.shift * canvas.height])
    return np.column_stack([linear, centre - linear @ [cx, cy]]), None


def _colour(config: AugmentConfig, draws: NDArray[np.float64], image: Pixels) -> Pixels:
    if draws[9] >= config.colour or not (config.brightness or config.contrast or config.saturation):
        return image
    add = (draws[10] * 2 - 1) * config.brightness * 255
    gain = 1 + (draws[11] * 2 - 1) * config.contrast
    if not config.saturation:
        table = np.clip((np.arange(256) - 127.5) * gain + 127.5 + add, 0, 255).round().astype(np.uint8)
        return np.asarray(cv2.LUT(np.ascontiguousarray(image), table))
    keep = 1 + (draws[12] * 2 - 1) * config.saturation
    luma = np.array([0.299, 0.587, 0.114])
    matrix = gain * (keep * np.eye(3) + (1 - keep) * luma)
    offset = np.full((3, 1), 127.5 - 127.5 * gain + add)
    return np.asarray(cv2.transform(np.ascontiguousarray(image), np.hstack([matrix, offset])))
