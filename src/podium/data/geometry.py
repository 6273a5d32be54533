"""Between an image as it is and the frame the network sees: crop, resize, pad, and the exact way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.errors import DataError

Pixels = NDArray[np.uint8]
Shape = tuple[int, int]
Pad = Literal["reflect", "edge", "zero"]
Side = Literal["both", "end"]

BORDERS: dict[str, int] = {
    "reflect": cv2.BORDER_REFLECT_101,
    "edge": cv2.BORDER_REPLICATE,
    "zero": cv2.BORDER_CONSTANT,
}
CHANNELS = 4
"""Planes that cv2 averages at once."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The frame that every training image of a batch is drawn into.

    Attributes:
        height, width: Size of the frame, padding included.
        crop: Whether the frame is a random cut of the image (else the image lies in it as ``side`` says).
        pad: What the frame shows beyond the image.
        side: "both": the image lies centred; "end": it lies at the top left.
    """

    height: int
    width: int
    crop: bool = False
    pad: Pad = "reflect"
    side: Side = "both"

    def place(self, image: Pixels) -> Pixels:
        """The image in this frame."""
        return place(image, self.height, self.width, self.pad, self.side)

    def inside(self, shape: Shape) -> tuple[slice, slice]:
        """Where an image of ``shape`` lies in this frame: the inverse of `place`."""
        return unplace(shape, self.height, self.width, self.side)


def canvas_for(
    shape: Shape, pad_to: int, train_crop: int | None = None, *, pad: Pad = "reflect", side: Side = "both"
) -> Canvas:
    """The frame for images of ``shape`` (h, w): a crop, or the image padded up to a multiple of ``pad_to``."""
    if train_crop:
        length = round_up(train_crop, pad_to)
        return Canvas(length, length, crop=True, pad=pad, side=side)
    return Canvas(round_up(shape[0], pad_to), round_up(shape[1], pad_to), pad=pad, side=side)


def round_up(n: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is not below ``n``."""
    return -(-n // multiple) * multiple


def place(image: Pixels, height: int, width: int, pad: Pad = "reflect", side: Side = "both") -> Pixels:
    """The image in a (height, width) frame, centred or at its top left, the rest padded; `unplace` is the inverse."""
    h, w = image.shape[:2]
    if (h, w) == (height, width):
        return image
    top, left = _origin((h, w), height, width, side)
    edges = (top, height - h - top, left, width - w - left)
    # a reflection leaves out the edge itself, so a line one pixel wide has nothing to reflect
    border = BORDERS["edge" if pad == "reflect" and min(h, w) == 1 else pad]
    padded = np.asarray(cv2.copyMakeBorder(image, *edges, border), image.dtype)
    return padded.reshape(height, width, *image.shape[2:])  # OpenCV drops the axis of a single channel


def unplace(shape: Shape, height: int, width: int, side: Side = "both") -> tuple[slice, slice]:
    """Where an image of ``shape`` lies in a (height, width) frame."""
    top, left = _origin(shape, height, width, side)
    return slice(top, top + shape[0]), slice(left, left + shape[1])


def _origin(shape: Shape, height: int, width: int, side: Side) -> Shape:
    return (0, 0) if side == "end" else ((height - shape[0]) // 2, (width - shape[1]) // 2)


def resize(image: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Resize to (height, width): area averaging when shrinking, bilinear when growing. Any number of channels."""
    h, w = size
    if image.shape[:2] == (h, w):
        return image
    shrinks = h <= image.shape[0] and w <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    planes = image.reshape(*image.shape[:2], -1)
    out = np.empty((h, w, planes.shape[2]), image.dtype)
    for first in range(0, planes.shape[2], CHANNELS):
        part = planes[:, :, first : first + CHANNELS]
        out[:, :, first : first + CHANNELS] = cv2.resize(part, (w, h), interpolation=method).reshape(h, w, -1)
    return out.reshape(h, w, *image.shape[2:])


def resize_labels(labels: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Resize to (height, width), each pixel with the label that lies under its centre. Any number type."""
    (h, w), (height, width) = labels.shape[:2], size
    if (h, w) == (height, width):
        return labels
    rows = ((np.arange(height) + 0.5) * h / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * w / width).astype(np.intp)
    return np.asarray(labels[rows[:, None], columns])


@dataclass(frozen=True, slots=True)
class Spatial:
    """The steps that move pixels, crop and then resize, and the way back. Without settings it moves nothing.

    Attributes:
        crop: (top, left, height, width) cut out of every image.
        centre: (height, width) cut out of the middle instead; of a smaller image, what there is.
        size: (height, width) to resize to.
        keep_aspect: Resize to the largest that fits into ``size``; the rest is padding.
    """

    crop: tuple[int, int, int, int] | None = None
    centre: Shape | None = None
    size: Shape | None = None
    keep_aspect: bool = False

    def box(self, shape: Shape) -> tuple[int, int, int, int]:
        """(top, left, height, width) that is cut out of an image of ``shape``.

        Raises:
            DataError: if the crop does not lie within the image.
        """
        if self.centre:
            h, w = min(self.centre[0], shape[0]), min(self.centre[1], shape[1])
            return (shape[0] - h) // 2, (shape[1] - w) // 2, h, w
        if self.crop is None:
            return 0, 0, *shape
        top, left, h, w = self.crop
        if top + h > shape[0] or left + w > shape[1]:
            raise DataError(
                f"the crop of {w}x{h} at ({top}, {left}) does not lie within the image of {shape[1]}x{shape[0]}",
                where="input.crop",
                expected="[top, left, height, width] that fits into every image",
                remedy='set another input.crop, or "centre 512", which takes what there is',
            )
        return self.crop

    def shape(self, original: Shape) -> Shape:
        """(height, width) that an image of the shape ``original`` gets."""
        _, _, h, w = self.box(original)
        if self.size is None:
            return h, w
        if not self.keep_aspect:
            return self.size
        scale = min(self.size[0] / h, self.size[1] / w)
        fitted = max(1, round(h * scale)), max(1, round(w * scale))
        return min(fitted[0], self.size[0]), min(fitted[1], self.size[1])

    def image(self, image: NDArray[Any]) -> NDArray[Any]:
        """An image (or any other (H, W) or (H, W, C) values) cut and resized."""
        return resize(self._cut(image), self.shape((image.shape[0], image.shape[1])))

    def mask(self, mask: NDArray[Any], kind: Literal["binary", "labels"] = "binary") -> NDArray[Any]:
        """A mask cut and resized as its image is.

        Args:
            mask: "binary": bool, or uint8 of 0 and 1, (H, W) or (H, W, C). "labels": whole numbers, (H, W).
            kind: A pixel of a binary mask is set where at least half of its area is; a label map has each pixel's
                nearest label.

        Returns:
            bool for "binary"; labels of the type given.
        """
        cut, size = self._cut(mask), self.shape((mask.shape[0], mask.shape[1]))
        if kind == "labels":
            return resize_labels(cut, size)
        if cut.shape[:2] == size:
            return cut.astype(np.bool_)
        return np.asarray(resize(cut.astype(np.uint8) * np.uint8(255), size) > 127)

    def restore(self, probs: NDArray[Any], original: Shape) -> NDArray[Any]:
        """Predictions, (H, W) or (H, W, C), put back to the size of the original image.

        Exact where nothing was resized; elsewhere bilinear. What the crop left out is 0: background.
        """
        top, left, h, w = self.box(original)
        inner = resize(probs, (h, w))
        if (h, w) == original:
            return inner
        full = np.zeros((*original, *probs.shape[2:]), probs.dtype)
        full[top : top + h, left : left + w] = inner
        return full

    def _cut(self, image: NDArray[Any]) -> NDArray[Any]:
        top, left, h, w = self.box((image.shape[0], image.shape[1]))
        return image if (h, w) == image.shape[:2] else image[top : top + h, left : left + w]


AS_IT_IS = Spatial()


def mask_at(
    probs: Pixels, shape: Shape, threshold: float | Sequence[float], spatial: Spatial = AS_IT_IS
) -> NDArray[np.bool_]:
    """The mask at an image's original size.

    Args:
        probs: Probabilities as uint8 (255 = 1), at the input size without padding; (H, W) or (H, W, C).
        shape: Original (height, width).
        threshold: A pixel is foreground above this probability; several: of each channel.
        spatial: How the image was brought to the input size.
    """
    level = np.floor(np.multiply(threshold, 255)).astype(np.uint8)  # above it is above its whole part
    return np.asarray(spatial.restore(probs, shape) > level)
