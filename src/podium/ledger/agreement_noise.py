"""The noise of CV and LB, measured on the out-of-fold scores of the attempts that were handed in."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from podium.errors import PodiumError
from podium.ledger.agreement_expected import Expected, Floats
from podium.ledger.attempt import Attempt
from podium.ledger.judge import Judge
from podium.ledger.verdict import Run, paired_runs
from podium.metrics import Metric


def expected_noise(attempts: Sequence[Attempt], judge: Judge, metric: Metric, groups_public: int) -> Expected | None:
    """How far ΔCV and ΔLB may lie apart by chance; None if no two attempts, or no noise floor, tell it.

    Args:
        attempts: Those behind the submissions, the first one first.
        groups_public: Groups of the public part of the test set.
    """
    noise = judge.noise()
    if not noise.known or len(attempts) < 2 or groups_public < 1:
        return None
    base, spreads, level, groups = attempts[0], list[float](), list[float](), 0
    differences: dict[str, list[Floats]] = {}
    for other in attempts[1:]:
        with contextlib.suppress(PodiumError):  # damaged, or of other samples: the others tell
            mine, first, _ = paired_runs(_tables(other), _tables(base), metric)
            paired = _pairs(mine, first)
            spreads += [float((a.values - b.values).var(ddof=1)) for a, b in paired if len(a.values) > 1]
            level += [float(b.values.var(ddof=1)) for _, b in paired if len(b.values) > 1]
            groups = max(groups, sum(len(b.values) for _, b in paired))
            differences[other.folder.name] = [a.values - b.values for a, b in paired]
    if not spreads:
        return None
    return Expected(
        between=math.sqrt(np.mean(spreads)),
        run=noise.s2,
        groups_cv=groups,
        groups_public=groups_public,
        groups_level=math.sqrt(np.mean(level)),
        folds=judge.k,
        **covariance_of(base.folder.name, differences),
    )


def covariance_of(base: str, differences: Mapping[str, Sequence[Floats]]) -> dict[str, Any]:
    """How the attempts' differences from the first one go together from group to group, each fold about its mean.

    Args:
        differences: Of each attempt, one a group, fold after fold; those that have other groups are left out.
    """
    shapes = [tuple(len(d) for d in each) for each in differences.values()]
    usual = max(set(shapes), key=shapes.count)
    names = [name for name, shape in zip(differences, shapes, strict=True) if shape == usual]
    left = sum(usual) - len(usual)
    if left < len(names) + 2:
        return {}
    centred = np.array([np.concatenate([d - d.mean() for d in differences[name]]) for name in names])
    whole = np.zeros((len(names) + 1, len(names) + 1))
    whole[1:, 1:] = centred @ centred.T / left
    return {"attempts": (base, *names), "covariance": whole}


def _tables(attempt: Attempt) -> dict[tuple[int, int], pl.DataFrame]:
    return {(run.fold, run.seed): run.scores() for run in attempt.runs if run.seed == 0}


def _pairs(mine: Sequence[Run], base: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Runs of the same fold."""
    of_fold = {run.fold: run for run in base}
    return [(run, of_fold[run.fold]) for run in mine if run.fold in of_fold]


def likeness_of(attempts: Sequence[Attempt]) -> npt.NDArray[np.float64] | None:
    """Correlation of each two attempts' out-of-fold scores, sample by sample; None where they have none in common."""
    tables = []
    for n, attempt in enumerate(attempts):
        try:
            table = attempt.out_of_fold().select("id", pl.col("score").cast(pl.Float64).alias(str(n)))
        except PodiumError:
            return None
        if table[str(n)].null_count():  # a metric of all samples together
            return None
        tables.append(table)
    joined = tables[0]
    for table in tables[1:]:
        joined = joined.join(table, on="id", how="inner")
    if joined.height < 8:
        return None
    with np.errstate(invalid="ignore"):
        found = np.corrcoef(joined.drop("id").to_numpy().T).reshape(len(attempts), len(attempts))
    return np.asarray(np.nan_to_num(found, nan=1.0), np.float64)
