"""Mask files as bool pixels, whichever of the many ways they are stored in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from podium.formats.bits import area, intersection, pack, unpack
from podium.formats.images import decode, read_bytes

__all__ = ["MaskValues", "area", "intersection", "mask_values", "only_channel", "pack", "read_mask", "unpack"]

MaskValues = Literal["0/1", "0/max"]
Mask = npt.NDArray[np.bool_]


def read_mask(path: Path, values: MaskValues = "0/max") -> Mask:
    """The foreground of a mask file, bool of shape (H, W).

    Reads 1, 8 and 16 bits, RGB(A) (alpha is dropped), and palettes, where the palette's colours decide if they
    are a dark and a light one, so that an inverted palette reads right, and otherwise the index.

    Args:
        path: A GIF, PNG or other image file.
        values: "0/1": any value but 0 is foreground. "0/max": values above half of the file's range (255 at
            8 bits, 65535 at 16), so that soft edges and JPEG noise fall on the right side.

    Raises:
        DataError: naming the file and the cause, if it cannot be decoded.
    """
    return decode(read_bytes(path), path, lambda image: _foreground(image, values))


def mask_values(path: Path) -> tuple[tuple[int, ...], int]:
    """(the different values in a mask file, ascending; the largest its pixels could hold).

    For a palette the values are the indices; for colours the luminance, or the one channel that holds anything.

    Raises:
        DataError: naming the file and the cause, if it cannot be decoded.
    """
    values, largest = decode(read_bytes(path), path, _values)
    return tuple(int(v) for v in np.unique(values)), largest


def only_channel(pixels: npt.NDArray[Any]) -> int | None:
    """The one of the first three channels of (H, W, C) that holds anything; None if several do.

    So simulators write classes: their numbers in the red channel, and 0 in the others.
    """
    used = [c for c in range(min(3, pixels.shape[2])) if pixels[:, :, c].any()]
    return used[0] if len(used) == 1 else None


def _foreground(image: Image.Image, values: MaskValues) -> Mask:
    if image.mode == "P":
        return _palette_foreground(image)
    if values == "0/1" and image.mode not in ("1", "L") and not image.mode.startswith("I"):
        colours = np.asarray(image.convert("RGB"))
        return np.asarray(colours.any(axis=2))
    pixels, largest = _values(image)
    return np.asarray(pixels > (0 if values == "0/1" else largest // 2))


def _palette_foreground(image: Image.Image) -> Mask:
    indices = np.asarray(image)
    palette = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    # Indices 0 and 1 count even where unused: an all-background mask must not turn into all foreground.
    told = np.union1d(np.unique(indices), [0, 1])
    told = told[told < len(palette)]
    colours = palette[told]
    light = colours @ [299, 587, 114] > 127_000
    plain = len(told) == 2 or bool((colours == colours[:, :1]).all())  # else the colours stand for classes
    if not (plain and light.any() and not light.all()):
        return np.asarray(indices > 0)
    table = np.zeros(256, np.bool_)
    table[told] = light
    return np.asarray(table[indices])


def _values(image: Image.Image) -> tuple[npt.NDArray[Any], int]:
    if image.mode in ("P", "L"):
        return np.asarray(image), 255
    if image.mode == "1":
        return np.asarray(image), 1
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        return pixels, 65535 if image.mode != "I" or pixels.max() <= 65535 else 2**31 - 1
    if image.mode == "F":
        raise ValueError("floating-point pixels; store the mask as 8-bit PNG")
    colours = np.asarray(image.convert("RGB"))
    if (colours == colours[:, :, :1]).all():
        return colours[:, :, 0], 255
    if (channel := only_channel(colours)) is not None:
        return colours[:, :, channel], 255
    return np.asarray(image.convert("RGB").convert("L")), 255
