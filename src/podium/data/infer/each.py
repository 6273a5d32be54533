"""Several targets of which each has one class: when a table's columns are such."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from podium.data.infer.rle_tables import SAMPLE
from podium.data.infer.spelling import MOST_CLASSES, combined_ids, in_order
from podium.data.layout import Layout


def target_rows(layout: Layout, table: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns of which a sample submission has a row for each sample: id_root, id_vowel, id_consonant."""
    stems = {stem for folder in layout.folders for stem in folder.files}
    for path, sample in layout.tables.items():
        if not SAMPLE.search(path) or sample.is_empty() or not 2 <= len(sample.columns) <= 3:
            continue
        for name in sample.columns:
            values = sample[name].to_list()
            joined = combined_ids(values, stems)
            named = set(joined.classes) if joined else set(values)
            if len(named) > 1 and named <= set(columns):
                return [c for c in table.columns if c in named]
    return []


def classes_of_each(
    table: pl.DataFrame, targets: Sequence[str], kinds: Mapping[str, str], *, sure: bool
) -> dict[str, list[str]]:
    """{target: its classes} if each of the columns has one class a sample; {} if they are numbers, or 0 and 1.

    Args:
        kinds: Of the columns: class, flag, number or text.
        sure: Whether numbers may be classes: then those that count from 0 or 1 without a hole are.
    """
    found: dict[str, list[str]] = {}
    for name in [c for c in table.columns if c in targets]:
        names = in_order(set(table[name].to_list()) - {""})
        numbered = kinds.get(name) in ("number", "flag")
        if not 2 <= len(names) <= MOST_CLASSES or not (kinds.get(name) == "class" or (numbered and sure)):
            return {}
        codes = [int(n) for n in names if re.fullmatch(r"\d+", n)]
        if numbered and (len(codes) < len(names) or codes[-1] - codes[0] >= len(codes) or codes[0] > 1):
            return {}
        found[name] = names
    return {} if len(found) < 2 or _tells_another(table, list(found)) else found


def _tells_another(table: pl.DataFrame, names: Sequence[str]) -> bool:
    """Whether one of the columns says what another says, in other words: class_id beside class_name."""
    counts = {name: table[name].n_unique() for name in names}
    pairs = [(a, b) for n, a in enumerate(names) for b in names[n + 1 :]]
    return any(table.select(a, b).n_unique() == max(counts[a], counts[b]) for a, b in pairs)
