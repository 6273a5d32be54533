"""The hidden labels of a board, and which of them score in public."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from podium.errors import DataError, nearest
from podium.files import open_atomic
from podium.formats.preflight import Values
from podium.formats.rle import RleError, Runs, format_runs, parse
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import number_text, quoted
from podium.formats.tables import ragged, records

Shapes = Mapping[str, tuple[int, int]]

SIZES = ("height", "width")
"""Columns of the solution where targets are masks."""

_NO_RUNS: Runs = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class Solution:
    """The truth about the test samples.

    Attributes:
        ids: The samples that score.
        shapes: (height, width) of every sample, ignored ones too where known; empty where targets are values.
        truth: Of each of ``ids`` what a perfect submission has: the runs of its mask, of each class or of each object;
            or its numbers; or its names.
        usage: The part of the board that each of ``ids`` scores on, "Public" or "Private".
        ignored: Samples that a submission has rows for but that do not score.
    """

    ids: tuple[str, ...]
    shapes: Shapes
    truth: Sequence[Values]
    usage: tuple[str, ...]
    ignored: tuple[str, ...] = ()


def truth_format(fmt: SubmissionFormat, names: Sequence[str]) -> SubmissionFormat:
    """How the solution is written: as a submission, with the names that may be in it; of a zip of masks as run-length
    masks, a row a class.

    Args:
        names: The classes, in their order.
    """
    if fmt.format == "names" and not (fmt.choices or fmt.classes):
        return fmt.model_copy(update={"classes": tuple(names)})
    if fmt.format != "png":
        return fmt
    several = {"class_column": "class", "classes": tuple(names)} if len(names) > 1 else {}
    return SubmissionFormat(format="rle", id_column=fmt.id_column, id=fmt.id, **several)


def write_solution(
    path: Path,
    fmt: SubmissionFormat,
    *,
    ids: Sequence[str],
    shapes: Sequence[tuple[int, int]] = (),
    truth: Sequence[Values],
    usage: Sequence[str],
) -> None:
    """Write hidden labels as CSV, atomically: the submission's columns, then height and width of masks, and Usage.

    Args:
        path: The file; gets its name when all is written.
        fmt: The submission format, whose columns, ids and order it shares.
        ids: The samples.
        shapes: (height, width) of each, where targets are masks.
        truth: Of each what a perfect submission has; runs counted in the order of ``fmt``.
        usage: "Public", "Private" or "Ignored" for each.
    """
    sizes = SIZES if shapes else ()
    with open_atomic(path) as f:
        f.write((",".join(map(quoted, (*fmt.columns, *sizes, "Usage"))) + "\n").encode())
        for n, (sample, values, part) in enumerate(zip(ids, truth, usage, strict=True)):
            size = [str(side) for side in shapes[n]] if shapes else []
            for fields in _rows_of(sample, values, fmt):
                f.write((",".join(map(quoted, [*fields, *size, part])) + "\n").encode())


def _rows_of(sample: str, values: Values, fmt: SubmissionFormat) -> list[list[str]]:
    texts = [v if isinstance(v, str) else number_text(v) if np.ndim(v) == 0 else format_runs(v) for v in values]  # type: ignore[arg-type]
    if fmt.row_a_class:
        label = [[c] if fmt.class_column else [] for c in fmt.classes]
        return [[fmt.row_id(sample, c), *named, text] for c, named, text in zip(fmt.classes, label, texts, strict=True)]
    if fmt.format == "rle_objects":
        return [[fmt.row_id(sample), text] for text in texts or [""]]
    return [[fmt.row_id(sample), *texts]]


Keep = Callable[[Runs], Any]


def read_solution(
    path: Path, fmt: SubmissionFormat, shapes: Shapes | None = None, keep: Keep | None = None
) -> Solution:
    """Read hidden labels; rows whose Usage is "Ignored" do not score.

    Args:
        path: The CSV file, gzipped or not.
        fmt: The submission format, whose columns, ids and order it shares.
        shapes: (height, width) of each sample, for a file without these columns.
        keep: Of run-length masks: puts the runs of one somewhere, and what it returns stands for them in the solution.

    Raises:
        DataError: naming file and line, if a column is missing, an id is double or misspelt, a mask is no mask of
            its size, a value is none, Usage is something else, or one part of the board is empty.
    """
    rows = records(path)
    line, names = next(rows)
    masks = fmt.format.startswith("rle")
    sized = all(name in names for name in SIZES)
    wanted = [*fmt.columns, "Usage", *(SIZES if masks and shapes is None else ())]
    for name in wanted:
        if name not in names:
            raise DataError(
                f"no column is called '{name}'",
                where=f"{path} line {line}",
                expected=",".join(wanted),
                remedy="add it: Public, Private or Ignored for each row" if name == "Usage" else nearest(name, names),
            )
    reader = _Reader(path, fmt, {} if sized else dict(shapes or {}), keep)
    for line, fields in rows:
        if len(fields) != len(names):
            raise ragged(path, line, len(fields), len(names))
        reader.row(line, dict(zip(names, fields, strict=True)), masks and sized)
    return reader.solution()


class _Reader:
    def __init__(
        self, path: Path, fmt: SubmissionFormat, shapes: dict[str, tuple[int, int]], keep: Keep | None
    ) -> None:
        self.path, self.fmt, self.shapes, self.keep = path, fmt, shapes, keep or (lambda runs: runs)
        self.none = self.keep(_NO_RUNS)
        self.masks = fmt.format.startswith("rle")
        self.lines: dict[tuple[str, str], int] = {}
        self.found: dict[str, dict[str, Values]] = {}
        self.usage: dict[str, str] = {}

    def row(self, line: int, values: dict[str, str], sized: bool) -> None:
        where = f"{self.path} line {line}"
        row_id = values[self.fmt.id_column]
        split = self.fmt.split_id(row_id)
        if split is None:
            raise DataError(f"the id '{row_id}' is not spelled as {self.fmt.id}", where=where)
        sample, label = split[0], split[1] or values.get(self.fmt.class_column or "", "")
        if self.fmt.row_a_class and label not in self.fmt.classes:
            raise DataError(f"'{label}' is no class", where=where, remedy=nearest(label, self.fmt.classes))
        if self.fmt.format == "rle_objects":
            label = str(line)
        if self.lines.setdefault((sample, label), line) != line:
            raise DataError(f"'{row_id}' is there already, on line {self.lines[sample, label]}", where=where)
        usage = values["Usage"].strip().capitalize()
        if usage not in ("Public", "Private", "Ignored"):
            raise DataError(f"Usage is '{values['Usage']}'", where=where, expected="Public, Private or Ignored")
        if self.usage.setdefault(sample, usage) != usage:
            raise DataError(f"Usage of '{row_id}' is {usage}, and {self.usage[sample]} in a row above", where=where)
        if sized:
            self.shapes[sample] = _side(values, "height", where), _side(values, "width", where)
        if usage != "Ignored":
            texts = [values[name] for name in self.fmt.value_columns]
            self.found.setdefault(sample, {})[label] = self._values(sample, row_id, label, texts, where)

    def _values(self, sample: str, row_id: str, label: str, texts: list[str], where: str) -> Values:
        if self.masks and sample not in self.shapes:
            raise DataError(f"the size of '{row_id}' is not known", where=where, remedy="add columns height, width")
        if self.masks:
            height, width = self.shapes[sample]
            try:
                return tuple(self.keep(parse(text, height * width)) for text in texts)
            except RleError as error:
                raise DataError(error.found, where=f"{where}, '{row_id}'", expected=error.expected) from None
        if self.fmt.format == "names":
            for target, text in zip([label] if self.fmt.row_a_class else self.fmt.value_columns, texts, strict=True):
                self._require_known(text, target, where)
            return tuple(texts)
        try:
            values = tuple(float(text) for text in texts)
        except ValueError:
            raise DataError(f"{texts} are not all numbers", where=f"{where}, '{row_id}'") from None
        if not all(map(math.isfinite, values)):
            raise DataError(
                f"{texts} are not all finite",
                where=f"{where}, '{row_id}'",
                remedy="Usage Ignored, for a row without truth",
            )
        return values

    def _require_known(self, text: str, target: str, where: str) -> None:
        """A name, or several where a sample may have several or none."""
        known = self.fmt.known_names(target)
        if not known or text in known:
            return
        several = [t for t in self.fmt.names_in(text) if t] if self.fmt.separator else text.split()
        odd = next((t for t in several if t not in known), None)
        if self.fmt.choices or odd is not None or not (several or self.fmt.separator):
            told = text if self.fmt.choices or odd is None else odd
            of = f" of '{target}'" if self.fmt.choices else ""
            raise DataError(f"'{told}' is no class{of}", where=where, remedy=nearest(told, known))

    def solution(self) -> Solution:
        for part in ("Public", "Private"):
            if part not in self.usage.values():
                raise DataError(f"no row has the Usage {part}", where=self.path, expected="both parts of the board")
        return Solution(
            tuple(self.found),
            self.shapes,
            tuple(self._truth(sample, rows) for sample, rows in self.found.items()),
            tuple(self.usage[sample] for sample in self.found),
            tuple(sample for sample, usage in self.usage.items() if usage == "Ignored"),
        )

    def _truth(self, sample: str, rows: dict[str, Values]) -> Values:
        if self.fmt.format == "rle_objects":
            return tuple(runs for row in rows.values() for runs in row if len(runs))  # type: ignore[arg-type,return-value]
        if not self.fmt.row_a_class:
            return next(iter(rows.values()))
        missing = [c for c in self.fmt.classes if c not in rows]
        if missing and not self.masks:
            raise DataError(f"'{sample}' has no row for '{missing[0]}'", where=self.path)
        return tuple(rows[c][0] if c in rows else self.none for c in self.fmt.classes)  # type: ignore[return-value]


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
