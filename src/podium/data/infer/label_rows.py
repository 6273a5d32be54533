"""Tables with several rows a sample: a row a label; or boxes and counts, which are not read, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from podium.data.infer.spelling import MOST_CLASSES, combined_ids, in_order, is_number
from podium.data.layout import Layout
from podium.data.patterns import stem_of

_LABEL_WORDS = re.compile(r"class|label|tag|categor|diagnosis|disease|finding|attribute|target|species|type", re.I)
_BOXES = (
    {"xmin", "ymin"}, {"x_min", "y_min"}, {"x1", "y1", "x2"}, {"x", "y", "width"}, {"x", "y", "w"}, {"left", "top"},
    {"bbox"}, {"bbox_x"}, {"boxes"}, {"box"}, {"xcenter", "ycenter"}, {"x_center", "y_center"},
)  # fmt: skip
_FLAGS = {"0", "1", "0.0", "1.0", "true", "false"}


@dataclass(frozen=True)
class LabelRows:
    """A row for each label of a sample, or for each of its classes with 0 or 1.

    Attributes:
        target: The column of labels, or of 0 and 1.
        class_column: The column that names the class of a 0 or 1, or
        spelling: how ids name it.
        classes: The labels.
        ids: The samples.
    """

    id_column: str
    target: str
    classes: tuple[str, ...]
    ids: frozenset[str]
    why: str
    class_column: str | None = None
    spelling: str | None = None


def repeats(table: pl.DataFrame, ids: str) -> bool:
    """Whether a table has several rows of many ids: not the slip of a double row."""
    return len(table) - table[ids].n_unique() >= max(3, 0.05 * table[ids].n_unique())


def label_rows(
    table: pl.DataFrame, ids: str | None, known: Collection[str], wanted: Collection[str]
) -> LabelRows | None:
    """What a table with several rows a sample says, if each is of one label.

    Args:
        ids: The id column, where ids stand alone.
        known: The images' names.
        wanted: Columns that are known to hold targets.
    """
    if ids is None:
        return _joined(table, known)
    if is_boxes(table):
        return None
    others = [c for c in table.columns if c != ids]
    few = [c for c in others if 2 <= table[c].n_unique() <= min(MOST_CLASSES, len(table) // 2)]
    flags = [c for c in others if {v.lower() for v in table[c].to_list()} <= _FLAGS]
    named = [c for c in few if c not in flags and (c in wanted or _LABEL_WORDS.search(c))]
    plain = [c for c in few if c not in flags and not all(is_number(v) for v in table[c].to_list() if v)]
    stems = frozenset(stem_of(v) for v in table[ids].to_list())
    for column in dict.fromkeys([*named, *plain]):
        if table.select(ids, column).n_unique() < len(table):
            continue
        classes = tuple(in_order(set(table[column].to_list()) - {""}))
        whole = len(table) == len(classes) * table[ids].n_unique()  # each sample has each of them: no label tells
        if len(flags) == 1 and table[flags[0]].n_unique() == 2:
            why = f"a row for each sample and '{column}'"
            return LabelRows(ids, flags[0], classes, stems, why, class_column=column)
        if whole:
            continue
        also = [c for c in others if c != column]
        why = "several rows a sample, one a label" + (f"; also there: {', '.join(also)}" if also else "")
        return LabelRows(ids, column, classes, stems, why)
    return None


def _joined(table: pl.DataFrame, known: Collection[str]) -> LabelRows | None:
    """Ids that name a class, beside 0 and 1: a_cat,1."""
    for column in table.columns:
        flags = [c for c in table.columns if c != column and {v.lower() for v in table[c].to_list()} <= _FLAGS]
        found = combined_ids(table[column].to_list(), known) if len(flags) == 1 else None
        if found is not None:
            ids = frozenset(p[0] for p in found.parts if p)
            why = f"'{column}' names a sample and a class, as {found.spelling}"
            return LabelRows(column, flags[0], found.classes, ids, why, spelling=found.spelling)
    return None


def is_boxes(table: pl.DataFrame) -> bool:
    """Whether the columns are those of boxes."""
    names = {c.strip().lower() for c in table.columns}
    return any(words <= names for words in _BOXES)


def not_read(layout: Layout, stems: Collection[str]) -> str:
    """One sentence about a table with several rows a sample that nothing was made of; "" if there is none."""
    for path, table in layout.tables.items():
        for ids in table.columns:
            values = [stem_of(v) for v in table[ids].to_list() if v]
            if sum(v in stems for v in values[:300]) * 2 <= len(values[:300]) or not repeats(table, ids):
                continue
            columns = ", ".join(c for c in table.columns if c != ids)
            most = max(Counter(values).values())
            if is_boxes(table):
                return f"{path} has boxes of objects ({columns}), and podium does not find boxes"
            return f"{path} has up to {most} rows a sample ({columns}), and no column that tells a label in each"
    return ""
