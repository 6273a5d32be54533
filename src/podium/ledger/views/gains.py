"""The samples that an attempt gained and lost most on, against its parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from podium.ledger.attempt import Attempt
from podium.ledger.fold_runs import FoldRun
from podium.metrics import METRICS, Measured, Metric

SHOWN = 6
"""Samples of each kind."""


@dataclass(frozen=True)
class Gain:
    """One sample, out of fold.

    Attributes:
        before, after: Its mean score over the seeds of the parent, and of the attempt.
        gain: The difference, positive when better.
    """

    id: str
    group: str
    fold: int
    before: float
    after: float
    gain: float

    def tree(self) -> dict[str, Any]:
        """For a program."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Gains:
    """All samples that both have scored.

    Attributes:
        score: What the samples' score is called: the metric, or what stands for one that no sample has of its own.
        samples: The one that gained most first.
    """

    score: str
    samples: list[Gain]

    @property
    def gained(self) -> list[Gain]:
        """Those that gained most."""
        return [s for s in self.samples[:SHOWN] if s.gain > 0]

    @property
    def lost(self) -> list[Gain]:
        """Those that lost most."""
        return [s for s in self.samples[: -SHOWN - 1 : -1] if s.gain < 0]

    def tree(self) -> dict[str, Any]:
        """For a program."""
        return {"score": self.score, "gained": [s.tree() for s in self.gained], "lost": [s.tree() for s in self.lost]}

    def told(self) -> str:
        """How many samples gained and lost."""
        gained, lost = (sum(sign * s.gain > 0 for s in self.samples) for sign in (1, -1))
        same = len(self.samples) - gained - lost
        return f"of {len(self.samples)} samples {gained} gained, {lost} lost, {same} as before (by {self.score})"


def sample_gains(attempt: Attempt, parent: Attempt, metric: Metric) -> Gains:
    """Every sample of the folds that both have trained.

    Raises:
        LedgerError: if scores cannot be read.
    """
    shared = {run.fold for run in attempt.runs} & {run.fold for run in parent.runs}
    sides = [[run for run in side.runs if run.fold in shared] for side in (parent, attempt)]
    name, up = ("score", metric.greater_is_better) if metric.mean_over_samples else (_stand_in(metric)[0], True)
    if not shared:
        return Gains(name, [])
    before, after = (_mean_scores(side, metric) for side in sides)
    both = after.join(before.select("id", before="score"), on="id", how="inner")
    sign = 1 if up else -1
    gain = sign * (both["score"] - both["before"])
    rows = both.select("id", "group", "fold", "before", after="score").with_columns(gain=gain)
    ordered = rows.filter(pl.col("gain").is_not_nan()).sort(["gain", "id"], descending=[True, False])
    return Gains(metric.name if name == "score" else name, [Gain(**row) for row in ordered.to_dicts()])


def _mean_scores(runs: Sequence[FoldRun], metric: Metric) -> pl.DataFrame:
    """One row a sample: id, group, fold, and its mean score over seeds."""
    tables = []
    for run in runs:
        table = run.scores()
        if not metric.mean_over_samples:
            table = table.with_columns(score=pl.Series(_stand_in(metric)[1](table), dtype=pl.Float64))
        tables.append(table.select("id", pl.col("group").cast(pl.String), "fold", "score"))
    return pl.concat(tables).group_by("id", "group", "fold").agg(pl.col("score").mean())


def _stand_in(metric: Metric) -> tuple[str, Any]:
    """What says how good one sample is where the metric is of all together: (its name, table -> scores)."""
    own = {"overlap": "dice", "boundary": "boundary_iou", "instances": "dsb2018"}.get(metric.kind)
    if own:
        return own, lambda table: _measured(table, metric).per_sample(METRICS[own])
    if metric.kind == "confusion":
        return "share of pixels that are right", lambda table: _right_pixels(_measured(table, metric))
    return "closeness to the truth", lambda table: _closeness(_measured(table, metric))


def _measured(table: pl.DataFrame, metric: Metric) -> Measured:
    return Measured.of_columns(metric.kind, table.to_dict(as_series=False))


def _right_pixels(measured: Measured) -> Any:
    confusion = measured.arrays["confusion"]
    return np.trace(confusion, axis1=1, axis2=2) / np.maximum(1, confusion.sum((1, 2)))


def _closeness(measured: Measured) -> Any:
    """The probability of the true class, where there is one; else minus the mean distance over the columns."""
    truth, predicted = (np.asarray(measured.arrays[name], np.float64) for name in ("truth", "predicted"))
    if truth.ndim == 1 and predicted.ndim == 2:
        return predicted[np.arange(len(truth)), truth.astype(int)]
    return -np.abs(truth - predicted).reshape(len(truth), -1).mean(1)
