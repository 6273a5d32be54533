"""Hidden masks as arrays that are mapped, not read: grading takes the few runs that a row is compared with."""

from __future__ import annotations

import hashlib
import io
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, overload

import numpy as np
import numpy.typing as npt

from podium.files import MARKER, building, is_complete
from podium.formats.preflight import Values
from podium.formats.submission import SubmissionFormat
from podium.host.solution import Solution, read_solution

Longs = npt.NDArray[np.int64]

RUNS = "runs.bin"

LONGEST = 2**31 - 1
"""Pixels of a mask, so that positions fit 32 bits."""


@dataclass(frozen=True, eq=False)
class MappedRuns(Sequence[Values]):
    """The runs of every sample, K masks each; a sequence as `Solution.truth` is.

    Attributes:
        runs: Start (from 0), end, int32 of shape (R, 2): of all masks.
        begins, ends: Where the runs of each mask begin and end in ``runs``, int64 of shape (N K,).
        areas: Pixels of each mask, int64 of shape (N K,).
        masks: K.
    """

    runs: npt.NDArray[np.int32]
    begins: Longs
    ends: Longs
    areas: Longs
    masks: int

    @overload
    def __getitem__(self, n: int) -> Values: ...
    @overload
    def __getitem__(self, n: slice) -> Sequence[Values]: ...
    def __getitem__(self, n: int | slice) -> Values | Sequence[Values]:
        """The runs of a sample: start and length, int64, an array a mask."""
        if isinstance(n, slice):
            return [self[i] for i in range(*n.indices(len(self)))]
        if not -len(self) <= n < len(self):
            raise IndexError(n)
        first = n % len(self) * self.masks
        return tuple(self._mask(first + k) for k in range(self.masks))

    def _mask(self, n: int) -> Longs:
        runs = self.runs[self.begins[n] : self.ends[n]].astype(np.int64)
        runs[:, 1] -= runs[:, 0]
        return runs

    def __len__(self) -> int:
        return len(self.areas) // self.masks

    def __iter__(self) -> Iterator[Values]:
        return (self[n] for n in range(len(self)))

    def let_go(self) -> None:
        """Give back the memory of what was read of the mapped file; it is read again when it is needed."""
        source: object = self.runs
        while source is not None and not isinstance(source, mmap.mmap):
            source = getattr(source, "base", None)
        if source is not None:
            source.madvise(mmap.MADV_DONTNEED)


class TooLarge(Exception):
    """A mask whose positions do not fit 32 bits."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A mask whose runs were put away."""

    begin: int
    end: int
    area: int


class Shelf:
    """Puts runs away as they come: start (from 0) and end, int32, one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.count = file, 0

    def keep(self, runs: Longs) -> Kept:
        """The next mask.

        Raises:
            TooLarge: if its positions do not fit.
        """
        if len(runs) and runs[-1].sum() > LONGEST:
            raise TooLarge
        self.file.write(_as_spans(runs).tobytes())
        begin, self.count = self.count, self.count + len(runs)
        return Kept(begin, self.count, int(runs[:, 1].sum()))


def _as_spans(runs: Longs) -> npt.NDArray[np.int32]:
    spans = runs.astype(np.int32)
    spans[:, 1] += spans[:, 0]
    return spans


def mapped(solution: Solution) -> Solution:
    """The same solution with its runs in arrays; as it is, if it has none, or too large ones, or samples have different
    numbers of masks."""
    if isinstance(solution.truth, MappedRuns) or not solution.shapes:
        return solution
    shelf = Shelf(io.BytesIO())
    try:
        truth = [tuple(shelf.keep(np.asarray(runs, np.int64)) for runs in values) for values in solution.truth]
    except TooLarge:
        return solution
    if len({len(values) for values in truth}) != 1 or not truth[0]:
        return solution
    assert isinstance(shelf.file, io.BytesIO)
    runs = np.frombuffer(shelf.file.getbuffer(), np.int32).reshape(-1, 2)
    runs.setflags(write=False)  # as a mapped file's are
    return _with_runs(solution, truth, runs)


def put_on_disk(source: Path, fmt: SubmissionFormat, folder: Path) -> Solution:
    """Read hidden labels, as `read_solution` does; run-length masks are put into ``folder`` while they are read, for
    `open_runs`, and stay there. Labels of other kinds, and larger masks, are in memory.

    Args:
        source: The file that they are in, or one that will be copied.
    """
    if fmt.format != "rle":
        return read_solution(source, fmt)
    try:
        with building(folder, _stamp(source)) as draft:
            with open(draft / RUNS, "wb") as f:
                found = read_solution(source, fmt, keep=Shelf(f).keep)
            runs = _open(draft / RUNS)
            solution = _with_runs(found, found.truth, runs)  # type: ignore[arg-type]
            _save(solution, draft)
        return solution
    except TooLarge:
        return read_solution(source, fmt)


def _with_runs(solution: Solution, truth: Sequence[Sequence[Kept]], runs: npt.NDArray[np.int32]) -> Solution:
    flat = [one for values in truth for one in values]
    begins, ends, areas = (np.array([getattr(k, n) for k in flat], np.int64) for n in ("begin", "end", "area"))
    return replace(solution, truth=MappedRuns(runs, begins, ends, areas, len(truth[0])))


def _save(solution: Solution, folder: Path) -> None:
    truth, ids = solution.truth, [*solution.ids, *solution.ignored]
    assert isinstance(truth, MappedRuns)
    np.save(folder / "masks.npy", np.column_stack([truth.begins, truth.ends, truth.areas]))
    np.save(folder / "ids.npy", np.array(ids))
    np.save(folder / "shapes.npy", np.array([solution.shapes.get(i, (0, 0)) for i in ids]))
    np.save(folder / "public.npy", np.array([u == "Public" for u in solution.usage]))


def open_runs(folder: Path, source: Path) -> Solution | None:
    """A solution whose runs are mapped from the disk; None if there are none in ``folder``, or ``source`` is not what
    they were made from any more."""
    if not is_complete(folder) or (folder / MARKER).read_text() != _stamp(source) or not (folder / RUNS).exists():
        return None
    ids = np.load(folder / "ids.npy").tolist()
    public = np.load(folder / "public.npy")
    shapes = {i: (h, w) for i, (h, w) in zip(ids, np.load(folder / "shapes.npy").tolist(), strict=True) if h}
    begins, ends, areas = (np.ascontiguousarray(c) for c in np.load(folder / "masks.npy").T)
    n = len(public)
    truth = MappedRuns(_open(folder / RUNS), begins, ends, areas, len(areas) // n)
    usage = tuple("Public" if p else "Private" for p in public.tolist())
    return Solution(tuple(ids[:n]), shapes, truth, usage, tuple(ids[n:]))


def _open(path: Path) -> npt.NDArray[np.int32]:
    """Runs mapped from a file; an empty one cannot be."""
    if not path.stat().st_size:
        runs = np.empty((0, 2), np.int32)
        runs.setflags(write=False)
        return runs
    return np.asarray(np.memmap(path, np.int32, "r")).reshape(-1, 2)


def _stamp(source: Path) -> str:
    with open(source, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
