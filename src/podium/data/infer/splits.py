"""Official splits that tables tell: a column split or partition, is_valid, or val.csv beside train.csv."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePath

import polars as pl

from podium.data.infer.draft import Draft
from podium.data.infer.rle_tables import SAMPLE, id_column
from podium.data.layout import Layout, split_of
from podium.data.patterns import stem_of
from podium.data.splits import split_words

INDEX = re.compile(r"(|unnamed.*|index|idx|column \d+|row_?(id|no|nr|number)?)", re.IGNORECASE)
"""Columns that number the rows of a table."""
SPLIT = re.compile(
    r"((data_?)?(split|set|subset|partition|phase|stage|usage)|(train_?)?(test|val)_?split|is_?(train|val|test)\w*)"
    r"(_?(name|type|\d))?|(k_?)?folds?(_?\d)?",
    re.IGNORECASE,
)
"""Columns that say who trained on what, or validated with it."""


_PERHAPS = re.compile(r"phase|stage|is_?(train|val|test)\w*|(train_?)?(test|val)_?split", re.IGNORECASE)
"""Columns that split rows only if their values say so: the phase of a cell is a target."""


def is_bookkeeping(column: str, values: Sequence[str]) -> bool:
    """Whether a column numbers rows or splits them, so that it is neither a target nor an input."""
    if _PERHAPS.fullmatch(column):
        return bool(split_words(column, values))
    return bool(INDEX.fullmatch(column) or SPLIT.fullmatch(column))


def infer_splits(draft: Draft, layout: Layout, ids: Collection[str]) -> None:
    """The column of a table that tells training, validation and test images, if nothing else tells it.

    Args:
        ids: All ids that have a target.
    """
    data, known = draft.tree["data"], set(ids)
    first = data.get("train_csv")
    if any(data.get(key) for key in ("val_images", "val_list", "train_list", "views")) or not known:
        return
    for path in sorted(layout.tables, key=lambda p: (p != first, bool(SAMPLE.search(p)))):
        column = data["id_column"] if path == first else _ids_of(layout.tables[path], known)
        found = column and _split_column(layout.tables[path], column, known)
        if not found or not column:
            continue
        name, parts = found
        n = Counter(parts.values())
        told = ", ".join(f"{n[part]} {part}" for part in ("train", "val", "test") if n[part])
        draft.put("data.split_csv", path, f"its column '{name}' says {told}")
        draft.put("data.split_id_column", column, "its values are the image names")
        notes = ['folds.strategy = "official" validates on those of val'] if n["val"] else []
        notes += ["those of test are not trained on"] if n["test"] else []
        draft.put("data.split_column", name, f"official parts: {'; '.join(notes)}")
        if n["test"] and not data.get("test_images"):
            draft.put("data.test_images", data["train_images"], f"the {n['test']} that '{name}' calls test")
        return


def _ids_of(table: pl.DataFrame, known: set[str]) -> str | None:
    found = id_column(table, known)
    return found[0] if found else None


def _split_column(table: pl.DataFrame, ids: str, known: set[str]) -> tuple[str, dict[str, str]] | None:
    """The column of a table with a row for nine of ten ids that says their parts, and {id: part}."""
    stems = [stem_of(PurePath(v).name) for v in table[ids].to_list()]
    rows = pl.Series([stem in known for stem in stems], dtype=pl.Boolean)
    if len(set(stems) & known) * 10 < 9 * len(known):
        return None
    for name in table.columns:
        if name == ids or not SPLIT.fullmatch(name):
            continue
        words = split_words(name, table[name].to_list())
        parts = {id: words.get(v, "train") for id, v in zip(stems, table[name].to_list(), strict=True) if id in known}
        told = set(parts.values())
        if words and rows.any() and "train" in told and len(told) > 1:
            return name, parts
    return None


def validation_tables(layout: Layout, path: str, needed: Sequence[str], stems: Collection[str]) -> list[str]:
    """val.csv beside train.csv: tables with the same columns, whose other images are there.

    Args:
        needed: The id column first, then the targets.
        stems: The images' names.
    """
    own = {stem_of(v) for v in layout.tables[path][needed[0]].to_list()}
    found = []
    for other, table in layout.tables.items():
        if other == path or split_of(PurePath(other).name) != "val" or not set(needed) <= set(table.columns):
            continue
        ids = [stem_of(v) for v in table[needed[0]].to_list()]
        here = sum(id in stems for id in ids)
        if len(set(ids)) == len(ids) and here * 10 >= 9 * len(ids) > 0 and not own & set(ids):
            found.append(other)
    return found
