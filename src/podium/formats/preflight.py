"""Preflight: everything a board would refuse in a submission, found before it is sent."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podium.errors import SubmissionError, nearest
from podium.formats import remedies
from podium.formats.rle import RleError, Runs, parse
from podium.formats.submission import SubmissionFormat
from podium.formats.tables import TableError, records

Shapes = Mapping[str, tuple[int, int]]
Values = tuple[Runs, ...] | tuple[float, ...] | tuple[str, ...]
"""What a sample has: the runs of its mask, of each class or of each object; or its numbers; or its names."""
Seen = Callable[[str, Values], None]

_NO_RUNS: Runs = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class Problem:
    """One thing a board would refuse.

    Attributes:
        kind: "unreadable", "column", "fields", "missing id", "extra id", "double id", "class", "name", "not a number",
            "not a probability", "objects overlap", or as `RleError.kind`.
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
        place = ", ".join(filter(None, [f"line {self.line}" if self.line else "", brief(self.column)]))
        return (f"{place}: " if place else "") + brief(self.found) + (f" ({brief(self.remedy)})" if self.remedy else "")


def brief(text: str, most: int = 400) -> str:
    """A text without its middle if it is long: a file may have one field of a gigabyte, and problems quote fields."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


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
        seen: Called with the id and the values of each sample that is in order, as many as the format has.
    """
    scan = _Scan(fmt, expected_ids, shapes, seen)
    odd = _other_kind(path)
    if odd:
        scan.add("unreadable", 0, "", odd[0], f"it is {odd[0]}, not CSV", odd[1])
        return scan.problems
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


def _other_kind(path: Path) -> tuple[str, str] | None:
    try:
        with open(path, "rb") as f:
            return remedies.other_kind(f.read(16))
    except OSError:
        return None  # said by what reads it


class _Scan:
    """One pass over a submission, collecting its problems."""

    def __init__(self, fmt: SubmissionFormat, ids: Sequence[str], shapes: Shapes, seen: Seen | None) -> None:
        self.fmt, self.ids, self.shapes, self.seen = fmt, ids, shapes, seen
        self.expected = set(ids)
        self.several = fmt.row_a_class or fmt.format == "rle_objects"  # rows of a sample
        self.lines: dict[tuple[str, str], int] = {}  # (row id, class) -> the line it is first on
        self.found: dict[str, dict[str, Runs | float | str]] = defaultdict(dict)  # of samples with several rows
        self.bad: set[str] = set()
        self.problems: list[Problem] = []
        self.columns: list[str] = []
        self.of_id, self.of_class, self.last = 0, -1, 0  # places of the columns
        self.of_values: list[tuple[int, str]] = []
        self.objects, self.runs = fmt.format == "rle_objects", fmt.format.startswith("rle")
        self.readable = True
        self.spelling: remedies.Spelling | None = None

    def add(self, kind: str, line: int, column: str, value: str, found: str, remedy: str) -> None:
        self.problems.append(Problem(kind, line, column, value, found, remedy))

    def header(self, line: int, names: list[str]) -> None:
        self.columns = names
        for name in self.fmt.columns:
            if name not in names:
                self.readable = False
                found, remedy = f"there is no column '{name}'", remedies.of_column(name, names, self.fmt.columns)
                self.add("column", line, name, ",".join(names), found, remedy)
        if self.readable:
            self.of_id = names.index(self.fmt.id_column)
            self.of_class = names.index(self.fmt.class_column) if self.fmt.class_column else -1
            self.of_values = [(names.index(name), name) for name in self.fmt.value_columns]
            self.last = max(i for i, _ in self.of_values)
        for i, name in enumerate(names):
            if name in names[:i]:
                self.add("column", line, name, name, f"two columns are called '{name}'", "remove one")
            elif name not in self.fmt.columns and self.readable:
                found = f"the column '{name}' is not asked for"
                self.add("column", line, name, name, found, remedies.of_extra_column(name))

    def row(self, line: int, fields: list[str]) -> None:
        if len(fields) != len(self.columns):
            found = f"the row has {len(fields)} fields and the header {len(self.columns)}" if fields else "a blank line"
            more = len(fields) > len(self.columns)
            remedy = (
                "put a value with a comma in quotes" if more else "mend that line" if fields else "remove that line"
            )
            self.add("fields", line, "", ",".join(fields)[:80], found, remedy)
            if not fields:
                return
            fields = fields + [""] * (self.of_id + 1 - len(fields))
        label = fields[self.of_class] if 0 <= self.of_class < len(fields) else ""
        sample, label = self._sample(line, fields[self.of_id], label)
        if self.last >= len(fields):  # a short row: said above
            self._drop(sample)
            return
        read = [self._value(line, fields[i], name, sample, label) for i, name in self.of_values]
        if sample is None or any(value is None for value in read):
            self._drop(sample)
        elif self.several:
            of = self.found[sample]
            of[label or str(len(of))] = read[0]  # type: ignore[assignment]
        elif self.seen:
            self.seen(sample, tuple(read))  # type: ignore[arg-type]

    def _drop(self, sample: str | None) -> None:
        if sample is not None:
            self.bad.add(sample)

    def _sample(self, line: int, row_id: str, label: str) -> tuple[str | None, str]:
        """The sample and the class that a row is about; None if that is not asked for, or was there before."""
        first = self.lines.setdefault((row_id, label), line)
        sample, named = self.fmt.split_id(row_id) or (None, "")
        if first != line and not self.objects:
            what = f"'{row_id}'" + (f" with '{label}'" if label else "")
            self.add(
                "double id", line, self.fmt.id_column, row_id, f"{what} is there already, on line {first}",
                "remove one of the two rows",
            )  # fmt: skip
            return None, ""
        if sample not in self.expected:
            if first == line:
                remedy = self._instead(row_id)
                self.add("extra id", line, self.fmt.id_column, row_id, f"'{row_id}' is not asked for", remedy)
            return None, ""
        if self.fmt.class_column and label not in self.fmt.classes:
            found, remedy = f"'{label}' is no class", nearest(label, self.fmt.classes)
            self.add("class", line, self.fmt.class_column, label, found, remedy)
            return None, ""
        return sample, named or label

    def _instead(self, row_id: str) -> str:
        """What to do about an id that is not asked for."""
        if row_id == self.fmt.id_column:
            return "remove the line: it is a header once more, as when two files are joined"
        labels = self.fmt.classes if "{class}" in self.fmt.id else ("",)
        self.spelling = self.spelling or remedies.Spelling([self.fmt.row_id(i, c) for i in self.ids for c in labels])
        meant = self.spelling.meant(row_id) or (self.fmt.row_id(row_id) if row_id in self.expected else None)
        return "remove the row" if meant is None else f"spell it '{meant}'"

    def _value(self, line: int, text: str, column: str, sample: str | None, label: str) -> Runs | float | str | None:
        """A field as the format has it; None, and a problem, if it is not like that."""
        if self.runs:
            return self._runs(line, text, column, sample)
        if self.fmt.format == "names":
            return self._names(line, text, column, label)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.add("not a number", line, column, text, f"'{text}' is not a number", remedies.of_number(text))
            return None
        if self.fmt.format == "probs" and not 0 <= value <= 1:
            found = f"{text} is not a probability"
            self.add("not a probability", line, column, text, found, remedies.of_probability(value))
            return None
        return value

    def _names(self, line: int, text: str, column: str, label: str) -> str | None:
        if self.fmt.row_a_class and not label:  # a row that nobody asked for
            return text
        known, given = self.fmt.known_names(label or column), self.fmt.names_in(text)
        if len(given) > self.fmt.guesses > 1 or (self.fmt.guesses > 1 and not given):
            found, remedy = f"{len(given)} guesses", f"write 1 to {self.fmt.guesses}, the likeliest first"
            self.add("name", line, column, text, found, remedy)
            return None
        odd = next((t for t in given if known and t not in known and (t or not self.fmt.separator)), None)
        if odd is None:
            return text
        self.add("name", line, column, odd, f"'{odd}' is no class", nearest(odd, known) or "write one of the classes")
        return None

    def _runs(self, line: int, value: str, column: str, sample: str | None) -> Runs | None:
        shape = self.shapes.get(sample) if sample is not None else None
        if self.fmt.empty and value.strip() == self.fmt.empty:
            value = ""
        try:
            return parse(value, shape[0] * shape[1] if shape else None)
        except RleError as error:
            found = f"{error.found}; expected {error.expected}"
            self.add(error.kind, line, column, error.value, found, remedies.of_runs(error.kind, value))
            return None

    def end(self) -> None:
        rows_of = self.fmt.classes if "{class}" in self.fmt.id else ("",)
        there = {row_id for row_id, _ in self.lines}
        for sample in self.ids:
            for label in rows_of:
                row_id = self.fmt.row_id(sample, label)
                if row_id not in there:
                    self._drop(sample)
                    found, remedy = f"there is no row for '{row_id}'", "add it" + self._empty()
                    self.add("missing id", 0, self.fmt.id_column, row_id, found, remedy)
        if self.fmt.format == "rle_objects":
            self._apart()
        elif self.fmt.class_column:
            self._complete()
        if self.seen and self.several:
            for sample, of in self.found.items():
                if sample not in self.bad:
                    self.seen(sample, self._values(of))

    def _empty(self) -> str:
        return "; an empty value is an empty mask" if self.fmt.format.startswith("rle") else ""

    def _complete(self) -> None:
        """A class without a row is an empty mask where the class has a column; a probability has no such default."""
        if self.fmt.format == "rle":
            return
        for sample, of in self.found.items():
            for label in self.fmt.classes:
                if label not in of and sample not in self.bad:
                    row_id = self.fmt.row_id(sample)
                    self.bad.add(sample)
                    found = f"there is no row for '{row_id}' with '{label}'"
                    self.add("missing id", 0, self.fmt.id_column, row_id, found, "add it")

    def _apart(self) -> None:
        """Objects of one sample may touch but not overlap."""
        for sample, of in self.found.items():
            runs = np.concatenate([np.asarray(r) for r in of.values()])
            runs = runs[np.argsort(runs[:, 0], kind="stable")]
            if (runs[1:, 0] < runs[:-1].sum(axis=1)).any():
                row_id = self.fmt.row_id(sample)
                self.bad.add(sample)
                self.add(
                    "objects overlap", self.lines[row_id, ""], self.fmt.id_column, row_id,
                    f"objects of '{row_id}' have pixels in common", "give each pixel to one object",
                )  # fmt: skip

    def _values(self, of: dict[str, Runs | float | str]) -> Values:
        if self.fmt.row_a_class:
            return tuple(of.get(label, _NO_RUNS) for label in self.fmt.classes)  # type: ignore[return-value]
        objects = [r for r in of.values() if len(np.asarray(r))]
        return tuple(objects)  # type: ignore[return-value]
