"""What "tuned" stands for in [predict]: values fitted on stored out-of-fold predictions by the competition's metric.

A fold's own samples never take part in what it is scored with: each fold gets the values that are best on the others
(nested cross-validation; Varma & Simon 2006, BMC Bioinformatics 7:91). The test set gets those that are best on all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.errors import LedgerError
from podium.ledger.attempt import Attempt
from podium.ledger.fitted import read_fitted
from podium.ledger.fold_runs import FoldRun
from podium.ledger.verdict import FoldSeed
from podium.metrics import Measured, Metric
from podium.progress import say, say_once
from podium.recipe import PredictConfig, Recipe
from podium.training.evaluate import Predicts, evaluate
from podium.training.fold_run import FoldData
from podium.training.grids import START, best_on, candidates
from podium.training.kept import Kept
from podium.training.levels import Levels, counts_by_level, only_cuts
from podium.training.presence import Said
from podium.training.tasks import MaskTask, ObjectsTask, PlanesTask, TableTask

Values = dict[str, Any]


class Tuning:
    """Predictions of several folds, measured under one [predict] after another; each once.

    Args:
        config: [predict], with "tuned" in it.
        parts: Who predicts each fold.
        folds: Their numbers.
    """

    def __init__(self, data: FoldData, config: PredictConfig, parts: Sequence[Predicts], folds: Sequence[int]) -> None:
        self.data, self.config, self.parts = data, config, list(parts)
        self.task, self.metric = parts[0].task, data.metric
        known = set(data.stores.images.row)
        self._rows = [[data.stores.images.row[id] for id in data.folds.validation(f) if id in known] for f in folds]
        self.fold = np.concatenate([[fold] * len(own) for fold, own in zip(folds, self._rows, strict=True)])
        self._folds, self._known = list(folds), dict[str, Measured]()
        self._of_parts: dict[tuple[str, int], Measured] = {}
        self._areas = _areas_at_once(self.task, config, data)
        self._images, self._truth = data.images(parts[0].recipe), data.truth
        self._levels: Levels | None = None
        self._empty: Measured | None = None

    @classmethod
    def of_runs(cls, data: FoldData, recipe: Recipe, sources: Sequence[FoldRun]) -> Tuning:
        """Of stored predictions, one fold run a fold.

        Args:
            recipe: The attempt's, with "tuned" in its [predict].
        """
        return cls(data, recipe.predict, [Kept(data, recipe, run) for run in sources], [run.fold for run in sources])

    def measured(self, config: PredictConfig, but: int | None = None) -> Measured:
        """What the metric reads of every sample, fold after fold.

        Args:
            but: The fold that is left out.
        """
        digest, kept = config.digest(), [n for n, fold in enumerate(self._folds) if fold != but]
        if digest not in self._known and len(kept) < len(self._folds) and not self._at_once(config):
            return _joined([self._part(config, n) for n in kept])
        if digest not in self._known:
            self._known[digest] = self._measure(config)
        whole = self._known[digest]
        return whole if but is None else whole.take(np.flatnonzero(self.fold != but))

    def measured_in(self, config: PredictConfig, fold: int) -> Measured:
        """What the metric reads of the samples of one fold."""
        if self._at_once(config):
            return self.measured(config).take(np.flatnonzero(self.fold == fold))
        return self._part(config, self._folds.index(fold))

    def _at_once(self, config: PredictConfig) -> bool:
        """Whether all folds are measured together, or at no cost."""
        return config.empty_by is not None or only_cuts(self.task, config)

    def _measure(self, config: PredictConfig) -> Measured:
        if config.empty_by is not None and isinstance(self.task, PlanesTask | ObjectsTask):
            return self._emptied(config, self.task)
        if only_cuts(self.task, config):
            self._levels = self._levels or counts_by_level(self.parts, self._rows, self.data)
            assert config.threshold != "tuned"
            return self._levels.cut_at(config.threshold)
        return _joined([self._part(config, n) for n in range(len(self.parts))])

    def _part(self, config: PredictConfig, n: int) -> Measured:
        """What is measured of one fold."""
        if (config.digest(), n) not in self._of_parts:
            self._of_parts |= {(c.digest(), n): found for c, found in self._decide(config, n)}
        return self._of_parts[config.digest(), n]

    def _decide(self, config: PredictConfig, n: int) -> Iterator[tuple[PredictConfig, Measured]]:
        """What is measured of one fold under a [predict], and under those that come at no cost with it."""
        part = self.parts[n]
        part.task = task = self.task.with_predict(config)
        at_once = isinstance(task, ObjectsTask) and config.min_area in self._areas
        if isinstance(task, ObjectsTask) and at_once:
            task.areas = self._areas
        found = evaluate(part, self._images, self._truth, self._rows[n])
        if not at_once:
            yield config, found
            return
        for i, area in enumerate(self._areas):
            yield config.with_overrides({"min_area": area}), Measured(found.kind, {"hits": found.arrays["hits"][:, i]})

    def _evaluated(self, config: PredictConfig, presence: Said | None = None) -> Measured:
        """Every prediction decided and measured.

        Args:
            presence: In the place of what the classifier says.
        """
        parts = []
        for part, rows in zip(self.parts, self._rows, strict=True):
            part.task = self.task.with_predict(config)
            if presence is not None:
                assert isinstance(part.task, MaskTask)
                part.task.presence = presence
            parts.append(evaluate(part, self._images, self._truth, rows))
        return _joined(parts)

    def _emptied(self, config: PredictConfig, task: PlanesTask | ObjectsTask) -> Measured:
        """What is measured of masks of which some are empty; empty ones are the same whatever else is tried."""
        assert task.presence is not None
        whole = self.measured(config.with_overrides({"empty_by": None, "empty_below": 0.5}))
        ids = [self.data.stores.images.ids[row] for rows in self._rows for row in rows]
        if self._empty is None:
            nowhere = {id: np.full_like(task.presence[id], -1) for id in ids}
            self._empty = self._evaluated(config.with_overrides({"empty_below": 0.0}), nowhere)
        there = np.array([task.presence[id] for id in ids]) >= np.asarray(config.empty_below, np.float32)
        arrays = {}
        for name, a in whole.arrays.items():
            of_each = a.ndim == 2 and a.shape == there.shape  # a class each; else of a sample, or of its only class
            kept = there if of_each else there[:, 0].reshape(-1, *[1] * (a.ndim - 1))
            arrays[name] = np.where(kept, a, self._empty.arrays[name])
        return Measured(whole.kind, arrays)

    def fit(self, but: int | None = None) -> Values:
        """The best values of the tuned keys, one key after another in the order in which they are applied.

        Args:
            but: The fold whose samples are left out.
        """
        tunes, tuned, values = But(self, but), self.config.tuned, dict[str, Any]()
        rows = [row for fold, own in zip(self._folds, self._rows, strict=True) if fold != but for row in own]
        for key in tuned:
            values |= START[key](self.task, self.data, rows)
        use = np.arange(int(np.count_nonzero(self.fold != but)) if but is not None else len(self.fold))
        for key in tuned:
            values |= best_on(tunes, key, values, candidates(key, self.task, self.data, rows), use)
        return values

    def with_values(self, values: Mapping[str, Any]) -> PredictConfig:
        """[predict] with these values in the place of "tuned"."""
        return self.config.with_overrides(dict(values))

    def score(self, config: PredictConfig, use: Any = None) -> float:
        """The metric over some samples."""
        measured = self.measured(config)
        return (measured if use is None else measured.take(use)).score(self.metric)


@dataclass(frozen=True)
class But:
    """A tuning that does not see one fold; what is measured of the others is measured once for all of them."""

    tuning: Tuning
    fold: int | None

    @property
    def task(self) -> MaskTask | TableTask:
        """See `Tunes`."""
        return self.tuning.task

    @property
    def metric(self) -> Metric:
        """See `Tunes`."""
        return self.tuning.metric

    def measured(self, config: PredictConfig) -> Measured:
        """See `Tunes`."""
        return self.tuning.measured(config, self.fold)

    def with_values(self, values: Mapping[str, Any]) -> PredictConfig:
        """See `Tunes`."""
        return self.tuning.with_values(values)


def _joined(parts: Sequence[Measured]) -> Measured:
    """The samples of several folds, one after another."""
    return Measured(parts[0].kind, {n: np.concatenate([p.arrays[n] for p in parts]) for n in parts[0].names})


def _areas_at_once(task: MaskTask | TableTask, config: PredictConfig, data: FoldData) -> list[int]:
    """The smallest areas of objects that one watershed is measured under; none where they are not tuned."""
    if not (isinstance(task, ObjectsTask) and task.metric.kind == "instances" and "min_area" in config.tuned):
        return []
    return [one["min_area"] for one in candidates("min_area", task, data, [])]


class Fitter:
    """Fits what attempts leave to be tuned; what is measured of a parent's predictions serves all its folds."""

    def __init__(self, data: FoldData, metric: Metric) -> None:
        self.data, self.metric, self._tunings = data, metric, dict[tuple[str, int], Tuning]()

    def of_fold(self, attempt: Attempt, parent: Attempt | None, what: FoldSeed, *, predicts_only: bool) -> Values:
        """The values for one fold run of an attempt, fitted without its samples; empty if nothing is tuned.

        An attempt that only predicts in another way is fitted on its parent's stored predictions of the other folds.
        One that is trained, or predicts other views, has none of them yet: it gets what its parent's fold run had.

        Raises:
            LedgerError: if there is nothing to fit on.
        """
        recipe = attempt.recipe
        if not recipe.predict.tuned:
            return {}
        if predicts_only and parent is not None and recipe.predict.passes == parent.recipe.predict.passes:
            return self._tuning(attempt, parent, what.seed).fit(what.fold)
        runs = [] if parent is None else [run for run in parent.runs if run.fold == what.fold]
        for run in sorted(runs, key=lambda run: run.seed != what.seed):
            known = read_fitted(run.folder)
            if set(recipe.predict.tuned) <= set(known):
                return {key: value for key, value in known.items() if key in recipe.predict.tuned or key == "lowest"}
        raise LedgerError(
            f'predict.{recipe.predict.tuned[0]} is "tuned", and there are no out-of-fold predictions to fit it on yet',
            where=attempt.folder,
            expected="an attempt of its own, on one that is trained, and that changes no predict.tta",
            remedy="first without: then podium try tuned predict.threshold=tuned --why '…' takes seconds",
        )

    def of_all(self, attempt: Attempt) -> Values:
        """The values for the test set, fitted on every fold that the attempt has; tells what they are."""
        if not (attempt.recipe.predict.tuned and attempt.runs):
            return {}
        runs = [run for run in attempt.runs if run.seed == min(r.seed for r in attempt.runs)]
        tuning = Tuning.of_runs(self.data, attempt.recipe, runs)
        values = tuning.fit()
        naive = tuning.score(tuning.with_values(values))
        honest = Measured.of_columns(self.metric.kind, attempt.out_of_fold(runs[0].seed).to_dict(as_series=False))
        told = ", ".join(f"{key} {value}" for key, value in values.items())
        say(f"  fitted on all folds, for the test set: {told}")
        say(f"  {self.metric.name} {honest.score(self.metric):.5f}, each fold with values fitted on the others")
        say(f"  ({naive:.5f} with those fitted on the very samples that are scored: too good to be true)")
        return values

    def _tuning(self, attempt: Attempt, parent: Attempt, seed: int) -> Tuning:
        key = (attempt.folder.name, seed)
        if key not in self._tunings:
            chosen: dict[int, FoldRun] = {}
            for run in sorted(parent.runs, key=lambda run: run.seed == seed):
                chosen[run.fold] = run  # of this seed, where there is one
            if len(chosen) < 2:
                raise LedgerError(
                    "one fold alone is trained, and what is tuned for a fold is fitted on the others",
                    where=parent.folder,
                    remedy=f"podium resume {parent.id} --folds all",
                )
            say_once(
                f"  fitting predict.{', predict.'.join(attempt.recipe.predict.tuned)} on the other folds of each fold"
            )
            self._tunings = {key: Tuning.of_runs(self.data, attempt.recipe, [chosen[f] for f in sorted(chosen)])}
        return self._tunings[key]
