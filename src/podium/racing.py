"""From a wish to a verdict: attempts are written down, trained by the race, and judged. `Workspace` calls it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.data.competition import Competition
from podium.data.ready import Prepared
from podium.errors import LedgerError
from podium.ledger.adopt import adopt, find
from podium.ledger.attempts import CODE, Attempt, Attempts, RaceConfig
from podium.ledger.changes import SAMPLES, Change, changed_recipe, combined
from podium.ledger.checks import check_complete, same_folds, same_metric
from podium.ledger.fitted import write_fitted
from podium.ledger.fold_runs import fold_run_name
from podium.ledger.index import Index
from podium.ledger.judge import Judge, same_assignment
from podium.ledger.race import Race
from podium.ledger.verdict import FoldSeed
from podium.metrics import Metric
from podium.plugins import files_of, kept_files
from podium.progress import say, say_if
from podium.recipe import Recipe, prediction_only

if TYPE_CHECKING:
    from podium.training.fold_run import FoldData


@dataclass(frozen=True)
class Racing:
    """What attempts need of a workspace.

    Attributes:
        prepare: Makes the data ready for a recipe.
    """

    root: Path
    competition: Competition
    metric: Metric
    attempts: Attempts
    index: Index
    prepare: Callable[[Recipe], Prepared]

    @property
    def k(self) -> int:
        """Number of folds."""
        return self.competition.folds.k

    def baseline(self, wanted: Recipe, why: str, seeds: int) -> Attempt:
        """Train the first champion on every fold with each of ``seeds`` seeds; one that was stopped goes on.

        Raises:
            LedgerError: if there is a baseline with another recipe.
        """
        check(wanted, self.competition, self.metric, self.root)
        first = self.attempts.baseline()
        if first is not None:
            same_metric(first, self.competition, self.root)
        prepared = self.prepare(wanted)
        if first is not None and first.recipe != wanted:
            begin = f"no fold of it is trained: to begin again, delete {first.folder}"
            change = "change it by an attempt: podium try NAME key=value --why '…'; or start another workspace"
            raise LedgerError(
                f"there is a baseline already ({first.folder.name}), with another recipe",
                where=self.root / "attempts",
                remedy=change if first.runs else begin,
            )
        race = RaceConfig(seeds=seeds)
        if first is None:
            folds, code = prepared.folds.digest(), _files(wanted)
            first = self.attempts.create("baseline", wanted, None, why, folds, race=race, code=code)
        else:
            same_folds(first, prepared.folds, self.root)
            first = first if first.race.seeds == seeds else first.raced_by(race)
        return self._run(first, prepared)

    def attempt(
        self,
        name: str,
        changes: Sequence[str],
        base: Attempt,
        *,
        why: str,
        link: str = "",
        race: RaceConfig | None = None,
        recipe: Recipe | None = None,
    ) -> Attempt:
        """Race one change against ``base``; one that the same command began and did not end goes on.

        Args:
            recipe: The changed recipe, in the place of ``changes``.

        Raises:
            LedgerError: if nothing changes, or the same recipe was tried before.
            ConfigError: for an unknown key or a wrong value.
        """
        from podium.models.content import changed_weights, weights_hash

        race = race or RaceConfig()
        self._check_folds(race)
        same_metric(base, self.competition, self.root)
        wanted = recipe or base.recipe.with_overrides(list(changes))
        say_if(wanted.train.overruled(changes))
        check(wanted, self.competition, self.metric, self.root)
        prepared = self.prepare(wanted)
        digest = prepared.folds.digest()
        code = _files(wanted)
        more: Change = changed_weights(base.recipe, wanted, base.folder) | _changed(base.code, code)
        if recipe is None:
            wanted = changed_recipe(base.recipe, list(changes), other_data=digest != base.folds or bool(more))
        if digest != base.folds:
            same_assignment(base, prepared.folds.fold)
            before = len(base.out_of_fold()) if base.finished(self.k) else None
            more[SAMPLES] = (before, len(prepared.folds.fold))
        begun = self._stopped(name, wanted, base, digest)
        if begun is not None:
            same_metric(begun, self.competition, self.root)
        else:
            kept: dict[str, Any] = {"code": code, "weights": weights_hash(wanted, self.root)}
            begun = self.attempts.create(name, wanted, base, why, digest, link=link, race=race, more=more, **kept)
        return self._run(begun, prepared)

    def resume(self, reference: str | int | None, race: dict[str, Any], *, complete: bool = False) -> Attempt:
        """Go on with an attempt that was stopped: the given one, or the newest unfinished.

        Args:
            race: Settings of `RaceConfig` that are to be others from now on.
            complete: Train every fold, whatever the verdict is, as a member of a blend needs it.
        """
        if reference is None:
            unfinished = [one.folder for one in self.index.entries(self.k)[0] if not one.finished]
            if not unfinished:
                raise LedgerError("no attempt is unfinished", remedy="look at them: podium attempts")
            reference = unfinished[-1]
        attempt = self.attempts.get(reference)
        parents = [] if attempt.parent is None else [self.attempts.get(attempt.parent)]
        for scored in (attempt, *parents):
            same_metric(scored, self.competition, self.root)
        changed = attempt.race.with_overrides(race)
        self._check_folds(changed)
        prepared = self.prepare(attempt.recipe)
        same_folds(attempt, prepared.folds, self.root)
        if race:
            attempt = attempt.raced_by(changed)
        return self._run(self._completed(attempt, prepared) if complete else attempt, prepared)

    def combine(self, references: Sequence[str | int], name: str | None, why: str, race: RaceConfig) -> Attempt:
        """Race the changes of several attempts together against the champion."""
        chosen = [self.attempts.get(reference) for reference in references]
        if len({a.id for a in chosen}) < 2:
            raise LedgerError("one attempt alone", expected="two or more: podium combine A B")
        champion = self.attempts.champion()
        recipe = combined(champion.recipe, [(a.name, a.change, a.recipe) for a in chosen])
        name = name or "-and-".join(a.name for a in chosen)[:64]
        names = " and ".join(f"{a.name} ({a.id})" for a in chosen)
        return self.attempt(name, [], champion, why=why or f"{names} together", race=race, recipe=recipe)

    def crown(self, reference: str | int, why: str) -> Attempt:
        """Make an attempt the champion whatever its verdict; the reason is kept.

        Raises:
            LedgerError: if it is the champion already, or there is no reason.
        """
        attempt = self.attempts.get(reference)
        if not why.strip():
            raise LedgerError("a verdict is overruled without a reason", expected="--why '…'; it is kept")
        if self.attempts.champion().id == attempt.id:
            raise LedgerError(f"attempt {attempt.id} ({attempt.name}) is the champion already")
        same_metric(attempt, self.competition, self.root)
        prepared = self.prepare(attempt.recipe)
        same_folds(attempt, prepared.folds, self.root)
        attempt = self._race(prepared).crown(attempt, why)
        self._fit_on_all(attempt, prepared)
        return attempt

    def adopt(self, folder: Path) -> Attempt:
        """Take an attempt of another workspace over, with those it stands on, and judge it here; nothing is trained.

        Raises:
            LedgerError: if it is of another competition or of other folds, or is here already.
        """
        theirs = find(folder)
        prepared = self.prepare(theirs.recipe)
        judge = Judge(self.attempts, self.metric, self.k)
        for attempt in adopt(theirs, self.attempts, self.competition, prepared.folds.digest()):
            if attempt.parent is not None:
                shared = prediction_only(attempt.change)
                _, verdict = judge.judge(attempt, self.attempts.get(attempt.parent), shared_training=shared)
                attempt = attempt.decided(verdict)
            self.index.put(attempt)
        return attempt

    def _completed(self, attempt: Attempt, prepared: Prepared) -> Attempt:
        """It, trained on every fold."""
        if attempt.parent is None or not prediction_only(attempt.change):
            return self._race(prepared).complete(attempt)
        parent = self.attempts.get(attempt.parent)
        if len(parent.trained_folds()) < self.k:
            raise LedgerError(
                f"attempt {attempt.id} ({attempt.name}) has its parent's trainings, and these are not all there",
                remedy=f"podium resume {parent.id} --complete; then this once more",
            )
        return attempt

    def _check_folds(self, race: RaceConfig) -> None:
        wrong = [fold for fold in race.folds if not 0 <= fold < self.k]
        if wrong:
            raise LedgerError(f"there is no fold {wrong[0]}", expected=f"folds from 0 to {self.k - 1}")

    def _stopped(self, name: str, recipe: Recipe, parent: Attempt, folds: str) -> Attempt | None:
        """The attempt that the very same command began and did not end, if there is one."""
        for attempt in self.attempts.named(name):
            same = (attempt.recipe, attempt.parent, attempt.folds) == (recipe, parent.id, folds)
            if same and not attempt.finished(self.k):
                say(f"  going on with attempt {attempt.id} ({attempt.name}), which was stopped")
                return attempt
        return None

    def _run(self, attempt: Attempt, prepared: Prepared) -> Attempt:
        self.index.put(attempt)
        race = self._race(prepared)
        if attempt.parent is None:
            attempt = race.baseline(attempt)
        elif prediction_only(attempt.change):
            attempt = race.judged_at_once(attempt)
        else:
            attempt = race.run(attempt)
        if len(attempt.trained_folds()) == self.k:
            check_complete(attempt, prepared.folds)
        self._fit_on_all(attempt, prepared)
        self.index.put(attempt)
        return attempt

    def _fit_on_all(self, attempt: Attempt, prepared: Prepared) -> None:
        """Write what "tuned" stands for where the attempt predicts the test set."""
        if not attempt.recipe.predict.tuned:
            return
        from podium.training.fitting import Fitter

        found = Fitter(self._data(prepared), self.metric).of_all(attempt)
        folds = ", ".join(map(str, sorted(attempt.trained_folds())))
        write_fitted(attempt.folder, found, f"the samples of folds {folds}")

    def _data(self, prepared: Prepared) -> FoldData:
        from podium.training.fold_run import FoldData

        p = prepared
        return FoldData(self.competition, p.stores, p.folds, self.metric, p.samples, p.opened)

    def _race(self, prepared: Prepared) -> Race:
        from podium.training.fitting import Fitter
        from podium.training.fold_run import run_fold

        p, spent = prepared, [prepared.seconds]  # counts in the time of the fold run that had to wait for it
        data = self._data(prepared)
        fitter = Fitter(data, self.metric)

        def train(attempt: Attempt, what: FoldSeed, left: int) -> None:
            if attempt.folds != p.folds.digest():
                same_folds(attempt, p.folds, self.root)  # a parent of other samples cannot be trained further on these
            parent = None if attempt.parent is None else self.attempts.get(attempt.parent)
            anew = parent is not None and prediction_only(attempt.change)
            fitted = fitter.of_fold(attempt, parent, what, predicts_only=anew)
            with kept_files(attempt.folder / CODE):
                if parent is not None and anew:
                    from podium.training.repredict import repredict_fold

                    source = next(run for run in parent.runs if (run.fold, run.seed) == what)
                    repredict_fold(data, attempt.recipe, source, attempt.folder, fitted)
                    return
                if parent is not None:
                    on = f"what attempt {parent.id} was fitted to, without fold {what.fold}"
                    write_fitted(attempt.folder / fold_run_name(*what), fitted, on)
                waited = spent.pop() if spent else 0.0
                run_fold(data, attempt.recipe, what.fold, what.seed, attempt.folder, spent=waited, runs=left)

        judge = Judge(self.attempts, self.metric, self.k)
        return Race(self.attempts, judge, train, self.index.put)


def check(recipe: Recipe, competition: Competition, metric: Metric, root: Path) -> None:
    """Refuse what cannot be trained, and unknown names, before anything is written or trained."""
    from podium.data.augment import load_extra
    from podium.models.pretrained import check_weights
    from podium.training.check import check_recipe, check_trainable
    from podium.training.presence import check_presence
    from podium.training.pseudo import check_pseudo
    from podium.training.tasks import create_task

    task, spec = create_task(competition, metric, recipe), competition.data
    check_trainable(task, root / "competition.toml")
    if spec.inputs and spec.test_images and not (spec.inputs_csv or task.dense):
        say("  data.inputs_csv is not set: the test images have no data.inputs, and podium predict will need them")
    if recipe.augment.extra is not None:
        load_extra(recipe.augment.extra)
    model, k = check_recipe(recipe, task), competition.folds.k
    check_weights(recipe.model, root, model, normalize=recipe.input.normalize, folds=k)
    check_pseudo(recipe, task, root, k)
    check_presence(recipe, task, root)


def _files(recipe: Recipe) -> dict[str, Path]:
    """The user's files that a recipe names, be it as a value or, as losses are, as a key."""

    def words(tree: Any) -> Iterator[str]:
        if isinstance(tree, Mapping):
            yield from (word for pair in tree.items() for part in pair for word in words(part))
        elif isinstance(tree, list):
            yield from (word for part in tree for word in words(part))
        elif isinstance(tree, str):
            yield tree

    return files_of(words(recipe.tree()))


def _changed(before: dict[str, str], code: dict[str, Path]) -> Change:
    """Files of the user's whose content is no longer what the parent was trained with."""
    now = {file: hashlib.sha256(path.read_bytes()).hexdigest() for file, path in code.items() if file in before}
    return {file: (before[file][:8], found[:8]) for file, found in now.items() if found != before[file]}
