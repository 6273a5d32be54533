"""Objects and classes compared from their runs: how many pixels each two have in common, and no pixel decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from podium.formats.preflight import Values
from podium.metrics.instances import hits_of
from podium.metrics.registry import Kind

Longs = npt.NDArray[np.int64]


def objects_of_runs(kind: Kind, truth: Values, predicted: Values) -> Longs | None:
    """What `compare_objects` gives, from the runs of each object; None where objects of one side overlap, or the metric
    is of outlines."""
    if kind not in ("instances", "overlap"):
        return None
    table = _table(truth, predicted)
    if table is None:
        return None
    areas, others = (np.array([_area(runs) for runs in side], np.int64) for side in (truth, predicted))
    if kind == "overlap":
        return np.array([table.sum(), others.sum(), areas.sum()], np.int64)
    there, guessed = areas > 0, others > 0
    return hits_of(table[np.ix_(there, guessed)], areas[there], others[guessed])


def classes_of_runs(
    kind: Kind, truth: Values, predicted: Values, size: int, spelt: Sequence[str], classes: int
) -> Longs | None:
    """What `compare_maps` gives, from the runs of each class; None where classes share pixels, or the metric is of
    outlines.

    Args:
        size: Pixels of the image.
        spelt: The classes that have runs.
        classes: How many there are; one more than ``spelt``: a pixel of none of those is background, the first class.
            Else such a pixel is not scored in the truth, and wrong in the prediction.
    """
    table = _table(truth, predicted) if kind in ("confusion", "overlap") else None
    if table is None:
        return None
    background = classes == len(spelt) + 1
    areas, others = (np.array([_area(runs) for runs in side], np.int64) for side in (truth, predicted))
    if kind == "overlap":
        counted = others if background else table.sum(axis=0)
        rows = np.column_stack([np.diagonal(table), counted, areas])
        rows = rows[[name != "background" for name in spelt]]
        return rows[0] if len(rows) == 1 else rows
    whole = np.zeros((len(spelt) + 1,) * 2, np.int64)
    at, none = (slice(1, None), 0) if background else (slice(0, -1), -1)
    whole[at, at] = table
    whole[at, none] = areas - table.sum(axis=1)
    if background:
        whole[none, at] = others - table.sum(axis=0)
        whole[none, none] = size - areas.sum() - whole[none, at].sum()
    return whole


def _table(truth: Values, predicted: Values) -> Longs | None:
    """Pixels in common, (A, B); None where runs of one side overlap."""
    from podium.host import run_kernels

    table = np.zeros((len(truth), len(predicted)), np.int64)
    disjoint = run_kernels.pair_table(*_owned(truth), *_owned(predicted), table)
    return table if disjoint else None


def _owned(side: Sequence[Any]) -> tuple[Longs, Longs]:
    """All runs in ascending order, and whose each is."""
    if not side:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    runs = np.concatenate([np.asarray(r, np.int64).reshape(-1, 2) for r in side])
    owners = np.repeat(np.arange(len(side)), [len(np.asarray(r)) for r in side])
    order = np.argsort(runs[:, 0], kind="stable")
    return np.ascontiguousarray(runs[order]), owners[order].astype(np.int64)


def _area(runs: Any) -> int:
    return int(np.asarray(runs, np.int64).reshape(-1, 2)[:, 1].sum())
