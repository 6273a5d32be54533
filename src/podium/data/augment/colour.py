"""Every change of colour as one table or one matrix, so that pixels are read and written once."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.augment.draws import Draws
from podium.recipe import COLOURS, AugmentConfig

Pixels = NDArray[Any]
Matrix = NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114])
GREY_AXIS = np.ones(3) / math.sqrt(3)
ORDERS = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
MIXING = frozenset({"hue", "saturation", "grey", "shuffle"})
"""Changes in which a channel depends on the others; they need three of them."""


def recolour(config: AugmentConfig, draws: Draws, come: frozenset[str], image: Pixels, mask: Pixels) -> Pixels:
    """The image with its colours changed where `colour_where` says; the same array if nothing changes.

    Args:
        image: uint8 or uint16 (H, W, C), or (H, W).
    """
    if image.shape[2:] != (3,):
        come = come - MIXING
    if not come & {*COLOURS, "grey", "shuffle", "clahe"}:
        return image
    out = np.ascontiguousarray(image)
    if come & (MIXING | {*COLOURS}):
        out = _one_pass(config, draws, come, out)
    if "clahe" in come:
        out = _clahe(out, config.clahe_clip)
    if config.colour_where == "all":
        return out
    foreground = (mask > 0) & (mask != config.ignore_label)
    wanted = foreground if config.colour_where == "foreground" else (mask == 0)
    return np.where(wanted.reshape(*wanted.shape, *(1,) * (image.ndim - 2)), out, image)


def linear(config: AugmentConfig, draws: Draws, come: frozenset[str], image: tuple[int, ...]) -> Matrix | None:
    """The 3x4 matrix on (R, G, B, 1) that is all that `recolour` does to an image of this shape; None if it is not.

    A warp applies it on the way, where values are not rounded yet.
    """
    if image[2:] != (3,) or config.colour_where != "all" or come & {"gamma", "clahe"}:
        return None
    return _affine(config, draws, come) if come & (MIXING | {*COLOURS}) else None


def _affine(config: AugmentConfig, draws: Draws, come: frozenset[str]) -> Matrix:
    gain, add = _line(config, draws, come)
    return np.hstack([gain * _matrix(config, draws, come), np.full((3, 1), add)])


def _one_pass(config: AugmentConfig, draws: Draws, come: frozenset[str], image: Pixels) -> Pixels:
    gain, add = _line(config, draws, come)
    power = 1.0
    if "gamma" in come:
        power = (1 + config.gamma * config.strength) ** (draws["gamma"] * 2 - 1)
    shades = np.arange(256.0) if image.dtype == np.uint8 else np.arange(65536) / 257
    if image.shape[2:] != (3,):
        return _looked_up(image, 255 * (shades / 255) ** power * gain + add)
    if power != 1:
        table = 255 * (shades / 255) ** power
        if not come & MIXING:
            return _looked_up(image, table * gain + add)
        image = _looked_up(image, table)
    return recoloured(image, _affine(config, draws, come))  # a third of the time of a table


def recoloured(image: Pixels, matrix: Matrix) -> Pixels:
    """Three channels through a 3x4 matrix on (R, G, B, 1), in levels of 8 bits whatever the image has."""
    scale = np.array([1, 1, 1, 1 if image.dtype == np.uint8 else 257])
    return np.asarray(cv2.transform(image, matrix * scale), image.dtype)


def _looked_up(image: Pixels, table: NDArray[np.float64]) -> Pixels:
    if image.dtype == np.uint16:
        return (np.clip(table, 0, 255) * 257).round().astype(np.uint16)[image]
    out = np.asarray(cv2.LUT(image, np.clip(table, 0, 255).round().astype(np.uint8)))
    return np.asarray(out, np.uint8).reshape(image.shape)


def _line(config: AugmentConfig, draws: Draws, come: frozenset[str]) -> tuple[float, float]:
    """Contrast, brightness and value as ``gain * x + add``."""
    gain, add = 1.0, 0.0
    if "contrast" in come:
        gain = max(0.0, 1 + (draws["contrast"] * 2 - 1) * config.contrast * config.strength)
        add = 127.5 - 127.5 * gain
    if "brightness" in come:
        add += (draws["brightness"] * 2 - 1) * config.brightness * config.strength * 255
    if "value" in come:
        value = max(0.0, 1 + (draws["value"] * 2 - 1) * config.value * config.strength)
        gain, add = gain * value, add * value
    return gain, add


def _matrix(config: AugmentConfig, draws: Draws, come: frozenset[str]) -> Matrix:
    """Hue, saturation, grey and channel order; white stays white, grey grey."""
    matrix = np.eye(3)
    if "hue" in come:
        matrix = hue_matrix((draws["hue"] * 2 - 1) * min(180.0, config.hue * config.strength))
    if "saturation" in come:
        keep = max(0.0, 1 + (draws["saturation"] * 2 - 1) * config.saturation * config.strength)
        matrix = (keep * np.eye(3) + (1 - keep) * LUMA) @ matrix
    if "shuffle" in come:
        matrix = matrix[list(ORDERS[int(draws["order"] * len(ORDERS))])]
    if "grey" in come:
        matrix = np.tile(LUMA, (3, 1)) @ matrix
    return matrix


def hue_matrix(degrees: float) -> Matrix:
    """A rotation of RGB about the grey axis."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y, z = GREY_AXIS
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return cos * np.eye(3) + sin * cross + (1 - cos) * np.outer(GREY_AXIS, GREY_AXIS)


def _clahe(image: Pixels, clip: float) -> Pixels:
    """Contrast-limited equalisation of the lightness in 8x8 tiles; of every channel where there are not three."""
    equalise = cv2.createCLAHE(clip, (8, 8)).apply
    if image.shape[2:] == (3,) and image.dtype == np.uint8:
        lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
        lab[..., 0] = equalise(lab[..., 0])
        return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
    channels = [equalise(np.ascontiguousarray(c)) for c in np.moveaxis(np.atleast_3d(image), 2, 0)]
    return np.stack(channels, 2).reshape(image.shape)
