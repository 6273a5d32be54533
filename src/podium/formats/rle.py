"""Run-length masks: encoding, strict parsing, and areas and overlaps without decoding a pixel.

In memory the runs of a mask are an int64 array of shape (R, 2): 0-based start and length, ascending and disjoint, in
the order ("row" or "column") that the pixels are counted. As text they are "start length start length …", from 1.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from podium.errors import DataError
from podium.formats.bits import transpose, unpack

Order = Literal["row", "column"]
Runs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

RleKind = Literal["not a number", "odd count", "start", "length", "out of range", "overlapping", "unsorted"]

_LEGAL = b"0123456789 \t\r\n"
_TOO_LARGE = 10**18  # no mask has so many pixels, and the sum of two numbers below it fits an int64


class RleError(DataError):
    """Run-length text that is not a mask.

    Attributes:
        kind: What is wrong, as one of a few words.
        position: Which number is wrong, from 1.
        value: That number as written (shortened).
    """

    def __init__(
        self,
        found: str,
        *,
        kind: RleKind = "not a number",  # defaults only so that it survives the way out of a worker process
        position: int = 0,
        value: str = "",
        where: str = "",
        expected: str = "",
    ) -> None:
        self.kind, self.position, self.value = kind, position, value
        super().__init__(found, where=where, expected=expected)


def encode(mask: npt.NDArray[Any], order: Order = "row") -> str:
    """A mask as text; empty for an empty mask.

    Args:
        mask: bool or integer, shape (H, W); anything but 0 is foreground.
        order: How the pixels are counted.
    """
    return format_runs(runs_of(mask, order))


def decode(text: str, shape: tuple[int, int], order: Order = "row", where: str = "") -> Mask:
    """The mask behind a text, shape (H, W).

    Raises:
        RleError: as `parse` does.
    """
    return mask_of(parse(text, shape[0] * shape[1], where), shape, order)


def mask_of(runs: Runs, shape: tuple[int, int], order: Order = "row") -> Mask:
    """The pixels of runs, bool of shape (H, W)."""
    height, width = shape
    lengths = np.zeros(2 * len(runs) + 1, np.int64)  # background and foreground in turn
    ends = runs[:, 0] + runs[:, 1]
    lengths[1::2] = runs[:, 1]
    lengths[0:-1:2] = runs[:, 0]
    lengths[2:-1:2] -= ends[:-1]
    lengths[-1] = height * width - (ends[-1] if len(ends) else 0)
    colours = np.zeros(len(lengths), np.bool_)
    colours[1::2] = True
    flat = np.repeat(colours, lengths)
    return flat.reshape(height, width) if order == "row" else transpose(flat.reshape(width, height))


def runs_of(mask: npt.NDArray[Any], order: Order = "row") -> Runs:
    """The runs of a bool or integer mask of shape (H, W)."""
    pixels = mask if order == "row" else transpose(mask)
    return _runs_of_bits(np.packbits(pixels), pixels.size)


def runs_from_packed(packed: npt.NDArray[np.uint8], width: int, order: Order = "row") -> Runs:
    """The runs of a mask of 1 bit a pixel.

    Args:
        packed: Shape (H, ceil(width / 8)), highest bit first, each row padded, as `masks.pack` gives it.
        width: Pixels in a row.
        order: How the pixels are counted.
    """
    if order == "column":
        return runs_of(unpack(packed, width), order)
    height, row_bytes = packed.shape
    spare = row_bytes * 8 - width
    if not spare:
        return _runs_of_bits(packed.reshape(-1), height * width)
    if (packed[:, -1] & ((1 << spare) - 1)).any():
        return runs_of(unpack(packed, width), order)
    padded = _runs_of_bits(packed.reshape(-1), height * row_bytes * 8)  # every run ends with its row
    padded[:, 1] += padded[:, 0]
    borders = (padded - (padded // (row_bytes * 8)) * spare).ravel()
    return _merged(borders)


def format_runs(runs: Runs) -> str:
    """Runs as "start length start length …", counted from 1."""
    numbers = runs + np.array([1, 0])
    return orjson.dumps(numbers.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].replace(b",", b" ").decode()


def parse(text: str, size: int | None = None, where: str = "") -> Runs:
    """The runs of a text, checked strictly. Blank text and "nan" are the empty mask; touching runs are legal.

    Args:
        text: Pairs of start (from 1) and length.
        size: Number of pixels of the mask, if known.
        where: The file, line or id that an error names.

    Raises:
        RleError: naming the number that is wrong and its position: no number, an odd count of them, a start or
            length below 1, pixels past ``size``, runs that overlap or are not sorted.
    """
    raw = text.encode(errors="replace")
    if raw.translate(None, _LEGAL):  # fromstring stops at the first letter with no more than a warning
        if text.strip().lower() == "nan":
            return np.empty((0, 2), np.int64)
        raise _fault(text, size, where)
    if not raw.strip():
        return np.empty((0, 2), np.int64)
    numbers = np.fromstring(raw, np.int64, sep=" ")  # saturates, never wraps
    if len(numbers) % 2 or numbers.min() < 1 or numbers.max() >= _TOO_LARGE:
        raise _fault(text, size, where)
    runs = numbers.reshape(-1, 2)
    ends = runs[:, 0] + runs[:, 1]
    if (runs[1:, 0] < ends[:-1]).any() or ends[-1] - 1 > (_TOO_LARGE - 1 if size is None else size):
        raise _fault(text, size, where)
    runs[:, 0] -= 1
    return runs


def area(runs: Runs) -> int:
    """The number of foreground pixels."""
    return int(runs[:, 1].sum())


def intersection(a: Runs, b: Runs) -> int:
    """The number of pixels that are foreground in both; no pixel is decoded.

    The foreground of ``a`` below each border of ``b`` is linear between the borders of ``a``, so it is an
    interpolation; float64 holds such whole numbers exactly up to 2**53.
    """
    if not len(a) or not len(b):
        return 0
    below = np.zeros(2 * len(a))
    below[1::2] = np.cumsum(a[:, 1])
    below[2::2] = below[1:-1:2]
    at = np.interp(_borders(b), _borders(a), below)
    return int(at[1::2].sum() - at[0::2].sum())


def _borders(runs: Runs) -> npt.NDArray[np.float64]:
    borders = np.empty(2 * len(runs))
    borders[0::2] = runs[:, 0]
    np.add(runs[:, 0], runs[:, 1], out=borders[1::2])
    return borders


def _runs_of_bits(packed: npt.NDArray[np.uint8], size: int) -> Runs:
    """The runs of ``size`` pixels packed without gaps, padded with zeros; whole words are skipped at once."""
    spare = -len(packed) % 8
    padded = np.concatenate([packed, np.zeros(spare, np.uint8)]) if spare else np.ascontiguousarray(packed)
    words = padded.view(">u8").astype(np.uint64)
    changes = words >> np.uint64(1)
    changes ^= words
    changes[1:] ^= words[:-1] << np.uint64(63)
    busy = np.flatnonzero(changes != 0)  # several times faster on bools than on words
    bits = np.flatnonzero(np.unpackbits(changes[busy].astype(">u8").view(np.uint8)).view(np.bool_))
    borders: Runs = (busy[bits >> 6] << 6) + (bits & 63)
    if len(borders) % 2:  # foreground up to the last bit
        borders = np.append(borders, size)
    runs = borders.reshape(-1, 2)
    runs[:, 1] -= runs[:, 0]
    return runs


def _merged(borders: npt.NDArray[np.int64]) -> Runs:
    """Runs of starts and ends in turn; runs that touch become one."""
    if len(borders):
        inner = borders[1:-1].reshape(-1, 2)
        keep = np.ones(len(borders), np.bool_)
        keep[1:-1] = np.repeat(inner[:, 0] != inner[:, 1], 2)
        borders = borders[keep]
    runs = borders.reshape(-1, 2)
    runs[:, 1] -= runs[:, 0]
    return runs


def _fault(text: str, size: int | None, where: str) -> RleError:
    """The error about a text that is known to be wrong.

    A word or an odd count is named first: all that follows from a number too many or too few would mislead.
    """
    tokens = re.findall(r"[^ \t\r\n]+", text)
    for position, token in enumerate(tokens, start=1):
        if not re.fullmatch(r"-?[0-9]+", token):
            return _error("not a number", position, token, where, "whole numbers with a blank between two")
    if len(tokens) % 2:
        return _error("odd count", len(tokens), tokens[-1], where, "pairs of start and length")
    return _misplaced(tokens, size if size is not None else _TOO_LARGE - 1, where)


def _misplaced(tokens: list[str], size: int, where: str) -> RleError:
    """The error about the first run that lies where none can."""
    before, end = 0, 1  # where the run before this one starts, and the first pixel behind it
    for i in range(0, len(tokens), 2):
        start, length = _number(tokens[i]), _number(tokens[i + 1])
        if start < 1:
            return _error("start", i + 1, tokens[i], where, "1 or more: pixels count from 1")
        if start < end:
            kind: RleKind = "unsorted" if start < before else "overlapping"
            return _error(kind, i + 1, tokens[i], where, f"a start of {end} or more, behind the run before it")
        if start > size:
            return _error("out of range", i + 1, tokens[i], where, f"pixels 1 to {size}")
        if length < 1:
            return _error("length", i + 2, tokens[i + 1], where, "1 or more: leave out runs without pixels")
        before, end = start, start + length
        if end - 1 > size:
            break
    return _error("out of range", i + 2, tokens[i + 1], where, f"pixels 1 to {size}")


def _number(token: str) -> int:
    """The value, cut off at 10**18 either way: Python refuses to read numbers of thousands of digits."""
    return int(token) if len(token) < 40 else -_TOO_LARGE if token[0] == "-" else int(token.lstrip("0")[:19] or 0)


def _error(kind: RleKind, position: int, token: str, where: str, expected: str) -> RleError:
    value = token if len(token) <= 40 else token[:37] + "…"
    found = {
        "not a number": f"number {position} of the runs, '{value}', is not a whole number",
        "odd count": f"the runs are {position} numbers, an odd count; the last is {value}",
        "start": f"number {position} of the runs, a start, is {value}",
        "length": f"number {position} of the runs, a length, is {value}",
        "out of range": f"number {position} of the runs, {value}, reaches past the last pixel",
        "overlapping": f"number {position} of the runs, a start of {value}, lies inside the run before it",
        "unsorted": f"number {position} of the runs, a start of {value}, lies before the run before it",
    }[kind]
    return RleError(found, kind=kind, position=position, value=value, where=where, expected=expected)
