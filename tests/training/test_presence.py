"""Masks that a classifier empties: made from the masks of another workspace, honest out of fold, and at test time."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from attempt_drawing import data_of, draw_attempt, drawn_space
from podium.config import read_toml
from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.data.store import Store
from podium.ensemble.told import told
from podium.errors import ConfigError, DataError, LedgerError, PodiumError
from podium.files import write_atomic
from podium.ledger.fitted import read_fitted
from podium.metrics import Measured, get_metric
from podium.readback import draw_pictures, read_details, read_gains
from podium.recipe import PredictConfig, Recipe
from podium.training.fitting import Tuning
from podium.training.grids import best_on, candidates
from podium.training.tasks import create_task
from podium.workspace import Workspace
from task_drawing import SIDE, SPECS
from test_laps_of_tasks import QUICK, workspace_of

BY = "predict.empty_by=attempt:presence/0"


def presence_of(space: Workspace, noise: float, **more: Any) -> Workspace:
    """The classifier's workspace in that of masks, with an attempt that knows what is there up to some noise."""
    made = Workspace.new(space.root / "presence", f"masks:{space.root}")
    recipe = Recipe().with_overrides(["model.arch=resnet_small", "loss.terms={bce=1}"])
    write_atomic(made.root / "recipes/baseline.toml", recipe.to_toml())
    draw_attempt(made, "baseline", noise, **more)
    return made


@pytest.fixture(scope="module", params=["overlapping", "objects", "class map"])
def space(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Masks with many false pixels, and a classifier that is right nearly always."""
    space = drawn_space(tmp_path_factory.mktemp("presence"), request.param, 30)
    draw_attempt(space, "baseline", 2.0)
    presence_of(space, 0.3)
    return space


def said(space: Workspace) -> dict[str, np.ndarray]:
    tables = [pl.read_parquet(p) for p in (space.root / "presence/attempts/0000-baseline").glob("fold*/oof/*.parquet")]
    return {row[0]: np.array(row[1:], np.float32) for table in tables for row in table.rows()}


def test_its_labels_are_what_masks_are_empty_and_its_folds_the_same(space: Workspace) -> None:
    made, data = Workspace(space.root / "presence"), data_of(space)
    mine = data_of(made)
    assert mine.folds.fold == data.folds.fold
    task = create_task(space.competition, space.metric, Recipe())
    with open(made.root / "data/presence.csv", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    names = list(made.competition.data.targets)
    assert len(rows) == len(data.folds.fold)
    for id, row in data.stores.truth.row.items():
        truth = task.truth(data.stores.truth, row)  # type: ignore[union-attr]
        if space.competition.task == "instances":
            there = [truth.any()]
        elif truth.ndim == 2:
            there = [(truth == k).any() for k in range(len(names))]
        else:
            there = truth.any((1, 2)).tolist()
        assert [rows[id][name] == "1" for name in names] == there


def test_masks_are_emptied_and_judged_without_training(space: Workspace) -> None:
    parent, data = space.attempts.get("baseline"), data_of(space)
    child = space.attempt("emptied", [BY, "predict.empty_below=0.4"], why="most false pixels lie where nothing is")
    assert child.verdict is not None
    assert child.cv is not None
    assert parent.cv is not None
    assert child.cv > parent.cv + 0.01
    task, by = create_task(space.competition, space.metric, parent.recipe), said(space)
    for run in child.runs:
        oof, counts = Store(run.folder / "oof", touch=False), []
        for id in data.folds.validation(run.fold):
            row = data.stores.truth.row[id]
            probs = oof.image(oof.row[id]) * (by[id] >= 0.4).astype(np.uint8)
            there = task.decided(probs, data.stores.truth.shape(row), Preprocess.of(parent.recipe.input))  # type: ignore[union-attr]
            counts.append(task.compare(there, task.truth(data.stores.truth, row)))  # type: ignore[union-attr]
        by_hand = Measured.of_counts(space.metric.kind, np.array(counts)).score(space.metric)
        assert run.score == pytest.approx(by_hand)


def test_the_cut_is_fitted_on_the_other_folds(space: Workspace) -> None:
    parent, data = space.attempts.get("baseline"), data_of(space)
    child = space.attempt("tuned-empty", [BY, "predict.empty_below=tuned"], why="where to cut", parent=0)
    for run in child.runs:
        others = Tuning.of_runs(data, child.recipe, [r for r in parent.runs if r.fold != run.fold])
        assert others.fit() == read_fitted(run.folder)
    tuning = Tuning.of_runs(data, child.recipe, parent.runs)
    assert tuning.fit() == read_fitted(child.folder)
    for below in (0.0, 0.3, 0.8):  # what is put together of full and of empty masks is what is measured mask by mask
        config = child.recipe.predict.with_overrides({"empty_below": below})
        quick, slow = tuning.measured(config), tuning._evaluated(config)
        for name, array in slow.arrays.items():
            np.testing.assert_array_equal(quick.arrays[name], array)
    details = read_details(space, "tuned-empty")
    assert "empty_below" in details.text()
    assert draw_pictures(space, details, read_gains(details)).files["gains"].is_file()


def test_thresholds_are_fitted_together_with_it(space: Workspace) -> None:
    keys = ["predict.threshold=tuned"] if space.competition.task != "segmentation" else ["predict.min_area=tuned"]
    child = space.attempt("both", [BY, "predict.empty_below=tuned", *keys], why="one after the other", parent=0)
    assert set(read_fitted(child.folder)) == {key.partition("=")[0][8:] for key in keys} | {"empty_below"}


def test_a_blend_is_emptied_too(space: Workspace) -> None:
    if "other" not in [a.name for a in space.attempts.all()]:
        draw_attempt(space, "other", 2.0, "model.width=2", seed=1)
    plain = space.blend(["baseline", "other"], "equal", ["predict.empty_by=none", "predict.empty_below=0.5"])
    done = space.blend(["baseline", "other"], "equal", [BY, "predict.empty_below=0.4"])
    assert done.score is not None
    assert plain.score is not None
    assert done.score > plain.score + 0.005
    assert "predicts with" in "\n".join(told(done, space.metric.name))


class OnMasks:
    """A competition in numbers: masks that are found with some error, false pixels on many empty ones."""

    def __init__(self, seed: int, knows: float, n: int = 80) -> None:
        rng = np.random.default_rng(seed)
        competition = Competition.from_tree(
            {"name": "x", **SPECS["overlapping"], "classes": {"red": 1}, "labels": "one"}
        )
        self.metric, self.n = get_metric("dice"), n
        self.task = create_task(competition, self.metric, Recipe().with_overrides([BY, "predict.empty_below=tuned"]))
        there = rng.random(n) < 0.5
        self.said = 1 / (1 + np.exp(-(knows * (2.0 * there - 1) + rng.normal(0, 1, n))))
        self.truth = np.where(there, 100, 0)
        self.predicted = np.where(there, 100, np.where(rng.random(n) < 0.5, 40, 0))
        self.hits = np.where(there, rng.integers(40, 95, n), 0)

    def measured(self, config: PredictConfig) -> Measured:
        kept = self.said >= np.asarray(config.empty_below)
        return Measured.of_counts("overlap", np.stack([self.hits * kept, self.predicted * kept, self.truth], 1))

    def with_values(self, values: Mapping[str, Any]) -> PredictConfig:
        return self.task.recipe.predict.with_overrides(dict(values))

    def best(self, use: np.ndarray) -> dict[str, Any]:
        tried = candidates("empty_below", self.task, None, {})  # type: ignore[arg-type]
        return best_on(self, "empty_below", {"empty_below": 0.0}, tried, use)

    def score(self, values: dict[str, Any], use: np.ndarray) -> float:
        return self.measured(self.with_values(values)).take(use).score(self.metric)


@pytest.mark.parametrize("knows", [0.0, 0.5, 2.0])
def test_the_nested_score_is_what_new_samples_show(knows: float) -> None:
    """The naive one is too high; a classifier that knows nothing gains nothing by the nested one."""
    nested, naive, gain = [], [], []
    for seed in range(36):
        here, new = OnMasks(seed, knows), OnMasks(seed + 1000, knows, 4000)
        everyone, fold, all_new = np.arange(here.n), np.arange(here.n) % 5, np.arange(new.n)
        each = [here.best(np.flatnonzero(fold != k)) for k in range(5)]
        found = float(np.mean([here.score(values, np.flatnonzero(fold == k)) for k, values in enumerate(each)]))
        nested.append(found - float(np.mean([new.score(values, all_new) for values in each])))
        final = here.best(everyone)
        naive.append(here.score(final, everyone) - new.score(final, all_new))
        gain.append(found - here.score({"empty_below": 0.0}, everyone))
    error = np.std(nested, ddof=1) / np.sqrt(len(nested))
    assert abs(np.mean(nested)) < 3 * error
    assert np.mean(naive) > np.mean(nested)
    if knows == 0:
        assert np.mean(gain) < 2 * np.std(gain, ddof=1) / np.sqrt(len(gain))
    if knows == 2:
        assert np.mean(gain) > 0.1


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    space = drawn_space(tmp_path, "overlapping", 18)
    draw_attempt(space, "baseline", 2.0)
    with pytest.raises(PodiumError, match="no workspace for"):
        space.attempt("early", [BY], why="-")
    with pytest.raises(ConfigError, match=r"attempt:presence/0003"):
        space.attempt("wrong", ["predict.empty_by=presence/0"], why="-")
    with pytest.raises(ConfigError, match="does not say whether an image has red, green"):
        space.attempt("itself", ["predict.empty_by=attempt:0"], why="-")
    with pytest.raises(ConfigError, match="beside empty_below"):
        space.attempt("alone", ["predict.empty_below=0.3"], why="-")
    presence_of(space, 0.3, folds=[0, 1])
    with pytest.raises(LedgerError, match=r"says nothing of .* and 5 others"):
        space.attempt("lacking", [BY, "predict.empty_below=0.3"], why="-")
    with pytest.raises(ConfigError, match="list of 3"):
        space.attempt("lists", [BY, "predict.empty_below=[0.1, 0.2, 0.3]"], why="-")
    assert len(space.attempts.names()) <= 2
    other = drawn_space(tmp_path / "other", "overlapping", 18)
    draw_attempt(other, "baseline", 2.0)
    made = presence_of(other, 0.3)
    shutil.rmtree(other.root / "attempts")
    for name in ("folds.csv", "folds.toml"):
        (other.root / name).unlink()
    spec = other.root / "competition.toml"
    write_atomic(spec, spec.read_text().replace("k = 3", "k = 3\nseed = 5"))
    other = Workspace(other.root)
    draw_attempt(other, "baseline", 2.0)
    assert data_of(other).folds.fold != data_of(made).folds.fold
    with pytest.raises(LedgerError, match=r"is in fold . of the classifier, and here in fold"):
        other.attempt("torn", [BY, "predict.empty_below=0.3"], why="-")


def test_a_workspace_of_masks_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a podium workspace"):
        Workspace.new(tmp_path / "a", f"masks:{tmp_path}")
    table = drawn_space(tmp_path / "table", "one class", 12)
    with pytest.raises(ConfigError, match="no masks that could be empty"):
        Workspace.new(tmp_path / "b", f"masks:{table.root}")
    masks = drawn_space(tmp_path / "masks", "overlapping", 12)
    with pytest.raises(ConfigError, match="neither --hold-out"):
        Workspace.new(tmp_path / "c", f"masks:{masks.root}", hold_out=0.2)
    full = np.full((SIDE, SIDE), 255, np.uint8)
    for path in (masks.root / "data/masks").rglob("*.png"):
        Image.fromarray(full).save(path)
    with pytest.raises(DataError, match="nothing to learn: of 12 samples red in 12, green in 12"):
        Workspace.new(tmp_path / "d", f"masks:{masks.root}")
    assert not any((tmp_path / name).exists() for name in "abcd")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["overlapping", "objects"])
def test_test_masks_are_emptied_where_the_classifier_says_so(task: str, tmp_path: Path) -> None:
    space = workspace_of(tmp_path, task)
    space.baseline("smoke", QUICK, seeds=1)
    made = Workspace.new(space.root / "presence", f"masks:{space.root}")
    made.baseline("smoke", QUICK, seeds=1)
    plain = rows_of(space.predict().file)
    space.attempt("emptied", [BY, "predict.empty_below=0.5"], why="-")
    first = space.predict("emptied")
    (table,) = (made.root / ".podium/said").rglob("*.parquet")
    likely = {row[0]: row[1:] for row in pl.read_parquet(table).rows()}
    cut = float(np.median([p for row in likely.values() for p in row]))
    space.attempt("half", [BY, f"predict.empty_below={cut:.6f}"], why="-", parent=0)
    found = rows_of(space.predict("half").file)
    names, emptied = list(made.competition.data.targets), 0
    for id, row in likely.items():
        for name, p in zip(names, row, strict=True):
            key = id if task == "objects" else f"{id}_{name}"
            assert found.get(key) == ([""] if p < cut else plain[key])
            emptied += p < cut
    assert 0 < emptied < len(likely) * len(names)
    assert read_toml(first.file.parent / "prediction.toml")["attempt"] == 1
    blended = space.blend(["0", "half"], "equal", [BY, f"predict.empty_below={cut:.6f}"], name="both")
    assert blended.file is not None
    assert rows_of(blended.file) == found  # two with the same weights
    with pytest.raises(ConfigError, match="cannot be written with it"):
        space.export("half")


def rows_of(file: Path) -> dict[str, list[str]]:
    """{id of a row: its runs}, of every object."""
    found: dict[str, list[str]] = {}
    for row in csv.reader(gzip.decompress(file.read_bytes()).decode().splitlines()[1:]):
        found.setdefault(row[0], []).append(row[1])
    return found
