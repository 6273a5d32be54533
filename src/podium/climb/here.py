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
from podium.climb.journal import Journal
from podium.climb.moves import changes_of
from podium.data.plan import Aim, has_gpu
from podium.errors import ConfigError, LedgerError, PodiumError
from podium.formats.images import read_image
from podium.ledger.attempts import CODE, Attempt, Attempts
from podium.ledger.checks import same_folds
from podium.ledger.fold_runs import FoldRun
from podium.ledger.judge import Judge
from podium.ledger.verdict import compare, paired_runs
from podium.plugins import kept_files
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

    def attempt(
        self, name: str, settings: Sequence[str], *, why: str, link: str, careful: bool, most: int | None
    ) -> Attempt:
        """Race a change of the champion; with less than every seed of every fold left, on one seed a fold."""
        seeds = None if most is None else 1
        return self.space.attempt(name, settings, why=why, link=link, careful=careful, seeds=seeds)

    def resume(self, id: int, *, careful: bool, most: int | None) -> Attempt:
        """Go on with an attempt."""
        race: dict[str, Any] = {} if most is None else {"seeds": 1}
        return self.space.resume(id, **(race | ({"careful": True} if careful else {})))

    def fold_runs(self, id: int | None = None) -> int:
        """Trainings so far."""
        return sum(len(a.runs) for a in self._of(id) if not prediction_only(a.change))

    def seconds(self, id: int | None = None) -> float:
        """Their time."""
        return sum(a.seconds for a in self._of(id))

    def _of(self, id: int | None) -> list[Attempt]:
        return [a for a in self.attempts() if id is None or a.id == id]

    def fresh(self, first: int, second: int, folds: int, seed: int) -> Claim:
        """Train two attempts anew and compare what these trainings alone say."""
        pair = [self.space.attempts.get(id) for id in (first, second)]
        runs = [self._retrained(attempt, folds, seed) for attempt in pair]
        metric = self.space.metric
        tables = [{(run.fold, run.seed): run.scores() for run in of} for of in runs]
        ours, base, _ = paired_runs(tables[0], tables[1], metric)
        noise = Judge(self.space.attempts, metric, self.k).noise()
        comparison = compare(ours, base, noise, greater_is_better=metric.greater_is_better)
        return Claim.of(comparison, *(float(np.mean([run.score for run in of])) for of in runs))

    def _retrained(self, attempt: Attempt, folds: int, seed: int) -> list[FoldRun]:
        from podium.training.fold_run import FoldData, run_fold

        space, p = self.space, self.space.prepare(attempt.recipe)
        same_folds(attempt, p.folds, space.root)
        data = FoldData(space.competition, p.stores, p.folds, space.metric, p.samples, p.opened)
        with kept_files(attempt.folder / CODE):
            runs = [
                run_fold(data, attempt.recipe, fold, seed, attempt.folder, runs=folds - fold) for fold in range(folds)
            ]
        space.index.put(Attempt.load(attempt.folder))
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
        write: Note it in `climb.toml`.

    Raises:
        ConfigError: if there is no budget, or two.
        LedgerError: if there is no baseline whose noise floor is known.
    """
    if fold_runs is not None and hours is not None:
        raise ConfigError("--fold-runs and --hours", expected="one of them")
    ledger, journal = Here(space), Journal.find(space.root)
    _require_noise(ledger)
    going = journal is not None and not journal.done
    if not going and fold_runs is None and hours is None:
        raise ConfigError(
            "no budget is given", expected="--fold-runs N or --hours H", remedy="for instance: podium climb --hours 8"
        )
    if not going or journal is None:
        first = 1 + max(a.id for a in ledger.attempts())
        journal = Journal.begin(seed=seed or 0, runs_before=ledger.fold_runs(), first=first)
    changes: dict[str, Any] = {}
    if fold_runs is not None or hours is not None:
        changes |= {"fold_runs": fold_runs, "hours": hours}
    if catalog is not None:
        changes |= {"catalog": str(catalog.resolve())}
    if seed is not None:
        changes |= {"seed": seed}
    journal = journal.noted(space.root, **changes) if write else journal.model_copy(update=changes)
    chosen = load_catalog(Path(journal.catalog) if journal.catalog else None)
    return Climb(ledger, chosen, place_of(space), space.root, journal, learnt(learn, chosen))


def _require_noise(ledger: Here) -> None:
    if not Judge(ledger.space.attempts, ledger.space.metric, ledger.k).noise().known:
        ledger.champion()  # which says so where there is no baseline at all
        raise LedgerError(
            "the noise floor is unknown, so that no change could get a YES",
            expected="a baseline with two seeds a fold",
            remedy="run: podium baseline",
        )
