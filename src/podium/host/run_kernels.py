"""The loops of grading run-length files: text is read and compared with the hidden runs in one pass, pixels never."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from podium.formats.jit import jit

_1 = np.uint64(1)
_LOW, _TENS = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(10 * 2**8 + 1)
_PAIRS, _HUNDREDS = np.uint64(0x00FF00FF00FF00FF), np.uint64(100 * 2**16 + 1)
_FOURS, _TEN_THOUSANDS = np.uint64(0x0000FFFF0000FFFF), np.uint64(10_000 * 2**32 + 1)

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]


def _eight_code(_: Any, text: Any, at: Any) -> Any:
    """Eight bytes of a text from a place as one number, the first byte the lowest: numba runs on such machines only."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _loaded(context, builder, signature, given, ir.IntType(64))

    return types.uint64(text, at), code


def _blanks_code(_: Any, text: Any, at: Any) -> Any:
    """Of 64 bytes from a place a bit each, twice: whether it is a blank, and whether it is no digit."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), 64)
        there = _loaded(context, builder, signature, given, kind)
        blank = builder.icmp_unsigned("==", there, ir.Constant(kind, [32] * 64))
        odd = builder.icmp_unsigned(">", builder.sub(there, ir.Constant(kind, [48] * 64)), ir.Constant(kind, [9] * 64))
        bits = [builder.bitcast(found, ir.IntType(64)) for found in (blank, odd)]
        return context.make_tuple(builder, signature.return_type, bits)

    return types.UniTuple(types.uint64, 2)(text, at), code  # type: ignore[no-untyped-call]


def _first_bit_code(_: Any, word: Any) -> Any:
    """The place of the lowest bit that is set; some is."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(word), code


_eight: Any = intrinsic(_eight_code)
_blanks: Any = intrinsic(_blanks_code)
_first_bit: Any = intrinsic(_first_bit_code)


def _loaded(context: Any, builder: Any, signature: Any, given: Any, kind: Any) -> Any:
    text = context.make_array(signature.args[0])(context, builder, given[0])
    place = builder.bitcast(builder.gep(text.data, [given[1]]), kind.as_pointer())
    found = builder.load(place)
    found.align = 1
    return found


@jit
def score_rows(
    text: Bytes,
    starts: Longs,
    ends: Longs,
    rows: Longs,
    begins: Longs,
    stops: Longs,
    runs: Ints,
    sizes: Longs,
    numbers: Longs,
    out: Longs,
) -> int:
    """Count the pixels that each row of a submission shares with the truth.

    Args:
        text: The file, or a piece of it with whole lines, with 64 bytes more on either side, whatever is in them.
        starts, ends: Where the runs of each row are in it.
        rows: Which mask each row is about.
        begins, stops: Where the runs of each mask are in ``runs``.
        runs: Start (from 0), end of every hidden run, shape (R, 2), ascending within a mask.
        sizes: Pixels of each mask.
        numbers: Room for the numbers of one row.
        out: Gets (pixels in both, predicted), a row a mask, shape (N, 2).

    Returns:
        -1, or the first row whose text is not plainly a mask of its size: it needs a closer look.
    """
    for r in range(len(rows)):
        mask = rows[r]
        count = _read(text, starts[r], ends[r], numbers)
        if count < 0 or count % 2:
            return r
        given = numbers[:count]
        area = _spans(given, sizes[mask])
        if area < 0:
            return r
        out[mask, 0], out[mask, 1] = _common(given, runs, begins[mask], stops[mask]), area
    return -1


@jit
def _read(text: Bytes, i: int, n: int, out: Longs) -> int:
    """The numbers of a text with one blank between two; how many, or -1 if it is not like that.

    Sixty-four bytes are looked at at once for where numbers end, so that no number waits for the end of the one before
    it; then each is read from the eight bytes before its end.

    Source: Langdale & Lemire 2019, Parsing gigabytes of JSON per second (arXiv 1902.08318), for the first; Lemire,
    Quickly parsing eight digits (2018), for the second.
    """
    if i == n:
        return 0
    count, first = 0, i
    for base in range(i, n + 1, 64):
        blank, odd = _blanks(text, base)
        if n - base < 64:  # the last one: it ends with the text
            end = _1 << np.uint64(n - base)
            blank, odd = (blank & (end - _1)) | end, (odd & (end - _1)) | end
        if blank != odd:
            return -1
        while blank:
            stop = base + int(_first_bit(blank))
            blank &= blank - _1
            digits = stop - first
            if digits < 1 or digits > 16:
                return -1
            value = _number(_eight(text, stop - 8), min(digits, 8))
            if digits > 8:
                value += 100_000_000 * _number(_eight(text, stop - 16), digits - 8)
            out[count] = value
            count += 1
            first = stop + 1
    return count


@jit
def _number(word: np.uint64, digits: int) -> int:
    """The number that the last so many of eight bytes spell."""
    other = np.uint64(64 - 8 * digits)
    word = (word >> other) << other  # what is before it counts as zeros
    word = ((word & _LOW) * _TENS) >> np.uint64(8)
    word = ((word & _PAIRS) * _HUNDREDS) >> np.uint64(16)
    return int(((word & _FOURS) * _TEN_THOUSANDS) >> np.uint64(32))


@jit
def _spans(numbers: Longs, size: int) -> int:
    """Turn start (from 1), length, … into start (from 0), end, … in place; the pixels of all, or -1 if a run is empty,
    begins before the end of the one before it or ends behind the last pixel."""
    end, area, bad = 0, 0, 0
    for k in range(0, len(numbers), 2):
        start, length = int(numbers[k]) - 1, int(numbers[k + 1])
        bad |= (start < end) | (length < 1)
        end = start + length
        area += length
        numbers[k], numbers[k + 1] = start, end
    return -1 if bad or end > size else area  # each below 2 * 10**18: no sum wraps


@jit
def _common(a: Longs, runs: Ints, low: int, high: int) -> int:
    """Pixels that spans, flat, share with some of the hidden runs.

    A step waits for the loads of the one before it, so the two halves are walked side by side.
    """
    n = len(a)
    half, total, i, j, m = n // 4 * 2, 0, 0, low, low
    k = half
    if half:
        last = high
        while m < last:  # the first hidden run that reaches into the second half
            middle = (m + last) // 2
            if runs[middle, 1] > a[half]:
                last = middle
            else:
                m = middle + 1
    while i < half and j < high and k < n and m < high:
        end_a, end_b = a[i + 1], np.int64(runs[j, 1])
        total += max(0, min(end_a, end_b) - max(a[i], np.int64(runs[j, 0])))
        i, j = i + 2 * (end_a <= end_b), j + (end_b <= end_a)
        end_a, end_b = a[k + 1], np.int64(runs[m, 1])
        total += max(0, min(end_a, end_b) - max(a[k], np.int64(runs[m, 0])))
        k, m = k + 2 * (end_a <= end_b), m + (end_b <= end_a)
    return total + _rest(a, runs, i, half, j, high) + _rest(a, runs, k, n, m, high)


@jit
def _rest(a: Longs, runs: Ints, i: int, n: int, j: int, high: int) -> int:
    total = 0
    while i < n and j < high:
        end_a, end_b = a[i + 1], np.int64(runs[j, 1])
        total += max(0, min(end_a, end_b) - max(a[i], np.int64(runs[j, 0])))
        i, j = i + 2 * (end_a <= end_b), j + (end_b <= end_a)
    return total


@jit
def pair_table(a: Longs, a_owner: Longs, b: Longs, b_owner: Longs, table: Longs) -> bool:
    """Count the pixels that each pair of owners has in common.

    Args:
        a, b: Start, length of runs, shape (R, 2), ascending by start.
        a_owner, b_owner: The object or class of each run.
        table: Gets the counts, shape (owners of a, owners of b), added up.

    Returns:
        False if runs of one side overlap, so that a pixel would have two owners.
    """
    for runs in (a, b):
        for n in range(1, len(runs)):
            if runs[n, 0] < runs[n - 1, 0] + runs[n - 1, 1]:
                return False
    i, j = 0, 0
    while i < len(a) and j < len(b):
        end_a, end_b = a[i, 0] + a[i, 1], b[j, 0] + b[j, 1]
        common = min(end_a, end_b) - max(a[i, 0], b[j, 0])
        if common > 0:
            table[a_owner[i], b_owner[j]] += common
        i, j = i + (end_a <= end_b), j + (end_b <= end_a)
    return True
