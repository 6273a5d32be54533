"""An attempt beside its parent, fold by fold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from podium.errors import LedgerError
from podium.ledger.verdict.formulas import Floats, fold_stats, summary
from podium.ledger.verdict.runs import Run

if TYPE_CHECKING:
    from podium.ledger.verdict.noise import RunNoise

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Comparison:
    """The gain of an attempt over its parent, on the m folds that both have trained. Positive is better.

    Attributes:
        gain: D, the mean over folds of the mean over groups of the paired difference; NaN of no fold.
        se: Its standard error, with the noise of retraining; NaN if unknown.
        noise_floor: Standard deviation of one training seen on one fold; NaN if unknown.
        df: Degrees of freedom of the error; 0 if it is unknown.
        noise_known: Whether anything was ever trained twice; if not, no error can be known.
        folds: The m folds, ascending.
        gains, variances, weights: d, v and c of each fold, shape (m,); v is NaN for a single group.
        seeds: {fold: seeds} of all that the attempt has trained, also on folds that the parent has not.
        greater_is_better: The metric's direction.
    """

    gain: float
    se: float
    noise_floor: float
    df: float
    noise_known: bool
    folds: tuple[int, ...]
    gains: Floats
    variances: Floats
    weights: Floats
    seeds: dict[int, tuple[int, ...]]
    greater_is_better: bool = True

    @property
    def m(self) -> int:
        """Number of folds compared."""
        return len(self.folds)

    @property
    def fold_runs(self) -> int:
        """Trainings of the attempt that were compared."""
        return sum(len(self.seeds[fold]) for fold in self.folds)


def compare(
    attempt_runs: Iterable[Run],
    parent_runs: Iterable[Run],
    noise: RunNoise | None = None,
    *,
    greater_is_better: bool = True,
    shared_training: bool = False,
) -> Comparison:
    """Compare an attempt with its parent on the folds that both have trained.

    Args:
        attempt_runs, parent_runs: One a fold and seed, of the same samples.
        noise: None while it is to be estimated, or unknown.
        greater_is_better: The metric's direction; for errors the sign is turned.
        shared_training: The attempt only predicts in another way with its parent's trainings: seeds are paired, and
            the noise of retraining is no part of the error.

    Raises:
        LedgerError: if a fold and seed comes twice, or both sides have not the same groups.
    """
    attempt, parent = _by_fold(attempt_runs, "the attempt"), _by_fold(parent_runs, "the parent")
    if shared_training:
        pairs = {f: attempt[f].keys() & parent[f].keys() for f in attempt.keys() & parent.keys()}
        parent = {f: {s: parent[f][s] for s in seeds} for f, seeds in pairs.items() if seeds}
        attempt = {f: {s: attempt[f][s] for s in pairs[f]} for f in parent}
    folds = tuple(sorted(attempt.keys() & parent.keys()))
    stats = [_fold(fold, [*attempt[fold].values()], [*parent[fold].values()]) for fold in folds]
    d, v, c = np.array(stats, np.float64).reshape(-1, 3).T
    d = d if greater_is_better else -d
    c = np.zeros_like(c) if shared_training else c
    seeds = {fold: tuple(sorted(of)) for fold, of in attempt.items()}
    known = noise is not None and noise.known
    if noise is None or not known or not folds:
        gain = float(d.mean()) if folds else NAN
        return Comparison(gain, NAN, NAN, 0, known, folds, d, v, c, seeds, greater_is_better)
    found = summary(d, v, c, noise.s2, np.inf if shared_training else noise.df)
    gain, se, floor, df = map(float, found)
    return Comparison(gain, se, floor, df, known, folds, d, v, c, seeds, greater_is_better)


def _by_fold(runs: Iterable[Run], whose: str) -> dict[int, dict[int, Run]]:
    folds: dict[int, dict[int, Run]] = {}
    for run in runs:
        if run.seed in folds.setdefault(run.fold, {}):
            raise LedgerError(f"{whose} has fold {run.fold} with seed {run.seed} twice", expected="each fold run once")
        folds[run.fold][run.seed] = run
    return folds


def _fold(fold: int, attempt: list[Run], parent: list[Run]) -> tuple[float, float, float]:
    """(d, v, c) of one fold."""
    groups = parent[0].groups
    for run in (*attempt, *parent):
        if not np.array_equal(run.groups, groups):
            raise LedgerError(
                f"the attempt and its parent have different groups ({len(run.groups)} and {len(groups)})",
                where=f"fold {fold}",
                expected="the same samples on both sides",
                remedy="compare on the samples that both have (podium.ledger.verdict.paired_runs)",
            )
    d, v = fold_stats(_mean(attempt) - _mean(parent))
    return float(d), float(v), 1 / len(attempt) + 1 / len(parent)


def _mean(runs: list[Run]) -> Floats:
    return np.asarray(np.mean([run.values for run in sorted(runs, key=lambda r: r.seed)], axis=0), np.float64)
