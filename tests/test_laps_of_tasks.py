"""The whole lap of every task: hide a part, train, predict, submit, standings; the files left and the score."""

from __future__ import annotations

import csv
import gzip
import os
import zipfile
from pathlib import Path
from statistics import mean

import polars as pl
import pytest

from podium.config import write_toml
from podium.data.infer import infer
from podium.host.hold_out import hold_out
from podium.ledger.fold_runs import FoldRun
from podium.ledger.submissions import file_in
from podium.metrics import Measured, Metric
from podium.new import write_recipes
from podium.workspace import Workspace
from task_drawing import TASKS, draw_task

QUICK = ("train.epochs=1", "train.precision=fp32", "train.batch_size=4")

ROWS = {"class map": 3, "overlapping": 2, "several targets": 2}
"""Rows a sample, where it has several; objects have any number."""


def workspace_of(root: Path, task: str, **submission: object) -> Workspace:
    """A workspace over a small competition of a task, a third of it hidden behind a board."""
    competition = draw_task(root / "source", task)
    if submission:
        competition = type(competition).from_tree(competition.tree() | {"submission": submission})
    space = root / "space"
    made = hold_out(competition, root / "source/data", space / "data", space / "board", 0.34, 0.5)
    write_toml(space / "competition.toml", made.competition.tree())
    write_recipes(made.competition, space)
    return Workspace(space)


def lap(space: Workspace) -> tuple[float, float]:
    """(CV, public score) after one lap with the smoke recipe."""
    space.look()
    assert space.look_augment(space.recipe("smoke"))[0].is_file()
    attempt = space.baseline("smoke", QUICK)
    assert sorted(attempt.out_of_fold()["id"]) == sorted(space.prepare().folds.fold)
    space.predict()
    space.submit("a first one")
    (row,) = space.standings()
    assert row["cv"] == pytest.approx(attempt.cv)
    return row["cv"], row["public"]


@pytest.mark.parametrize("task", TASKS)
def test_a_lap(task: str, tmp_path: Path) -> None:
    space = workspace_of(tmp_path, task)
    cv, public = lap(space)
    assert 0 <= cv < 1e5
    assert 0 <= public < 1e5
    with gzip.open(file_in(space.submissions.get(None)), "rt", newline="") as f:
        rows = list(csv.DictReader(f))
    hidden = sorted(s.id for s in space.samples().test)
    form = space.competition.submission
    ids = [form.sample_id(row[form.id_column]) for row in rows]
    assert sorted(set(ids)) == hidden
    if task != "objects":
        assert len(ids) == ROWS.get(task, 1) * len(hidden)


def test_a_lap_with_png_masks(tmp_path: Path) -> None:
    space = workspace_of(tmp_path, "class map", format="png")
    lap(space)
    with zipfile.ZipFile(file_in(space.submissions.get(None))) as archive:
        names = archive.namelist()
    assert sorted(names) == sorted(f"{s.id}.png" for s in space.samples().test)


def jackknifed(run: FoldRun, metric: Metric) -> float:
    """The metric of a fold without the bias of its size: n times it, less n - 1 times its mean without each sample."""
    rows = run.scores()
    n = rows.height

    def score(kept: pl.DataFrame) -> float:
        return Measured.of_columns(metric.kind, kept.to_dict(as_series=False)).score(metric)

    return n * score(rows) - (n - 1) * mean(score(rows.with_row_index().filter(pl.col("index") != i)) for i in range(n))


def test_an_attempt_is_compared_with_its_parent_fold_by_fold_where_samples_have_no_score(tmp_path: Path) -> None:
    space = workspace_of(tmp_path, "several labels")
    parent = space.baseline("smoke", ["train.epochs=2", *QUICK[1:]])
    attempt = space.attempt("still", ["optim.lr=1e-9"], why="no step is taken")
    assert attempt.verdict is not None
    assert all(run.scores()["score"].null_count() == run.samples for run in attempt.runs)
    gains = [
        jackknifed(run, space.metric) - mean(jackknifed(r, space.metric) for r in parent.runs if r.fold == run.fold)
        for run in attempt.runs
    ]
    assert attempt.verdict.raw_gain == pytest.approx(mean(gains))
    assert attempt.verdict.gain < 0


REAL = {
    "bccd_counts": (),
    "camvid": (),
    "carvana": (),
    "cvc_clinicdb": (),
    "dsb2018": (),
    "houses_price": (),
    "malaria_cells": (),
    "tgs_salt": (),
}


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_a_lap_on_real_data(name: str, tmp_path: Path, real_data: Path) -> None:
    """One epoch of a tiny network: that everything fits together, not that it is good."""
    folder = real_data / name
    settings = ["folds.k=2"] if infer(folder, "x").competition.folds.k > 2 else []
    space = Workspace.new(tmp_path / name, folder, settings, hold_out=0.2)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv, public = lap(space)
    assert cv == cv
    assert public == public
