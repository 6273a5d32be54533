"""Groups that are known are kept: beside folders of classes, of a table that lacks a row, with test images around."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import inferred, planted, save, table, write

from podium.data.infer import infer

SMALL = np.zeros((8, 8, 3), np.uint8)


def folders(folder, name_of, classes=("neg", "pos"), n=12):
    for c in classes:
        for i in range(n):
            save(folder / f"train/{c}/{name_of(c, i)}.png", SMALL)


def test_a_table_of_patients_beside_folders_of_classes(tmp_path):
    folders(tmp_path / "d", lambda c, i: f"{c}{i:03}")
    rows = [f"{c}{i:03}.png,P{i // 3}" for c in ("neg", "pos") for i in range(12)]
    (tmp_path / "d/metadata.csv").write_text("\n".join(["image,patient_id", *rows]) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert competition.data.group_column == "patient_id"
    assert {s.group for s in found.train} == {"P0", "P1", "P2", "P3"}


@pytest.mark.parametrize("tail", ["frame{}", "{}", "f{}"])
def test_frames_of_videos_in_folders_of_classes(tmp_path, tail):
    folders(tmp_path / "d", lambda c, i: f"vid{i // 3}_{tail.format(i % 3)}")
    _, found = inferred(tmp_path / "d")
    assert {s.group for s in found.train} == {f"{c}_vid{v}" for c in ("neg", "pos") for v in range(4)}


@pytest.mark.parametrize("name_of", [lambda c, i: f"{c}_{i}", lambda c, i: f"n{sum(map(ord, c))}_{i}"])
def test_names_that_begin_with_the_class_make_no_groups(tmp_path, name_of):
    folders(tmp_path / "d", name_of, ("daisy", "rose", "tulip", "aster"))
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.group, competition.folds.k) == (None, 5)
    assert len({s.group for s in found.train}) == 48


@pytest.mark.parametrize(("missing", "kept"), [(1, True), (8, False)])
def test_a_table_of_groups_may_lack_a_few_rows(tmp_path, missing, kept):
    data = planted(30)
    folder = write(tmp_path / "d", data)
    rows = [f"{id}.png,P{i // 5}" for i, id in enumerate(data)][missing:]
    (folder / "metadata.csv").write_text("\n".join(["image,patient_id", *rows]) + "\n")
    why = infer(folder, "d").why
    competition, found = inferred(folder)
    if kept:
        assert "1 that it has not are each their own" in why["data.group_csv"]
        assert {s.id: s.group for s in found.train}[next(iter(data))] == next(iter(data))
        assert len({s.group for s in found.train}) == 7
    else:
        assert competition.data.group_csv is None
        assert "unsure: column patient_id of metadata.csv lacks 8 images" in why["data.train_images"]


@pytest.mark.parametrize("asked", [True, False])
def test_groups_are_not_asked_of_test_images_in_the_same_folder(tmp_path, asked):
    ids = table(tmp_path / "d", lambda i: f"P{i // 4},{'ab'[i % 2]}", header="id,patient_id,label")
    for i in range(5):
        save(tmp_path / f"d/images/t{i}.png", SMALL)
    if asked:
        rows = "".join(f"t{i},a\n" for i in range(5))
        (tmp_path / "d/sample_submission.csv").write_text(f"id,label\n{rows}")
    _, found = inferred(tmp_path / "d")
    assert {s.id for s in found.train} == set(ids)
    assert len({s.group for s in found.train}) == 6
    assert len(found.test) == (5 if asked else 0)


def test_patients_rather_than_the_sites_that_saw_them(tmp_path):
    table(tmp_path / "d", lambda i: f"{i % 2},P{i // 4},{i // 4 % 2}", header="id,site_id,patient_id,label")
    assert inferred(tmp_path / "d")[0].data.group_column == "patient_id"
