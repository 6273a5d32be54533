"""Targets in tables with several rows a sample: a row an object, a row a class, a row a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.competition import Competition, DataConfig, listed
from podium.errors import DataError, nearest
from podium.formats import rle, tables
from podium.formats.submission import NO_MASK, SubmissionFormat

OBJECTS = ";"
"""Between the run-length masks of several objects of one image."""
CLASSES = "|"
"""Between those of several classes, in the order of the classes; each may have several objects."""


def form_of(spec: DataConfig, form: SubmissionFormat) -> SubmissionFormat:
    """How `train_rle` is written: as the submission, but for what [data] says of it."""
    tree = {k: v for k, v in form.tree().items() if k not in ("format", "separator")}
    if spec.rle_column:
        tree.pop("value_columns", None)
    if spec.id or spec.class_column:
        tree.pop("class_column", None)
    said = {"id_column": spec.id_column, "value_column": spec.rle_column, "id": spec.id}
    said["class_column"] = spec.class_column
    return SubmissionFormat.from_tree(tree | {k: v for k, v in said.items() if v is not None}, where="competition.toml")


def read_runs(competition: Competition, data: Path, names: Sequence[str]) -> dict[str, str]:
    """{id: run-length masks} of `train_rle`, as `Sample.rle` has them.

    Args:
        names: The classes that are told apart, in their order: several have a part each, a background an empty one.

    Raises:
        DataError: naming file and row, for an id or class that is not spelled as it should be, or a double id.
    """
    form, path = form_of(competition.data, competition.submission), data / str(competition.data.train_rle)
    table = tables.read_csv(path)
    if form.class_column is None and competition.task != "instances":
        tables.unique_ids(table, form.id_column, path)
    part_of = _parts(competition, form, names, path)
    found: dict[str, list[list[str]]] = {}
    for id, label, runs in _runs(form, table, path):
        if label not in part_of:
            odd, remedy = f"'{label}' of '{id}' is none of submission.classes", nearest(label, list(part_of))
            raise DataError(odd, where=path, remedy=remedy)
        of = found.setdefault(id, [[] for _ in range(len(names) if len(part_of) > 1 else 1)])
        at = part_of[label]
        if at is not None:
            of[at].append(runs)
    return {id: CLASSES.join(OBJECTS.join(rows) for rows in of) for id, of in found.items()}


def _parts(competition: Competition, form: SubmissionFormat, names: Sequence[str], path: Path) -> dict[str, int | None]:
    """{class as the table spells it: its place among ``names``, or None if it is left out}."""
    spelt = form.classes if form.row_a_class else form.value_columns
    if len(spelt) == 1 and not form.row_a_class:
        return {"": 0}
    classes, left_out = competition.classes, competition.data.exclude_classes
    every = [n for n in sorted(classes, key=lambda c: classes[c]) if n in names or n in left_out]
    if not len(every) - 1 <= len(spelt) <= len(every):
        found = f"masks of {len(spelt)} classes, and [classes] has {len(every)}"
        raise DataError(found, where=path, remedy="correct [classes] or submission.classes")
    of = every[len(every) - len(spelt) :]  # a background, the first, may have none
    return {s: names.index(n) if n in names else None for s, n in zip(spelt, of, strict=True)}


def _runs(form: SubmissionFormat, table: pl.DataFrame, path: Path) -> Iterator[tuple[str, str, str]]:
    """(id, class, runs) of each mask."""
    ids = tables.column(table, form.id_column, path).to_list()
    labels = tables.column(table, form.class_column, path).to_list() if form.class_column else [""] * len(ids)
    for name in form.value_columns:
        column = tables.column(table, name, path).to_list()
        for row, label, runs in zip(ids, labels, column, strict=True):
            split = form.split_id(row)
            if split is None:
                raise DataError(f"'{row}' is not spelled like '{form.id}'", where=path, remedy="correct submission.id")
            own = split[1] or label or (name if form.width > 1 and not form.row_a_class else "")
            yield split[0], own, "" if runs.strip().lower() in NO_MASK else runs


def class_stack(text: str, shape: tuple[int, int], order: rle.Order, n: int) -> NDArray[np.bool_]:
    """The masks of ``n`` classes in what `read_runs` gives, bool (n, H, W).

    Raises:
        RleError: for text that is no mask of that shape.
    """
    stack = np.zeros((n, *shape), np.bool_)
    for i, part in enumerate(text.split(CLASSES) if text else []):
        for runs in part.split(OBJECTS):
            stack[i] |= rle.decode(runs, shape, order)
    return stack


def rows_a_label(competition: Competition) -> bool:
    """Whether `train_csv` has several rows a sample: one a label, or one a class with 0 or 1 in it."""
    spec = competition.data
    if competition.task != "classification" or len(spec.targets) != 1:
        return False
    joined = spec.class_column is not None or "{class}" in (spec.id or "")
    return joined or (competition.labels == "many" and spec.separator is None and len(competition.classes) > 1)


def read_target_table(spec: DataConfig, data: Path, *, unique: bool) -> pl.DataFrame:
    """`train_csv`; of several files the rows one below the other, with the columns that all have.

    Args:
        unique: Whether an id may have one row only.

    Raises:
        DataError: naming the file, if one cannot be read, has no such id column, or an id has two rows.
    """
    found: list[pl.DataFrame] = []
    known: dict[str, str] = {}
    for name in listed(spec.train_csv):
        found.append(tables.read_csv(data / name))
        if not unique:
            continue
        for id in tables.unique_ids(found[-1], str(spec.id_column), data / name):
            if known.setdefault(id, name) != name:
                raise DataError(f"'{id}' is in {known[id]} too", where=data / name, remedy="remove one of the two rows")
    shared = [c for c in found[0].columns if all(c in table.columns for table in found)]
    return found[0] if len(found) == 1 else pl.concat([table.select(shared) for table in found])


def read_labels_of(
    competition: Competition, data: Path, stem_of: Callable[[str], str]
) -> dict[str, tuple[float, ...] | str]:
    """{id: 0 or 1 a class, in the order of their numbers; or what is wrong} of such a table.

    Raises:
        DataError: if a column is missing, or an id is not spelled as it should be.
    """
    spec, path = competition.data, data / listed(competition.data.train_csv)[0]
    classes = sorted(competition.classes, key=lambda c: competition.classes[c])
    table = read_target_table(spec, data, unique=False)
    spelling = spec.id or "{id}"
    form = SubmissionFormat(id=spelling, classes=tuple(classes))
    ids, values = (tables.column(table, str(name), path).to_list() for name in (spec.id_column, spec.targets[0]))
    labels = tables.column(table, spec.class_column, path).to_list() if spec.class_column else [""] * len(ids)
    flags = bool(spec.class_column) or "{class}" in spelling
    found: dict[str, list[float] | str] = {}
    for row, label, value in zip(ids, labels, values, strict=True):
        split = form.split_id(row)
        if split is None:
            raise DataError(f"'{row}' is not spelled like '{spelling}'", where=path, remedy="correct data.id")
        id, name = stem_of(split[0]), split[1] or label or value
        of = found.setdefault(id, [0.0] * len(classes))
        if isinstance(of, str) or (not flags and not value):  # a row without a label: none holds
            continue
        flag = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}.get(value.lower())
        if name not in classes:
            found[id] = f"'{name}' is none of [classes]"
        elif flags and flag is None:
            found[id] = f"'{spec.targets[0]}' is {value} for {name}, neither 0 nor 1"
        else:
            of[classes.index(name)] = flag if flags and flag is not None else 1.0
    return {id: of if isinstance(of, str) else tuple(of) for id, of in found.items()}
