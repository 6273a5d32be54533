"""The views of an image that are predicted beside it, and how a prediction is brought back to where it belongs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from podium.recipe import View

Box = tuple[slice, slice]

CROP = 7 / 8
"""Of a side, in a view that is a crop."""


def shown(images: Tensor, view: View, black: Tensor | None = None, *, multiple: int = 1, whole: bool = True) -> Tensor:
    """Images (N, C, H, W) as a view shows them; turned by one quarter or three, (N, C, W, H).

    Args:
        black: What a black pixel is in ``images``, (1, C, 1, 1); 0 if not given.
        multiple: Sides that are not the image's own are a multiple of this, where the image is so large.
        whole: A crop stays as large as it is; else it is enlarged to the size of the image.
    """
    size = (images.shape[2], images.shape[3])
    if view.gain != 1 or view.contrast != 1:
        images = _recoloured(images, view, black)
    if view.corner:
        images = images[(..., *crop_box(size, view.corner, multiple))]
        images = images if whole else _at(images, size)
    if view.scale != 1:
        images = _at(images, (_scaled(images.shape[2], view, multiple), _scaled(images.shape[3], view, multiple)))
    return turned(images, view)


def turned(images: Tensor, view: View) -> Tensor:
    """Images flipped and turned alone."""
    if view.quarters % 2:
        return torch.rot90(images.flip(3) if view.flipped else images, view.quarters, (2, 3))
    half = view.quarters == 2
    axes = [axis for axis, wanted in ((2, half), (3, half != view.flipped)) if wanted]
    return images.flip(axes) if axes else images


def turned_back(probs: Tensor, view: View) -> Tensor:
    """The inverse of `turned`: predictions of pixels, (N, C, H, W), where the pixels of the image itself are."""
    if view.quarters % 2:
        upright = torch.rot90(probs, -view.quarters, (2, 3))
        return upright.flip(3) if view.flipped else upright
    return turned(probs, view)  # which is its own inverse


def brought_back(probs: Tensor, view: View, size: tuple[int, int], multiple: int = 1) -> tuple[Tensor, Box]:
    """Predictions of a view at the size of the image, and where in an image of ``size`` they lie."""
    box = crop_box(size, view.corner, multiple) if view.corner else (slice(0, size[0]), slice(0, size[1]))
    upright = turned_back(probs, view)
    if view.scale != 1:
        upright = _at(upright, (box[0].stop - box[0].start, box[1].stop - box[1].start))
    return upright, box


def crop_box(size: tuple[int, int], corner: str, multiple: int = 1) -> Box:
    """Where a crop lies: "top left", …, or "centre"; a side that is no more than ``multiple`` stays whole."""
    slices = []
    for side, low, high in ((size[0], "top", "bottom"), (size[1], "left", "right")):
        part = min(side, max(multiple, round(side * CROP / multiple) * multiple))
        start = 0 if low in corner else side - part if high in corner else (side - part) // 2
        slices.append(slice(start, start + part))
    return slices[0], slices[1]


def _scaled(side: int, view: View, multiple: int) -> int:
    return max(multiple, round(side * view.scale / multiple) * multiple)


def _at(images: Tensor, size: tuple[int, int]) -> Tensor:
    """At another size, bilinear; shrinking, smoothed first."""
    if tuple(images.shape[2:]) == size:
        return images
    shrinks = size[0] < images.shape[2] or size[1] < images.shape[3]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=shrinks)


def _recoloured(images: Tensor, view: View, black: Tensor | None) -> Tensor:
    """Brighter or darker by a factor, then more or less contrast about each channel's mean."""
    ground: Any = 0 if black is None else black
    brighter = view.gain * (images - ground) + ground
    mean = brighter.mean((2, 3), keepdim=True)
    return view.contrast * (brighter - mean) + mean
