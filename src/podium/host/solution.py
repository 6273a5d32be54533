"""The hidden labels of a board, and which of them score in public."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podium.errors import DataError, nearest
from podium.files import open_atomic
from podium.formats.rle import Order, RleError, Runs, format_runs, parse
from podium.formats.submission import SubmissionFormat, quoted
from podium.formats.tables import ragged, records

Shapes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Solution:
    """The true masks of the test samples.

    Attributes:
        ids: The samples that score.
        shapes: (height, width) of every sample, ignored ones too where known.
        runs: The true mask of each of ``ids``.
        usage: The part of the board that each of ``ids`` scores on, "Public" or "Private".
        order: How the runs count pixels.
        ignored: Samples that a submission has rows for but that do not score.
    """

    ids: tuple[str, ...]
    shapes: Shapes
    runs: tuple[Runs, ...]
    usage: tuple[str, ...]
    order: Order = "row"
    ignored: tuple[str, ...] = ()


def write_solution(
    path: Path,
    fmt: SubmissionFormat,
    *,
    ids: Sequence[str],
    shapes: Sequence[tuple[int, int]],
    runs: Sequence[Runs],
    usage: Sequence[str],
) -> None:
    """Write hidden labels as CSV, atomically: the submission's two columns, then height, width and Usage.

    Args:
        path: The file; gets its name when all is written.
        fmt: The submission format, whose columns, ids and order it shares.
        ids: The samples.
        shapes: (height, width) of each.
        runs: The true mask of each, counted in the order of ``fmt``.
        usage: "Public", "Private" or "Ignored" for each.
    """
    with open_atomic(path) as f:
        f.write(f"{quoted(fmt.id_column)},{quoted(fmt.value_column)},height,width,Usage\n".encode())
        for sample, (height, width), true, part in zip(ids, shapes, runs, usage, strict=True):
            f.write(f"{quoted(fmt.row_id(sample))},{format_runs(true)},{height},{width},{part}\n".encode())


def read_solution(path: Path, fmt: SubmissionFormat, shapes: Shapes | None = None) -> Solution:
    """Read hidden labels; rows whose Usage is "Ignored" do not score.

    Args:
        path: The CSV file, gzipped or not.
        fmt: The submission format, whose columns, ids and order it shares.
        shapes: (height, width) of each sample, for a file without these columns.

    Raises:
        DataError: naming file and line, if a column is missing, an id is double or misspelt, a mask is no mask of
            its size, Usage is something else, or one part of the board is empty.
    """
    rows = records(path)
    line, names = next(rows)
    sized = "height" in names and "width" in names
    wanted = [fmt.id_column, fmt.value_column, "Usage"] + ([] if shapes is not None else ["height", "width"])
    for name in wanted:
        if name not in names:
            raise DataError(
                f"no column is called '{name}'",
                where=f"{path} line {line}",
                expected=",".join(wanted),
                remedy="add it: Public, Private or Ignored for each row" if name == "Usage" else nearest(name, names),
            )
    reader = _Reader(path, fmt, {} if sized else dict(shapes or {}))
    for line, fields in rows:
        if len(fields) != len(names):
            raise ragged(path, line, len(fields), len(names))
        reader.row(line, dict(zip(names, fields, strict=True)), sized)
    return reader.solution()


class _Reader:
    def __init__(self, path: Path, fmt: SubmissionFormat, shapes: dict[str, tuple[int, int]]) -> None:
        self.path, self.fmt, self.shapes = path, fmt, shapes
        self.lines: dict[str, int] = {}
        self.ids: list[str] = []
        self.runs: list[Runs] = []
        self.usage: list[str] = []
        self.ignored: list[str] = []

    def row(self, line: int, values: dict[str, str], sized: bool) -> None:
        where = f"{self.path} line {line}"
        row_id = values[self.fmt.id_column]
        sample = self.fmt.sample_id(row_id)
        if sample is None:
            raise DataError(f"the id '{row_id}' is not spelled as {self.fmt.id}", where=where)
        if self.lines.setdefault(sample, line) != line:
            raise DataError(f"'{row_id}' is there already, on line {self.lines[sample]}", where=where)
        usage = values["Usage"].strip().capitalize()
        if usage not in ("Public", "Private", "Ignored"):
            raise DataError(f"Usage is '{values['Usage']}'", where=where, expected="Public, Private or Ignored")
        if sized:
            self.shapes[sample] = _side(values, "height", where), _side(values, "width", where)
        if usage == "Ignored":
            self.ignored.append(sample)
            return
        if sample not in self.shapes:
            raise DataError(f"the size of '{row_id}' is not known", where=where, remedy="add columns height, width")
        height, width = self.shapes[sample]
        try:
            self.runs.append(parse(values[self.fmt.value_column], height * width))
        except RleError as error:
            raise DataError(error.found, where=f"{where}, '{row_id}'", expected=error.expected) from None
        self.ids.append(sample)
        self.usage.append(usage)

    def solution(self) -> Solution:
        for part in ("Public", "Private"):
            if part not in self.usage:
                raise DataError(f"no row has the Usage {part}", where=self.path, expected="both parts of the board")
        return Solution(
            tuple(self.ids), self.shapes, tuple(self.runs), tuple(self.usage), self.fmt.order, tuple(self.ignored)
        )


def _side(values: dict[str, str], name: str, where: str) -> int:
    text = values[name].strip()
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise DataError(f"{name} is '{text}'", where=where, expected="a whole number of pixels")
    return int(text)


def split_public(ids: Sequence[str], groups: Sequence[str], share: float, seed: int = 0) -> list[str]:
    """Which part of the board each sample scores on; groups stay whole, and each part gets at least one.

    The same ids, groups and seed give the same parts, in whatever order the rows come.

    Args:
        ids: The samples.
        groups: The group of each.
        share: The share of the samples wanted in the public part, in (0, 1); met as nearly as whole groups allow.
        seed: Another seed, another split.

    Raises:
        DataError: if there are fewer than two groups.
    """
    sizes = Counter(dict(zip(ids, groups, strict=True)).values())
    if len(sizes) < 2:
        raise DataError(
            f"{len(sizes)} group{'s' * (len(sizes) != 1)} cannot be split into a public and a private part",
            expected="at least two groups",
            remedy="hold out more groups",
        )
    drawn = sorted(sizes, key=lambda g: hashlib.sha256(f"{seed}:{g}".encode()).digest())
    totals = np.cumsum([sizes[g] for g in drawn[:-1]])
    n = int(np.abs(totals - share * len(ids)).argmin()) + 1
    public = set(drawn[:n])
    return ["Public" if g in public else "Private" for g in groups]
