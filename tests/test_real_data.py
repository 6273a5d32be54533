"""The loop of the README on real competition data, by its commands; scores recomputed from the written files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plain_scores

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


def data_set(name: str) -> Path:
    root = os.environ.get("PODIUM_REAL_DATA")
    if root is None:
        pytest.skip(f"{name}: PODIUM_REAL_DATA is not set")
    folder = Path(root) / name
    assert folder.is_dir(), f"PODIUM_REAL_DATA is set but {folder} is not there"
    return folder


def podium(*words: str, cwd: Path) -> str:
    """Run the command as a user would; its stdout."""
    command = [str(Path(sys.executable).with_name("podium")), *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_tgs_salt(tmp_path: Path) -> None:
    source = data_set("tgs_salt")
    podium("new", "salt", "--from", str(source), "--hold-out", "0.2", "folds.k=3", cwd=tmp_path)
    salt = tmp_path / "salt"
    spec = (salt / "competition.toml").read_text()
    assert 'metric = "tgs_iou"' in spec
    assert 'order = "column"' in spec
    podium("prepare", cwd=salt)
    podium("baseline", "recipe=smoke", cwd=salt)
    tried = podium("try", "wider", "model.width=2", "train.epochs=1", "--why", "more capacity", "--json", cwd=salt)
    verdict = json.loads(tried)["verdict"]
    assert verdict["noise_floor"] > 0
    assert verdict["final"]
    podium("predict", cwd=salt)
    podium("submit", "-m", "first", cwd=salt)
    rows = json.loads(podium("standings", "--reveal", "--json", cwd=salt))["submissions"]

    def truth(id: str) -> plain_scores.Mask:
        return np.array(Image.open(source / "masks" / f"{id}.png")) > 0

    answers = plain_scores.rows(salt / "submissions/0001-baseline/submission.csv.gz", "id", "rle_mask")
    plain = plain_scores.board_scores(answers, salt / "board/solution.csv", truth, plain_scores.tgs, "column")
    assert rows[0]["public"] == pytest.approx(plain["Public"], abs=1e-9)
    assert rows[0]["private"] == pytest.approx(plain["Private"], abs=1e-9)
    assert rows[0]["cv"] > 0.2, "worse than anything that learns"


def test_carvana(tmp_path: Path) -> None:
    source = data_set("carvana")
    podium("new", "cars", "--from", str(source), "--hold-out", "0.25", "folds.k=3", cwd=tmp_path)
    cars = tmp_path / "cars"
    podium("prepare", cwd=cars)
    folds = (cars / "folds.csv").read_text().splitlines()[1:]
    fold_of_car: dict[str, set[str]] = {}
    for line in folds:
        id, _, fold = line.split(",")
        fold_of_car.setdefault(id.partition("_")[0], set()).add(fold)
    assert len(fold_of_car) == 9
    assert all(len(f) == 1 for f in fold_of_car.values()), "a car's views are torn between folds"
    podium("baseline", "recipe=smoke", "train.epochs=20", "train.batch_size=4", cwd=cars)
    podium("predict", cwd=cars)
    podium("submit", "-m", "first", cwd=cars)
    row = json.loads(podium("standings", "--reveal", "--json", cwd=cars))["submissions"][0]

    def truth(id: str) -> plain_scores.Mask:
        return np.array(Image.open(source / "train_masks" / f"{id}_mask.gif")) > 0

    answers = plain_scores.rows(cars / "submissions/0001-baseline/submission.csv.gz", "id", "rle_mask")
    plain = plain_scores.board_scores(answers, cars / "board/solution.csv", truth, plain_scores.dice, "row")
    assert row["public"] == pytest.approx(plain["Public"], abs=1e-9)
    assert row["private"] == pytest.approx(plain["Private"], abs=1e-9)
    assert row["cv"] > 0.5, "all foreground scores about 0.35"
