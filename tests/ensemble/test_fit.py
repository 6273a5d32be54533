"""The honest score of fitted weights, by simulation: what it promises is what new samples show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from podium.data.competition import Competition
from podium.ensemble.combine import Combiner, Stack
from podium.ensemble.fit import Deciding, Fitted, Weights, fit
from podium.ensemble.mixes import ValueMix
from podium.ensemble.survey import Survey
from podium.ensemble.uncertain import Uncertain
from podium.errors import ConfigError
from podium.metrics import Measured, get_metric
from podium.recipe import Recipe
from podium.training.tasks import create_task
from task_drawing import SPECS

MEMBERS, SAMPLES, NEW = 8, 60, 3000


class InMemory:
    """A ground whose predictions are arrays: labels that every member knows equally well, or not at all."""

    def __init__(self, seed: int, knows: float, n: int = SAMPLES) -> None:
        rng = np.random.default_rng(seed)
        competition = Competition.from_tree({"name": "x", **SPECS["several labels"], "metric": "accuracy"})
        self.task = create_task(competition, get_metric("accuracy"), Recipe())
        self.data = SimpleNamespace(metric=get_metric("accuracy"))
        truth = rng.integers(0, 2, (n, 3)).astype(float)
        shared = knows * (2 * truth - 1) + rng.normal(0, 1, truth.shape)  # what is hard is hard for all of them
        logits = shared + rng.normal(0, 1, (MEMBERS, n, 3))
        self.mix = ValueMix(self.task, 1 / (1 + np.exp(-logits)), truth)  # type: ignore[arg-type]
        self.rows, self.fold = list(range(n)), np.arange(n) % 5
        self.folds = sorted(set(self.fold.tolist()))
        self.survey = Survey(MEMBERS)
        for fold in range(5):
            own = self.fold == fold
            flat = self.mix.values[:, own].reshape(MEMBERS, -1)
            self.survey.add(fold, flat, truth[own].ravel(), flat > 0.5)

    def measured(self, combiner: Combiner, task: Any, use: Any = None) -> Measured:
        found = self.mix.of(combiner)
        return found if use is None else found.take(use)

    def fit(self, how: Weights) -> Fitted:
        return fit(self, how, self.mix, self.survey)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["hill-climb", "stack"])
@pytest.mark.parametrize("knows", [0.0, 1.0])
def test_the_nested_score_is_what_new_samples_show_and_the_naive_one_is_more(how: Weights, knows: float) -> None:
    nested, naive = [], []
    for seed in range(24):
        fitted, new = InMemory(seed, knows).fit(how), InMemory(seed + 1000, knows, NEW)
        metric = new.data.metric
        truly = np.mean([new.mix.of(combiner).score(metric) for combiner, _ in fitted.by_fold.values()])
        nested.append(fitted.score - truly)
        naive.append(fitted.naive - new.mix.of(fitted.combiner).score(metric))
    error = np.std(nested, ddof=1) / np.sqrt(len(nested))
    assert abs(np.mean(nested)) < 3 * error, "as often too low as too high"
    assert np.mean(naive) > np.mean(nested) + 0.5 * error, "the naive one flatters"
    if how == "hill-climb":
        assert np.mean(naive) > 3 * np.std(naive, ddof=1) / np.sqrt(len(naive))


def test_in_its_own_sample_a_hill_climb_is_never_worse_than_the_best_member() -> None:
    for seed in range(5):
        ground = InMemory(seed, 1.0)
        best = max(m.score(ground.data.metric) for m in ground.mix.climb(np.zeros(MEMBERS, np.int64)))
        assert ground.fit("hill-climb").naive >= best


def test_each_fold_is_scored_with_weights_of_the_others() -> None:
    ground = InMemory(0, 1.0)
    fitted = ground.fit("hill-climb")
    flipped = InMemory(0, 1.0)
    own = flipped.fold == 2
    flipped.mix.truth[own] = 1 - flipped.mix.truth[own]
    again = flipped.fit("hill-climb")
    assert again.by_fold[2][0].shares.tolist() == fitted.by_fold[2][0].shares.tolist()  # type: ignore[attr-defined]
    assert again.score != fitted.score


def test_equal_weights_need_no_fitting() -> None:
    fitted = InMemory(0, 1.0).fit("equal")
    assert fitted.score == fitted.naive


def test_trees_are_not_for_pixels() -> None:
    ground = InMemory(0, 1.0)
    with pytest.raises(ConfigError, match="not for pixels"):
        fit(ground, "boost", object(), ground.survey)  # type: ignore[arg-type]


class MasksInMemory:
    """A ground of small masks: members that see the same blurred truth, each too sure or not sure enough."""

    def __init__(self, seed: int, n: int = 24) -> None:
        rng, self.n = np.random.default_rng(seed), n
        competition = Competition.from_tree({"name": "x", **SPECS["overlapping"], "metric": "dice"})
        self.task = create_task(competition, get_metric("dice"), Recipe())
        self.data = SimpleNamespace(metric=get_metric("dice"))
        self.truth = rng.random((n, 12, 12, 2)) < rng.uniform(0.1, 0.6, (n, 1, 1, 2))
        shared = 2.0 * self.truth - 1 + rng.normal(0, 1.2, self.truth.shape)
        spread, sure = np.array([0.5, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 0.5, 1.0])
        logits = sure[:, None, None, None, None] * (
            shared + rng.normal(0, 1, (4, *shared.shape)) * spread[:, None, None, None, None] - 0.7
        )
        self.probs = np.rint(255 / (1 + np.exp(-logits))).astype(np.uint8)
        self.rows, self.fold = list(range(n)), np.arange(n) % 4
        self.folds, self.members = [0, 1, 2, 3], range(4)
        flat = self.probs.reshape(4, n * 144, 2)
        self.uncertain = Uncertain(flat, self.truth.reshape(-1, 2), np.ones(n * 144), np.repeat(np.arange(n), 144))

    def measured(self, combiner: Any, task: Any = None, use: Any = None) -> Measured:
        some = np.arange(self.n) if use is None else np.flatnonzero(use)
        planes = [p[some] for p in self.probs]
        found = combiner.pixels(planes) > 127
        truth = self.truth[some]
        axes = (1, 2)
        rows = np.stack([(found & truth).sum(axes), found.sum(axes), truth.sum(axes)], -1)
        return Measured.of_counts("overlap", rows)


class DecidingInMemory(Deciding):
    """Decides masks that are in no store."""

    def measured(self, combiner: Any, config: Any, fold: int | None = None) -> Measured:
        ground: Any = self.ground
        return ground.measured(combiner, use=None if fold is None else ground.fold == fold)  # type: ignore[no-any-return]


def test_a_stack_of_pixels_scores_out_of_fold_as_on_new_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Uncertain, "of", classmethod(lambda cls, ground: ground.uncertain))
    mix: Any = SimpleNamespace(members=4)
    survey: Any = Survey(4)
    nested, gained = [], []
    for seed in range(20):
        ground, new = MasksInMemory(seed), MasksInMemory(seed + 1000, 200)
        deciding = DecidingInMemory(ground, mix)  # type: ignore[arg-type]
        fitted = fit(ground, "stack", mix, survey, deciding)  # type: ignore[arg-type]
        truly = np.mean([new.measured(combiner).score(new.data.metric) for combiner, _ in fitted.by_fold.values()])
        nested.append(fitted.score - truly)
        gained.append(fitted.score - fit(ground, "equal", mix, survey, deciding).score)  # type: ignore[arg-type]
    assert abs(np.mean(nested)) < 3 * np.std(nested, ddof=1) / np.sqrt(len(nested))
    assert np.mean(gained) > 0.02  # the mean of probabilities is that of the surest member, and all are too low
    assert isinstance(fitted.combiner, Stack)
    assert fitted.combiner.weights[0] == max(fitted.combiner.weights)
