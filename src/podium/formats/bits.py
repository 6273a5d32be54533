"""Masks of one bit a pixel: each row padded to whole bytes, the highest bit first."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Packed = npt.NDArray[np.uint8]


def pack(mask: npt.NDArray[Any]) -> Packed:
    """One bit a pixel, shape (H, ceil(W / 8)), of a bool or integer mask (H, W); anything but 0 is foreground."""
    return np.packbits(mask, axis=1)


def unpack(packed: Packed, width: int) -> npt.NDArray[np.bool_]:
    """The bool mask, shape (H, width)."""
    return np.unpackbits(packed, axis=1, count=width).view(np.bool_)


def area(packed: Packed) -> int:
    """The number of foreground pixels."""
    return int(np.bitwise_count(_words(packed)).sum(dtype=np.int64))


def intersection(a: Packed, b: Packed) -> int:
    """The number of pixels that are foreground in both; same shape."""
    return int(np.bitwise_count(_words(a) & _words(b)).sum(dtype=np.int64))


def transpose(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """The contiguous transpose of a bool or integer mask, as bool (cv2 does it several times faster than numpy)."""
    if not mask.size:
        return np.zeros(mask.shape[::-1], np.bool_)
    pixels = np.ascontiguousarray(mask if mask.dtype == np.bool_ else mask != 0)
    out: npt.NDArray[Any] = cv2.transpose(pixels.view(np.uint8))
    return out.reshape(mask.shape[::-1]).view(np.bool_)


def _words(packed: Packed) -> npt.NDArray[Any]:
    """The same bits as 64-bit words where they divide evenly: an eighth of the elements to count."""
    flat = np.ascontiguousarray(packed).reshape(-1)
    return flat.view(np.uint64) if flat.size % 8 == 0 else flat
