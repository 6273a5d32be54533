"""Sample submissions of values: a row a test image, or a row for each test image and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from podium.data.infer.rle_tables import SAMPLE, id_column
from podium.data.infer.spelling import Combined, combined_ids, in_order
from podium.data.infer.splits import INDEX
from podium.data.layout import Layout


@dataclass(frozen=True)
class ValueTable:
    """A sample submission of values: a row a test image, or a row for each test image and class.

    Attributes:
        rows: The ids in it, each with its first value.
        spelling: How it writes an id.
        class_column: The column that names the class of a row, or
        combined: how ids name it.
        classes: As the file spells them, where each has a row.
    """

    path: str
    id_column: str
    value_columns: list[str]
    rows: dict[str, str]
    spelling: str
    class_column: str | None = None
    combined: Combined | None = None
    classes: tuple[str, ...] = ()


def value_sample(layout: Layout, views: Sequence[str] = ()) -> ValueTable | None:
    """The sample submission with a value or several for each test image; None if there is none.

    Args:
        views: What image names end with, where a sample has several.
    """
    stems = {stem for f in layout.folders for stem in f.files}
    stems |= {stem.rpartition("_")[0] for stem in stems if stem.rpartition("_")[2] in views}
    for path, table in layout.tables.items():
        if not SAMPLE.search(path) or table.is_empty():
            continue
        found = id_column(table, stems)
        sample = _sample_rows(path, table, *found) if found else _sample_of_combined(path, table, stems)
        if sample is not None:
            return sample
    return None


def _sample_rows(path: str, table: pl.DataFrame, column: str, spelling: str) -> ValueTable | None:
    before, after = spelling.split("{id}")
    ids = [v[len(before) : len(v) - len(after)] for v in table[column].to_list()]
    values = [c for c in table.columns if c != column and not INDEX.fullmatch(c)] or table.columns[1:]
    if not values or values == [column]:
        return None
    rows = dict(zip(reversed(ids), reversed(table[values[0]].to_list()), strict=True))
    rows = {id: rows[id] for id in ids}
    if len(rows) == len(ids):
        return ValueTable(path, column, values, rows, spelling)
    for name in values:  # a row for each id and class
        classes, others = set(table[name].to_list()), [c for c in values if c != name]
        if len(others) == 1 and len(classes) * len(rows) == len(ids) == table.select(column, name).n_unique():
            return ValueTable(path, column, others, rows, spelling, name, classes=tuple(in_order(classes)))
    return None


def _sample_of_combined(path: str, table: pl.DataFrame, stems: set[str]) -> ValueTable | None:
    for column in table.columns:
        found = combined_ids(table[column].to_list(), stems) if len(table.columns) == 2 else None
        if found is not None:
            rows = {part[0]: "" for part in found.parts if part}
            values = [c for c in table.columns if c != column]
            return ValueTable(path, column, values, rows, "{id}", combined=found, classes=found.classes)
    return None
