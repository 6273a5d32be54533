"""`folds.csv`, which decides; `folds.toml` beside it, which says how it came to be; lists that users bring."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from podium.config import read_toml, write_toml
from podium.data.competition import FoldsConfig
from podium.data.folds.assignment import Folds
from podium.data.folds.choice import Choice
from podium.data.folds.leaks import check_leaks
from podium.data.patterns import IMAGE_SUFFIXES
from podium.errors import DataError
from podium.files import write_atomic
from podium.formats import tables

HEADER = ("id", "group", "fold")
APART = "not_with"
"""A column that is there only where `folds.gap` is: the folds that a sample is too near to train for."""


def write_folds(path: Path, folds: Folds) -> None:
    """Write `folds.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*HEADER, APART) if folds.apart else HEADER)
    for id, fold in folds.fold.items():
        near = [" ".join(map(str, folds.apart.get(id, ())))] if folds.apart else []
        writer.writerow((id, folds.group[id], fold, *near))
    write_atomic(path, text.getvalue())


def read_folds(path: Path, groups: Mapping[str, str], k: int) -> Folds:
    """Read `folds.csv` and check it against the samples at hand.

    A sample without a row goes to the fold of its group, or else to the smallest fold; `folds.csv` then holds it.
    Rows of samples that are not at hand are kept, since they may come back.

    Raises:
        DataError: if a fold is not a number of 0..k-1, or a group is torn between folds.
    """
    table = tables.read_csv(path)
    assigned = _numbers(table, "id", path, k)
    check_leaks({id: assigned[id] for id in groups if id in assigned}, groups, path)
    named = table["group"].to_list() if "group" in table.columns else list(assigned)
    everyone = dict(zip(assigned, named, strict=True)) | dict(groups)
    apart = _apart(table, list(assigned), path, k)
    if groups.keys() - assigned.keys():
        _extend(assigned, groups, k)
        everyone = {id: everyone[id] for id in sorted(everyone)}
        write_folds(path, Folds({id: assigned[id] for id in everyone}, everyone, k, apart))
    return Folds(assigned, everyone, k, apart).only(groups)


def _numbers(table: pl.DataFrame, id_column: str, path: Path, k: int | None) -> dict[str, int]:
    """{id: fold} of a table; any fold from 0 if ``k`` is None."""
    ids = tables.unique_ids(table, id_column, path)
    assigned: dict[str, int] = {}
    for line, (id, text) in enumerate(zip(ids, tables.column(table, "fold", path).to_list(), strict=True), 2):
        if not (text.isascii() and text.isdecimal()) or (k is not None and int(text) >= k):
            raise DataError(
                f"line {line}: fold '{text}' of '{id}'",
                where=path,
                expected=f"a number from 0 to {k - 1} (folds.k = {k} in competition.toml)" if k else "0, 1, 2 …",
                remedy="set folds.k back, or delete folds.csv to split anew (no older attempt can be compared then)"
                if path.name == "folds.csv"
                else "correct that line; folds count from 0",
            )
        assigned[id] = int(text)
    return assigned


def _apart(table: pl.DataFrame, ids: list[str], path: Path, k: int) -> dict[str, tuple[int, ...]]:
    if APART not in table.columns:
        return {}
    apart: dict[str, tuple[int, ...]] = {}
    for line, (id, text) in enumerate(zip(ids, table[APART].to_list(), strict=True), 2):
        words = text.split()
        if not all(w.isascii() and w.isdecimal() and int(w) < k for w in words):
            raise DataError(f"line {line}: {APART} '{text}' of '{id}'", where=path, expected=f"folds of 0 to {k - 1}")
        if words:
            apart[id] = tuple(map(int, words))
    return apart


def _extend(assigned: dict[str, int], groups: Mapping[str, str], k: int) -> None:
    """Give samples without a fold that of their group, or else the smallest."""
    home = {groups[id]: fold for id, fold in assigned.items() if id in groups}
    sizes = Counter(assigned.values())
    for id in sorted(groups.keys() - assigned.keys()):
        fold = home.setdefault(groups[id], min(range(k), key=lambda f: (sizes[f], f)))
        assigned[id] = fold
        sizes[fold] += 1


def read_list(path: Path, k: int | None = None) -> dict[str, int]:
    """{id: fold} of anybody's list: a CSV file with a column `fold`, and `id` or its first column for the ids.

    An id may be written as the name of its image.

    Args:
        k: How many folds there have to be; any number, if None.

    Raises:
        DataError: naming the line, if an id is there twice or a fold is not a number of 0..k-1.
    """
    table = tables.read_csv(path)
    column = "id" if "id" in table.columns else next((c for c in table.columns if c != "fold"), "id")
    stems = [bare_id(v) for v in tables.column(table, column, path).to_list()]
    assigned = _numbers(table.with_columns(pl.Series(column, stems, dtype=pl.String)), column, path, k)
    if not assigned:
        raise DataError("no row with a fold", where=path, expected="columns id and fold, a row a sample")
    return assigned


def read_column(path: Path, name: str, ids: list[str]) -> list[str]:
    """The values of a CSV column, a row a sample; the ids are in the column that has them all.

    Raises:
        DataError: if no column has them.
    """
    table = tables.read_csv(path)
    values = tables.column(table, name, path).to_list()
    best: dict[str, str] = {}
    for column in table.columns:
        known = {bare_id(k): v for k, v in zip(table[column].to_list(), values, strict=True)}
        if len(known.keys() & set(ids)) > len(best.keys() & set(ids)):
            best = known
    missing = [id for id in ids if id not in best]
    if missing:
        raise DataError(
            f"no {name} for the id '{missing[0]}' ({len(missing)} such)",
            where=path,
            expected="a column with the ids of all training samples",
        )
    return [best[id] for id in ids]


def bare_id(text: str) -> str:
    """An id without the ending of an image file."""
    return Path(text).stem if Path(text).suffix.lower() in IMAGE_SUFFIXES else text


def write_about(path: Path, folds: Folds, choice: Choice, config: FoldsConfig) -> None:
    """Write `folds.toml` beside `folds.csv`: for people, and for `podium folds`; nothing depends on it."""
    about = {"strategy": choice.strategy, "by": choice.by, "why": choice.why, "k": config.k, "seed": config.seed}
    write_toml(path.with_suffix(".toml"), {**about, "sizes": folds.sizes(), "digest": folds.digest()})


def read_about(path: Path) -> dict[str, Any]:
    """What `folds.toml` says, if it is there; ``edited`` where `folds.csv` is no longer what it tells of."""
    beside = path.with_suffix(".toml")
    if not beside.exists():
        return {}
    about = read_toml(beside)
    return about | {"edited": about.get("digest") != _as_written(path).digest()}


def renew_about(path: Path, before: Mapping[str, Any]) -> None:
    """Let `folds.toml`, as it was ``before`` podium added samples to `folds.csv`, tell of them."""
    if before and not before["edited"]:
        now = _as_written(path)
        kept = {key: value for key, value in before.items() if key != "edited"}
        write_toml(path.with_suffix(".toml"), {**kept, "sizes": now.sizes(), "digest": now.digest()})


def _as_written(path: Path) -> Folds:
    """Every row of `folds.csv`."""
    table = tables.read_csv(path)
    fold = _numbers(table, "id", path, None)
    k = max(fold.values(), default=0) + 1
    return Folds(fold, dict.fromkeys(fold, ""), k, _apart(table, list(fold), path, k))
