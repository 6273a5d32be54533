"""A competition from a frame of paths and targets, polars' or pandas': for data that lies as no tool expects it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from podium.data.infer import Inference, infer
from podium.errors import DataError
from podium.files import write_atomic


def frame_to_folder(
    frame: Any,
    folder: Path,
    name: str,
    *,
    image: str,
    mask: str | None = None,
    targets: Sequence[str] = (),
    id: str | None = None,
    group: str | None = None,
    inputs: Sequence[str] = (),
) -> Inference:
    """Lay a frame out as a data folder (links and a table) and infer the rest from it.

    Args:
        frame: A polars or pandas frame with a row a sample.
        folder: Gets `images/`, `masks/` and `train.csv`; must not exist.
        image, mask: Columns of file paths.
        targets: Target columns, where there is no ``mask``.
        id: Column of ids; the image's file name without its ending if None.
        group: Column of what must stay together.
        inputs: Columns that a model may use beside the image.

    Raises:
        DataError: naming the column or row that does not fit.
    """
    wanted = [c for c in (image, mask, id, group, *targets, *inputs) if c is not None]
    missing = [c for c in wanted if c not in list(frame.columns)]
    if missing or bool(mask) == bool(targets):
        found = f"the frame has no column '{missing[0]}'" if missing else "give a mask column or target columns"
        raise DataError(found, where="frame", expected=f"columns {', '.join(map(str, frame.columns))}")
    columns = {c: [_text(v) for v in frame[c]] for c in dict.fromkeys(wanted)}
    paths = [Path(p) for p in columns[image]]
    ids = columns[id] if id else [p.stem for p in paths]
    if not ids:
        raise DataError("the frame has no row", where="frame")
    odd = next((i for i in ids if not i or "/" in i or "\0" in i or i.startswith(".")), None)
    if odd is not None:
        raise DataError(
            f"the id '{odd}' cannot be a file's name", where="frame", expected="no '/' in it and no '.' before it"
        )
    if len(set(ids)) < len(ids):
        twice = next(i for i, n in Counter(ids).items() if n > 1)
        raise DataError(
            f"the id '{twice}' is there twice", where="frame", remedy="name an id column that tells rows apart"
        )
    _link(folder / "images", ids, paths)
    if mask:
        _link(folder / "masks", ids, [Path(p) for p in columns[mask]])
    table: dict[str, list[str]] = {"id": ids} | {c: columns[c] for c in (*targets, *inputs)}
    if group:
        table["group"] = columns[group]
    if len(table) > 1:
        write_atomic(folder / "train.csv", pl.DataFrame(table).write_csv())
    inference = infer(folder, name, targets)
    why = "as given with the frame"
    inference = inference.with_settings(["data.inputs_csv=none", "data.inputs_id_column=none", "data.inputs=[]"])
    inference = replace(inference, why={k: v for k, v in inference.why.items() if not k.startswith("data.inputs")})
    if inputs and mask:
        given = {"inputs": list(inputs), "inputs_csv": "train.csv", "inputs_id_column": "id"}
        changed = inference.competition.with_overrides({"data": given})
        return Inference(changed, inference.why | {f"data.{key}": why for key in given})
    return inference.with_value("data.inputs", list(inputs), why) if targets else inference


def _text(value: Any) -> str:
    """A frame's value as a table has it: nothing for None and NaN, 1 and 0 for true and false."""
    if value is None or value != value:
        return ""
    return str(int(value)) if type(value).__name__ in ("bool", "bool_") else str(value)


def _link(folder: Path, ids: Sequence[str], paths: Sequence[Path]) -> None:
    folder.mkdir(parents=True)
    for id, path in zip(ids, paths, strict=True):
        if not path.is_file():
            raise DataError(f"no such file, in the row of '{id}'", where=path)
        target = folder / f"{id}{path.suffix}"
        try:
            os.symlink(path.resolve(), target)
        except OSError:
            shutil.copyfile(path, target)
