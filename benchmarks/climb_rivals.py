"""What people do in the place of `podium climb`: the higher mean of all folds stays; or Optuna searches the same space.

Both only see an `Arena`, so that the same code competes in real trainings and in simulated ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from podium.climb.catalog import Catalog
from podium.climb.guards import Place, fit
from podium.errors import PodiumError
from podium.recipe import Recipe


@dataclass(frozen=True)
class Candidate:
    """A recipe, and the catalogue's changes that it has come by."""

    changes: tuple[str, ...]
    recipe: Recipe


class Arena(Protocol):
    """Where candidates are trained."""

    catalog: Catalog
    place: Place
    k: int
    baseline: Candidate

    def score(self, candidate: Candidate, fold: int) -> float:
        """Higher is better; raises a `PodiumError` if it cannot be trained."""


@dataclass
class Search:
    """What a search came to.

    Attributes:
        kept: From the baseline on, what stood one after another.
        proposed: What it proposes, if that is not the last of these.
        verdicts: How many candidates it took or dropped.
        fold_runs: What that took; those of the baseline are not counted.
    """

    kept: list[Candidate]
    proposed: Candidate | None = None
    verdicts: int = 0
    fold_runs: int = 0
    tried: list[dict[str, Any]] = field(default_factory=list)


def with_changes(start: Candidate, names: Iterable[str], arena: Arena) -> Candidate:
    """The changes made one after another; what does not fit is left out."""
    found = start
    for name in names:
        fitted = fit(arena.catalog.changes[name], found.recipe, arena.place, found.changes)
        if fitted.recipe is not None:
            found = Candidate((*found.changes, name), fitted.recipe)
    return found


def by_mean(arena: Arena, budget: int, seed: int) -> Search:
    """Every fold of one change after another, in any order; the higher mean stays, and the next is made to it."""
    rng = np.random.default_rng([seed, 1])
    names = [str(name) for name in rng.permutation(sorted(arena.catalog.changes))]
    search = Search([arena.baseline])
    best = _all_folds(arena, arena.baseline)
    for name in names:
        candidate = with_changes(search.kept[-1], [name], arena)
        if candidate == search.kept[-1]:
            continue
        if search.fold_runs + arena.k > budget:
            break
        try:
            scores = _all_folds(arena, candidate)
        except PodiumError as error:
            search.fold_runs += 1
            search.tried.append({"name": name, "failed": error.found})
            continue
        better = float(np.mean(scores)) > float(np.mean(best))
        search.fold_runs, search.verdicts = search.fold_runs + arena.k, search.verdicts + 1
        search.tried.append({"name": name, "mean": float(np.mean(scores)), "kept": better})
        if better:
            search.kept.append(candidate)
            best = scores
    return search


def by_optuna(arena: Arena, budget: int, seed: int, *, slots: int = 0) -> Search:
    """TPE over the changes, all that are chosen made together; WilcoxonPruner over the folds, in random order.

    The baseline is the first trial, and half of Optuna's usual number of random trials follow. A pruned trial returns
    the mean of its folds, as Optuna's page on the pruner says; what is proposed is the best trial of all folds.

    Args:
        slots: 0: each change is taken or not. Else so many choices of one change or none: never more at once.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    rng = np.random.default_rng([seed, 2])
    names = [n for n in sorted(arena.catalog.changes) if with_changes(arena.baseline, [n], arena) != arena.baseline]
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=5, multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=optuna.pruners.WilcoxonPruner())
    study.enqueue_trial({f"slot{i}": "none" for i in range(slots)} if slots else dict.fromkeys(names, False))
    search = Search([arena.baseline])
    whole: dict[int, tuple[float, Candidate]] = {}
    while not whole or search.fold_runs + arena.k <= budget:
        trial = study.ask()
        candidate = with_changes(arena.baseline, _chosen(trial, names, slots), arena)
        scores: list[float] = []
        try:
            for fold in rng.permutation(arena.k):
                scores.append(arena.score(candidate, int(fold)))
                trial.report(scores[-1], int(fold))
                if len(scores) < arena.k and trial.should_prune():
                    break
        except PodiumError:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            search.fold_runs += 1
            continue
        study.tell(trial, float(np.mean(scores)))
        if candidate != arena.baseline:
            search.fold_runs, search.verdicts = search.fold_runs + len(scores), search.verdicts + 1
            search.tried.append({"name": " ".join(candidate.changes), "mean": float(np.mean(scores)), "n": len(scores)})
        if len(scores) == arena.k:
            whole[trial.number] = float(np.mean(scores)), candidate
    best = max(whole.values(), key=lambda found: found[0])[1]
    search.kept += [best] if best != arena.baseline else []
    return search


def _chosen(trial: Any, names: Sequence[str], slots: int) -> list[str]:
    if slots:
        found = [trial.suggest_categorical(f"slot{i}", ["none", *names]) for i in range(slots)]
        return [name for name in dict.fromkeys(found) if name != "none"]
    return [name for name in names if trial.suggest_categorical(name, [False, True])]


def _all_folds(arena: Arena, candidate: Candidate) -> list[float]:
    return [arena.score(candidate, fold) for fold in range(arena.k)]
