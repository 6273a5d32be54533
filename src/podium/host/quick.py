"""Run-length submissions that are in order, counted in one pass over their bytes; others are left to be told about."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from podium.formats.submission import SubmissionFormat
from podium.host.solution import Solution
from podium.host.truth_store import MappedRuns, mapped

Longs = npt.NDArray[np.int64]

PIECE = 4 << 20
"""Bytes read at a time."""

PAD = 64
"""Bytes on either side of a piece that may be looked at, whatever is in them."""

LONGEST_LINE = 256 << 20
"""Bytes of one row; no mask has so many runs."""


def quick_counts(path: Path, solution: Solution, fmt: SubmissionFormat) -> Longs | None:
    """(pixels in both, predicted, true) of each mask, int64 (N, 3), or (N, K, 3) of K classes; None if there is
    anything in the file that needs a closer look: it may be wrong, or only unusual.

    Args:
        fmt: Of run-length masks, one row a sample or one a class.
    """
    if fmt.format != "rle" or (fmt.width > 1 and not fmt.row_a_class) or not solution.ids:
        return None
    truth = solution.truth if isinstance(solution.truth, MappedRuns) else mapped(solution).truth
    if not isinstance(truth, MappedRuns):
        return None
    return _Pass(solution, fmt, truth).run(path)


class _Pass:
    def __init__(self, solution: Solution, fmt: SubmissionFormat, truth: MappedRuns) -> None:
        self.fmt, self.truth = fmt, truth
        labels, samples = fmt.classes if fmt.row_a_class else ("",), (*solution.ids, *solution.ignored)
        spelt = [
            f"{fmt.row_id(sample, label)},{f'{label},' if fmt.class_column else ''}".encode()
            for sample, label in itertools.product(samples, labels)
        ]
        self.row_of = {text: n for n, text in enumerate(spelt)}
        self.commas = 2 if fmt.class_column else 1
        sides = np.array([solution.shapes.get(sample, (0, 0)) for sample in samples], np.int64).reshape(-1, 2)
        self.sizes = np.repeat(sides[:, 0] * sides[:, 1], truth.masks)
        self.counts = np.zeros((len(spelt), 2), np.int64)
        self.seen = np.zeros(len(spelt), bool)
        self.numbers = np.empty(0, np.int64)
        none = np.zeros(len(solution.ignored) * truth.masks, np.int64)  # no runs: in order they have to be all the same
        self.begins, self.ends = np.append(truth.begins, none), np.append(truth.ends, none)
        self.plain = len(self.row_of) == len(spelt) == len(self.begins) and bool(sides.all())

    def run(self, path: Path) -> Longs | None:
        """The counts, if every row is there once and in order."""
        if not self.plain:
            return None
        from isal import igzip, isal_zlib

        good = False
        damaged: tuple[type[Exception], ...] = (EOFError, OSError, isal_zlib.error)  # type: ignore[assignment]
        with contextlib.suppress(*damaged), open(path, "rb") as f:  # the closer look tells of it
            if f.peek(2)[:2] == b"\x1f\x8b":
                with igzip.open(f, "rb") as unzipped:  # type: ignore[no-untyped-call]
                    good = self._read(unzipped)
            else:
                good = self._read(f)
        if not good or not self.seen.all():
            return None
        n = len(self.truth.areas)
        table = np.column_stack([self.counts[:n], self.truth.areas])
        return table if self.truth.masks == 1 else table.reshape(n // self.truth.masks, self.truth.masks, 3)

    def _read(self, f: IO[bytes]) -> bool:
        head = ",".join(self.fmt.columns).encode()
        for n, (room, begin, end) in enumerate(_pieces(f)):
            start = begin
            if n == 0:
                start = room.find(b"\n", begin, end) + 1
                line = bytes(room[begin : start - 1])
                if not start or line.rstrip(b"\r").removeprefix(b"\xef\xbb\xbf") != head:
                    return False
            if not self._piece(room, start, end):
                return False
        return True

    def _piece(self, room: bytearray, at: int, stop: int) -> bool:
        """Count whole lines; False at the first that is not plain."""
        rows, starts, ends = [], [], []
        while at < stop:
            end = room.find(b"\n", at, stop)
            end = stop if end < 0 else end
            value = at
            for _ in range(self.commas):
                value = room.find(b",", value, end) + 1
                if not value:
                    return False
            row = self.row_of.get(bytes(room[at:value]))
            if row is None or self.seen[row]:
                return False
            self.seen[row] = True
            rows.append(row)
            starts.append(value)
            ends.append(end - (room[end - 1] == 13))  # of a line that ends with CR and LF
            at = end + 1
        return self._counted(room, rows, starts, ends)

    def _counted(self, room: bytearray, rows: list[int], starts: list[int], ends: list[int]) -> bool:
        from podium.host import run_kernels

        text, truth = np.frombuffer(room, np.uint8), self.truth
        begin, stop, row = (np.array(part, np.int64) for part in (starts, ends, rows))
        if len(self.numbers) <= len(room) // 2:
            self.numbers = np.empty(len(room) // 2 + 1, np.int64)
        bad = run_kernels.score_rows(
            text, begin, stop, row, self.begins, self.ends, truth.runs, self.sizes, self.numbers, self.counts
        )
        truth.let_go()
        return bad < 0


def _pieces(f: IO[bytes]) -> Iterator[tuple[bytearray, int, int]]:
    """The file in pieces of whole lines: a room that is used again, with space on either side, and from where to where
    in it the piece is."""
    room, begin, end = bytearray(PAD + PIECE + PAD), PAD, PAD
    while got := f.readinto(memoryview(room)[end : len(room) - PAD]):  # type: ignore[attr-defined]
        end += got
        whole = room.rfind(b"\n", begin, end) + 1
        if whole:
            yield room, begin, whole
            room[begin : begin + end - whole] = room[whole:end]
            end = begin + end - whole
        elif end == len(room) - PAD:
            if len(room) > LONGEST_LINE:
                break  # and be refused: it is no row
            larger = bytearray(2 * len(room))
            larger[begin:end] = room[begin:end]
            room = larger
    if end > begin:
        yield room, begin, end
