"""The loops behind `rle`: borders of runs from pixels or bits, text from borders, runs from text, overlaps.

Borders are where the colour changes, as 0-based pixel positions: start, end, start, end, … Blocks of pixels of one
colour are passed over whole. Words are read as little-endian, as every machine that numba compiles for has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from podium.formats.jit import jit

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]

_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH = np.uint64(0x8080808080808080)
_GATHER = np.uint64(0x0102040810204080)  # moves the lowest bit of each byte into the highest byte
_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_FIVES, _THREES, _FS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)

_BIT = np.zeros(64, np.int64)  # de Bruijn: the position of the only bit set in a word
for _i in range(64):
    _BIT[((1 << _i) * int(_BRUIJN) % 2**64) >> 58] = _i


@jit
def _trailing(x: Any) -> Any:
    """The position of the lowest bit set."""
    return _BIT[((x & (~x + _ONE)) * _BRUIJN) >> np.uint64(58)]


@jit
def _reversed_bytes(x: Any) -> Any:
    """The bits of each byte in reverse order."""
    x = ((x >> _ONE) & _FIVES) | ((x & _FIVES) << _ONE)
    x = ((x >> np.uint64(2)) & _THREES) | ((x & _THREES) << np.uint64(2))
    return ((x >> np.uint64(4)) & _FS) | ((x & _FS) << np.uint64(4))


@jit
def pixel_borders(words: Words, rest: Bytes, out: Longs) -> int:
    """The borders of a mask of one byte a pixel, anything but 0 foreground.

    Args:
        words: The pixels up to the last full 64, eight a word, shape (N, 8).
        rest: The last 0 to 63 pixels.
        out: Gets as many borders as fit.

    Returns:
        The number of borders.
    """
    count, state, last = 0, np.uint64(0), np.uint64(0)  # last: a word without a border, of the colour of state
    for block in range(len(words)):
        differ = np.uint64(0)
        for k in range(8):
            differ |= words[block, k] ^ last
        if differ == 0:
            continue
        bits = np.uint64(0)
        for k in range(8):
            w = words[block, k]
            w = ((((w & _LOW7) + _LOW7) | w) & _HIGH) >> np.uint64(7)
            bits |= ((w * _GATHER) >> np.uint64(56)) << np.uint64(8 * k)
        borders = bits ^ ((bits << _ONE) | state)
        while borders != 0:
            if count < len(out):
                out[count] = 64 * block + _trailing(borders)
            count += 1
            borders &= borders - _ONE
        state = bits >> np.uint64(63)
        if state == 0:
            last = np.uint64(0)
        else:
            last = words[block, 7] if bits >> np.uint64(56) == 255 else _ALL
    size = 64 * len(words)
    for i in range(len(rest)):
        colour = np.uint64(rest[i] != 0)
        if colour != state:
            if count < len(out):
                out[count] = size + i
            count += 1
            state = colour
    return _closed(count, state, size + len(rest), out)


@jit
def bit_borders(words: Words, width: int, out: Longs) -> int:
    """The borders of a mask of one bit a pixel, the highest bit of a byte first.

    Args:
        words: Shape (H, ceil(width / 64)); bits past the width are ignored.
        width: Pixels in a row.
        out: Gets as many borders as fit.

    Returns:
        The number of borders.
    """
    count, state, full = 0, np.uint64(0), np.uint64(0)
    last = words.shape[1] - 1
    spare = np.uint64(64 * words.shape[1] - width)
    for row in range(words.shape[0]):
        for k in range(words.shape[1]):
            w = words[row, k]
            if w == full:
                continue
            bits = _reversed_bytes(w)
            borders = bits ^ ((bits << _ONE) | state)
            if k == last:
                borders &= _ALL >> spare
                state = (bits >> (np.uint64(63) - spare)) & _ONE
            else:
                state = bits >> np.uint64(63)
            full = _ALL * state
            at = row * width + 64 * k
            while borders != 0:
                if count < len(out):
                    out[count] = at + _trailing(borders)
                count += 1
                borders &= borders - _ONE
    return _closed(count, state, words.shape[0] * width, out)


@jit
def _closed(count: int, state: Any, size: int, out: Longs) -> int:
    """With the border at the end of a mask whose last pixel is foreground."""
    if state != 0:
        if count < len(out):
            out[count] = size
        count += 1
    return count


@jit
def lengths(borders: Longs) -> None:
    """Turn start, end, … into start, length, … in place."""
    for i in range(1, len(borders), 2):
        borders[i] -= borders[i - 1]


@jit
def write_text(runs: Longs, out: Bytes) -> int:
    """Write start (from 1), length, … as decimal text.

    Args:
        runs: Start (from 0), length, …, flat.
        out: At least 20 bytes a number.

    Returns:
        The number of bytes.
    """
    n = 0
    for i in range(len(runs)):
        value = np.uint64(runs[i] + 1 - i % 2)
        digits, bound = 1, np.uint64(10)
        while value >= bound and digits < 19:
            bound *= np.uint64(10)
            digits += 1
        k = n + digits
        out[k] = 32
        n = k + 1
        if value < np.uint64(4294967296):  # dividing 32 bits is several times faster
            short = np.uint32(value)
            for _ in range(digits):
                k -= 1
                tens = short // np.uint32(10)
                out[k] = short - tens * np.uint32(10) + 48
                short = tens
        else:
            for _ in range(digits):
                k -= 1
                rest = value // np.uint64(10)
                out[k] = value - rest * np.uint64(10) + 48
                value = rest
    return max(n - 1, 0)


@jit
def bits_to_text(words: Words, width: int, borders: Longs, out: Bytes, at: int) -> int:
    """Write the text of a mask of one bit a pixel.

    Args:
        words, width: As `bit_borders` takes them.
        borders: Room to work in.
        out: Where the text goes.
        at: Where in ``out`` it begins.

    Returns:
        The end of the text in ``out``; or, where ``borders`` or ``out`` is too small, minus the number of borders.
    """
    count = bit_borders(words, width, borders)
    if count > len(borders) or at + 20 * count > len(out):
        return -count
    lengths(borders[:count])
    return at + write_text(borders[:count], out[at:])


@jit
def parse_text(text: Bytes, size: int, out: Longs) -> int:
    """Read runs from decimal text.

    Args:
        text: Numbers with blanks, tabs or line ends between them.
        size: Number of pixels; no run may end behind it.
        out: Room for every number; gets start (from 0), length, …

    Returns:
        How many numbers there are, or -1 if the text is no mask of that size.
    """
    count, end, i, n = 0, 0, 0, len(text)
    while True:
        while i < n and (text[i] == 32 or text[i] == 10 or text[i] == 13 or text[i] == 9):
            i += 1
        if i == n:
            return -1 if count % 2 else count
        value, first = 0, i
        while i < n:
            digit = int(text[i]) - 48
            if digit < 0 or digit > 9:
                break
            value = 10 * value + digit
            i += 1
        if i < n and text[i] != 32 and text[i] != 10 and text[i] != 13 and text[i] != 9:
            return -1
        if value < 1 or i - first > 18:
            return -1
        if count % 2:
            end += value
            if end > size:
                return -1
            out[count] = value
        else:
            if value <= end:
                return -1
            end = value - 1
            out[count] = end
        count += 1


@jit
def fill(runs: Longs, out: Bytes) -> bool:
    """Write every pixel of a mask as 0 or 1 from its runs, shape (R, 2); False if a run lies outside or overlaps."""
    end = 0
    for i in range(len(runs)):
        start, stop = runs[i, 0], runs[i, 0] + runs[i, 1]
        if start < end or stop < start or stop > len(out):
            return False
        out[end:start] = 0
        out[start:stop] = 1
        end = stop
    out[end:] = 0
    return True


@jit
def overlap(a: Longs, b: Longs) -> tuple[int, int, int]:
    """(pixels in both, in a, in b) of two lists of runs, shape (R, 2).

    A step waits for the loads of the one before it, so the two halves of ``a`` are walked side by side.
    """
    half = len(a) // 2
    total, i, j, k, m = 0, 0, 0, half, 0
    if half:
        high = len(b)
        while m < high:  # the first run of b that reaches into the second half
            middle = (m + high) // 2
            if b[middle, 0] + b[middle, 1] > a[half, 0]:
                high = middle
            else:
                m = middle + 1
    while i < half and j < len(b) and k < len(a) and m < len(b):
        end_a, end_b = a[i, 0] + a[i, 1], b[j, 0] + b[j, 1]
        total += max(0, min(end_a, end_b) - max(a[i, 0], b[j, 0]))
        i, j = i + (end_a <= end_b), j + (end_b <= end_a)
        end_a, end_b = a[k, 0] + a[k, 1], b[m, 0] + b[m, 1]
        total += max(0, min(end_a, end_b) - max(a[k, 0], b[m, 0]))
        k, m = k + (end_a <= end_b), m + (end_b <= end_a)
    total += _common(a, b, i, half, j) + _common(a, b, k, len(a), m)
    area_a, area_b = 0, 0
    for n in range(len(a)):
        area_a += a[n, 1]
    for n in range(len(b)):
        area_b += b[n, 1]
    return total, area_a, area_b


@jit
def _common(a: Any, b: Any, i: Any, stop: Any, j: Any) -> Any:
    total = 0
    while i < stop and j < len(b):
        end_a, end_b = a[i, 0] + a[i, 1], b[j, 0] + b[j, 1]
        total += max(0, min(end_a, end_b) - max(a[i, 0], b[j, 0]))
        i, j = i + (end_a <= end_b), j + (end_b <= end_a)
    return total
