"""From `scores.parquet` to what the verdict compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from podium.errors import LedgerError
from podium.ledger.verdict.runs import Run
from podium.metrics import Measured, Metric

FoldTables = Mapping[tuple[int, int], pl.DataFrame]
"""{(fold, seed): table with the columns id, group, score and those of `metrics.Measured`}: `FoldRun.scores` of each."""


def paired_runs(
    attempt: FoldTables, parent: FoldTables, metric: Metric | None = None
) -> tuple[list[Run], list[Run], int]:
    """The fold runs of an attempt and its parent, of the samples that all runs of a fold have, and the number left out.

    Rows may come in any order. A change to the data is so judged on what both sides have. The groups are those of the
    parent: leaving samples out may rename a group on the other side.

    Args:
        metric: Needed where it is not a mean over samples; None: the column `score` is all there is.

    Raises:
        LedgerError: if the runs of a fold have no sample in common, or one scores a sample twice.
    """
    runs: tuple[list[Run], list[Run]] = ([], [])
    left_out = 0
    for fold in sorted({f for f, _ in attempt} | {f for f, _ in parent}):
        sides = [[(seed, t) for (f, seed), t in side.items() if f == fold] for side in (attempt, parent)]
        tables = [table for side in sides for _, table in side]
        ids, codes = _shared(fold, tables)
        left_out += max(t.height for t in tables) - ids.height
        for side, found in zip(sides, runs, strict=True):
            found += [_run(fold, seed, table, ids, codes, metric) for seed, table in side]
    return *runs, left_out


def _shared(fold: int, tables: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
    """(ids that all tables have, in order; the code of each one's group in the last table)."""
    shared = tables[-1].select("id", "group")
    if shared["id"].n_unique() < shared.height:
        raise LedgerError("a sample is scored twice", where=f"fold {fold}")
    if not all(table["id"].equals(shared["id"]) for table in tables[:-1]):  # they are, but for changes of the data
        shared = shared.sort("id")
        for table in tables[:-1]:
            shared = shared.join(table.select("id"), on="id", how="semi", maintain_order="left")
    if not shared.height:
        raise LedgerError(
            "the attempt and its parent have no sample in common",
            where=f"fold {fold}",
            expected="some samples scored by both",
            remedy="compare attempts that were trained on the same folds",
        )
    return shared.select("id"), _group_codes(shared["group"])


def _group_codes(group: pl.Series) -> npt.NDArray[np.int64]:
    """0, 1, … in ascending order of the groups' names."""
    if group.dtype == pl.String and not group.null_count():  # quicker than ranks
        return group.cast(pl.Enum(group.unique().sort())).to_physical().to_numpy().astype(np.int64)
    return (group.rank("dense").to_numpy() - 1).astype(np.int64)


def _run(
    fold: int, seed: int, table: pl.DataFrame, ids: pl.DataFrame, codes: npt.NDArray[np.int64], metric: Metric | None
) -> Run:
    if not table["id"].equals(ids["id"]):
        table = ids.join(table, on="id", how="left", maintain_order="left")
    if table.height != ids.height:
        raise LedgerError("a sample is scored twice", where=f"fold {fold}, seed {seed}")
    if metric is None or metric.mean_over_samples:
        score = table["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return Run.of_scores(fold, seed, score, codes)
    measured = Measured.of_columns(metric.kind, table.to_dict(as_series=False))
    return Run.of_metric(fold, seed, lambda chosen: measured.take(chosen).score(metric), codes)
