"""Between an image as it is and the frame the network sees: resize, pad, and the exact way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Canvas:
    """The frame that every training image of a batch is drawn into.

    Attributes:
        height, width: Size of the frame, padding included.
        crop: Whether the frame is a random cut of the image (else the image lies centred in it).
    """

    height: int
    width: int
    crop: bool = False


def canvas_for(shape: tuple[int, int], pad_to: int, train_crop: int | None = None) -> Canvas:
    """The frame for images of ``shape`` (h, w): a crop, or the image padded up to a multiple of ``pad_to``."""
    if train_crop:
        side = round_up(train_crop, pad_to)
        return Canvas(side, side, crop=True)
    return Canvas(round_up(shape[0], pad_to), round_up(shape[1], pad_to))


def round_up(n: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is not below ``n``."""
    return -(-n // multiple) * multiple


def place(image: Pixels, height: int, width: int) -> Pixels:
    """The image centred in a (height, width) frame, the rest reflected; `unplace` is the inverse."""
    h, w = image.shape[:2]
    if (h, w) == (height, width):
        return image
    top, left = (height - h) // 2, (width - w) // 2
    edges = (top, height - h - top, left, width - w - left)
    return np.asarray(
        cv2.copyMakeBorder(image, *edges, cv2.BORDER_REFLECT_101 if min(h, w) > 1 else cv2.BORDER_REPLICATE)
    )


def unplace(shape: tuple[int, int], height: int, width: int) -> tuple[slice, slice]:
    """Where an image of ``shape`` lies in a (height, width) frame."""
    top, left = (height - shape[0]) // 2, (width - shape[1]) // 2
    return slice(top, top + shape[0]), slice(left, left + shape[1])


def resize(image: Pixels, size: Sequence[int]) -> Pixels:
    """Resize to (height, width): area averaging when shrinking, bilinear when growing."""
    h, w = size
    if image.shape[:2] == (h, w):
        return image
    shrinks = h <= image.shape[0] and w <= image.shape[1]
    return np.asarray(cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))


def mask_at(probs: Pixels, shape: tuple[int, int], threshold: float) -> NDArray[np.bool_]:
    """The mask at an image's original size.

    Args:
        probs: Probabilities as uint8 (255 = 1), at the input size without padding.
        shape: Original (height, width).
        threshold: A pixel is foreground above this probability.
    """
    h, w = shape
    full = probs if probs.shape == (h, w) else cv2.resize(probs, (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full > threshold * 255)
