"""Preflight: everything a board would refuse in a submission, found before it is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.errors import SubmissionError, nearest
from podium.formats.rle import RleError, Runs, parse
from podium.formats.submission import SubmissionFormat
from podium.formats.tables import TableError, records

Shapes = Mapping[str, tuple[int, int]]
Seen = Callable[[str, Runs], None]

_REMEDIES = {
    "not a number": "write runs as whole numbers, 'start length start length …'",
    "odd count": "write each run as a start and a length",
    "start": "count pixels from 1",
    "length": "leave out runs without pixels",
    "out of range": "encode at the original image size, in the order the board wants",
    "overlapping": "encode the mask again; runs may touch but not overlap",
    "unsorted": "sort the runs by their start",
}


@dataclass(frozen=True)
class Problem:
    """One thing a board would refuse.

    Attributes:
        kind: "unreadable", "column", "fields", "missing id", "extra id", "double id", or as `RleError.kind`.
        line: The line of the file, from 1; 0 for the file as a whole.
        column: The column it is about, if one.
        value: What is there: the id, the number, the name; for a missing one what is not.
        found: What is wrong, in words.
        remedy: What to do about it.
    """

    kind: str
    line: int
    column: str
    value: str
    found: str
    remedy: str

    def __str__(self) -> str:
        place = ", ".join(filter(None, [f"line {self.line}" if self.line else "", self.column]))
        return (f"{place}: " if place else "") + self.found + (f" ({self.remedy})" if self.remedy else "")


def check(path: Path, fmt: SubmissionFormat, expected_ids: Sequence[str], shapes: Shapes) -> None:
    """Refuse a submission that a board would refuse.

    Args:
        path: The CSV file, gzipped or not.
        fmt: What the board asks for.
        expected_ids: The ids of the samples that need a row.
        shapes: (height, width) of each sample.

    Raises:
        SubmissionError: with the first ten problems and how many there are of each kind.
    """
    refuse(path, inspect(path, fmt, expected_ids, shapes))


def refuse(path: Path, problems: Sequence[Problem]) -> None:
    """Raise the SubmissionError of `check` if there are any problems."""
    if not problems:
        return
    counts = ", ".join(f"{n} {kind}" for kind, n in Counter(p.kind for p in problems).most_common())
    lines = [f"a board would refuse this file: {len(problems)} problem{'s' * (len(problems) > 1)} ({counts})"]
    lines += [f"  {problem}" for problem in problems[:10]]
    if len(problems) > 10:
        lines.append(f"  … and {len(problems) - 10:,} more")
    raise SubmissionError("\n".join(lines), where=path)


def inspect(
    path: Path, fmt: SubmissionFormat, expected_ids: Sequence[str], shapes: Shapes, seen: Seen | None = None
) -> list[Problem]:
    """Every problem of a submission, in the order of the file; ids without a row last. One pass over the file.

    Args:
        path: The CSV file, gzipped or not.
        fmt: What the board asks for.
        expected_ids: The ids of the samples that need a row.
        shapes: (height, width) of each sample.
        seen: Called with the id and the runs of each sample that is in order.
    """
    scan = _Scan(fmt, expected_ids, shapes, seen)
    try:
        rows = records(path)
        line, names = next(rows)
        scan.header(line, names)
        if not scan.readable:
            return scan.problems
        for line, fields in rows:
            scan.row(line, fields)
    except TableError as error:  # what follows cannot be read, so nothing is said of missing ids
        scan.add("unreadable", error.line, "", "", error.found, error.remedy)
        return scan.problems
    scan.end()
    return scan.problems


class _Scan:
    """One pass over a submission, collecting its problems."""

    def __init__(self, fmt: SubmissionFormat, ids: Sequence[str], shapes: Shapes, seen: Seen | None) -> None:
        self.fmt, self.ids, self.shapes, self.seen = fmt, ids, shapes, seen
        self.expected = set(ids)
        self.lines: dict[str, int] = {}  # row id -> the line it is first on
        self.problems: list[Problem] = []
        self.columns: list[str] = []
        self.readable = True

    def add(self, kind: str, line: int, column: str, value: str, found: str, remedy: str) -> None:
        self.problems.append(Problem(kind, line, column, value, found, remedy))

    def header(self, line: int, names: list[str]) -> None:
        self.columns = names
        wanted = [self.fmt.id_column, self.fmt.value_column]
        for name in wanted:
            if name not in names:
                self.readable = False
                self.add("column", line, name, ",".join(names), f"there is no column '{name}'", nearest(name, names))
        for i, name in enumerate(names):
            if name in names[:i]:
                self.add("column", line, name, name, f"two columns are called '{name}'", "remove one")
            elif name not in wanted and self.readable:
                self.add("column", line, name, name, f"the column '{name}' is not asked for", "remove it")

    def row(self, line: int, fields: list[str]) -> None:
        if len(fields) != len(self.columns):
            found = f"the row has {len(fields)} fields and the header {len(self.columns)}" if fields else "a blank line"
            self.add("fields", line, "", ",".join(fields)[:80], found, "mend or remove that line")
            if not fields:
                return
        values = dict(zip(self.columns, fields, strict=False))
        row_id, value = values.get(self.fmt.id_column, ""), values.get(self.fmt.value_column)
        sample = self._sample(line, row_id)
        if value is None:  # a short row: said above
            return
        runs = self._runs(line, value, sample)
        if sample is not None and runs is not None and self.seen and self.lines[row_id] == line:
            self.seen(sample, runs)

    def _sample(self, line: int, row_id: str) -> str | None:
        first = self.lines.setdefault(row_id, line)
        if first != line:
            found = f"'{row_id}' is there already, on line {first}"
            self.add("double id", line, self.fmt.id_column, row_id, found, "remove one of the two rows")
        sample = self.fmt.sample_id(row_id)
        if sample in self.expected:
            return sample
        if first == line:
            spelt = row_id in self.expected
            remedy = f"spell it '{self.fmt.row_id(row_id)}'" if spelt else "remove the row"
            self.add("extra id", line, self.fmt.id_column, row_id, f"'{row_id}' is not asked for", remedy)
        return None

    def _runs(self, line: int, value: str, sample: str | None) -> Runs | None:
        shape = self.shapes.get(sample) if sample is not None else None
        try:
            return parse(value, shape[0] * shape[1] if shape else None)
        except RleError as error:
            found = f"{error.found}; expected {error.expected}"
            self.add(error.kind, line, self.fmt.value_column, error.value, found, _REMEDIES[error.kind])
            return None

    def end(self) -> None:
        for sample in self.ids:
            row_id = self.fmt.row_id(sample)
            if row_id not in self.lines:
                found, remedy = f"there is no row for '{row_id}'", "add it; an empty value is an empty mask"
                self.add("missing id", 0, self.fmt.id_column, row_id, found, remedy)
