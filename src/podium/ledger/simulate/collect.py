"""Train what the rule asks for, ledger by ledger, and keep the scores; goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from podium.errors import LedgerError
from podium.ledger.simulate.kinds import AA, KINDS, plan
from podium.ledger.simulate.replay import race_ledger
from podium.ledger.simulate.trainings import BASELINE, Scores, Trained, Trainings
from podium.ledger.verdict import FoldSeed, Run
from podium.progress import say
from podium.recipe import Recipe

TrainFold = Callable[[Recipe, int, int], tuple[Scores, npt.NDArray[Any]]]
"""Recipe, fold and seed to (score, group) of each sample of the fold."""

SEEDS = 10_000
"""Attempt a of ledger n has the seeds 10,000 n + 10 a and on: no two trainings share one."""


def collect(
    path: Path, about: dict[str, Any], recipe: Recipe, train: TrainFold, ledgers: int, attempts: int, only: int = -1
) -> Trainings:
    """Train ``ledgers`` baselines and the attempts against each; the file is written after every fold run.

    Args:
        only: Train this ledger and no other.
        about: data, metric, greater_is_better, folds, recipe_name and changes, as the page tells them.
        attempts: A/A attempts of each ledger; those with an effect come on top.

    Raises:
        LedgerError: if the file was begun with another recipe, metric, or number of attempts.
    """
    about = about | {"recipe": recipe.tree(), "attempts": attempts}
    kept = _begun(path, about) if path.exists() else Trainings(about)
    kept.plan += [plan(ledger, attempts) for ledger in range(len(kept.plan), ledgers)]

    def trained(ledger: int, attempt: int, what: FoldSeed) -> Run | None:
        key = Trained(ledger, attempt, *what)
        if key not in kept.scores:
            kind = AA if attempt == BASELINE else kept.plan[ledger][attempt - 1]
            changed = recipe.with_overrides(KINDS[kind].change(recipe))
            scores, groups = train(changed, what.fold, SEEDS * ledger + 10 * attempt + what.seed)
            kept.add(key, scores, groups)
            kept.save(path)
        return kept.run(ledger, attempt, what)

    for ledger in range(ledgers) if only < 0 else (only,):
        for race in race_ledger(ledger, kept.plan[ledger], trained, kept.k, up=kept.greater_is_better):
            says = KINDS[race.kind].says
            say(f"ledger {ledger + 1} of {ledgers}, attempt {race.attempt} ({says}): {race.decision.sentence}")
    return kept


def part_of(path: Path, ledger: int) -> Path:
    """Where a ledger is collected on its own, while others are at work."""
    return path.with_name(f"{path.stem}.ledger-{ledger}{path.suffix}")


def take_in(path: Path, ledgers: int) -> None:
    """Put what the ledgers' own files hold into ``path`` and remove them; those of unfinished ledgers too.

    Raises:
        LedgerError: if one of them was begun with another recipe, metric, or number of attempts.
    """
    parts = [part for ledger in range(ledgers) if (part := part_of(path, ledger)).exists()]
    for part in parts:
        other = Trainings.load(part)
        whole = _begun(path, other.about) if path.exists() else other
        whole.plan += other.plan[len(whole.plan) :]
        for key, scores in other.scores.items():
            whole.add(key, scores, other.groups[key.fold])
        whole.save(path)
        part.unlink()


def _begun(path: Path, about: dict[str, Any]) -> Trainings:
    kept = Trainings.load(path)
    before = kept.about | {"recipe": Recipe().with_overrides(kept.about["recipe"]).tree()}  # settings of a newer podium
    keys = [key for key in ("recipe", "metric", "folds", "attempts") if before[key] != about[key]]
    if keys:
        raise LedgerError(
            f"it was begun with another {keys[0]}",
            where=path,
            expected="the same recipe, metric, folds and --attempts; more --ledgers may be added",
            remedy="collect into another file",
        )
    return kept
