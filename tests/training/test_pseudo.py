"""Pseudo-labels: sure predictions alone, by networks that have not seen the fold, and no relatives of its samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from podium.config import write_toml
from podium.data.samples import Sample
from podium.errors import ConfigError, DataError, LedgerError
from podium.host.hold_out import hold_out
from podium.metrics import get_metric
from podium.new import write_recipes
from podium.recipe import PseudoConfig, Recipe
from podium.training.checkpoint import load
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.pseudo import Labelling, choose, mask_of, sureness, unrelated, value_of
from podium.training.tasks import MaskTask, create_task
from podium.training.trained import load_trained
from podium.workspace import Workspace
from task_drawing import draw_task

QUICK = ("train.epochs=1", "train.precision=fp32", "train.batch_size=4")
ONE = 'pseudo.attempts=["0000"]'


def workspace_of(root: Path, task: str) -> Workspace:
    """A workspace with a baseline of one epoch, a third of its samples hidden as test images."""
    competition = draw_task(root / "source", task)
    held = hold_out(competition, root / "source/data", root / "space/data", root / "space/board", 0.34, 0.5)
    write_toml(root / "space/competition.toml", held.competition.tree())
    write_recipes(held.competition, root / "space")
    space = Workspace(root / "space")
    space.baseline("smoke", QUICK, seeds=1)
    return space


def test_sureness_by_hand() -> None:
    planes = np.array([0, 1, 0.5, 0.1]).reshape(1, 4, 1)
    assert sureness(planes, "planes") == pytest.approx((1 + 1 + 0.5 + 0.9) / 4)
    assert sureness(np.array([0.2, 0.7, 0.1]), "labels") == pytest.approx(0.7)


def test_the_surest_come_first_and_not_too_many() -> None:
    sure, some = {"a": 0.95, "b": 0.99, "c": 0.5, "d": 0.9, "e": 0.95}, ["0000"]
    assert choose(sure, 10, PseudoConfig(attempts=some)) == ["b", "a", "e", "d"]
    assert choose(sure, 10, PseudoConfig(attempts=some, most=0.2)) == ["b", "a"]
    assert choose(sure, 10, PseudoConfig(attempts=some, confidence=1.0)) == []


def test_targets_by_hand() -> None:
    all_count, doubtful = PseudoConfig(attempts=["0"]), PseudoConfig(attempts=["0"], sure=0.3)
    one = np.array([[0, 1, 0.5, 0.1]])[:, :, None]
    assert mask_of(one, "planes", all_count).tolist() == [[False, True, True, False]]
    assert mask_of(one, "planes", doubtful).tolist() == [[0, 1, 255, 0]]
    two = np.array([[[1, 1], [0, 0.9], [0.6, 1]]])
    assert mask_of(two, "planes", all_count).shape == (2, 1, 3)
    assert mask_of(two, "planes", doubtful).tolist() == [[3, 2, 255]]
    three = np.array([[[0.1, 0.85, 0.05], [0.4, 0.3, 0.3]]])
    assert mask_of(three, "labels", all_count).tolist() == [[1, 0]]
    assert mask_of(three, "labels", doubtful).tolist() == [[1, 255]]
    assert value_of(np.array([0.2, 0.7, 0.1]), "labels").tolist() == [0, 1, 0]
    assert value_of(np.array([0.6, 0.7, 0.1]), "planes").tolist() == [1, 1, 0]


def test_relatives_of_what_validates_are_left_out() -> None:
    samples = [Sample("sibling", Path(), group="car1"), Sample("other", Path(), group="car2"), Sample("alone", Path())]
    found = unrelated(samples, {"held"}, {"held": "car1", "trained": "car2"})
    assert [s.id for s in found] == ["other", "alone"]


@pytest.mark.parametrize("task", ["class map", "overlapping", "one class", "several labels"])
def test_an_attempt_trains_on_what_the_networks_of_its_fold_predict(task: str, tmp_path: Path) -> None:
    space = workspace_of(tmp_path, task)
    sure = ["pseudo.sure=0.01"] if task in ("class map", "overlapping") else []
    changes = ['pseudo.attempts=["0000", "baseline"]', "pseudo.confidence=0.501", *sure]
    attempt = space.attempt("pseudo", changes, why="the test images are of another day")
    tests = {s.id for s in space.samples().test}
    prepared = space.prepare(attempt.recipe)
    for run in attempt.runs:
        table = pl.read_parquet(run.folder / "pseudo.parquet")
        used = table.filter(pl.col("used"))
        assert set(table["id"]) == tests
        assert len(used) > 0
        assert f"{len(used)} of {len(tests)} test images trained on too" in (run.folder / "log.txt").read_text()

        base = space.attempts.get(0)
        own = next(r for r in base.runs if r.fold == run.fold)
        fabric = create_fabric("fp32")
        models, tasks = load_trained([own.folder / "best.pt"], space.competition, space.metric, base.recipe, fabric)
        predictor = Predictor(fabric, models, tasks)
        labelling = Labelling(
            space.competition, space.metric, attempt.recipe, tasks[0], prepared.folds, run.fold, run.folder
        )
        labels = labelling.read()
        stream = dict(predictor.stream(labels.images, range(len(labels.images)), 4))
        for row, found in stream.items():
            if labels.masks is None:
                assert labels.targets is not None
                assert labels.targets[row].tolist() == value_of(found, tasks[0].kind).tolist()
                continue
            probs = found / np.float32(255)
            wanted = mask_of(probs, tasks[0].kind, attempt.recipe.pseudo)
            assert np.array_equal(labels.masks.labels(row), wanted)


def test_a_stopped_training_goes_on_with_the_labels_it_began_with(tmp_path: Path) -> None:
    space = workspace_of(tmp_path, "one class")
    attempt = space.attempt("pseudo", [ONE, "pseudo.confidence=0.51"], why="more", folds=[0], seeds=1)
    (run,) = attempt.runs
    weights, labels = load(run.folder / "best.pt")["model"], (run.folder / "pseudo.parquet").stat().st_mtime_ns
    for name in ("COMPLETE", "last.pt", "best.pt"):
        (run.folder / name).unlink()
    space.resume(attempt.id)
    assert (run.folder / "pseudo.parquet").stat().st_mtime_ns == labels
    again = load(run.folder / "best.pt")["model"]
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())


def test_pixels_in_doubt_do_not_count(tmp_path: Path) -> None:
    recipe = Recipe().with_overrides([ONE, "pseudo.sure=0.1"])
    task = create_task(draw_task(tmp_path, "overlapping"), get_metric("dice"), recipe)
    assert isinstance(task, MaskTask)
    masks = np.array([[[0, 1], [3, 255]]], np.uint8)
    planes, counted = task.target_of(torch.as_tensor(masks))
    assert counted is not None
    assert counted[0, 0].tolist() == [[1, 1], [1, 0]]
    assert planes[0, :, 1].tolist() == [[1, 0], [1, 0]]


def test_what_cannot_be_labelled_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    space = workspace_of(tmp_path / "a", "one class")
    with pytest.raises(LedgerError, match=r"pseudo.attempts(.|\n)*no attempt '0007'"):
        space.attempt("x", ['pseudo.attempts=["0007"]'], why="x")
    with pytest.raises(ConfigError, match="do not fit together"):
        space.attempt("x", ["pseudo.most=0.5"], why="x")
    with pytest.raises(DataError, match=r"none of 8 test images is predicted with a confidence of 1\.0"):
        space.attempt("x", [ONE, "pseudo.confidence=1.0"], why="x")
    numbers = workspace_of(tmp_path / "b", "number")
    with pytest.raises(ConfigError, match="predictions of objects and numbers are not known to be sure"):
        numbers.attempt("x", [ONE], why="x")
    competition = draw_task(tmp_path / "c", "one class")
    write_toml(tmp_path / "c/competition.toml", competition.tree())
    write_recipes(competition, tmp_path / "c")
    alone = Workspace(tmp_path / "c")
    alone.baseline("smoke", QUICK, seeds=1)
    with pytest.raises(DataError, match="there are no test images to label"):
        alone.attempt("x", [ONE], why="x")
    assert [a.name for a in alone.attempts.all()] == ["baseline"]
