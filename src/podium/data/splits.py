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
    words = {v: part_of(column, v) for v in seen}
    if _IS.fullmatch(column):
        return words if len(seen) > 1 and all(words.values()) else {}
    most = sum(v == "0" for v in values) * 2 > len(values)
    told = seen == _NUMBERS.keys() and ("partition" in column.lower() or (most and "fold" not in column.lower()))
    if seen & _NUMBERS.keys() and not told:
        return {}
    parts = set(words.values())
    return words if "" not in parts and "train" in parts and len(parts) > 1 else {}


def part_of(column: str, value: str) -> str:
    """Which part a value of a column says, "train", "val" or "test"; "" if it says none."""
    word = value.strip().lower()
    flag = _IS.fullmatch(column)
    if flag and word in _FLAGS:
        part = flag[1].lower()
        yes, no = ("train", "test") if part == "train" else (part, "train")
        return yes if _FLAGS[word] else no
    return _WORDS.get(word) or _NUMBERS.get(word, "")


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
    words = {v: part_of(str(spec.split_column), v) if v else "train" for v in set(values)}
    if odd := sorted(v for v, part in words.items() if not part):
        raise DataError(
            f"'{spec.split_column}' tells no split: {', '.join(odd[:4])}",
            where=path,
            expected="train, val (valid, validation, dev) or test; or 0, 1 and 2",
            remedy="correct data.split_column in competition.toml, or remove it",
        )
    read = row_id([*listed(spec.train_images), *listed(spec.test_images)], spec.image_id)
    told = {read(id): words[value] for id, value in zip(ids, values, strict=True)}
    return {before + id: part for before in {"", *prefixes} for id, part in told.items()}
