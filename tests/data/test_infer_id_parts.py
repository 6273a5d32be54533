"""Ids that tables make of folders and file names: inferred, listed and read as they were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import SIZE, inferred, planted, save

from podium.data.competition import Competition
from podium.data.patterns import id_in, path_rule, row_id
from podium.data.samples import list_samples
from podium.data.targets import read_target
from podium.errors import ConfigError
from podium.formats import rle

ORGANS = ("large_bowel", "small_bowel", "stomach")
SMALL = np.full((8, 8), 90, np.uint8)


def scans(folder, *, test=False):
    """UW-Madison GI tract: {id: masks} of 16-bit slices in a folder a case and day; three rows an image."""
    masks, rows = {}, []
    for case, day, n in [(123, 20, 1), (123, 20, 2), (123, 22, 1), (7, 20, 1), (7, 20, 2), (101, 9, 1), (101, 9, 2)]:
        at = f"train/case{case}/case{case}_day{day}/scans/slice_{n:04}_{SIZE[1]}_{SIZE[0]}_1.50_1.63.png"
        id = f"case{case}_day{day}_slice_{n:04}"
        stack = np.zeros((3, *SIZE), np.bool_)
        stack[:, 4:9, 3 : 8 + day % 5 + n] = True
        stack[(day + n) % 3] = False
        save(folder / at, (np.where(stack.any(0), 9000, 300)).astype(np.uint16))
        rows += [f"{id},{organ},{rle.encode(stack[i])}" for i, organ in enumerate(ORGANS)]
        masks[id] = stack
    (folder / "train.csv").write_text("id,class,segmentation\n" + "\n".join(rows) + "\n")
    asked = []
    for n in range(1, 3 if test else 0):
        save(folder / f"test/case5/case5_day1/scans/slice_{n:04}_32_24_1.50_1.50.png", np.zeros(SIZE, np.uint16))
        asked += [f"case5_day1_slice_{n:04},{organ}," for organ in ORGANS]
    (folder / "sample_submission.csv").write_text("\n".join(["id,class,predicted", *asked]) + "\n")
    return masks


@pytest.mark.parametrize("test", [True, False])
def test_scans_of_cases_and_days(tmp_path, test):
    masks = scans(tmp_path / "d", test=test)
    competition, found = inferred(tmp_path / "d")
    assert competition.data.train_images == "train/*/{id1}/scans/slice_{id2}_*.png"
    assert (competition.data.image_id, competition.labels) == ("{id1}_slice_{id2}", "many")
    assert {s.id: s.group for s in found.train} == {id: id.partition("_")[0] for id in masks}
    for sample in found.train:
        np.testing.assert_array_equal(read_target(competition, sample, SIZE), masks[sample.id])
    assert found.problems == []
    assert [s.id for s in found.test] == [f"case5_day1_slice_000{n}" for n in (1, 2)] * test
    form = competition.submission  # also of a sample submission that is nothing but its header
    assert (form.columns, form.classes) == (("id", "class", "predicted"), ORGANS)
    assert (competition.data.rle_column, form.order) == ("segmentation", "row")


@pytest.mark.parametrize("above", ["", "CheXpert/"])
def test_paths_in_a_table_where_names_repeat(tmp_path, above):
    """As CheXpert has them: view1.jpg for each patient and study; the table's paths may begin above the folder."""
    rows, inside = [], above if above == "" else ""
    for i in range(12):
        path = f"train/patient{i // 2:03}/study{i % 2}/view1.jpg"
        save(tmp_path / "d" / inside / path, SMALL)
        rows.append(f"{above}{path},{i % 3 == 0:d}")
    (tmp_path / "d/train.csv").write_text("Path,Edema\n" + "\n".join(rows) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert competition.data.targets == ["Edema"]
    assert [s.id for s in found.train] == [f"patient{i // 2:03}_study{i % 2}_view1" for i in range(12)]
    assert [s.values[0] for s in found.train] == [float(i % 3 == 0) for i in range(12)]
    assert {s.group for s in found.train} == {f"patient{i:03}" for i in range(6)}


def test_the_name_of_a_folder_and_of_a_file(tmp_path):
    rows = []
    for i in range(12):
        save(tmp_path / f"d/images/p{i // 3}/{i % 3}.png", SMALL)
        rows.append(f"p{i // 3}-{i % 3},{'ab'[i % 2]}")
    (tmp_path / "d/train.csv").write_text("id,label\n" + "\n".join(rows) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert competition.data.train_images == "images/{id1}/{id2}.png"
    assert {s.id: s.values[0] for s in found.train} == {f"p{i // 3}-{i % 3}": float(i % 2) for i in range(12)}


def test_several_pieces_of_a_file_name(tmp_path):
    rows = []
    for i in range(12):
        save(tmp_path / f"d/images/p{i // 3}/{i % 3}_{i}_x{i}.png", SMALL)
        rows.append(f"p{i // 3}_{i % 3}_{i},{'ab'[i % 2]}")
    (tmp_path / "d/train.csv").write_text("id,label\n" + "\n".join(rows) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.train_images, competition.data.image_id) == ("images/{id1}/{id2}_{id3}_*.png", None)
    assert sorted(s.id for s in found.train) == sorted(row.partition(",")[0] for row in rows)


def test_names_of_no_fixed_number_of_pieces_make_no_ids(tmp_path):
    rows = []
    for i in range(12):
        name = f"{i}_y" if i % 2 else f"{i}"
        save(tmp_path / f"d/images/p{i // 3}/{name}_x.png", SMALL)
        rows += [f"p{i // 3}_{name},{i}"]
    (tmp_path / "d/train.csv").write_text("id,count\n" + "\n".join(rows) + "\n")
    competition, _ = inferred(tmp_path / "d")
    assert competition.data.train_images == "images/{class}/*.png"  # what is left to be seen: folders


def test_masks_whose_ids_have_two_parts(tmp_path):
    data = planted(6)
    for i, (image, labels) in enumerate(data.values()):
        save(tmp_path / f"d/images/c{i // 2}/{i % 2}.png", image)
        save(tmp_path / f"d/drawn/c{i // 2}/{i % 2}_m.png", labels * np.uint8(255))
    tree = {"train_images": "images/{id1}/{id2}.png", "train_masks": "drawn/{id1}/{id2}_m.png"}
    competition = Competition.from_tree({"name": "n", "data": tree})
    found = list_samples(competition, tmp_path / "d")
    assert (found.problems, [s.id for s in found.train]) == ([], [f"c{i // 2}_{i % 2}" for i in range(6)])
    for sample, (_, labels) in zip(found.train, data.values(), strict=True):
        np.testing.assert_array_equal(read_target(competition, sample, SIZE), labels > 0)


def test_the_class_in_the_name_of_a_folder_far_above(tmp_path):
    """As MURA: several images a study, which is positive or not; tables of paths that nothing is made of."""
    truth, listed = {}, []
    for part, n in (("train", 6), ("valid", 3)):
        for i in range(n):
            kind = "positive" if i % 3 else "negative"
            for image in (1, 2):
                path = f"{part}/XR_{'AB'[i % 2]}/patient{i + 50 * n:05}/study1_{kind}/image{image}.png"
                save(tmp_path / "d" / path, SMALL)
                truth[f"XR_{'AB'[i % 2]}_patient{i + 50 * n:05}_study1_image{image}"] = kind
                listed.append(path)
    (tmp_path / "d/image_paths.csv").write_text("\n".join(listed) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {"negative": 0, "positive": 1}
    assert {s.id: ["negative", "positive"][int(s.values[0])] for s in found.train} == truth
    assert {s.group for s in found.train} == {id.split("_")[2] for id in truth}
    assert {s.id.split("_")[2] for s in found.train if s.split == "val"} == {f"patient{150 + i:05}" for i in range(3)}


def test_kinds_of_kinds_in_folders_are_classes_as_they_are(tmp_path):
    kinds = ["Apple_healthy", "Apple_scab", "Corn_healthy", "Corn_scab"]
    for kind in kinds:
        for i in range(4):
            save(tmp_path / f"d/train/{kind}/{kind}{i}.png", SMALL)
    assert list(inferred(tmp_path / "d")[0].classes) == kinds


def test_a_table_of_paths_without_a_target_leaves_folders_of_classes_as_they_are(tmp_path):
    paths = [f"{kind}/{i}.png" for kind in ("cat", "dog", "eel") for i in range(4)]
    for path in paths:
        save(tmp_path / "d/train" / path, SMALL)
    (tmp_path / "d/files.csv").write_text("\n".join(["path", *(f"train/{path}" for path in paths)]) + "\n")
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.train_images, competition.data.image_id) == ("train/{class}/*.png", None)
    assert len(found.train) == 12


def test_parts_of_ids():
    rule = path_rule("t/{id1}/{id1}_{id2}.png")
    match = rule.fullmatch("t/a/a_7.png")
    assert (id_in(match), id_in(match, "{id2}-of-{id1}")) == ("a_7", "7-of-a")
    assert rule.fullmatch("t/a/b_7.png") is None
    assert id_in(path_rule("*.png").fullmatch("a.png")) is None
    read = row_id(["d/t/{id1}/{id2}.png", "*.jpg"])
    for text in ("d/t/a/7.png", "up/d/t/a/7.png", "t/a/7.png", "a/7.png"):
        assert read(text) == "a_7"
    assert [read(t) for t in ("7.png", "other/a/7.png", "x/7.jpg", "a_7")] == ["7", "7", "7", "a_7"]


@pytest.mark.parametrize("spelling", ["{id1}", "{id1}_{id2}_{id3}", "{id1}_{id1}_{id2}"])
def test_an_id_of_other_parts_is_refused(spelling):
    tree = {"train_images": "t/{id1}/{id2}.png", "train_rle": "t.csv", "image_id": spelling}
    with pytest.raises(ConfigError, match=r"the parts \{id1\}, \{id2\} … of data.train_images in data.image_id"):
        Competition.from_tree({"name": "n", "data": tree})


def test_an_order_told_by_a_table_with_ids_in_two_columns(tmp_path):
    """Ultrasound Nerve: subject and img are 1_2.tif; its runs are decoded against the mask files."""
    rows = []
    for i, (image, labels) in enumerate(planted(12).values()):
        subject, img = i // 4 + 1, i % 4 + 1
        labels = labels * np.uint8(i % 3 > 0)
        save(tmp_path / f"d/train/{subject}_{img}.tif", image[..., 0])
        save(tmp_path / f"d/train/{subject}_{img}_mask.tif", labels * np.uint8(255))
        rows.append(f"{subject},{img},{rle.encode(labels > 0, 'column')}")
    for img in range(1, 5):
        save(tmp_path / f"d/test/{img}.tif", np.zeros(SIZE, np.uint8))
    (tmp_path / "d/train_masks.csv").write_text("\n".join(["subject,img,pixels", *rows]) + "\n")
    asked = "".join(f"{img},1 1\n" for img in range(1, 5))
    (tmp_path / "d/sample_submission.csv").write_text("img,pixels\n" + asked)
    competition, found = inferred(tmp_path / "d")
    assert (competition.submission.order, competition.submission.id_column) == ("column", "img")
    assert {s.group for s in found.train} == {"1", "2", "3"}
