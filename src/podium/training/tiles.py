"""Images too large for the network to take at once: in tiles that overlap, blended at the seams."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from podium.training.memory import free_bytes

SHARE = 0.5
"""Of the free memory that a prediction may fill."""

SMALL = 1 << 20
"""Pixels of a batch that fit without being asked."""

PROBE = 256
"""Side of the part of an image that memory is measured with."""

LEAST = 64
"""Side of the smallest tile."""


def tiled(predict: Callable[[Tensor], Tensor], images: Tensor, tile: tuple[int, int], overlap: float) -> Tensor:
    """Predictions of pixels, tile by tile, each weighted less towards its edges.

    A network that looks at single pixels gives the same in tiles as at once, but for rounding.

    Args:
        predict: From images (N, C, h, w) to values (N, outputs, h, w).
        images: (N, C, H, W).
        tile: Largest (height, width) that is predicted at once.
        overlap: Share of a tile that the next one covers too, at least.
    """
    height, width = images.shape[2:]
    h, w = min(tile[0], height), min(tile[1], width)
    weight = (_ramp(h)[:, None] * _ramp(w)).to(images.device)
    total: Any = None
    weights = torch.zeros(height, width, device=images.device)
    for top in starts(height, h, overlap):
        for left in starts(width, w, overlap):
            box = (..., slice(top, top + h), slice(left, left + w))
            found = predict(images[box].contiguous(memory_format=torch.channels_last))
            if total is None:
                total = torch.zeros(*found.shape[:2], height, width, device=found.device)
            total[box] += found * weight
            weights[box] += weight
    return torch.as_tensor(total / weights)


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin: evenly spread from 0 to the end, neighbours no further apart than the overlap says."""
    if tile >= length:
        return [0]
    step = max(1, math.floor(tile * (1 - overlap)))
    last = length - tile
    n = -(-last // step)
    return [round(last * i / n) for i in range(n + 1)]


def _ramp(n: int) -> Tensor:
    """Weights along a side: they fall from the middle to the edges, and are never 0."""
    at = torch.arange(n, dtype=torch.float32)
    return torch.minimum(at + 1, n - at) / math.ceil(n / 2)


def most_pixels(model: nn.Module, images: Tensor) -> int:
    """How many pixels a network can predict at once with the memory that is free.

    Args:
        images: (N, C, H, W), of which a part is tried.
    """
    part = images[:1, :, :PROBE, :PROBE]
    needed = _needed(model, part) / (part.shape[2] * part.shape[3])
    return int(SHARE * free_bytes(images.device) / max(1.0, needed))


@torch.inference_mode()
def _needed(model: nn.Module, images: Tensor) -> int:
    """Bytes: measured where the device counts them, else of all that its layers give, as if none were freed."""
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
        before = torch.cuda.memory_allocated(images.device)
        torch.cuda.reset_peak_memory_stats(images.device)
        model(images)
        return torch.cuda.max_memory_allocated(images.device) - before
    total = [0]

    def count(module: nn.Module, args: Any, output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        total[0] += sum(t.numel() * t.element_size() for t in outputs if isinstance(t, Tensor))

    leaves = [m for m in model.modules() if not any(True for _ in m.children())]
    handles = [m.register_forward_hook(count) for m in leaves]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return total[0]


def fitting_tile(pixels: int, multiple: int) -> int:
    """The side of a square tile of at most so many pixels, a multiple of the frame's."""
    return max(multiple, LEAST, math.isqrt(max(1, pixels)) // multiple * multiple)
