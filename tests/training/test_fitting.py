"""What "tuned" stands for: fitted on the other folds, so that the score stays honest; on all for the test set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attempt_drawing import data_of, draw_attempt, drawn_space
from podium.config import read_toml
from podium.data.competition import Competition
from podium.data.geometry import mask_at
from podium.data.store import Store
from podium.errors import ConfigError, LedgerError, PodiumError
from podium.ledger.fitted import read_fitted, settled
from podium.metrics import METRICS, Measured, get_metric, of_each
from podium.readback import draw_pictures, read_details, read_gains
from podium.recipe import PredictConfig, Recipe
from podium.training import fitting as module
from podium.training.check import check_recipe
from podium.training.evaluate import evaluate
from podium.training.fitting import Fitter, Tuning
from podium.training.fold_run import FoldData
from podium.training.grids import START, best_on, candidates
from podium.training.kept import Kept
from podium.training.levels import only_cuts
from podium.training.tasks import Values, create_task
from podium.workspace import Workspace
from task_drawing import SPECS, metric_of


class OnArrays:
    """Predictions of a table in memory, in the place of stored ones."""

    def __init__(self, task: str, probs: np.ndarray, targets: np.ndarray, *changes: str, metric: str = "") -> None:
        spec = SPECS[task] | ({"metric": metric} if metric else {})
        competition = Competition.from_tree({"name": "x", **spec})
        self.metric = metric_of(competition)
        self.task = create_task(competition, self.metric, Recipe().with_overrides(list(changes)))
        self.probs, self.targets = probs, targets

    def measured(self, config: PredictConfig) -> Measured:
        task = self.task.with_predict(config)
        return Measured.of_table(task.truth(self.targets), task.predicted(task.adjusted(self.probs)))

    def with_values(self, values: Mapping[str, Any]) -> PredictConfig:
        return self.task.recipe.predict.with_overrides(dict(values))

    def best(self, key: str, start: Any, use: np.ndarray) -> dict[str, Any]:
        tried = [] if key == "cuts" else candidates(key, self.task, None, [])  # type: ignore[arg-type]
        return best_on(self, key, start, tried, use)

    def score(self, values: dict[str, Any], use: np.ndarray) -> float:
        return self.measured(self.with_values(values)).take(use).score(self.metric)


def gains(tunes: OnArrays, key: str, start: dict[str, Any], n: int) -> tuple[float, float]:
    """(naive gain, nested gain) over the start values, of five folds."""
    everyone, fold = np.arange(n), np.arange(n) % 5
    naive = tunes.score(tunes.best(key, start, everyone), everyone)
    parts = [
        tunes.measured(tunes.with_values(tunes.best(key, start, np.flatnonzero(fold != k)))).take(fold == k)
        for k in range(5)
    ]
    nested = Measured(parts[0].kind, {name: np.concatenate([p.arrays[name] for p in parts]) for name in parts[0].names})
    before = tunes.score(start, everyone)
    return naive - before, nested.score(tunes.metric) - before


# ------------------------------------------------------------------ the proof, by simulation


def test_under_pure_noise_the_nested_score_gains_nothing_and_the_naive_one_does() -> None:
    """Labels that no prediction knows anything of: what thresholds seem to gain is luck, and only naive scores have it.

    Nobody knows less than nothing: a fold that happens to have fewer of a label is left by the others with more.
    """
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        probs, truth = rng.uniform(0.3, 0.7, (60, 3)), rng.integers(0, 2, (60, 3)).astype(float)
        tunes = OnArrays("several labels", probs, truth, "predict.threshold=tuned", metric="accuracy")
        found.append(gains(tunes, "threshold", {"threshold": [0.5] * 3}, 60))
    naive, nested = np.array(found).T
    assert naive.mean() > 0.03
    assert naive.mean() > 4 * naive.std(ddof=1) / np.sqrt(40)
    assert nested.mean() < 2 * nested.std(ddof=1) / np.sqrt(40)


def test_a_true_shift_is_found_and_the_nested_score_shows_it() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (400, 3)).astype(float)
    logits = 3 * truth - 1.5 + rng.normal(0, 1, truth.shape) - 1.5  # everything too low by 1.5
    tunes = OnArrays("several labels", 1 / (1 + np.exp(-logits)), truth, "predict.threshold=tuned")
    naive, nested = gains(tunes, "threshold", {"threshold": [0.5] * 3}, 400)
    assert 0.05 < nested <= naive
    values = tunes.best("threshold", {"threshold": [0.5] * 3}, np.arange(400))["threshold"]
    assert all(abs(t - 1 / (1 + np.exp(1.5))) < 0.12 for t in values)


def test_cut_points_of_ratings_that_are_squeezed_together() -> None:
    """Predictions of half the spread: rounding never says the outer ratings, cut points do."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, (500, 1)).astype(float)
    predicted = 2 + (truth - 2) * 0.5 + rng.normal(0, 0.2, truth.shape)
    tunes = OnArrays("number", predicted, truth, "predict.cuts=tuned", metric="quadratic_kappa")
    naive, nested = gains(tunes, "cuts", {"cuts": [0.5, 1.5, 2.5, 3.5], "lowest": 0}, 500)
    assert 0.05 < nested <= naive
    cuts = tunes.best("cuts", {"cuts": [0.5, 1.5, 2.5, 3.5], "lowest": 0}, np.arange(500))["cuts"]
    np.testing.assert_allclose(cuts, [1.25, 1.75, 2.25, 2.75], atol=0.15)


@pytest.mark.parametrize("true", [0.5, 3.0])
def test_the_temperature_that_logits_were_multiplied_with_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3000, 3))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([[rng.choice(3, p=p)] for p in probs], float)
    hot = np.exp(logits * true) / np.exp(logits * true).sum(1, keepdims=True)
    tunes = OnArrays("one class", hot, truth, "predict.temperature=tuned")
    found = tunes.best("temperature", {"temperature": 1.0}, np.arange(3000))["temperature"]
    assert found == pytest.approx(true, rel=0.12)


# ------------------------------------------------------------------ in a workspace


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Masks of two classes, whose probabilities are all too low."""
    space = drawn_space(tmp_path_factory.mktemp("fitting"), "overlapping", 18)
    draw_attempt(space, "baseline", 1.0, bias=-2.0)
    return space


def test_each_class_gets_its_threshold_and_no_fold_knows_its_own(space: Workspace) -> None:
    child = space.attempt("tuned", ["predict.threshold=tuned"], why="all too low")
    parent = space.attempts.get("baseline")
    assert child.cv is not None
    assert parent.cv is not None
    assert child.cv > parent.cv + 0.02
    final = read_fitted(child.folder)["threshold"]
    assert len(final) == 2
    assert max(final) < 0.4
    data = data_of(space)
    for run in child.runs:
        others = Tuning.of_runs(data, child.recipe, [r for r in parent.runs if r.fold != run.fold])
        assert others.fit() == read_fitted(run.folder)
        assert "every fold but" in read_toml(run.folder / "fitted.toml")["on"]
    by_hand = Tuning.of_runs(data, child.recipe, parent.runs)
    assert by_hand.fit()["threshold"] == final
    assert settled(child.recipe, child.folder).predict.threshold == final


def test_what_was_fitted_is_shown(space: Workspace) -> None:
    details = read_details(space, "tuned")
    final = read_fitted(details.attempt.folder)
    assert details.tree()["fitted"] == final
    assert (
        f"fitted     threshold = {final['threshold']} for the test set; without its own samples fold 0"
        in details.text()
    )
    drawn = draw_pictures(space, details, read_gains(details))
    assert drawn.files["gains"].is_file()


def test_all_levels_at_once_are_the_masks_one_by_one(space: Workspace) -> None:
    parent, data = space.attempts.get("baseline"), data_of(space)
    recipe = parent.recipe.with_overrides(["predict.threshold=tuned"])
    tuning, truth = Tuning.of_runs(data, recipe, parent.runs), data.stores.truth
    measured = tuning.measured(PredictConfig(threshold=[0.3, 0.61]))
    n = 0
    for run in parent.runs:
        oof = Store(run.folder / "oof", touch=False)
        for id in data.folds.validation(run.fold):
            mask = mask_at(oof.image(oof.row[id]), truth.shape(truth.row[id]), [0.3, 0.61])
            for k in range(2):
                true = truth.mask(truth.row[id])[k].astype(bool)
                counts = [int((mask[:, :, k] & true).sum()), int(mask[:, :, k].sum()), int(true.sum())]
                assert [int(a[n, k]) for a in measured.arrays.values()] == counts
            n += 1


def test_several_keys_are_fitted_one_after_another(space: Workspace) -> None:
    parent, data = space.attempts.get("baseline"), data_of(space)
    tuned = ["predict.threshold=tuned", "predict.min_area=tuned", "predict.smooth=tuned", "predict.empty_peak=tuned"]
    tuning = Tuning.of_runs(data, parent.recipe.with_overrides(tuned), parent.runs)
    values = tuning.fit()
    assert list(values) == ["threshold", "smooth", "min_area", "empty_peak"]
    plain = Tuning.of_runs(data, parent.recipe.with_overrides(tuned[:1]), parent.runs)
    assert tuning.score(tuning.with_values(values)) >= plain.score(plain.with_values(plain.fit()))


def test_a_child_of_a_tuned_attempt_is_fitted_anew_with_its_own_change(space: Workspace) -> None:
    tuned = space.attempts.get("tuned")
    child = space.attempt("cleaned", ["predict.largest=true"], parent=tuned.id, why="one of each")
    assert child.recipe.predict.tuned == ["threshold"]
    assert all(read_fitted(run.folder) for run in child.runs)


def test_trained_children_take_what_their_parent_had_for_the_fold(space: Workspace) -> None:
    tuned, data = space.attempts.get("tuned"), data_of(space)
    fitter, what = Fitter(data, space.metric), next(run for run in tuned.runs if run.fold == 1)
    found = fitter.of_fold(tuned, tuned, type("What", (), {"fold": 1, "seed": 3})(), predicts_only=False)  # type: ignore[arg-type]
    assert found == read_fitted(what.folder)


def test_nothing_to_fit_on_is_refused_in_a_sentence(space: Workspace) -> None:
    baseline, data = space.attempts.get("baseline"), data_of(space)
    wanted = baseline.recipe.with_overrides(["predict.threshold=tuned"])
    with pytest.raises(LedgerError, match="no out-of-fold predictions to fit it on yet"):
        Fitter(data, space.metric).of_fold(
            type(baseline)(**{**baseline.__dict__, "recipe": wanted}),
            None,
            type("What", (), {"fold": 1, "seed": 0})(),  # type: ignore[arg-type]
            predicts_only=False,
        )
    with pytest.raises(LedgerError, match="has not been fitted"):
        settled(wanted, baseline.folder)
    with pytest.raises(ConfigError, match="nothing has been fitted yet"):
        _ = wanted.predict.settled


def test_one_fold_alone_cannot_be_tuned(tmp_path: Path) -> None:
    space = drawn_space(tmp_path, "overlapping", 12)
    draw_attempt(space, "baseline", 1.0, folds=[0])
    with pytest.raises(PodiumError, match="one fold alone"):
        space.attempt("tuned", ["predict.threshold=tuned"], why="too soon")


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("objects", ["predict.threshold=tuned", "predict.rim=tuned", "predict.min_area=tuned"]),
        ("yes or no", ["predict.temperature=tuned", "predict.threshold=tuned"]),
        ("number", ["predict.clip=tuned"]),
        ("class map", ["predict.min_area=tuned"]),
    ],
)
def test_every_task_is_tuned_by_its_own_keys(task: str, changes: list[str], tmp_path: Path) -> None:
    space = drawn_space(tmp_path, task, 12, k=2)
    draw_attempt(space, "baseline", 1.0)
    child = space.attempt("tuned", changes, why="try them all")
    assert child.verdict is not None
    assert set(read_fitted(child.folder)) == set(child.recipe.predict.tuned)
    assert len(child.runs) == 2


def test_the_temperature_of_several_targets_is_of_their_own_log_losses() -> None:
    rng, outputs = np.random.default_rng(0), [slice(0, 3), slice(3, 5)]
    logits = rng.normal(0, 2, (400, 5))
    shares = [np.exp(logits[:, of]) / np.exp(logits[:, of]).sum(1, keepdims=True) for of in outputs]
    truth = np.concatenate([[rng.multinomial(1, p) for p in share] for share in shares], axis=1)
    sharp = np.concatenate([s**3 / (s**3).sum(1, keepdims=True) for s in shares], axis=1)
    tunes, everyone = OnArrays("several targets", sharp, truth, "predict.temperature=tuned"), np.arange(400)
    found = tunes.best("temperature", {"temperature": 1.0}, everyone)
    metric = of_each(METRICS["log_loss"], tunes.task.competition.parts)

    def loss(temperature: float) -> float:
        config = tunes.with_values({"temperature": temperature})
        return tunes.measured(config).take(everyone).score(metric)

    tried: list[Any] = candidates("temperature", tunes.task, None, [])  # type: ignore[arg-type]
    assert loss(found["temperature"]) == min(loss(one["temperature"]) for one in tried)
    assert 2 < found["temperature"] < 4


def test_what_is_tried_for_a_fold_is_not_read_off_its_own_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = drawn_space(tmp_path, "number", 12, k=2)
    baseline, data = draw_attempt(space, "baseline", 1.0), data_of(space)
    assert isinstance(data.truth, Values)
    targets = data.truth.targets.copy()
    targets[data.stores.images.row[data.folds.validation(0)[0]]] = 1e6
    monkeypatch.setattr(FoldData, "truth", Values(targets))
    tuning = Tuning.of_runs(data, baseline.recipe.with_overrides(["predict.clip=tuned"]), baseline.runs)
    tried: list[float] = []

    def first(tunes: Any, key: str, values: Any, few: Any, use: Any) -> dict[str, Any]:
        tried.append(max(one["clip"][1] for one in few))
        return {}

    monkeypatch.setattr(module, "best_on", first)
    for but in (0, 1, None):
        tuning.fit(but)
    assert tried[0] < 1e6
    assert tried[1] == tried[2] == 1e6


def test_cut_points_begin_with_the_ratings_of_the_samples_that_they_are_fitted_on() -> None:
    competition = Competition.from_tree({"name": "x", **SPECS["number"], "metric": "quadratic_kappa"})
    task = create_task(competition, metric_of(competition), Recipe())
    data: Any = SimpleNamespace(truth=Values(np.array([[9.0], [1.0], [2.0], [3.0]])))
    assert START["cuts"](task, data, [1, 2, 3]) == {"cuts": [1.5, 2.5], "lowest": 1}


def test_objects_are_flooded_once_for_all_smallest_areas_and_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = drawn_space(tmp_path, "objects", 12)
    baseline = draw_attempt(space, "baseline", 1.0)
    data, tuned = data_of(space), ["predict.threshold=tuned", "predict.min_area=tuned"]
    recipe, runs, times = baseline.recipe.with_overrides(tuned), baseline.runs, [0]

    def counted(*args: Any, **more: Any) -> Measured:
        times[0] += 1
        return evaluate(*args, **more)

    monkeypatch.setattr(module, "evaluate", counted)
    tuning = Tuning.of_runs(data, recipe, runs)
    found = [tuning.with_values(tuning.fit(but)) for but in (0, 1, 2, None)]
    assert times[0] <= 3 * (10 + 2 * 4), "every second of 19 thresholds, and what lies beside the best"
    for config, but in zip(found, (0, 1, 2, None), strict=True):
        plain = []
        for run in (run for run in runs if run.fold != but):
            rows = [data.stores.images.row[id] for id in data.folds.validation(run.fold)]
            kept = Kept(data, recipe, run)
            kept.task = kept.task.with_predict(config)
            plain.append(evaluate(kept, data.images(recipe), data.truth, rows).arrays["hits"])
        np.testing.assert_array_equal(np.concatenate(plain), tuning.measured(config, but).arrays["hits"])


@pytest.mark.parametrize(
    ("task", "change", "told"),
    [
        ("one class", "predict.threshold=tuned", "it does nothing for classification of 3 classes"),
        ("number", "predict.cuts=[0.5]", "it does nothing for regression"),
        ("objects", "predict.hull=true", "it does nothing for instances"),
        ("overlapping", "predict.temperature=2", "it does nothing for segmentation"),
        ("overlapping", "predict.empty_area=[3]", "list of 1"),
    ],
)
def test_what_says_nothing_for_the_task_is_refused(task: str, change: str, told: str) -> None:
    competition = Competition.from_tree({"name": "x", **SPECS[task]})
    kind = create_task(competition, metric_of(competition), Recipe()).kind
    terms = {"planes": "{bce=1}", "labels": "{ce=1}", "values": "{huber=1}"}[kind]
    arch = "unet" if competition.task in ("segmentation", "instances") else "resnet_small"
    recipe = Recipe().with_overrides([f"model.arch={arch}", f"loss.terms={terms}", change])
    with pytest.raises(ConfigError, match=told):
        check_recipe(recipe, create_task(competition, metric_of(competition), recipe))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("predict.threshold=1.5", "a number between 0 and 1"),
        ("predict.threshold=best", "a number between 0 and 1"),
        ("predict.min_area=0", "a whole number from 1"),
        ("predict.clip=[3, 1]", "two numbers, the lower first"),
        ("predict.cuts=[2, 1]", "ascending numbers"),
        ("predict.smooth=-1", "pixels from 0"),
    ],
)
def test_wrong_values_are_refused_with_what_is_expected(change: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Recipe().with_overrides([change])


@pytest.mark.parametrize(
    ("changes", "only"),
    [
        ([], True),
        (["predict.empty_peak=0.3", "predict.min_area=1"], True),
        (["predict.empty_peak=0.7"], False),
        (["predict.fill_holes=true"], False),
        (["predict.smooth=1.0"], False),
        (["predict.min_area=2"], False),
        (["predict.empty_area=[1, 9]"], False),
        (["predict.threshold=tuned"], False),
    ],
)
def test_levels_are_counted_only_where_the_threshold_decides_alone(changes: list[str], only: bool) -> None:
    competition = Competition.from_tree({"name": "x", **SPECS["overlapping"]})
    task = create_task(competition, get_metric("dice"), Recipe())
    assert only_cuts(task, Recipe().with_overrides(changes).predict) == only
