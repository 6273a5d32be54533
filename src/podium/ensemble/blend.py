"""A blend from wish to submission: members found, weights fitted, the score kept honest, the test set predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.ready import Prepared
from podium.ensemble.combine import Boost, Combiner, Each, Mean, Stack
from podium.ensemble.fit import WEIGHTS, Deciding, Fitted, Weights, fit
from podium.ensemble.ground import Blended, Ground, folds_differ
from podium.ensemble.members import Member, find_members
from podium.ensemble.shares import equal
from podium.ensemble.test_set import Tested
from podium.errors import ConfigError, LedgerError, nearest
from podium.files import building
from podium.inference.presence import said_of_test
from podium.ledger.attempts import Attempts
from podium.ledger.submissions import Submissions, file_in
from podium.ledger.verdict import RunNoise, compare, paired_runs
from podium.metrics import Measured, Metric
from podium.progress import say
from podium.recipe import PASSES, PredictConfig, PseudoConfig, Recipe
from podium.training.check import check_predict
from podium.training.fold_run import FoldData
from podium.training.presence import with_presence
from podium.training.tasks import MaskTask, create_task

WHY_NOT = (
    "weights are fitted on predictions of samples that no model had seen. Where folds differ, one member may have been",
    "trained on neighbours of a sample (the same patient, the same video) that another had not: it would look better",
    "than it is, and be given weight for it",
)


@dataclass(frozen=True)
class Blend:
    """A finished blend.

    Attributes:
        scores: Of each member by itself; None of one that has no out-of-fold predictions.
        score: Out of fold, each fold by weights fitted on the others; None if nobody can know.
        naive: The same by weights fitted on the very samples that are scored.
        plain: Out of fold, of the plain mean.
        gain, se: Over the best member, positive when better, and its standard error.
        file: The submission; None if there is none, and ``why`` says why.
        pseudo: The folder of pseudo-labels, if they were asked for.
        by_fold: {fold: weights that it was scored with}.
        sign: 1 if greater scores are better, else -1.
    """

    members: list[Member]
    how: Weights
    combiner: Combiner
    config: PredictConfig
    scores: list[float | None]
    score: float | None = None
    naive: float | None = None
    plain: float | None = None
    gain: float | None = None
    se: float | None = None
    correlation: NDArray[Any] | None = None
    disagreement: NDArray[Any] | None = None
    samples: int = 0
    file: Path | None = None
    rows: int = 0
    empty: int | None = None
    why: str = ""
    pseudo: Path | None = None
    by_fold: dict[int, list[float]] = field(default_factory=dict)
    sign: float = 1.0

    @property
    def weights(self) -> list[float] | None:
        """Of the members, summing to 1; those of a stack as they are; None of trees."""
        return weights_of(self.combiner)

    @property
    def best(self) -> int | None:
        """The best member's place; None if no score is known."""
        if any(score is None for score in self.scores):
            return None
        return int(np.argmax([self.sign * (score or 0.0) for score in self.scores]))

    def tree(self) -> dict[str, Any]:
        """For a program and for `blend.toml`."""
        weights = self.weights
        rows: list[dict[str, Any]] = [
            {"name": m.name}
            | ({"attempt": m.attempt.id} if m.attempt else {})
            | ({} if weights is None else {"weight": round(weights[n], 6)})
            | ({} if self.scores[n] is None else {"score": self.scores[n]})
            for n, m in enumerate(self.members)
        ]
        facts: dict[str, Any] = {"weights": self.how, "members": rows, "samples": self.samples}
        facts |= {k: getattr(self, k) for k in ("score", "naive", "plain", "gain", "se")}
        facts |= {"predict": self.config.tree()}
        if isinstance(self.combiner, Stack):
            facts["constant"] = np.round(self.combiner.constant, 6).tolist()
        if self.by_fold:
            facts["weights_by_fold"] = {f"fold{fold}": list(found) for fold, found in self.by_fold.items()}
        if self.correlation is not None and self.disagreement is not None:
            facts["correlation"] = np.round(self.correlation, 5).tolist()
            facts["disagreement"] = np.round(self.disagreement, 5).tolist()
        return {k: v for k, v in facts.items() if v is not None}


def weights_of(combiner: Combiner) -> list[float] | None:
    """The weights of members, the mean over several targets; None of trees."""
    if isinstance(combiner, Each):
        found = [weights_of(one) for one in combiner.combiners]
        return None if None in found else [float(w) for w in np.mean(np.array(found, float), axis=0)]
    if isinstance(combiner, Mean):
        return [float(s) for s in combiner.shares / combiner.shares.sum()]
    return None if isinstance(combiner, Boost) else [float(w) for w in getattr(combiner, "weights", [])]


@dataclass(frozen=True)
class Blending:
    """What blends need of a workspace.

    Attributes:
        recipe: What is used where no member is an attempt.
        prepare: Makes the data ready for a recipe.
    """

    root: Path
    competition: Competition
    metric: Metric
    attempts: Attempts
    submissions: Submissions
    recipe: Callable[[], Recipe]
    prepare: Callable[[Recipe], Prepared]

    def blend(
        self,
        members: Sequence[str],
        weights: str = "hill-climb",
        changes: Sequence[str] = (),
        *,
        fast: bool = False,
        name: str = "blend",
        score_only: bool = False,
        pseudo: Sequence[str] | None = None,
    ) -> Blend:
        """Blend some members and predict the test set.

        Args:
            members: Attempts by number or name; paths of folders or files of predictions.
            weights: One of `WEIGHTS`.
            changes: Of the best attempt's [predict], for instance ``["predict.threshold=tuned"]``.
            fast: Fit weights on some of the pixels that members disagree on.
            name: What the submission's folder is called.
            score_only: Leave the test set alone.
            pseudo: Settings of `PseudoConfig`; not None: write pseudo-labels of the test set to `pseudo/`, too.

        Raises:
            LedgerError: if weights cannot be fitted, the members' folds being others; the plain mean still can be made.
        """
        if weights not in WEIGHTS:
            raise ConfigError(f"no weights '{weights}'", where="--weights", remedy=nearest(weights, list(WEIGHTS)))
        how = weights
        plain = create_task(self.competition, self.metric, Recipe())
        found = find_members(members, self.attempts, self.competition, plain.names, dense=plain.dense)
        recipe = self._recipe(found, changes)
        task = create_task(self.competition, self.metric, recipe)
        check_predict(recipe, task)
        prepared = self.prepare(recipe)
        data = FoldData(
            self.competition, prepared.stores, prepared.folds, self.metric, prepared.samples, prepared.opened
        )
        unknown = _not_comparable(found, data)
        if unknown and how != "equal":
            raise _refused(unknown)
        if any(member.oof is None for member in found):
            config = recipe.predict.settled
            blend = Blend(found, "equal", Mean(equal(len(found))), config, [None] * len(found))
        else:
            ground = Ground.of(with_presence(task, recipe, self.root, data.folds), data, found)
            _check_folds(ground, how)
            blend = self._scored(ground, how, fast=fast)
        if score_only:
            return blend
        blend = self._predict(blend, recipe, plain.names, name)
        return blend if pseudo is None else self._pseudo(blend, recipe, prepared, pseudo)

    def _pseudo(self, blend: Blend, recipe: Recipe, prepared: Prepared, settings: Sequence[str]) -> Blend:
        """Write the blend's pseudo-labels to `pseudo/`, beside the number of its submission."""
        from podium.ensemble.pseudo import export_pseudo

        tested = Tested.of(self.competition, self.metric, self.root)
        if tested is None or blend.file is None:
            return blend
        config = PseudoConfig(attempts=[m.name for m in blend.members]).with_overrides(list(settings))
        folder = self.root / "pseudo" / blend.file.parent.name
        held = {fold: prepared.folds.validation(fold) for fold in range(prepared.folds.k)}
        settled = recipe.with_overrides({"predict": blend.config.tree()})
        export_pseudo(tested, blend.members, blend.combiner, settled, held, config, folder)
        return replace(blend, pseudo=folder)

    def _recipe(self, members: Sequence[Member], changes: Sequence[str]) -> Recipe:
        """The best attempt's recipe with the blend's [predict]: its own, but for the views, and with the changes."""
        sign = 1 if self.metric.greater_is_better else -1
        known = [m.attempt for m in members if m.attempt and m.attempt.cv is not None]
        best = max(known, key=lambda a: sign * (a.cv or 0.0), default=None)
        recipe = best.recipe if best else self.recipe()
        plain = recipe.with_overrides({"predict": {name: getattr(PredictConfig(), name) for name in PASSES}})
        wrong = [change for change in changes if not change.strip().startswith("predict.")]
        if wrong:
            raise ConfigError(
                f"'{wrong[0]}' is no setting of a blend",
                expected="keys of [predict], for instance predict.threshold=tuned",
                remedy="podium try changes what is trained",
            )
        return plain.with_overrides(list(changes))

    def _scored(self, ground: Ground, how: Weights, *, fast: bool) -> Blend:
        mix, survey = ground.read(fast=fast)
        deciding = Deciding(ground, mix)
        fitted = fit(ground, how, mix, survey, deciding)
        plain = fitted if how == "equal" else fit(ground, "equal", mix, survey, deciding)
        alone = [self._alone(ground, n) for n in range(len(ground.members))]
        scores = [measured.score(self.metric) for measured in alone]
        sign = 1.0 if self.metric.greater_is_better else -1.0
        best = int(np.argmax(np.multiply(sign, scores)))
        gain, se = self._gain(ground, fitted.nested, alone[best])
        return Blend(
            list(ground.members),
            how,
            fitted.combiner,
            fitted.config,
            [float(score) for score in scores],
            fitted.score,
            fitted.naive,
            plain.score,
            gain,
            se,
            survey.correlation,
            survey.disagreement,
            len(ground.rows),
            by_fold=_by_fold(fitted),
            sign=sign,
        )

    def _alone(self, ground: Ground, n: int) -> Measured:
        """What the metric reads of a member by itself: an attempt as it was scored, others by the blend's [predict]."""
        attempt = ground.members[n].attempt
        if attempt is None:
            shares = np.zeros(len(ground.members), np.int64)
            shares[n] = 1
            return ground.measured(Mean(shares))
        ids = [ground.data.stores.images.ids[row] for row in ground.rows]
        table = pl.DataFrame({"id": ids}).join(attempt.out_of_fold(), on="id", how="left", maintain_order="left")
        return Measured.of_columns(self.metric.kind, table.to_dict(as_series=False))

    def _gain(self, ground: Ground, blend: Measured, best: Measured) -> tuple[float, float]:
        """The gain over the best member and its standard error, by folds and groups as verdicts have it."""
        ids, folds = [ground.data.stores.images.ids[row] for row in ground.rows], ground.data.folds
        tables = []
        for measured in (blend, best):
            scores = measured.per_sample(self.metric)
            whole = {
                "id": ids,
                "group": [folds.group[id] for id in ids],
                "score": pl.Series([None] * len(ids) if scores is None else scores, dtype=pl.Float64),
            }
            table = pl.DataFrame(whole | measured.columns())
            tables.append({(f, 0): table.filter(pl.Series(ground.fold == f)) for f in ground.folds})
        try:
            mine, base, _ = paired_runs(tables[0], tables[1], self.metric)
            up = self.metric.greater_is_better
            found = compare(mine, base, RunNoise(0.0, np.inf), greater_is_better=up, shared_training=True)
            return found.gain, found.se
        except LedgerError:  # the metric has no value without one of the groups
            sign = 1 if self.metric.greater_is_better else -1
            return sign * (blend.score(self.metric) - best.score(self.metric)), float("nan")

    # ------------------------------------------------------------------ the test set

    def _predict(self, blend: Blend, recipe: Recipe, names: Sequence[str], name: str) -> Blend:
        tested = Tested.of(self.competition, self.metric, self.root)
        if tested is None:
            return replace(blend, why="the competition has no test images")
        sources = [tested.predictions(member, names) for member in blend.members]
        settled = recipe.with_overrides({"predict": blend.config.tree()})
        task = create_task(self.competition, self.metric, settled)
        test = tested.images(settled)
        if isinstance(task, MaskTask) and recipe.predict.empty_by is not None:
            task.presence = said_of_test(settled, task, self.root, test.rows)
        ids = {row: id for id, row in test.rows.items()}
        by_row = [ids.get(row, "") for row in range(max(ids, default=-1) + 1)]
        blended = Blended(task, sources, blend.combiner, by_row, test.images.original)
        with building(self.submissions.next(name)) as folder:
            empty = tested.write(blended, test, folder)
            made_of = sorted(m.attempt.id for m in blend.members if m.attempt)
            target = self.submissions.next(name)
            facts: dict[str, Any] = {"name": target.name, "attempts": made_of, "rows": len(tested.ids)}
            facts |= {"cv": blend.score} if blend.score is not None else {}
            facts |= {} if empty is None else {"empty": empty}
            write_toml(folder / "prediction.toml", facts)
            write_toml(folder / "blend.toml", blend.tree())
        return replace(blend, file=file_in(target), rows=len(tested.ids), empty=empty)


def _by_fold(fitted: Fitted) -> dict[int, list[float]]:
    found = {fold: weights_of(combiner) for fold, (combiner, _) in fitted.by_fold.items()}
    return {fold: [round(w, 6) for w in weights] for fold, weights in found.items() if weights}


def _not_comparable(members: Sequence[Member], data: FoldData) -> dict[str, str]:
    """{member: why no weight can be fitted for it}."""
    found = {}
    for member in members:
        if member.oof is None:
            found[member.name] = "it has no out-of-fold predictions"
        elif why := folds_differ(member, data.folds):
            found[member.name] = why
    return found


def _check_folds(ground: Ground, how: Weights) -> None:
    """Tell which folds are common to all members, if some are not.

    Raises:
        LedgerError: if weights are to be fitted, and one fold alone is common: there is none to score them on.
    """
    k = ground.data.folds.k
    if len(ground.folds) == k:
        return
    lacking = {m.name: k - len(m.attempt.trained_folds()) for m in ground.members if m.attempt}
    short = [name for name, missing in lacking.items() if missing]
    names, train = ", ".join(short) or "a member", f"podium resume {short[0] if short else 'ID'} --complete"
    if len(ground.folds) == 1 and how != "equal":
        raise LedgerError(
            f"all members have predicted fold {ground.folds[0]} alone, and weights are scored on folds of their own",
            expected=f"two folds or more; not trained on all {k}: {names}",
            remedy=f"{train}; or leave it out; or --weights equal",
        )
    told = ", ".join(map(str, ground.folds))
    say(f"  only folds {told} are predicted by all members, and count here; not trained on the others: {names}")
    say(f"  to train them whatever the verdict: {train}")


def _refused(unknown: dict[str, str]) -> LedgerError:
    name, why = next(iter(unknown.items()))
    for line in WHY_NOT:
        say(f"  {line}")
    return LedgerError(
        f"no weights can be fitted for '{name}': {why}",
        expected="out-of-fold predictions made with the folds of folds.csv",
        remedy="the plain mean needs no fitting: --weights equal; or leave it out",
    )
