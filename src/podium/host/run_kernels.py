"""The loops of grading run-length files: text is read and compared with the hidden runs in one pass, pixels never."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from podium.formats.jit import jit

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]


@jit
def score_rows(
    text: Bytes,
    starts: Longs,
    ends: Longs,
    rows: Longs,
    offsets: Longs,
    runs: Ints,
    sizes: Longs,
    numbers: Longs,
    out: Longs,
) -> int:
    """Count the pixels that each row of a submission shares with the truth.

    Args:
        text: The file, or a piece of it with whole lines, and a byte more.
        starts, ends: Where the runs of each row are in it; the byte at an end is no digit.
        rows: Which mask each row is about.
        offsets: Where the runs of each mask begin in ``runs``, and one more.
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
        out[mask, 0], out[mask, 1] = _common(given, runs, offsets[mask], offsets[mask + 1]), area
    return -1


@jit
def _read(text: Bytes, i: int, n: int, out: Longs) -> int:
    """The numbers of a text with one blank between two; how many, or -1 if it is not like that.

    A digit at a time: words of eight bytes at once were measured to take half as long again, for the numbers are short
    and each waits for the end of the one before it.
    """
    count = 0
    while i < n:
        value, first = 0, i
        while True:
            digit = int(text[i]) - 48
            if digit < 0 or digit > 9:
                break
            value = 10 * value + digit
            i += 1
        if i == first or i - first > 18 or (text[i] != 32 and i < n):
            return -1
        out[count] = value
        count += 1
        i += 1
    return count


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
