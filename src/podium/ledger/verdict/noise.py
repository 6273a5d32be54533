"""Run noise: how far a fold's score moves when nothing but the seed changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from podium.errors import LedgerError
from podium.ledger.verdict.compare import Comparison
from podium.ledger.verdict.formulas import closed_terms, replicate_terms
from podium.ledger.verdict.runs import Run


@dataclass(frozen=True)
class RunNoise:
    """The variance that a new seed gives a whole fold.

    Attributes:
        s2: Variance, in the metric's units squared.
        df: Degrees of freedom that it is known with; 0: unknown.
    """

    s2: float = 0.0
    df: float = 0.0

    @property
    def known(self) -> bool:
        """Whether anything was ever trained twice."""
        return self.df > 0


class Terms(NamedTuple):
    """What some trainings say of the run noise: s2 = sum of numerators / sum of denominators."""

    numerator: float
    denominator: float
    df: float


def replicate_noise(runs: Sequence[Run]) -> Terms:
    """From the runs of one recipe; folds with one seed say nothing.

    Raises:
        LedgerError: if two seeds were scored on different groups.
    """
    numerator = df = 0.0
    folds: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        folds[run.fold].append(run)
    for fold, same in folds.items():
        if len(same) < 2:
            continue
        if any(not np.array_equal(run.groups, same[0].groups) for run in same):
            raise LedgerError("two seeds were scored on different groups", where=f"fold {fold}")
        top, bottom = replicate_terms(np.stack([run.values for run in same]))
        numerator, df = numerator + float(top), df + bottom
    return Terms(numerator, df, df)


def closed_noise(comparison: Comparison) -> Terms | None:
    """From an attempt that is over; None with less than two folds, an unknown variance or no training of its own."""
    d, v, c = comparison.gains, comparison.variances, comparison.weights
    if len(d) < 2 or np.isnan(v).any() or comparison.shared:
        return None
    top, bottom, free = closed_terms(d, v, c)
    return Terms(float(top), float(bottom), free)


def noise_of_terms(terms: Iterable[Terms | None]) -> RunNoise:
    """Run noise from all that says something of it."""
    known = [t for t in terms if t is not None and t.df]
    if not known:
        return RunNoise()
    top, bottom, df = (sum(column) for column in zip(*known, strict=True))
    return RunNoise(max(0.0, top / bottom), df)


def run_noise(replicates: Iterable[Sequence[Run]], closed: Iterable[Comparison] = ()) -> RunNoise:
    """Run noise from what was trained with several seeds, and from attempts that are over.

    Args:
        replicates: For each recipe its runs; folds with one seed are passed over.
        closed: Attempts with a verdict.

    Raises:
        LedgerError: if two seeds of a recipe were scored on different groups.
    """
    return noise_of_terms([*map(replicate_noise, replicates), *map(closed_noise, closed)])
