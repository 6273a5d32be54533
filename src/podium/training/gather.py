"""The warp and the colours of a batch on whatever device its pixels lie: equal, bit for bit, to `augment.kernels`.

All is done in whole numbers, but for the colour matrix, whose products and sums are rounded in the same order. A GPU
does it in one kernel each where triton works (`warp_kernels`), else, and other devices, in some hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import torch
from torch import Tensor

from podium.data.augment.affine import HALF_STEP
from podium.progress import say_once

REFLECT, CONSTANT = 0, 2
"""As `augment.kernels` has them; 1 repeats the edge."""

MOST = 2**22
"""Pixels worked on at once: what is between takes some 100 bytes for each."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the frames of N samples come from; see `data.windows.Windows`.

    Attributes:
        at: (N,) int64, where each part begins.
        shapes: (N, 2) int64.
        starts, steps: (N, 2) and (N, 4) int64.
        borders: (N,) int64.
    """

    at: Tensor
    shapes: Tensor
    starts: Tensor
    steps: Tensor
    borders: Tensor

    def pieces(self, size: tuple[int, int]) -> Iterator[tuple[slice, Places]]:
        """A few samples at a time."""
        each = max(1, MOST // (size[0] * size[1]))
        for first in range(0, len(self.at), each):
            part = slice(first, first + each)
            yield part, Places(*(getattr(self, f.name)[part] for f in fields(self)))


def images(flat: Tensor, places: Places, colours: Tensor, coloured: Tensor, size: tuple[int, int]) -> Tensor:
    """Three channels, bilinear, then recoloured.

    Args:
        flat: uint8, the bytes in which the parts lie.
        colours: float32 (N, 3, 4).
        coloured: bool (N,).
        size: (height, width) of the frames.

    Returns:
        uint8 (N, height, width, 3).
    """
    if kernels := fused(flat.device):
        return kernels.images(flat, places, colours, coloured, size)
    parts = [_images(flat, p, colours[n], coloured[n], size) for n, p in places.pieces(size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def masks(flat: Tensor, places: Places, outside: int, size: tuple[int, int]) -> Tensor:
    """Label maps, each pixel the value of the one it comes from: uint8 (N, height, width)."""
    if kernels := fused(flat.device):
        return kernels.masks(flat, places, outside, size)
    parts = [_masks(flat, p, outside, size) for _, p in places.pieces(size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@cache
def fused(device: torch.device) -> Any:
    """`warp_kernels` where the device is a GPU that they run on, else None."""
    if device.type != "cuda":
        return None
    try:
        from podium.training import warp_kernels

        warp_kernels.try_out(device)
    except (ImportError, OSError, RuntimeError) as error:  # no triton, no C compiler for it
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        say_once(f"  the GPU warps only where the CPU does not keep up: triton does not work here ({reason})")
        return None
    return warp_kernels


def _images(flat: Tensor, places: Places, colours: Tensor, coloured: Tensor, size: tuple[int, int]) -> Tensor:
    x, y = _positions(places, size, HALF_STEP)
    right, down = (((v >> 25) & 127).int().unsqueeze(-1) for v in (x, y))
    rgb = torch.arange(3, device=flat.device)
    columns = [_seen((x >> 32) + k, places, 1) for k in (0, 1)]
    rows: list[Tensor] = []
    for k in (0, 1):
        row, above = _seen((y >> 32) + k, places, 0)
        begin = _each(places.at) + row * _each(places.shapes[:, 1]) * 3
        pair = [flat[(begin + 3 * column).unsqueeze(-1) + rgb].int() for column, _ in columns]
        left_of, right_of = (v * ~(above | beside).unsqueeze(-1) for v, (_, beside) in zip(pair, columns, strict=True))
        rows.append(left_of * (128 - right) + right_of * right)
    mixed = rows[0] + 2 * (((rows[1] - rows[0]) * (down << 8)) >> 16)
    plain = ((mixed + 64) >> 7).to(torch.uint8)
    r, g, b = mixed.float().unbind(-1)
    m = colours.view(-1, 3, 4, 1, 1)
    new = [((m[:, c, 0] * r + m[:, c, 1] * g) + m[:, c, 2] * b) + m[:, c, 3] for c in range(3)]
    changed = torch.stack(new, -1).clamp_(0, 255.5).to(torch.uint8)
    return torch.where(coloured.view(-1, 1, 1, 1), changed, plain)


def _masks(flat: Tensor, places: Places, outside: int, size: tuple[int, int]) -> Tensor:
    x, y = _positions(places, size, 1 << 31)
    (row, above), (column, beside) = _seen(y >> 32, places, 0), _seen(x >> 32, places, 1)
    picked = flat[_each(places.at) + row * _each(places.shapes[:, 1]) + column]
    return picked.masked_fill_(above | beside, outside)


def _each(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1)


def _positions(places: Places, size: tuple[int, int], more: int) -> tuple[Tensor, Tensor]:
    """x and y of each pixel of the frames, int64 (N, height, width), in 1/2^32."""
    down = torch.arange(size[0], device=places.at.device).view(1, -1, 1)
    across = torch.arange(size[1], device=places.at.device).view(1, 1, -1)
    steps = [_each(places.steps[:, k]) for k in range(4)]
    x = (_each(places.starts[:, 0]) + more + down * steps[2]) + across * steps[0]
    y = (_each(places.starts[:, 1]) + more + down * steps[3]) + across * steps[1]
    return x, y


def _seen(at: Tensor, places: Places, axis: int) -> tuple[Tensor, Tensor]:
    """The pixel that is seen at a place, beyond the edges too, and where there is none."""
    side, border = _each(places.shapes[:, axis]), _each(places.borders)
    outside = (at < 0) | (at >= side)
    edge = at.clamp(min=0).minimum(side - 1)
    period = (2 * side - 2).clamp(min=1)
    back = at.abs() % period
    reflected = torch.minimum(back, period - back)
    return torch.where((border == REFLECT) & (side > 1), reflected, edge), outside & (border == CONSTANT)
