"""Run-length masks: encoding, strict parsing, and areas and overlaps without decoding a pixel.

In memory the runs of a mask are an int64 array of shape (R, 2): 0-based start and length, ascending and disjoint, in
the order ("row" or "column") that the pixels are counted. As text they are "start length start length …", from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from podium.errors import DataError
from podium.formats.bits import transpose, unpack

Order = Literal["row", "column"]
Runs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

RleKind = Literal["not a number", "odd count", "start", "length", "out of range", "overlapping", "unsorted"]

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
    return _text(_pixel_runs(mask, order)).decode("ascii")


def decode(text: str, shape: tuple[int, int], order: Order = "row", where: str = "") -> Mask:
    """The mask behind a text, shape (H, W).

    Raises:
        RleError: as `parse` does.
    """
    return mask_of(parse(text, shape[0] * shape[1], where), shape, order)


def mask_of(runs: Runs, shape: tuple[int, int], order: Order = "row") -> Mask:
    """The pixels of runs, bool of shape (H, W).

    Raises:
        RleError: if a run lies outside the shape or inside the run before it.
    """
    from podium.formats import kernels

    height, width = shape
    flat = np.empty(height * width, np.uint8)
    if not kernels.fill(_whole(runs), flat):
        raise RleError(
            "the runs are not those of a mask of this shape",
            kind="out of range",
            expected=f"ascending runs that do not overlap, within {height} x {width} pixels",
        )
    mask = flat.view(np.bool_)
    return mask.reshape(height, width) if order == "row" else transpose(mask.reshape(width, height))


def runs_of(mask: npt.NDArray[Any], order: Order = "row") -> Runs:
    """The runs of a bool or integer mask of shape (H, W)."""
    return _pixel_runs(mask, order).reshape(-1, 2)


def runs_from_packed(packed: npt.NDArray[np.uint8], width: int, order: Order = "row") -> Runs:
    """The runs of a mask of 1 bit a pixel.

    Args:
        packed: Shape (H, ceil(width / 8)), highest bit first, each row padded, as `masks.pack` gives it.
        width: Pixels in a row.
        order: How the pixels are counted.
    """
    return _bit_runs(packed, width, order).reshape(-1, 2)


def encode_packed(packed: npt.NDArray[np.uint8], width: int, order: Order = "row") -> bytes:
    """A mask of 1 bit a pixel, as `runs_from_packed` takes it, as text."""
    return encode_lines([(b"", packed, width)], order)[:-1]


def encode_lines(rows: Sequence[tuple[bytes, npt.NDArray[np.uint8], int]], order: Order = "row") -> bytes:
    """A line of text for each mask of 1 bit a pixel; the GIL is free nearly all the while.

    Args:
        rows: What the line begins with, the mask and its width, as `runs_from_packed` takes them.
        order: How the pixels are counted.
    """
    from podium.formats import kernels

    borders, out, at = np.empty(8192, np.int64), bytearray(1 << 18), 0
    view = np.frombuffer(out, np.uint8)
    for prefix, packed, width in rows:
        words, columns = _words(packed, width) if order == "row" else _words(_turned(packed, width), len(packed))
        start = at + len(prefix)
        end = kernels.bits_to_text(words, columns, borders, view, start)
        if end < 0:  # in a larger place
            if -end > len(borders):
                borders = np.empty(-2 * end, np.int64)
            del view
            out.extend(bytes(len(out) - 20 * end + len(prefix)))
            view = np.frombuffer(out, np.uint8)
            end = kernels.bits_to_text(words, columns, borders, view, start)
        out[at:start] = prefix
        out[end : end + 1] = b"\n"
        at = end + 1
    return bytes(memoryview(out)[:at])


def format_runs(runs: Runs) -> str:
    """Runs as "start length start length …", counted from 1."""
    return _text(_whole(runs).reshape(-1)).decode("ascii")


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
    from podium.formats import kernels

    raw = np.frombuffer(text.encode(errors="replace"), np.uint8)
    numbers = np.empty(len(raw) // 2 + 1, np.int64)
    count = kernels.parse_text(raw, _TOO_LARGE - 1 if size is None else size, numbers)
    if count < 0:
        if text.strip().lower() == "nan":
            return np.empty((0, 2), np.int64)
        raise _fault(text, size, where)
    return numbers[:count].reshape(-1, 2).copy()


def area(runs: Runs) -> int:
    """The number of foreground pixels."""
    return int(runs[:, 1].sum())


def intersection(a: Runs, b: Runs) -> int:
    """The number of pixels that are foreground in both; no pixel is decoded."""
    return overlap(a, b)[0]


def overlap(a: Runs, b: Runs) -> tuple[int, int, int]:
    """(pixels that are foreground in both, in ``a``, in ``b``): what `podium.metrics.Counts` is made of."""
    from podium.formats import kernels

    return kernels.overlap(_whole(a), _whole(b))


def _whole(runs: npt.NDArray[Any]) -> Runs:
    """In the one type and layout that the loops are compiled for."""
    return np.ascontiguousarray(runs, np.int64)


def _pixel_runs(mask: npt.NDArray[Any], order: Order) -> Runs:
    """Start, length, … flat."""
    from podium.formats import kernels

    if order == "column":
        mask = transpose(mask)
    if mask.dtype not in (np.bool_, np.uint8):
        mask = mask != 0
    flat = np.ascontiguousarray(mask).reshape(-1).view(np.uint8)
    if flat.ctypes.data % 8:  # a view of something odd
        flat = flat.copy()
    cut = len(flat) // 64 * 64
    words, rest = flat[:cut].view(np.uint64).reshape(-1, 8), flat[cut:]
    return _collect(lambda out: kernels.pixel_borders(words, rest, out))


def _bit_runs(packed: npt.NDArray[np.uint8], width: int, order: Order) -> Runs:
    """Start, length, … flat."""
    from podium.formats import kernels

    if order == "column":
        return _pixel_runs(unpack(packed, width), order)
    words, width = _words(packed, width)
    return _collect(lambda out: kernels.bit_borders(words, width, out))


def _words(packed: npt.NDArray[np.uint8], width: int) -> tuple[npt.NDArray[np.uint64], int]:
    """The bits in words, each row padded to whole ones, and the width."""
    height, row_bytes = packed.shape
    if row_bytes != -(-width // 8):
        raise ValueError(f"{row_bytes} bytes a row are not {width} pixels")
    spare = -row_bytes % 8
    if spare or not packed.flags.c_contiguous or packed.ctypes.data % 8:
        padded = np.zeros((height, row_bytes + spare), np.uint8)
        padded[:, :row_bytes] = packed
        packed = padded
    return packed.view(np.uint64), width


def _turned(packed: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """The packed transpose."""
    return np.packbits(transpose(unpack(packed, width)), axis=1)


def _collect(find: Callable[[Runs], int]) -> Runs:
    """The runs between the borders that ``find`` writes, in a second pass if they are more than usual."""
    from podium.formats import kernels

    borders = np.empty(8192, np.int64)
    count = find(borders)
    if count > len(borders):
        borders = np.empty(count, np.int64)
        find(borders)
    runs = borders[:count].copy() if count < len(borders) // 2 else borders[:count]
    kernels.lengths(runs)
    return runs


def _text(runs: Runs) -> bytes:
    """The text of start, length, … flat."""
    from podium.formats import kernels

    out = np.empty(20 * len(runs) + 1, np.uint8)
    return out[: kernels.write_text(runs, out)].tobytes()


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
