"""Masks decided where the network ran: put back to the original size, thresholded and packed to a bit a pixel there.

What leaves the device is an eighth of a byte a pixel and class instead of a byte, and no thread of the host looks at a
pixel. Only what each pixel says by itself can be decided so: connected parts, objects and holes are the host's.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Self

import torch
from torch import Tensor

from podium.config import difference
from podium.data.preprocess import Preprocess
from podium.recipe import PredictConfig
from podium.training.tasks import ClassMapTask, MaskTask, PlanesTask

PIXEL_BY_PIXEL = ("threshold", "tta", "mean", "power", "tile", "overlap")
"""Keys of [predict] under which a pixel's class does not depend on other pixels' classes."""

Shape = tuple[int, int]


class OnDevice:
    """From probabilities to packed masks, as the host decides them.

    Args:
        task: One that `decides` knows.
    """

    def __init__(self, task: MaskTask, preprocess: Preprocess) -> None:
        self.task, self.spatial = task, preprocess.spatial
        threshold = task.recipe.predict.settled.threshold
        each = threshold if isinstance(threshold, list) else [threshold] * task.outputs
        self._levels = [math.floor(255 * float(t)) for t in each]

    @classmethod
    def of(cls, task: MaskTask, preprocess: Preprocess) -> Self | None:
        """What decides for a task; None where the host has to."""
        asked = difference(task.recipe.predict, PredictConfig())
        if task.competition.submission.format != "rle":
            return None
        plain = isinstance(task, PlanesTask | ClassMapTask) and all(key in PIXEL_BY_PIXEL for key in asked)
        return cls(task, preprocess) if plain else None

    def __call__(self, probs: Tensor, original: Shape) -> Tensor:
        """The masks of an image, packed as `bits.pack` does it: uint8 (outputs, H, ceil(W / 8)).

        Args:
            probs: uint8 (h, w, outputs) of the input size, padding cut off.
            original: (height, width) of the file.
        """
        whole = self._restored(probs.permute(2, 0, 1).int(), original)
        outputs = whole.shape[0]
        if isinstance(self.task, ClassMapTask):  # of equals the first, as on the host
            rest = torch.arange(outputs - 1, -1, -1, device=whole.device).view(-1, 1, 1)
            classes = (whole * outputs + rest).argmax(0)
            return packed(classes == torch.arange(outputs, device=whole.device).view(-1, 1, 1))
        return packed(whole > torch.tensor(self._levels, device=whole.device).view(-1, 1, 1))

    def _restored(self, probs: Tensor, original: Shape) -> Tensor:
        """As `Spatial.restore`, of int32 (C, h, w)."""
        top, left, h, w = self.spatial.box(original)
        inner = resized(probs, (h, w))
        if (h, w) == original:
            return inner
        return torch.nn.functional.pad(inner, (left, original[1] - left - w, top, original[0] - top - h))


def resized(planes: Tensor, size: Shape) -> Tensor:
    """As `geometry.resize` of uint8, to the last bit where it grows: int32 planes (C, h, w) at another size."""
    h, w = planes.shape[-2:]
    if (h, w) == size:
        return planes
    if size[0] <= h and size[1] <= w:
        down, across = _areas(h, size[0], planes.device), _areas(w, size[1], planes.device)
        means = down @ planes.float() @ across.T
        halved = (h, w) == (2 * size[0], 2 * size[1])  # where OpenCV rounds halves up, and elsewhere to even numbers
        return ((means + 0.5).floor() if halved else means.round()).int()
    top, below, of_top, of_below = _neighbours(h, size[0], planes.device)
    left, right, of_left, of_right = _neighbours(w, size[1], planes.device)
    lines = planes[..., left] * of_left + planes[..., right] * of_right >> 4  # 11 bits of fraction, of which 7 stay
    upper, lower = lines[..., top, :] * of_top[:, None] >> 16, lines[..., below, :] * of_below[:, None] >> 16
    return upper + lower + 2 >> 2


@lru_cache(maxsize=32)
def _neighbours(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each of m pixels the two of n whose centres are next, and their weights in 1/2048, as OpenCV has them."""
    centre = ((torch.arange(m, dtype=torch.float64) + 0.5) * (n / m) - 0.5).float()
    first = centre.floor()
    share = centre - first
    weights = ((1 - share) * 2048).round().int(), (share * 2048).round().int()
    before, behind = first.long().clamp(0, n - 1), (first.long() + 1).clamp(0, n - 1)
    return before.to(device), behind.to(device), weights[0].to(device), weights[1].to(device)


@lru_cache(maxsize=32)
def _areas(n: int, m: int, device: torch.device) -> Tensor:
    """The share that each of n pixels has in the area of each of m, (m, n)."""
    edge, source = torch.arange(m, dtype=torch.float64)[:, None] * (n / m), torch.arange(n, dtype=torch.float64)
    covered = (torch.minimum(edge + n / m, source + 1) - torch.maximum(edge, source)).clamp(min=0)
    return (covered / covered.sum(1, keepdim=True)).float().to(device)


def packed(masks: Tensor) -> Tensor:
    """Bool masks (..., W) with a bit a pixel, the highest first: uint8 (..., ceil(W / 8))."""
    width = masks.shape[-1]
    padded = torch.nn.functional.pad(masks.to(torch.uint8), (0, -width % 8))
    bits: Any = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=masks.device)
    return (padded.unflatten(-1, (-1, 8)) * bits).sum(-1, dtype=torch.uint8)
