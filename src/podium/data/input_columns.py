"""Columns of tables that a model may use beside the image: age, sex, depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from podium.data.competition import DataConfig, listed
from podium.errors import DataError
from podium.formats import tables

Inputs = tuple[str, ...]


def read_inputs(spec: DataConfig, data: Path, stem_of: Callable[[str], str]) -> dict[str, Inputs]:
    """{id: the texts of `data.inputs`} in `data.inputs_csv` and `data.test_inputs_csv`; empty without them.

    Args:
        stem_of: The id behind what a table writes.

    Raises:
        DataError: if a column is missing, or an id has two rows that differ.
    """
    found: dict[str, Inputs] = {}
    given: list[tuple[str, str | None, list[str], dict[str, str]]]
    given = [(name, spec.inputs_id_column, spec.inputs, {}) for name in listed(spec.inputs_csv)]
    if spec.test_inputs_csv:
        given.append((spec.test_inputs_csv, spec.test_inputs_id_column, spec.test_inputs, spec.test_values))
    for name, column, names, meaning in given:
        path = data / name
        table = tables.read_csv(path)
        ids = tables.column(table, str(column), path).to_list()
        columns = [[meaning.get(v, v) for v in tables.column(table, c, path).to_list()] for c in names]
        for row, values in zip(ids, zip(*columns, strict=True), strict=True):
            id = stem_of(row)
            if found.setdefault(id, values) != values:
                raise DataError(
                    f"'{row}' has two rows with other values of {', '.join(names)}",
                    where=path,
                    remedy="remove one of the two rows",
                )
    return found
