"""Run noise: how far a fold's score moves when nothing but the seed changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def run_noise(replicates: Iterable[Sequence[Run]], closed: Iterable[Comparison] = ()) -> RunNoise:
    """Run noise from what was trained with several seeds, and from attempts that are over.

    Args:
        replicates: For each recipe its runs; folds with one seed are passed over.
        closed: Attempts with a verdict; those with less than two folds, with an unknown variance or that trained
            nothing of their own are passed over.

    Raises:
        LedgerError: if two seeds of a recipe were scored on different groups.
    """
    numerator = denominator = df = 0.0
    for runs in replicates:
        folds: dict[int, list[Run]] = defaultdict(list)
        for run in runs:
            folds[run.fold].append(run)
        for fold, same in folds.items():
            if len(same) < 2:
                continue
            if any(not np.array_equal(run.groups, same[0].groups) for run in same):
                raise LedgerError("two seeds were scored on different groups", where=f"fold {fold}")
            top, bottom = replicate_terms(np.stack([run.values for run in same]))
            numerator, denominator, df = numerator + float(top), denominator + bottom, df + bottom
    for comparison in closed:
        d, v, c = comparison.gains, comparison.variances, comparison.weights
        if len(d) < 2 or np.isnan(v).any() or not c.any():
            continue
        top, bottom_, free = closed_terms(d, v, c)
        numerator, denominator, df = numerator + float(top), denominator + float(bottom_), df + free
    return RunNoise(max(0.0, numerator / denominator), df) if df else RunNoise()
