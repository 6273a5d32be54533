"""Holding out of sets whose ids are made of paths, and whose classes a JSON file names."""

from __future__ import annotations

import csv
import json

import numpy as np
from PIL import Image

from podium.data.infer import infer
from podium.data.samples import list_samples
from podium.host.hold_out import hold_out


def draw(path, i):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(i).integers(0, 255, (6, 6), dtype=np.uint8)).save(path)


def test_a_table_of_paths_has_ids_in_the_new_layout(tmp_path):
    rows = []
    for i in range(24):
        path = f"train/patient{i // 2:02}/study{i % 2}/view1.png"
        draw(tmp_path / "d" / path, i)
        rows.append(f"{path},{int(i // 2 % 2)}")
    (tmp_path / "d/train.csv").write_text("\n".join(["Path,Edema", *rows]) + "\n")
    source = infer(tmp_path / "d", "n").competition
    made = hold_out(source, tmp_path / "d", tmp_path / "data", tmp_path / "board", 0.3, 0.5, 0)
    found = list_samples(made.competition, tmp_path / "data")
    truth = {s.id: s.values for s in list_samples(source, tmp_path / "d").train}
    assert found.problems == []
    assert {s.id: s.values for s in found.train}.items() <= truth.items()
    assert len(found.train) + len(found.test) == 24
    assert not {s.group for s in found.train} & {s.group for s in found.test}
    with open(tmp_path / "data/train.csv", newline="") as f:
        assert {row["Path"] for row in csv.DictReader(f)} == {s.id for s in found.train}


def test_folders_of_numbers_whose_names_no_folder_can_have(tmp_path):
    for i in range(24):
        draw(tmp_path / f"d/train/{i % 2}/x{i}.png", i)
    (tmp_path / "d/classes.json").write_text(json.dumps({"0": "corn/maize", "1": "wheat"}))
    source = infer(tmp_path / "d", "n").competition
    made = hold_out(source, tmp_path / "d", tmp_path / "data", tmp_path / "board", 0.3, 0.5, 0)
    assert made.competition.classes == {"corn/maize": 0, "wheat": 1}
    found = list_samples(made.competition, tmp_path / "data")
    assert (found.problems, len(found.train) + len(found.test)) == ([], 24)
    assert {s.id: s.values[0] for s in found.train} == {s.id: int(s.id.strip("x")) % 2 for s in found.train}
