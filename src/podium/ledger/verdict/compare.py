"""An attempt beside its parent, fold by fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from podium.errors import LedgerError
from podium.ledger.verdict.formulas import Floats, closed_terms, fold_stats, replicate_terms, summary
from podium.ledger.verdict.runs import Run

if TYPE_CHECKING:
    from podium.ledger.verdict.noise import RunNoise

NAN = float("nan")
FEWEST = 2
"""Degrees of freedom below which nothing is said of how gains differ between trainings: with one, too many YES."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The gain of an attempt over its parent, on the m folds that both have trained. Positive is better.

    Attributes:
        gain: D, the mean over folds of the mean over groups of the paired difference; NaN of no fold.
        se: Its standard error, with the noise of retraining; NaN if unknown.
        noise_floor: Standard deviation of one training seen on one fold; NaN if unknown.
        df: Degrees of freedom of the error; 0 if it is unknown.
        noise_known: Whether anything was ever trained twice; if not, no error can be known.
        shared: Whether the attempt only predicts in another way with its parent's trainings.
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
    shared: bool = False

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
            instead of ``noise`` the error has what its own gains tell of how far they differ between trainings.

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
    if shared_training:
        c = np.array([1 / len(attempt[fold]) for fold in folds], np.float64)
        s2, df = _noise_of_gains([_differences(attempt[fold], parent[fold]) for fold in folds], d, v, c)
    else:
        s2, df = (noise.s2, noise.df) if noise is not None else (0.0, 0.0)
    seeds = {fold: tuple(sorted(of)) for fold, of in attempt.items()}
    if not df or not folds:
        gain, known = float(d.mean()) if folds else NAN, noise is not None and noise.known
        return Comparison(gain, NAN, NAN, 0, known, folds, d, v, c, seeds, greater_is_better, shared_training)
    gain, se, floor, free = map(float, summary(d, v, c, s2, df))
    return Comparison(gain, se, floor, free, True, folds, d, v, c, seeds, greater_is_better, shared_training)


def _differences(attempt: dict[int, Run], parent: dict[int, Run]) -> Floats:
    """Of each seed the gain of each group, shape (n, G)."""
    return np.stack([attempt[seed].values - parent[seed].values for seed in sorted(attempt)])


def _noise_of_gains(differences: Sequence[Floats], d: Floats, v: Floats, c: Floats) -> tuple[float, float]:
    """How far the gain of a change to the prediction differs between trainings: (variance, degrees of freedom).

    The formulas for run noise, of gains instead of scores: the scatter of a fold's seeds, and that of the folds, each
    less what finite groups explain. Of this attempt alone: how much such a gain depends on the training differs from
    change to change by orders of magnitude. Where a fold has one group, its scatter counts in `summary`.
    """
    if np.isnan(v).any():
        return 0.0, np.inf
    seeds = [replicate_terms(of_fold) for of_fold in differences if len(of_fold) > 1]
    terms = [(float(top), float(n), float(n)) for top, n in seeds]
    if len(d) > 1:
        top, bottom, _ = closed_terms(d, v, c)
        terms.append((float(top), float(bottom), len(d) - 1.0))
    top, bottom, df = (sum(column) for column in zip((0.0, 0.0, 0.0), *terms, strict=True))
    return (max(0.0, top / bottom), df) if df >= FEWEST else (0.0, 0.0)


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
