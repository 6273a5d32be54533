"""The affine warp compiled: eight pixels at a time, the change of colour in the same pass, borders as OpenCV has them.

Positions are counted in 1/128 pixel and mixed in 15 bits, so that a value may differ from exact bilinear interpolation
by 2 of 255 next to a hard edge, and by 1 elsewhere; a pixel that is hit exactly is exact. `blend8` is written as vector
code, which LLVM fits to the machine's registers, because left to itself it computes in words four times as wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped, unused-ignore]
from numba import extending, types

from podium.formats.jit import jit

TILE = 256
"""Pixels of a row that are gathered, then mixed: their buffers stay in the innermost cache."""

REFLECT, EDGE, CONSTANT = 0, 1, 2

_I8, _I16, _I32, _I64, _F32 = (ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType())
_V = ir.VectorType
intrinsic: Any = extending.intrinsic


def _bytes(context: Any, builder: Any, signature: Any, args: Any, n: int) -> Any:
    """A pointer to the bytes of the array that is argument ``n``."""
    data = context.make_array(signature.args[n])(context, builder, args[n]).data
    return builder.bitcast(data, _I8.as_pointer())


def _all(kind: Any, value: float, lanes: int = 32) -> Any:
    return ir.Constant(_V(kind, lanes), [value] * lanes)


def _pick(builder: Any, vector: Any, lanes: list[int], other: Any = None) -> Any:
    mask = ir.Constant(_V(_I32, len(lanes)), lanes)
    return builder.shuffle_vector(vector, other or ir.Constant(vector.type, ir.Undefined), mask)


@intrinsic  # type: ignore[untyped-decorator]
def load8(typing: Any, array: Any, at: Any) -> Any:
    """Eight bytes of an array from byte ``at`` on, as one word; nothing is checked."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(_bytes(context, builder, signature, args, 0), [args[1]])
        word = builder.load(builder.bitcast(place, _I64.as_pointer()))
        word.align = 1
        return word

    return types.uint64(array, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def store4(typing: Any, array: Any, at: Any, word: Any) -> Any:
    """Four bytes into an array from byte ``at`` on; nothing is checked."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(_bytes(context, builder, signature, args, 0), [args[1]])
        builder.store(args[2], builder.bitcast(place, _I32.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint32), code


@intrinsic  # type: ignore[untyped-decorator]
def blend8(typing: Any, top: Any, bottom: Any, start: Any, step: Any, matrix: Any, out: Any, j: Any) -> Any:
    """Pixels ``j`` to ``j + 7``: two neighbours of each in two rows become one, then its colour is changed.

    Args:
        top, bottom: A word a pixel: its RGB and that of its right neighbour.
        start, step: (x, y) of the first pixel of the tile and from one to the next, in 1/2^32 pixel.
        matrix: float32 (3, 4), for channels of 7 fractional bits, half a level added to its last column; or None.
        out: A word a pixel: its RGB.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def place(n: int, each: int) -> Any:
            offset = builder.mul(args[6], ir.Constant(_I64, each))
            return builder.gep(_bytes(context, builder, signature, args, n), [offset])

        def load(n: int) -> Any:
            words = builder.load(builder.bitcast(place(n, 8), _V(_I8, 64).as_pointer()))
            words.align = 1
            return words

        def half(words: Any, first: int) -> Any:
            lanes = [8 * p + first + c if n == 0 else 64 for p in range(8) for c in range(4) for n in range(2)]
            return builder.bitcast(_pick(builder, words, lanes, _all(_I8, 0, 64)), _V(_I16, 32))

        upper, lower = load(0), load(1)
        starts, steps = ([builder.extract_value(args[n], axis) for axis in (0, 1)] for n in (2, 3))
        right, down = (_fraction(builder, starts[axis], steps[axis], args[6]) for axis in (0, 1))
        left = builder.sub(_all(_I16, 128), right)
        t, u = (builder.add(builder.mul(half(v, 0), left), builder.mul(half(v, 3), right)) for v in (upper, lower))
        wide = _V(_I32, 32)
        share = builder.sext(builder.shl(down, _all(_I16, 8)), wide)
        step = builder.ashr(builder.mul(builder.sext(builder.sub(u, t), wide), share), _all(_I32, 16))
        mixed = builder.add(t, builder.shl(builder.trunc(step, _V(_I16, 32)), _all(_I16, 1)))
        if isinstance(matrix, types.NoneType):
            eight = builder.lshr(builder.add(mixed, _all(_I16, 64)), _all(_I16, 7))
            words = builder.bitcast(builder.trunc(eight, _V(_I8, 32)), _V(_I32, 8))
        else:
            words = _recoloured(builder, mixed, _bytes(context, builder, signature, args, 4))
        builder.store(words, builder.bitcast(place(5, 4), _V(_I32, 8).as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(top, bottom, start, step, matrix, out, types.int64), code


def _fraction(builder: Any, start: Any, step: Any, j: Any) -> Any:
    """Where between two pixels, in 1/128, pixels ``j`` to ``j + 7`` lie, each four times."""

    def eight(number: Any) -> Any:
        one = builder.insert_element(ir.Constant(_V(_I32, 8), ir.Undefined), number, ir.Constant(_I32, 0))
        return _pick(builder, one, [0] * 8)

    begin, step = builder.trunc(builder.add(start, builder.mul(step, j)), _I32), builder.trunc(step, _I32)
    at = builder.add(eight(begin), builder.mul(eight(step), ir.Constant(_V(_I32, 8), list(range(8)))))
    part = builder.lshr(at, _all(_I32, 25, 8))
    twice = builder.or_(part, builder.shl(part, _all(_I32, 16, 8)))
    return builder.bitcast(_pick(builder, twice, [p for p in range(8) for _ in range(2)]), _V(_I16, 32))


def _recoloured(builder: Any, mixed: Any, matrix: Any) -> Any:
    """Eight pixels of four 16-bit channels, through a float32 (3, 4) matrix, as words of four bytes."""
    cells = builder.bitcast(matrix, _F32.as_pointer())

    def cell(row: int, column: int) -> Any:
        value = builder.load(builder.gep(cells, [ir.Constant(_I32, 4 * row + column)]))
        one = builder.insert_element(ir.Constant(_V(_F32, 8), ir.Undefined), value, ir.Constant(_I32, 0))
        return _pick(builder, one, [0] * 8)

    pairs = builder.bitcast(mixed, _V(_I32, 16))
    first, second = (_pick(builder, pairs, list(range(n, 16, 2))) for n in (0, 1))
    low = _all(_I32, 0xFFFF, 8)
    raw = (builder.and_(first, low), builder.lshr(first, _all(_I32, 16, 8)), builder.and_(second, low))
    channels = [builder.sitofp(channel, _V(_F32, 8)) for channel in raw]
    words: Any = None
    for row in range(3):
        value = builder.fadd(builder.fmul(cell(row, 0), channels[0]), builder.fmul(cell(row, 1), channels[1]))
        value = builder.fadd(builder.fadd(value, builder.fmul(cell(row, 2), channels[2])), cell(row, 3))
        for wrong, bound in (("<", 0.0), (">", 255.5)):
            limit = _all(_F32, bound, 8)
            value = builder.select(builder.fcmp_ordered(wrong, value, limit), limit, value)
        whole = builder.shl(builder.fptosi(value, _V(_I32, 8)), _all(_I32, 8 * row, 8))
        words = whole if words is None else builder.or_(words, whole)
    return words


@jit
def beyond(at: int, side: int, border: int) -> int:
    """The pixel that is seen at a place beyond the edge; -1 = none."""
    if 0 <= at < side:
        return at
    if border == CONSTANT:
        return -1
    if border == EDGE or side == 1:
        return 0 if at < 0 else side - 1
    at = abs(at) % (2 * side - 2)
    return at if at < side else 2 * side - 2 - at


@jit
def _two(source: Any, stride: int, height: int, width: int, x: int, y: int, border: int, value: int) -> Any:
    """A pixel and its right neighbour, where not both are inside."""
    word, row = np.uint64(0), beyond(y, height, border)
    if row >= 0 and 0 <= x < width - 2:
        return load8(source, row * stride + 3 * x)
    for k in range(2):
        column = beyond(x + k, width, border)
        for c in range(3):
            seen = value if row < 0 or column < 0 else source[row * stride + 3 * column + c]
            word |= np.uint64(seen) << np.uint64(24 * k + 8 * c)
    return word


@jit
def affine3(
    source: Any, shape: Any, stride: int, start: Any, steps: Any, border: int, value: int, matrix: Any, out: Any
) -> None:
    """Warp three channels, bilinear.

    Args:
        source: uint8, all bytes from the first pixel on; rows are ``stride`` bytes apart.
        shape: (height, width) of the source.
        start: Where the first pixel of ``out`` comes from: x, y in 1/2^32 pixel, and half a 1/128 more.
        steps: How far that moves: x, y for each column; x, y for each row.
        border: `REFLECT` (the edge itself not repeated), `EDGE` or `CONSTANT`.
        value: Of all channels outside, where ``border`` is `CONSTANT`.
        matrix: See `blend8`.
        out: uint8 (H, W, 3), C order.
    """
    (height, width), (right_x, right_y, down_x, down_y) = shape, steps
    flat = out.reshape(-1)
    top, bottom = np.empty(TILE, np.uint64), np.empty(TILE, np.uint64)
    words = np.empty(TILE, np.uint32)
    for row in range(out.shape[0]):
        for first in range(0, out.shape[1], TILE):
            n = min(TILE, out.shape[1] - first)
            x0 = start[0] + row * down_x + first * right_x
            y0 = start[1] + row * down_y + first * right_y
            x1, y1 = (x0 + (n - 1) * right_x) >> 32, (y0 + (n - 1) * right_y) >> 32
            inside = min(x0 >> 32, x1) >= 0 and max(x0 >> 32, x1) < width - 2
            x, y = x0, y0
            if inside and min(y0 >> 32, y1) >= 0 and max(y0 >> 32, y1) < height - 1:
                for j in range(n):
                    at = (y >> 32) * stride + (x >> 32) * 3
                    top[j], bottom[j] = load8(source, at), load8(source, at + stride)
                    x, y = x + right_x, y + right_y
            else:
                for j in range(n):
                    px, py = x >> 32, y >> 32
                    if 0 <= px < width - 2 and 0 <= py < height - 1:
                        at = py * stride + px * 3
                        top[j], bottom[j] = load8(source, at), load8(source, at + stride)
                    else:
                        top[j] = _two(source, stride, height, width, px, py, border, value)
                        bottom[j] = _two(source, stride, height, width, px, py + 1, border, value)
                    x, y = x + right_x, y + right_y
            for j in range(0, n, 8):
                blend8(top, bottom, (x0, y0), (right_x, right_y), matrix, words, j)
            at = 3 * (row * out.shape[1] + first)
            for j in range(n - 1):
                store4(flat, at + 3 * j, words[j])
            for k in range(3):
                flat[at + 3 * n - 3 + k] = (words[n - 1] >> np.uint32(8 * k)) & np.uint32(255)


@jit
def affine_nearest(
    source: Any, shape: Any, stride: int, start: Any, steps: Any, border: int, value: int, out: Any
) -> None:
    """Warp one channel, each pixel the value of the one it comes from; as `affine3`, ``start`` with half a pixel more.

    Args:
        out: uint8 (H, W), C order.
    """
    (height, width), (right_x, right_y, down_x, down_y) = shape, steps
    flat, last = out.reshape(-1), out.shape[1] - 1
    for row in range(out.shape[0]):
        x, y = start[0] + row * down_x, start[1] + row * down_y
        x1, y1 = (x + last * right_x) >> 32, (y + last * right_y) >> 32
        inside = min(x >> 32, x1) >= 0 and max(x >> 32, x1) < width
        if inside and min(y >> 32, y1) >= 0 and max(y >> 32, y1) < height:
            at = row * out.shape[1]
            for j in range(last + 1):
                flat[at + j] = source[np.uint64(((y + j * right_y) >> 32) * stride + ((x + j * right_x) >> 32))]
        else:
            for j in range(last + 1):
                px, py = beyond(x >> 32, width, border), beyond(y >> 32, height, border)
                out[row, j] = value if px < 0 or py < 0 else source[py * stride + px]
                x, y = x + right_x, y + right_y
