"""Official splits that a column of a table tells: split = train, val or test; partition = 0, 1, 2; is_valid = True."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from podium.data.competition import DataConfig, listed
from podium.data.patterns import row_id
from podium.errors import DataError
from podium.formats import tables

_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "publictest"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "privatetest"), "test"),
}
_NUMBERS = {"0": "train", "1": "val", "2": "test"}
_FLAGS = {**dict.fromkeys(("1", "1.0", "true", "yes"), True), **dict.fromkeys(("0", "0.0", "false", "no"), False)}
_IS = re.compile(r"is_?(train|val|test)(ing|id|idation)?", re.IGNORECASE)


def split_words(column: str, values: Sequence[str]) -> dict[str, str]:
    """{value: "train", "val" or "test"} for those of a column; {} if one says no such thing, or nothing is told.

    Numbers are read as CelebA's, 0 train, 1 val, 2 test, in a column called partition, or where most are 0 and so are
    no folds.
    """
    seen = {v for v in values if v}
    if flag := _IS.fullmatch(column):
        return _flagged(flag[1].lower(), seen)
    words = {v: _WORDS.get(v.strip().lower(), "") for v in seen}
    most = sum(v == "0" for v in values) * 2 > len(values)
    if seen == _NUMBERS.keys() and ("partition" in column.lower() or (most and "fold" not in column.lower())):
        words = dict(_NUMBERS)
    parts = set(words.values())
    return words if "" not in parts and "train" in parts and len(parts) > 1 else {}


def _flagged(part: str, seen: set[str]) -> dict[str, str]:
    if len(seen) < 2 or not {v.lower() for v in seen} <= _FLAGS.keys():
        return {}
    yes, no = ("train", "test") if part == "train" else (part, "train")
    return {v: yes if _FLAGS[v.lower()] else no for v in seen}


def read_split(spec: DataConfig, data: Path, prefixes: Sequence[str] = ()) -> dict[str, str]:
    """{id: "train", "val" or "test"} as `data.split_column` says; an empty field says train. {} if none is named.

    Raises:
        DataError: if the file or a column is missing, or a value says no split.
    """
    if not spec.split_csv:
        return {}
    path = data / spec.split_csv
    table = tables.read_csv(path)
    ids = tables.column(table, str(spec.split_id_column), path).to_list()
    values = tables.column(table, str(spec.split_column), path).to_list()
    words = split_words(str(spec.split_column), values)
    if not words:
        odd = sorted(set(values) - {""})[:4]
        raise DataError(
            f"'{spec.split_column}' tells no split: {', '.join(odd)}",
            where=path,
            expected="train beside val (valid, validation, dev) or test; or 0, 1 and 2",
            remedy="correct data.split_column in competition.toml, or remove it",
        )
    read = row_id([*listed(spec.train_images), *listed(spec.test_images)], spec.image_id)
    told = {read(id): words.get(value, "train") for id, value in zip(ids, values, strict=True)}
    return {before + id: part for before in {"", *prefixes} for id, part in told.items()}
