"""Weights of a blend, fitted so that its score stays honest: each fold is scored with what the other folds say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from podium.ensemble.combine import Boost, Combiner, Mean, Stack
from podium.ensemble.ground import Ground, targets_of
from podium.ensemble.mixes import Mix, SlowMix, ValueMix
from podium.ensemble.pixels import PixelMix
from podium.ensemble.shares import PATIENCE, STEPS, Shares, equal, hill_climb, least_squares, whole
from podium.ensemble.survey import Survey
from podium.ensemble.uncertain import Uncertain
from podium.errors import ConfigError
from podium.metrics import Measured, Metric
from podium.recipe import PredictConfig
from podium.training.fitting import Tuning
from podium.training.tasks import MaskTask, TableTask
from podium.training.tasks.masks import TIDYING

Floats = NDArray[np.float64]
Weights = Literal["hill-climb", "fit", "equal", "stack", "boost"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)
"""hill-climb: greedy selection by the metric. fit: least squares, weights >= 0 that sum to 1. equal: the plain mean.
stack: logistic regression, of numbers linear. boost: of tables, LightGBM."""

SLOW = (12, 2)
"""Steps and patience of a hill-climb whose every mixture has to be decided anew."""


@dataclass(frozen=True)
class Fitted:
    """A blend of the members of a ground.

    Attributes:
        combiner, config: For the test set: fitted on all samples.
        by_fold: {fold: (combiner, [predict])} fitted without the fold's samples.
        nested: What the metric reads of each sample, by those.
        naive: The score of the former on the samples that they were fitted on.
    """

    how: Weights
    combiner: Combiner
    config: PredictConfig
    by_fold: dict[int, tuple[Combiner, PredictConfig]]
    nested: Measured
    score: float
    naive: float


def fit(ground: Ground, how: Weights, mix: Mix, survey: Survey) -> Fitted:
    """Fit weights, and whatever of [predict] is "tuned", on all samples, and for each fold without its own.

    Raises:
        ConfigError: for trees on pixels.
    """
    metric = ground.data.metric
    if how == "boost" and not isinstance(mix, ValueMix):
        raise ConfigError(
            f"'{how}' is for classes, labels and numbers, not for pixels",
            where="--weights",
            expected="one of: hill-climb, fit, equal, stack",
        )
    fitter = _fitter(ground, how, mix, survey, metric)
    everyone = np.arange(len(ground.rows))
    folds = ground.folds if len(ground.folds) > 1 else []
    by_fold: dict[int, tuple[Combiner, PredictConfig]] = {}
    parts: list[Measured] = []
    for fold in folds:
        combiner = fitter(np.flatnonzero(ground.fold != fold), fold)
        config = _settled(ground, combiner, fold)
        by_fold[fold] = (combiner, config)
        parts.append(_measured(ground, mix, combiner, config, ground.fold == fold))
    combiner = fitter(everyone, None)
    config = _settled(ground, combiner, None)
    naive = _measured(ground, mix, combiner, config)
    nested = _joined(parts) if parts else naive
    return Fitted(how, combiner, config, by_fold, nested, nested.score(metric), naive.score(metric))


def _fitter(
    ground: Ground, how: Weights, mix: Mix, survey: Survey, metric: Metric
) -> Callable[[Any, int | None], Combiner]:
    """What makes a combiner of the samples with some indices, which are all but those of a fold."""
    sign = 1.0 if metric.greater_is_better else -1.0

    def climbed(use: Any, but: int | None) -> Shares:
        steps, patience = SLOW if isinstance(mix, SlowMix) else (STEPS, PATIENCE)

        def scores(shares: Shares) -> list[float]:
            return [sign * measured.take(use).score(metric) for measured in mix.climb(shares)]

        return hill_climb(scores, mix.members, steps=steps, patience=patience)

    pixels = Uncertain.of(ground) if how == "stack" and not isinstance(mix, ValueMix) else None

    def stacked(use: Any, but: int | None) -> Combiner:
        if pixels is not None:
            assert isinstance(ground.task, MaskTask)
            return pixels.stack(ground.task, use)
        assert isinstance(mix, ValueMix)
        kind = mix.task.kind
        target = targets_of(mix.task, mix.truth[use])
        return (Stack if how == "stack" else Boost).fit(kind, mix.values[:, use], target)

    ways: dict[str, Callable[[Any, int | None], Combiner]] = {
        "equal": lambda use, but: Mean(equal(mix.members)),
        "fit": lambda use, but: Mean(whole(least_squares(*survey.least_squares(but)))),
        "hill-climb": lambda use, but: Mean(climbed(use, but)),
    }
    return ways.get(how, stacked)


def _measured(ground: Ground, mix: Mix, combiner: Combiner, config: PredictConfig, use: Any = None) -> Measured:
    """What the metric reads of some samples; where all contested pixels are at hand, from those."""
    exact = isinstance(mix, PixelMix) and mix.whole and config == ground.task.recipe.predict
    if exact and isinstance(combiner, Mean) and not any(getattr(config, key) for key in (*TIDYING, "empty_by")):
        assert isinstance(mix, PixelMix)
        found = mix.measured(combiner.shares)
        return found if use is None else found.take(use)
    return ground.measured(combiner, ground.task.with_predict(config), use)


def _settled(ground: Ground, combiner: Combiner, but: int | None) -> PredictConfig:
    """[predict] with what is "tuned" fitted on the blend's out-of-fold predictions of all folds but one."""
    config = ground.task.recipe.predict
    if not config.tuned:
        return config
    folds = [fold for fold in ground.folds if fold != but]
    blended = [ground.blended(combiner, _copy(ground.task)) for _ in folds]
    tuning = Tuning(ground.data, config, blended, folds)
    return tuning.with_values(tuning.fit())


def _copy(task: MaskTask | TableTask) -> MaskTask | TableTask:
    return task.with_predict(task.recipe.predict)


def _joined(parts: list[Measured]) -> Measured:
    """The samples of several folds, one after another."""
    return Measured(parts[0].kind, {n: np.concatenate([p.arrays[n] for p in parts]) for n in parts[0].names})
