"""Weights of a blend, fitted so that its score stays honest: each fold is scored with what the other folds say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from podium.ensemble.combine import Boost, Combiner, Each, Mean, Stack
from podium.ensemble.ground import Blended, Ground, targets_of
from podium.ensemble.map_pixels import MapMix
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

KEPT = 256 << 20
"""Bytes of a mixture's pixels that are kept while it is decided over and over."""

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


def fit(ground: Ground, how: Weights, mix: Mix, survey: Survey, deciding: Deciding | None = None) -> Fitted:
    """Fit weights, and whatever of [predict] is "tuned", on all samples, and for each fold without its own.

    Args:
        deciding: Of the same ground and mix, with what it has measured before.

    Raises:
        ConfigError: for trees on pixels.
    """
    metric, deciding = ground.data.metric, deciding or Deciding(ground, mix)
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
        config = deciding.settled(combiner, fold)
        by_fold[fold] = (combiner, config)
        parts.append(deciding.measured(combiner, config, fold))
    combiner = fitter(everyone, None)
    config = deciding.settled(combiner, None)
    naive = deciding.measured(combiner, config)
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
        values, target = mix.values[:, use], targets_of(mix.task, mix.truth[use])
        kind: type[Stack | Boost] = Stack if how == "stack" else Boost
        if parts := mix.task.competition.parts:
            return Each.fit(kind, [part.outputs for part in parts], values, target)
        return kind.fit(mix.task.kind, values, target)

    ways: dict[str, Callable[[Any, int | None], Combiner]] = {
        "equal": lambda use, but: Mean(equal(mix.members)),
        "fit": lambda use, but: Mean(whole(least_squares(*survey.least_squares(but)))),
        "hill-climb": lambda use, but: Mean(climbed(use, but)),
    }
    return ways.get(how, stacked)


@dataclass
class Deciding:
    """Mixtures of a ground's members, decided under one [predict] or another; what is tried often, once each.

    Attributes:
        tunings: By mixture. What is fitted without a fold is often the same mixture as without another.
    """

    ground: Ground
    mix: Mix
    tunings: dict[bytes | int, tuple[list[Blended], Tuning]] = field(default_factory=dict)

    def measured(self, combiner: Combiner, config: PredictConfig, fold: int | None = None) -> Measured:
        """What the metric reads of a fold's samples, or all; where all contested pixels are at hand, from those."""
        mix, plain = self.mix, not any(getattr(config, key) for key in (*TIDYING, "empty_by"))
        plain &= config == self.ground.task.recipe.predict
        if isinstance(mix, PixelMix | MapMix) and mix.whole and plain and isinstance(combiner, Mean):
            found = mix.measured(combiner.shares)
            return found if fold is None else found.take(np.flatnonzero(self.ground.fold == fold))
        if isinstance(self.ground.task, TableTask) or not self.ground.task.recipe.predict.tuned:
            use = None if fold is None else self.ground.fold == fold
            return self.ground.measured(combiner, self.ground.task.with_predict(config), use)
        tuning = self._tuning(combiner)
        return tuning.measured(config) if fold is None else tuning.measured_in(config, fold)

    def settled(self, combiner: Combiner, but: int | None) -> PredictConfig:
        """[predict] with what is "tuned" fitted on the blend's out-of-fold predictions of all folds but one."""
        config = self.ground.task.recipe.predict
        if not config.tuned:
            return config
        tuning = self._tuning(combiner)
        return tuning.with_values(tuning.fit(but))

    def _tuning(self, combiner: Combiner) -> Tuning:
        ground = self.ground
        key: bytes | int = id(combiner)
        if isinstance(combiner, Mean):
            key = (combiner.shares // np.gcd.reduce(combiner.shares)).tobytes()
        if key not in self.tunings:
            for others, _ in self.tunings.values():
                for part in others:
                    part.forget()
            blended = [ground.blended(combiner, _copy(ground.task)) for _ in ground.folds]
            for part in blended:
                part.room = KEPT // len(blended)
            self.tunings[key] = blended, Tuning(ground.data, ground.task.recipe.predict, blended, ground.folds)
        return self.tunings[key][1]


def _copy(task: MaskTask | TableTask) -> MaskTask | TableTask:
    return task.with_predict(task.recipe.predict)


def _joined(parts: list[Measured]) -> Measured:
    """The samples of several folds, one after another."""
    return Measured(parts[0].kind, {n: np.concatenate([p.arrays[n] for p in parts]) for n in parts[0].names})
