"""Columns that number rows or split them: never read as targets or inputs; official parts are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import ONE, inferred, save, table

from podium.data.infer import infer
from podium.errors import ConfigError, DataError
from podium.workspace import Workspace

SMALL = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "row_id", "fold", "kfold"])
@pytest.mark.parametrize("target", ["label", "fat"])
def test_row_numbers_and_folds_are_neither_targets_nor_inputs(tmp_path, name, target):
    table(
        tmp_path / "d",
        lambda i: f"{i},{ONE[i % 3] if target == 'label' else i * 1.37}",
        header=f"image,{name},{target}",
    )
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.targets, competition.data.inputs) == ([target], [])
    assert len(found.train) == 24


def test_a_row_number_that_is_asked_for_is_the_target(tmp_path):
    table(tmp_path / "d", lambda i: f"{i * 2},{i * 1.37}", header="image,index,fat")
    assert infer(tmp_path / "d", "d", ["index"]).competition.data.targets == ["index"]


@pytest.mark.parametrize("name", ["phase", "stage"])
def test_a_phase_is_a_target_or_a_split_by_its_values(tmp_path, name):
    table(tmp_path / "a", lambda i: ["G1", "S", "M"][i % 3], header=f"image,{name}")
    assert inferred(tmp_path / "a")[0].data.targets == [name]
    table(tmp_path / "b", lambda i: f"{ONE[i % 3]},{['train', 'val'][i % 4 == 0]}", header=f"image,label,{name}")
    competition, found = inferred(tmp_path / "b")
    assert (competition.data.targets, competition.data.inputs) == (["label"], [])
    assert sum(s.split == "val" for s in found.train) == 6


WORDS = [("train", "val", "test"), ("Training", "validation", "TEST"), ("train", "dev", "test"), ("train", "valid", "")]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("name", ["split", "set", "data_split", "partition"])
def test_a_column_tells_the_official_parts(tmp_path, words, name):
    part = [words[i % 6 % 3 if i % 6 < 3 else 0] for i in range(24)]
    ids = table(tmp_path / "d", lambda i: f"{ONE[i % 3]},{part[i]}", header=f"image,label,{name}")
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.targets, competition.data.inputs) == (["label"], [])
    test = [id for id, p in zip(ids, part, strict=True) if p.lower() == "test"]
    assert [s.id for s in found.test] == sorted(test)
    assert {s.id for s in found.train} == set(ids) - set(test)
    assert {s.id for s in found.train if s.split == "val"} == {
        id for id, p in zip(ids, part, strict=True) if p == words[1]
    }
    assert found.problems == []


def test_partitions_of_another_table_as_celeba_has_them(tmp_path):
    ids = table(
        tmp_path / "d", lambda i: f"{i % 2 * 2 - 1},{i // 2 % 2 * 2 - 1}", header="image_id,Bald,Young", ending=".png"
    )
    rows = [f"{id}.png,{i // 8}" for i, id in enumerate(ids)]
    (tmp_path / "d/list_eval_partition.csv").write_text("\n".join(["image_id,partition", *rows]) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert competition.data.split_csv == "list_eval_partition.csv"
    assert [s.id for s in found.train] == sorted(ids[:16])
    assert {s.id for s in found.train if s.split == "val"} == set(ids[8:16])
    assert [s.id for s in found.test] == sorted(ids[16:])


@pytest.mark.parametrize("values", [("0", "1", "2"), ("train", "val", "test"), ("train", "train", "test")])
def test_a_hidden_test_set_is_of_what_is_left_for_training(tmp_path, values):
    """The table that is copied has no row of test then, and says as much as before of the others."""
    table(tmp_path / "d", lambda i: f"{ONE[i % 3]},{values[i // 10]}", n=30, header="id,label,partition")
    space = Workspace.new(tmp_path / "w", tmp_path / "d", hold_out=0.3)
    found = space.samples()
    assert (len(found.train), len(found.test), found.problems) == (14, 6, [])


def test_a_flag_tells_the_validation_images(tmp_path):
    ids = table(tmp_path / "d", lambda i: f"{ONE[i % 3]},{i % 4 == 0}", header="path,label,is_valid")
    competition, found = inferred(tmp_path / "d")
    assert competition.data.targets == ["label"]
    assert {s.id for s in found.train if s.split == "val"} == set(ids[::4])


def test_three_folds_are_no_partition(tmp_path):
    table(tmp_path / "d", lambda i: f"{ONE[i // 3 % 3]},{i % 3}", header="path,label,split")
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.split_csv, len(found.train)) == (None, 24)


@pytest.mark.parametrize("folder", ["val", "train"])
def test_val_csv_beside_train_csv_has_the_validation_images(tmp_path, folder):
    table(tmp_path / "d", lambda i: ONE[i % 3], images="train/{}.png")
    held = [f"v{i}" for i in range(6)]
    for id in held:
        save(tmp_path / f"d/{folder}/{id}.png", SMALL)
    (tmp_path / "d/val.csv").write_text("id,label\n" + "".join(f"{id},{ONE[i % 3]}\n" for i, id in enumerate(held)))
    competition, found = inferred(tmp_path / "d")
    assert competition.data.train_csv == ["train.csv", "val.csv"]
    assert {s.id for s in found.train if s.split == "val"} == set(held)
    assert (len(found.train), found.problems) == (30, [])
    (tmp_path / "d/val.csv").write_text("id,label\na000x,cat\n")
    with pytest.raises(DataError, match=r"'a000x' is in train\.csv too"):
        inferred(tmp_path / "d", 'data.train_csv=["train.csv", "val.csv"]')


def test_where_folders_say_what_tables_say_they_have_every_part(tmp_path):
    for part, n in (("train", 6), ("valid", 3), ("test", 3)):
        rows = []
        for word in ("fake", "real"):
            for i in range(n):
                save(tmp_path / f"d/faces/{part}/{word}/{part}{word}{i}.jpg", SMALL)
                rows.append(f"{len(rows)},/k/{part}{word}{i}.jpg,{word == 'real':d},{word}")
        (tmp_path / f"d/{part}.csv").write_text("\n".join([",original_path,label,label_str", *rows]) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {"fake": 0, "real": 1}
    assert (len(found.train), sum(s.split == "val" for s in found.train), len(found.test)) == (18, 6, 6)


def test_a_split_that_says_nothing_is_an_error(tmp_path):
    table(tmp_path / "d", lambda i: f"{ONE[i % 3]},{'ab'[i % 2]}", header="path,label,split")
    named = ["data.split_csv=train.csv", "data.split_column=split"]
    with pytest.raises(ConfigError, match=r"data.split_id_column and data.split_column beside"):
        inferred(tmp_path / "d", *named)
    with pytest.raises(DataError, match="'split' tells no split: a, b"):
        inferred(tmp_path / "d", *named, "data.split_id_column=path")
