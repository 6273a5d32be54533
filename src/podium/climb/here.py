"""A workspace as the ledger that climbing needs, and a climb begun or gone on with in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from podium.climb.catalog import Catalog, load_catalog
from podium.climb.claim import Claim
from podium.climb.driver import Climb
from podium.climb.guards import Place
from podium.climb.journal import FILE, Journal
from podium.climb.moves import changes_of
from podium.config import difference
from podium.data.memory import has_gpu
from podium.data.plan import Aim
from podium.errors import ConfigError, LedgerError, PodiumError
from podium.formats.images import read_image
from podium.ledger.attempts import CODE, Attempt, Attempts
from podium.ledger.checks import same_folds, same_metric
from podium.ledger.fold_runs import FoldRun
from podium.ledger.judge import Judge
from podium.ledger.verdict import RunNoise, compare, paired_runs
from podium.plugins import kept_files
from podium.progress import say
from podium.recipe import Recipe, prediction_only

if TYPE_CHECKING:
    from podium.workspace import Workspace

LOOKED_AT = 20
"""Images that tell whether there are colours."""


@dataclass(frozen=True)
class Here:
    """`podium.climb.ledger.Ledger` of a workspace."""

    space: Workspace

    @property
    def k(self) -> int:
        """Number of folds."""
        return self.space.competition.folds.k

    def champion(self) -> Attempt:
        """The attempt that stands."""
        return self.space.champion()

    def attempts(self) -> list[Attempt]:
        """Every readable attempt, by number."""
        return self.space.attempts.all()

    def attempt(self, name: str, settings: Sequence[str], *, why: str, link: str, careful: bool, seeds: int) -> Attempt:
        """Race a change of the champion."""
        return self.space.attempt(name, settings, why=why, link=link, careful=careful, seeds=seeds)

    def resume(self, id: int, *, careful: bool, seeds: int) -> Attempt:
        """Go on with an attempt; one that was careful from the beginning stays so."""
        return self.space.resume(id, seeds=seeds, **({"careful": True} if careful else {}))

    def missing(self, id: int) -> int:
        """Folds that an attempt is not trained on."""
        return self.k - len(self.space.attempts.get(id).trained_folds())

    def complete(self, id: int) -> Attempt:
        """Train the folds that an attempt lacks, and judge it again."""
        return self.space.resume(id, complete=True, careful=True, seeds=1)

    def fold_runs(self, id: int | None = None) -> int:
        """Trainings so far; a run that another's weights predict is none."""
        return sum("trained_in" not in run.facts for a in self._of(id) for run in a.runs)

    def seconds(self, id: int | None = None) -> float:
        """Their time."""
        return sum(a.seconds for a in self._of(id))

    def _of(self, id: int | None) -> list[Attempt]:
        return [a for a in self.attempts() if id is None or a.id == id]

    def fresh(self, first: int, second: int, folds: int, seed: int) -> Claim:
        """Train two attempts anew and compare what these trainings alone say.

        If the first only predicts in another way than the second, it predicts with the second's new trainings.
        """
        ours, base = (self.space.attempts.get(id) for id in (first, second))
        shared = prediction_only(difference(ours.recipe, base.recipe))
        of_base = self._retrained(base, folds, seed)
        of_ours = self._retrained(ours, folds, seed, of_base if shared else None)
        metric = self.space.metric
        tables = [{(run.fold, run.seed): run.scores() for run in runs} for runs in (of_ours, of_base)]
        a, b, _ = paired_runs(tables[0], tables[1], metric)
        noise = RunNoise(0.0, np.inf) if shared else Judge(self.space.attempts, metric, self.k).noise()
        comparison = compare(a, b, noise, greater_is_better=metric.greater_is_better, shared_training=shared)
        return Claim.of(comparison, *(float(np.mean([run.score for run in runs])) for runs in (of_ours, of_base)))

    def _retrained(
        self, attempt: Attempt, folds: int, seed: int, trained: list[FoldRun] | None = None
    ) -> list[FoldRun]:
        """New fold runs of an attempt; or what it predicts with those that are ``trained``."""
        from podium.training.fold_run import FoldData, run_fold
        from podium.training.repredict import repredict_fold

        same_metric(attempt, self.space.competition, self.space.root)
        space, p = self.space, self.space.prepare(attempt.recipe)
        same_folds(attempt, p.folds, space.root)
        data = FoldData(space.competition, p.stores, p.folds, space.metric, p.samples, p.opened)
        recipe, folder = attempt.recipe, attempt.folder
        with kept_files(folder / CODE):
            if trained is None:
                runs = [run_fold(data, recipe, fold, seed, folder, runs=folds - fold) for fold in range(folds)]
            else:
                runs = [repredict_fold(data, recipe, source, folder) for source in trained]
        space.index.put(Attempt.load(folder))
        return runs


def place_of(space: Workspace) -> Place:
    """What changes are made to here."""
    from podium.training.check import check_recipe
    from podium.training.tasks import create_task

    competition, aim = space.competition, Aim.of(space.competition)
    known: dict[str, PodiumError | None] = {}

    def check(recipe: Recipe) -> None:  # of each recipe once: it is asked after every attempt
        digest = recipe.digest()
        if digest not in known:
            try:
                check_recipe(recipe, create_task(competition, space.metric, recipe))
                known[digest] = None
            except PodiumError as error:
                known[digest] = error
        if (refused := known[digest]) is not None:
            raise refused

    target: Any = aim.kind
    return Place(competition.task, target, gpu=has_gpu(), colour=_colourful(space), check=check)


def _colourful(space: Workspace) -> bool:
    """Whether any of a few training images has colours; a grey one is as often stored with three equal channels."""
    found = space.samples().train
    for sample in found[:: max(1, len(found) // LOOKED_AT)]:
        with suppress(PodiumError):  # prepare reports it
            pixels = read_image(sample.image)
            if (pixels != pixels[:, :, :1]).any():
                return True
    return False


def learnt(folders: Sequence[Path], catalog: Catalog) -> tuple[tuple[str, str], ...]:
    """(change, verdict) of the catalogue's changes in other workspaces' ledgers.

    Raises:
        LedgerError: for a folder without attempts.
    """
    found: list[tuple[str, str]] = []
    for folder in folders:
        attempts = Attempts(folder / "attempts").all()
        if not attempts:
            raise LedgerError("there are no attempts", where=folder, expected="the folder of another workspace")
        for attempt in attempts:
            changes, verdict = changes_of(attempt.name, catalog), attempt.verdict
            if len(changes) == 1 and verdict is not None and verdict.final:
                found.append((changes[0], verdict.verdict))
    return tuple(found)


def open_climb(
    space: Workspace,
    *,
    fold_runs: int | None = None,
    hours: float | None = None,
    catalog: Path | None = None,
    seed: int | None = None,
    learn: Sequence[Path] = (),
    write: bool = True,
) -> Climb:
    """A new climb, or the one that was not ended, with its budget or another.

    Args:
        learn: Folders of other workspaces, see `learnt`.
        write: Note it in `climb.toml`; if not, it needs no budget.

    Raises:
        ConfigError: if there is no budget, or two; or the catalogue is wrong.
        LedgerError: if there is no baseline whose noise floor is known.
    """
    if fold_runs is not None and hours is not None:
        raise ConfigError("--fold-runs and --hours", expected="one of them")
    ledger, journal = Here(space), Journal.find(space.root)
    _require_noise(ledger)
    budget: dict[str, Any] = {} if fold_runs is hours is None else {"fold_runs": fold_runs, "hours": hours}
    if journal is None or journal.done:
        if write and not budget:
            raise ConfigError(
                "no budget is given",
                expected="--fold-runs N or --hours H",
                remedy="for instance: podium climb --hours 8",
            )
        first, stood = 1 + max(a.id for a in ledger.attempts()), ledger.champion().id
        journal = Journal.begin(seed=0, runs_before=ledger.fold_runs(), first=first, stood=stood)
    elif write:
        say(f"climb: going on with the one begun {journal.begun}; to begin another, delete {FILE}")
    given: dict[str, Any] = {"catalog": str(catalog.resolve()) if catalog else None, "seed": seed}
    given["learn"] = [str(folder.resolve()) for folder in learn] or None
    journal = journal.model_copy(update=budget | {key: value for key, value in given.items() if value is not None})
    chosen = load_catalog(Path(journal.catalog) if journal.catalog else None)
    elsewhere = learnt([Path(folder) for folder in journal.learn], chosen)
    climb = Climb(ledger, chosen, place_of(space), space.root, journal, elsewhere)
    if write:
        journal.noted(space.root)
    return climb


def _require_noise(ledger: Here) -> None:
    space = ledger.space
    if space.attempts.baseline() is not None:
        same_metric(ledger.champion(), space.competition, space.root)
    if not Judge(space.attempts, space.metric, ledger.k).noise().known:
        ledger.champion()  # which says so where there is no baseline at all
        raise LedgerError(
            "the noise floor is unknown, so that no change could get a YES",
            expected="a baseline with two seeds a fold",
            remedy="run: podium baseline",
        )
