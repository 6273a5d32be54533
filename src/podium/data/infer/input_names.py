"""Inputs that the table of the test images calls otherwise: male with True, and Sex with M."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import polars as pl

from podium.data.infer.spelling import is_number

_SEX = re.compile(r"(patient_?)?(sex|gender)|(is_?)?(fe)?male", re.IGNORECASE)
_AGE = re.compile(r"(patient_?)?age(_approx|_?years|_?months)?(_at_\w+)?", re.IGNORECASE)
_SIDE = re.compile(r"side|laterality|eye", re.IGNORECASE)
_KINDS = (_SEX, _AGE, _SIDE)
_WORDS = {
    **dict.fromkeys(("m", "male", "man", "boy"), "male"), **dict.fromkeys(("f", "female", "woman", "girl"), "female"),
    **dict.fromkeys(("l", "left"), "left"), **dict.fromkeys(("r", "right"), "right"),
}  # fmt: skip
_FLAGS = {**dict.fromkeys(("1", "1.0", "true", "yes"), True), **dict.fromkeys(("0", "0.0", "false", "no"), False)}


def called_otherwise(
    known: Mapping[str, pl.Series], table: pl.DataFrame, left_out: Collection[str] = ()
) -> tuple[list[str], dict[str, str]] | None:
    """The column of a table for each known one, and what their values are there; None if one has no counterpart.

    Args:
        known: {name: values} of the inputs.
        table: That of the test images.
        left_out: Columns of it that are something else.
    """
    columns: list[str] = []
    meaning: dict[str, str] = {}
    for name, values in known.items():
        alike = [c for c in table.columns if c not in (*left_out, *columns) and _alike(c, name)]
        found = [(c, m) for c in alike if (m := _meaning(c, table[c], name, values)) is not None]
        if len(found) != 1 or any(meaning.get(k, v) != v for k, v in found[0][1].items()):
            return None
        columns.append(found[0][0])
        meaning |= found[0][1]
    return columns, {k: v for k, v in meaning.items() if k != v}


def _alike(a: str, b: str) -> bool:
    plain = [re.sub(r"[\W_]+", "", name).casefold() for name in (a, b)]
    return plain[0] == plain[1] or any(kind.fullmatch(a) and kind.fullmatch(b) for kind in _KINDS)


def _meaning(column: str, values: pl.Series, name: str, known: pl.Series) -> dict[str, str] | None:
    """{value: what the known column writes for it}; None if one means nothing there."""
    own, there = _filled(values), _filled(known)
    if all(is_number(v) for v in own + there) and not (_SEX.fullmatch(name) and column.lower() != name.lower()):
        return {}
    said = {_said(name, v): v for v in there}
    out = {v: said.get(_said(column, v)) for v in own}
    return {k: v for k, v in out.items() if v} if own and all(out.values()) else None


def _filled(values: pl.Series) -> list[str]:
    return sorted(set(values.to_list()) - {""})


def _said(column: str, value: str) -> str:
    """What a value says: of column female, True says female as F does in column Sex."""
    word = value.strip().casefold()
    flag, sex = _FLAGS.get(word), re.fullmatch(r"(?:is_?)?((?:fe)?male)", column, re.IGNORECASE)
    if flag is not None and sex:
        return sex[1].lower() if flag else {"male": "female", "female": "male"}[sex[1].lower()]
    return _WORDS.get(word, word)
