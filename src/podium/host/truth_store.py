"""Hidden masks as arrays that are mapped, not read: grading takes the few runs that a row is compared with."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from podium.files import MARKER, building, is_complete
from podium.formats.preflight import Values
from podium.host.solution import Solution

Longs = npt.NDArray[np.int64]

LONGEST = 2**31 - 1
"""Pixels of a mask, so that positions fit 32 bits."""


@dataclass(frozen=True, eq=False)
class MappedRuns(Sequence[Values]):
    """The runs of every sample, K masks each; a sequence as `Solution.truth` is.

    Attributes:
        runs: Start (from 0), end, int32 of shape (R, 2): of all masks, one after the other.
        offsets: Where the runs of each mask begin, int64 of shape (N K + 1,).
        areas: Pixels of each mask, int64 of shape (N K,).
        masks: K.
    """

    runs: npt.NDArray[np.int32]
    offsets: Longs
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
        runs = self.runs[self.offsets[n] : self.offsets[n + 1]].astype(np.int64)
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


def mapped(solution: Solution) -> Solution:
    """The same solution with its runs in arrays; as it is, if samples have different numbers of masks or are large."""
    masks = {len(values) for values in solution.truth}
    if len(masks) != 1 or not masks or 0 in masks or any(h * w > LONGEST for h, w in solution.shapes.values()):
        return solution
    flat = [np.asarray(runs, np.int64) for values in solution.truth for runs in values]
    offsets = np.cumsum([0, *(len(runs) for runs in flat)], dtype=np.int64)
    runs = np.empty((int(offsets[-1]), 2), np.int32)
    for n, one in enumerate(flat):
        part = runs[offsets[n] : offsets[n + 1]]
        part[:, 0], part[:, 1] = one[:, 0], one[:, 0] + one[:, 1]
    runs.setflags(write=False)  # as a mapped file's are
    areas = np.array([int(one[:, 1].sum()) for one in flat], np.int64)
    truth = MappedRuns(runs, offsets, areas, masks.pop())
    return Solution(solution.ids, solution.shapes, truth, solution.usage, solution.ignored)


def save_runs(solution: Solution, folder: Path, source: Path) -> None:
    """Write what `open_runs` reads; nothing, if the solution has no runs or not as many masks for each sample.

    Args:
        source: The file that it was read from.
    """
    if not solution.shapes:
        return
    found = mapped(solution)
    if not isinstance(found.truth, MappedRuns):
        return
    with building(folder, _stamp(source)) as draft:
        for name in ("runs", "offsets", "areas"):
            np.save(draft / f"{name}.npy", getattr(found.truth, name))
        np.save(draft / "ids.npy", np.array([*solution.ids, *solution.ignored]))
        np.save(
            draft / "shapes.npy", np.array([solution.shapes.get(i, (0, 0)) for i in (*solution.ids, *solution.ignored)])
        )
        np.save(draft / "public.npy", np.array([u == "Public" for u in solution.usage]))


def open_runs(folder: Path, source: Path) -> Solution | None:
    """A solution whose runs are mapped from the disk; None if there are none in ``folder``, or ``source`` is not what
    they were made from any more."""
    if not is_complete(folder) or (folder / MARKER).read_text() != _stamp(source):
        return None
    ids = np.load(folder / "ids.npy").tolist()
    public = np.load(folder / "public.npy")
    shapes = {i: (h, w) for i, (h, w) in zip(ids, np.load(folder / "shapes.npy").tolist(), strict=True) if h}
    offsets, areas = np.load(folder / "offsets.npy"), np.load(folder / "areas.npy")
    runs = np.load(folder / "runs.npy", mmap_mode="r")
    n = len(public)
    truth = MappedRuns(np.asarray(runs), offsets, areas, len(areas) // n)
    usage = tuple("Public" if p else "Private" for p in public.tolist())
    return Solution(tuple(ids[:n]), shapes, truth, usage, tuple(ids[n:]))


def _stamp(source: Path) -> str:
    with open(source, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
