"""What the folds of a workspace are made from: its samples, and what their stores know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from podium.data.competition import Competition
from podium.data.folds.assignment import FoldInput, Label
from podium.data.folds.files import read_column, read_list
from podium.data.samples import Sample
from podium.errors import DataError, nearest

KNOWN = ("area", "target", "empty", "id")


class Indexed(Protocol):
    """A store, as far as folds look into it."""

    index: pl.DataFrame


def fold_input(
    competition: Competition,
    root: Path,
    train: Sequence[Sample],
    images: Indexed,
    targets: Indexed | None,
    clusters: Mapping[str, str] | None = None,
) -> FoldInput:
    """Everything that folds can be made from.

    Args:
        root: The workspace's folder.
        images: The store of the training images: identical pixels.
        targets: The store of their masks, if they have masks: the areas.
        clusters: {id: cluster} of near-duplicates, which stay together as groups do.

    Raises:
        DataError: if a column or a list that `[folds]` names cannot be read.
    """
    ids, spec = [s.id for s in train], competition.folds
    pixels = dict(images.index.select("id", "pixels").rows())
    splits = [s.split for s in train]
    return FoldInput(
        ids,
        [s.group for s in train],
        alike=[(clusters or {}).get(id) or pixels.get(id) or id for id in ids],
        labels=labels_of(competition, train) or (_present(ids, targets.index) if targets else []),
        area=_areas(ids, targets.index) if targets and competition.task in ("segmentation", "instances") else (),
        split=splits if len(set(splits)) > 1 else (),
        order=_column(competition, root / "data", train) if spec.by and spec.by not in KNOWN else (),
        given=read_list(root / spec.file, spec.k) if spec.file else {},
    )


def labels_of(competition: Competition, train: Sequence[Sample]) -> list[Label]:
    """The class, the 0 and 1 of each label, the number or the numbers of each sample; none if there are only masks."""
    if not train or not all(s.values for s in train):
        return []
    if competition.task == "regression":
        return [s.values[0] if len(s.values) == 1 else s.values for s in train]
    if competition.labels != "one":
        return [s.values for s in train]
    return [int(s.values[0]) for s in train]


def _present(ids: Sequence[str], index: pl.DataFrame) -> list[Label]:
    """A 0 or 1 for each class that some masks hold and others do not; none if there is no such class."""
    if "present" not in index.columns or not index["present"].is_not_null().any():
        return []
    present = {id: set((text or "").split()) for id, text in index.select("id", "present").rows()}
    known = [present.get(id, set()) for id in ids]
    classes = sorted(set().union(*known), key=int)
    telling = [c for c in classes if not all(c in of for of in known)]
    return [tuple(float(c in of) for c in telling) for of in known] if telling else []


def _areas(ids: Sequence[str], index: pl.DataFrame) -> list[float]:
    """The part of each image that is foreground."""
    if "area" not in index.columns:
        return []
    share = pl.col("area") / (pl.col("source_height") * pl.col("source_width"))
    areas = dict(index.select("id", share.cast(pl.Float64)).rows())
    return [float("nan") if areas.get(id) is None else areas[id] for id in ids]


def _column(competition: Competition, data: Path, train: Sequence[Sample]) -> list[str]:
    """The values of `folds.by`: of a column of `data.inputs`, or of any CSV file."""
    by, inputs = str(competition.folds.by), competition.data.inputs
    if by in inputs:
        return [s.inputs[inputs.index(by)] if s.inputs else "" for s in train]
    file, _, name = by.rpartition(":")
    if not file:
        options = [*KNOWN, *inputs]
        raise DataError(
            f"nothing is called '{by}'",
            where="competition.toml: folds.by",
            expected="FILE.csv:COLUMN, or one of " + ", ".join(options),
            remedy=nearest(by, options),
        )
    return read_column(data / file, name, [s.id for s in train])
