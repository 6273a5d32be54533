"""`gather` in two kernels, each pixel in one go: what is between stays in registers. Needs triton, as torch.compile.

Every product and sum is rounded as in `augment.kernels`: a launch must forbid fused multiply-adds.
"""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager, nullcontext

import torch
import triton  # type: ignore[import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor
from triton.errors import TritonError  # type: ignore[import-untyped, unused-ignore]

from podium.data.augment.affine import HALF_STEP
from podium.training import gather

BLOCK = 512
"""Pixels of one program."""

_REFLECT, _CONSTANT = tl.constexpr(gather.REFLECT), tl.constexpr(gather.CONSTANT)
_HALF_STEP = tl.constexpr(HALF_STEP)


@triton.jit
def _seen(at, side, border):  # type: ignore[no-untyped-def]
    """The pixel that is seen at a place, beyond the edges too, and whether there is none."""
    outside = (at < 0) | (at >= side)
    edge = tl.minimum(tl.maximum(at, 0), side - 1)
    period = tl.maximum(2 * side - 2, 1)
    back = tl.abs(at) % period
    reflected = tl.minimum(back, period - back)
    return tl.where((border == _REFLECT) & (side > 1), reflected, edge), outside & (border == _CONSTANT)


@triton.jit
def _place(starts, steps, n, row, column):  # type: ignore[no-untyped-def]
    """x and y of pixels of the frame, int64, in 1/2^32."""
    x = tl.load(starts + 2 * n) + row * tl.load(steps + 4 * n + 2) + column * tl.load(steps + 4 * n)
    y = tl.load(starts + 2 * n + 1) + row * tl.load(steps + 4 * n + 3) + column * tl.load(steps + 4 * n + 1)
    return x, y


@triton.jit
def _beside(flat, at, gone, inside):  # type: ignore[no-untyped-def]
    """Red, green and blue of the pixels that begin at a byte; black where there is none."""
    there = inside & (gone == 0)
    r = tl.load(flat + at, mask=there, other=0).to(tl.int32)
    g = tl.load(flat + at + 1, mask=there, other=0).to(tl.int32)
    b = tl.load(flat + at + 2, mask=there, other=0).to(tl.int32)
    return r, g, b


@triton.jit
def _between(a, b, c, d, right, down):  # type: ignore[no-untyped-def]
    """Bilinear, in 15 bits: of two neighbours above and two below."""
    above = a * (128 - right) + b * right
    below = c * (128 - right) + d * right
    return above + 2 * (((below - above) * (down << 8)) >> 16)


@triton.jit
def _recoloured(colours, r, g, b):  # type: ignore[no-untyped-def]
    """One channel of the colour matrix, cut to a byte."""
    new = tl.load(colours) * r + tl.load(colours + 1) * g
    new = new + tl.load(colours + 2) * b
    new = new + tl.load(colours + 3)
    return tl.minimum(tl.maximum(new, 0.0), 255.5).to(tl.int32)


@triton.jit  # type: ignore[untyped-decorator]
def _images(flat, at, shapes, starts, steps, borders, colours, coloured, out, height, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < height * width
    x, y = _place(starts, steps, n, (pixel // width).to(tl.int64), (pixel % width).to(tl.int64))
    x, y = x + _HALF_STEP, y + _HALF_STEP
    right, down = ((x >> 25) & 127).to(tl.int32), ((y >> 25) & 127).to(tl.int32)
    column, row = (x >> 32).to(tl.int32), (y >> 32).to(tl.int32)
    h, w, border = tl.load(shapes + 2 * n).to(tl.int32), tl.load(shapes + 2 * n + 1).to(tl.int32), tl.load(borders + n)
    left, left_gone = _seen(column, w, border)
    next, next_gone = _seen(column + 1, w, border)
    upper, upper_gone = _seen(row, h, border)
    lower, lower_gone = _seen(row + 1, h, border)
    first, stride = tl.load(at + n), 3 * w.to(tl.int64)
    upper, lower = first + upper * stride, first + lower * stride
    ar, ag, ab = _beside(flat, upper + 3 * left, upper_gone | left_gone, inside)
    br, bg, bb = _beside(flat, upper + 3 * next, upper_gone | next_gone, inside)
    cr, cg, cb = _beside(flat, lower + 3 * left, lower_gone | left_gone, inside)
    dr, dg, db = _beside(flat, lower + 3 * next, lower_gone | next_gone, inside)
    r, g, b = (
        _between(ar, br, cr, dr, right, down),
        _between(ag, bg, cg, dg, right, down),
        _between(ab, bb, cb, db, right, down),
    )
    fr, fg, fb = r.to(tl.float32), g.to(tl.float32), b.to(tl.float32)
    changes, mine = tl.load(coloured + n) != 0, colours + 12 * n
    r = tl.where(changes, _recoloured(mine, fr, fg, fb), (r + 64) >> 7)
    g = tl.where(changes, _recoloured(mine + 4, fr, fg, fb), (g + 64) >> 7)
    b = tl.where(changes, _recoloured(mine + 8, fr, fg, fb), (b + 64) >> 7)
    to = out + 3 * (n * height * width + pixel)
    tl.store(to, r.to(tl.uint8), mask=inside)
    tl.store(to + 1, g.to(tl.uint8), mask=inside)
    tl.store(to + 2, b.to(tl.uint8), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _masks(flat, at, shapes, starts, steps, borders, out, outside, height, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    n = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < height * width
    x, y = _place(starts, steps, n, (pixel // width).to(tl.int64), (pixel % width).to(tl.int64))
    half = tl.full((), 1, tl.int64) << 31
    h, w, border = tl.load(shapes + 2 * n).to(tl.int32), tl.load(shapes + 2 * n + 1).to(tl.int32), tl.load(borders + n)
    column, beside = _seen(((x + half) >> 32).to(tl.int32), w, border)
    row, above = _seen(((y + half) >> 32).to(tl.int32), h, border)
    gone = above | beside
    picked = tl.load(flat + tl.load(at + n) + row * w.to(tl.int64) + column, mask=inside & (gone == 0), other=0)
    picked = tl.where(gone, outside, picked.to(tl.int32)).to(tl.uint8)
    tl.store(out + n * height * width + pixel, picked, mask=inside)


def images(flat: Tensor, places: gather.Places, colours: Tensor, coloured: Tensor, size: tuple[int, int]) -> Tensor:
    """As `gather.images`."""
    out = torch.empty((len(places.at), *size, 3), dtype=torch.uint8, device=flat.device)
    parts = (*_tensors(places), colours.contiguous(), coloured.contiguous())
    with _on(flat.device):
        _images[_grid(out)](flat, *parts, out, *size, BLOCK=BLOCK, enable_fp_fusion=False)
    return out


def masks(flat: Tensor, places: gather.Places, outside: int, size: tuple[int, int]) -> Tensor:
    """As `gather.masks`."""
    out = torch.empty((len(places.at), *size), dtype=torch.uint8, device=flat.device)
    with _on(flat.device):
        _masks[_grid(out)](flat, *_tensors(places), out, outside, *size, BLOCK=BLOCK, enable_fp_fusion=False)
    return out


def try_out(device: torch.device) -> None:
    """Compile and run both kernels on one pixel.

    Raises:
        RuntimeError: if triton cannot compile for this device.
    """
    at, pair, four = (torch.zeros(shape, dtype=torch.int64, device=device) for shape in ((1,), (1, 2), (1, 4)))
    places = gather.Places(at, pair + 1, pair, four, at)
    flat, colours = torch.full((3,), 7, dtype=torch.uint8, device=device), torch.zeros((1, 3, 4), device=device)
    try:
        made = images(flat, places, colours, at > 0, (1, 1)), masks(flat, places, 0, (1, 1))
    except (TritonError, subprocess.SubprocessError) as error:
        raise RuntimeError(str(error)) from error
    if any((pixels != 7).any() for pixels in made):
        raise RuntimeError("its kernels compute something else")


def _tensors(places: gather.Places) -> tuple[Tensor, ...]:
    found = (places.at, places.shapes, places.starts, places.steps, places.borders)
    return tuple(tensor.contiguous() for tensor in found)


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _grid(out: Tensor) -> tuple[int, int]:
    return triton.cdiv(out.shape[1] * out.shape[2], BLOCK), len(out)
