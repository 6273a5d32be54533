"""Tables of targets and folders of classes: inferred, written, loaded, listed, and each target as it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import ONE, inferred, save, table
from PIL import Image

from podium.data.infer import infer

# ---------------------------------------------------------------------- tables of targets


def values(found):
    return [s.values for s in found.train]


@pytest.mark.parametrize("ending", ["", ".png"])
@pytest.mark.parametrize("header", ["id,label", "image_name,breed", "Image,Id", "filename,what"])
def test_names_of_classes(tmp_path, ending, header):
    ids = table(tmp_path / "d", lambda i: ONE[i % 3], ending=ending, header=header)
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.labels, competition.classes) == (
        "classification",
        "one",
        dict(zip(ONE, range(3), strict=True)),
    )
    by_id = {s.id: s.values for s in found.train}
    assert by_id == {id: (float(i % 3),) for i, id in enumerate(ids)}


@pytest.mark.parametrize("words", [("0", "1"), ("False", "True"), ("0.0", "1.0")])
@pytest.mark.parametrize("header", ["id,target,age,sex", "image,melanoma,age_approx,sex"])
def test_a_flag_with_columns_beside_it(tmp_path, words, header):
    ids = table(
        tmp_path / "d", lambda i: f"{words[i % 5 == 0]},{40 + i % 7 if i % 6 else ''},{'mf'[i % 2]}", header=header
    )
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.classes) == ("classification", {header.split(",")[1]: 1})
    assert competition.data.inputs == header.split(",")[2:]
    by_id = {s.id: s for s in found.train}
    assert [by_id[id].values for id in ids] == [(float(i % 5 == 0),) for i in range(24)]
    assert [by_id[id].inputs for id in ids] == [(f"{40 + i % 7}" if i % 6 else "", "mf"[i % 2]) for i in range(24)]


def test_several_labels_in_columns(tmp_path):
    ids = table(tmp_path / "d", lambda i: f"{i % 2},{int(i % 3 == 0)},{int(i % 5 == 0)}", header="id,healthy,rust,scab")
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.labels) == ("classification", "many")
    by_id = {s.id: s.values for s in found.train}
    assert [by_id[i] for i in ids] == [(i % 2, i % 3 == 0, i % 5 == 0) for i in range(24)]


@pytest.mark.parametrize("separator", [" ", "|", ";", ", "])
def test_lists_of_labels(tmp_path, separator):
    def of(i):
        return [n for n, k in zip(("cat", "dog", "eel", "fox"), (2, 3, 5, 1), strict=True) if i % k == 0]

    ids = table(tmp_path / "d", lambda i: f'"{separator.join(of(i))}"', n=40, header="image_name,tags")
    competition, found = inferred(tmp_path / "d")
    assert (competition.labels, list(competition.classes)) == ("many", ["cat", "dog", "eel", "fox"])
    by_id = {s.id: s.values for s in found.train}
    assert [by_id[id] for id in ids] == [tuple(float(n in of(i)) for n in competition.classes) for i in range(40)]


@pytest.mark.parametrize(
    ("header", "row", "targets", "inputs"),
    [
        ("id,boneage,male", "{i},{b}", ["boneage"], ["male"]),
        ("image,rbc,wbc,platelets", "{i},{b},{f}", ["rbc", "wbc", "platelets"], []),
        ("filename,x1,y1,x2,y2", "{i},{f},{f},{i}", ["x1", "y1", "x2", "y2"], []),
        ("file,price,bedrooms", "{i}00,{b}", ["price"], ["bedrooms"]),
        ("id,depth_m,salinity", "{i}.5,{f}", ["depth_m", "salinity"], []),
        ("image_id,count", "{b}", ["count"], []),
    ],
)
def test_numbers(tmp_path, header, row, targets, inputs):
    rows = [row.format(i=3 * i + 2, b=i % 2 * 5, f=f"{i * 0.37:.3f}") for i in range(24)]
    if header.endswith("male"):
        rows = [f"{3 * i + 2},{i % 2}" for i in range(24)]
    if header.endswith("count"):
        rows = [str(i % 9) for i in range(24)]
    ids = table(tmp_path / "d", lambda i: rows[i], header=header)
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.data.targets) == ("regression", targets)
    assert competition.data.inputs == inputs
    by_id = {s.id: s.values for s in found.train}
    assert [by_id[id] for id in ids] == [tuple(map(float, r.split(",")[: len(targets)])) for r in rows]


def test_grades_have_an_order(tmp_path):
    table(tmp_path / "d", lambda i: i * 7 % 5, header="id_code,diagnosis")
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.metric) == ("classification", "quadratic_kappa")
    assert list(competition.classes) == list("01234")
    assert sorted(values(found)) == sorted((float(i * 7 % 5),) for i in range(24))


def test_the_number_of_a_class_beside_its_name_is_no_input(tmp_path):
    table(tmp_path / "d", lambda i: f"{i % 3},{ONE[i % 3]},{i % 4}", header="id,class_id,class_name,patient")
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.targets, competition.data.inputs) == (["class_name"], [])
    assert len({s.group for s in found.train}) == 4


def test_what_the_test_table_lacks_is_the_target(tmp_path):
    table(tmp_path / "d", lambda i: f"{i % 9},{i * 11 % 7},{i % 3}", header="id,alpha,beta,gamma")
    table(
        tmp_path / "d",
        lambda i: f"{i % 9},{i % 3}",
        n=60,
        name="test.csv",
        header="id,alpha,gamma",
        images="test/t{}.png",
    )
    text = (tmp_path / "d/test.csv").read_text().splitlines()
    (tmp_path / "d/test.csv").write_text("\n".join([text[0], *("t" + line for line in text[1:])]))
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.train_csv, competition.data.targets) == ("train.csv", ["beta"])
    assert competition.data.inputs == ["alpha", "gamma"]
    assert (len(found.train), len(found.test)) == (24, 60)


def test_another_table_with_more_rows_is_not_the_targets(tmp_path):
    ids = table(tmp_path / "d", lambda i: ONE[i % 3])
    (tmp_path / "d/depths.csv").write_text("\n".join(["id,z", *(f"{id},{n * 3}" for n, id in enumerate(ids))]))
    (tmp_path / "d/train.csv").write_text("\n".join((tmp_path / "d/train.csv").read_text().splitlines()[:20]))
    competition, _ = inferred(tmp_path / "d")
    assert (competition.data.train_csv, competition.data.targets) == ("train.csv", ["label"])


def test_paths_and_mixed_endings_as_ids(tmp_path):
    ids = table(tmp_path / "d", lambda i: ONE[i % 3])
    for id in ids[::2]:
        with Image.open(tmp_path / f"d/images/{id}.png") as image:
            image.save(tmp_path / f"d/images/{id}.jpg")
        (tmp_path / f"d/images/{id}.png").unlink()
    rows = [f"images/{id}.{'png' if n % 2 else 'jpg'},{ONE[n % 3]}" for n, id in enumerate(ids)]
    (tmp_path / "d/train.csv").write_text("\n".join(["path,label", *rows]))
    _, found = inferred(tmp_path / "d")
    assert found.problems == []
    assert {s.id: s.values for s in found.train} == {id: (float(n % 3),) for n, id in enumerate(ids)}


def test_images_in_two_parts(tmp_path):
    ids = table(tmp_path / "d", lambda i: ONE[i % 3], images="HAM_images_part_1/{}.png")
    (tmp_path / "d/HAM_images_part_2").mkdir()
    for id in ids[::3]:
        (tmp_path / f"d/HAM_images_part_1/{id}.png").rename(tmp_path / f"d/HAM_images_part_2/{id}.png")
    _, found = inferred(tmp_path / "d")
    assert (len(found.train), found.problems) == (24, [])


def test_images_called_by_numbers_beside_columns_of_numbers(tmp_path):
    for i in range(1, 41):
        save(tmp_path / f"d/images/{i}.png", np.zeros((4, 4), np.uint8))
    rows = [f"{20 + i % 15},{i},{ONE[i % 3]}" for i in range(1, 41)]
    (tmp_path / "d/train.csv").write_text("\n".join(["age,image_id,label", *rows]))
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.id_column, competition.data.targets) == ("image_id", ["label"])
    assert {s.id: s.values for s in found.train} == {str(i): (float(i % 3),) for i in range(1, 41)}


def test_several_views_a_sample(tmp_path):
    views, rng = ("bath", "front", "kitchen"), np.random.default_rng(0)
    for i in range(1, 13):
        for view in views:
            save(tmp_path / f"d/photos/{i}_{view}.jpg", rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    (tmp_path / "d/h.csv").write_text(
        "\n".join(["house,rooms,price", *(f"{i},{i % 4},{i * 1000}" for i in range(1, 13))])
    )
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.views, competition.data.targets) == (list(views), ["price"])
    assert {s.id: s.values for s in found.train} == {str(i): (i * 1000.0,) for i in range(1, 13)}
    for sample in found.train:
        assert [p.name for p in sample.views] == [f"{sample.id}_{view}.jpg" for view in views]


@pytest.mark.parametrize("column", ["patient_id", "Patient", "StudyID", "case", "video", "subject-id"])
def test_groups_of_a_table(tmp_path, column):
    ids = table(tmp_path / "d", lambda i: f"{ONE[i % 3]},p{i // 4}", header=f"id,label,{column}")
    competition, found = inferred(tmp_path / "d")
    assert competition.data.group_column == column
    assert {s.id: s.group for s in found.train} == {id: f"p{i // 4}" for i, id in enumerate(ids)}


@pytest.mark.parametrize("ending", ["", ".png"])
@pytest.mark.parametrize("header", ["id,label", "id,cat,dog,eel"])
def test_a_sample_submission_of_values(tmp_path, ending, header):
    table(
        tmp_path / "d", lambda i: ",".join(str(int(i % (k + 2) == 0)) for k in range(header.count(","))), header=header
    )
    names = [f"t{i}q" for i in range(9)]
    for name in names:
        save(tmp_path / f"d/images/{name}.png", np.zeros((4, 4), np.uint8))  # beside the training images
    rows = [f"{name}{ending}" + ",0.5" * header.count(",") for name in names]
    (tmp_path / "d/sample_submission.csv").write_text("\n".join([header, *rows]))
    competition, found = inferred(tmp_path / "d")
    assert competition.data.sample_submission == "sample_submission.csv"
    assert competition.submission.id == f"{{id}}{ending}"
    assert (sorted(s.id for s in found.test), found.problems) == (names, [])
    assert len(found.train) == 24


# ---------------------------------------------------------------------- a folder a class


@pytest.mark.parametrize("root", ["", "train/", "data/training/"])
def test_a_tree_of_classes(tmp_path, root):
    for c, name in enumerate(ONE):
        for i in range(4):
            save(tmp_path / f"d/{root}{name}/{i if root else f'{name}{i}'}.jpg", np.full((4, 4), 9 * c + i, np.uint8))
    if root == "train/":
        for i in range(3):
            save(tmp_path / f"d/test/{i}.jpg", np.zeros((4, 4), np.uint8))
    (tmp_path / "d/empty folder").mkdir()
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, list(competition.classes)) == ("classification", ONE)
    assert len(found.train) == len({s.id for s in found.train}) == 12
    assert all(ONE[int(s.values[0])] == s.image.parent.name for s in found.train)
    assert len(found.test) == (3 if root == "train/" else 0)


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_a_tree_of_classes_in_splits(tmp_path, val, unique):
    for split in ("train", val, "test"):
        for c, name in enumerate(ONE):
            for i in range(3):
                save(tmp_path / f"d/{split}/{name}/{split * unique}{i}.jpg", np.full((4, 4), 9 * c + i, np.uint8))
    _, found = inferred(tmp_path / "d")
    assert sorted(s.split for s in found.train) == ["train"] * 9 + ["val"] * 9
    assert all(s.split == ("val" if f"/{val}/" in str(s.image) else "train") for s in found.train)
    assert all(ONE[int(s.values[0])] == s.image.parent.name for s in found.train)
    assert len(found.test) == 9


def test_two_hundred_classes_take_no_time(tmp_path):
    for c in range(200):
        folder = tmp_path / f"d/train/kind{c:03}"
        folder.mkdir(parents=True)
        for i in range(3):
            (folder / f"img_{c}_{i}.jpg").write_bytes(b"x")
    competition = infer(tmp_path / "d", "n").competition
    assert len(competition.classes) == 200


def test_paths_are_ids_rather_than_classes_that_are_names_of_other_images(tmp_path):
    """As GTSRB: Train.csv has ClassId and Path, and Meta/ a picture of each class, called by its number."""
    folder, lines = tmp_path / "d", ["Width,ClassId,Path"]
    for i in range(60):
        path = f"Train/{i % 5}/0000{i % 5}_{i:05}.png"
        save(folder / path, np.zeros((8, 8, 3), np.uint8))
        lines.append(f"{8 + i},{i % 5},{path}")
    for k in range(5):
        save(folder / f"Meta/{k}.png", np.zeros((8, 8, 3), np.uint8))
    (folder / "Train.csv").write_text("\n".join(lines) + "\n")
    (folder / "Meta.csv").write_text(
        "Path,ClassId,ShapeId\n" + "".join(f"Meta/{k}.png,{k},{k % 2}\n" for k in range(5))
    )
    competition, found = inferred(folder)
    assert len(found.train) == 60
    assert len(competition.classes) == 5
