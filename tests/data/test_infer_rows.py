"""Several rows a sample, one a label; boxes and counts, which are refused; metadata of other tables as inputs."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import ONE, inferred, planted, save, table, write

from podium.data.infer import infer
from podium.data.input_columns import read_inputs
from podium.data.samples import list_samples
from podium.errors import DataError
from podium.formats import rle

# ---------------------------------------------------------------------- a row a label


def labels_of(i):
    return [n for n, k in zip(("cat", "dog", "eel", "fox"), (2, 3, 5, 1), strict=True) if i % k == 0]


def rows(folder, header, lines_of, n=40):
    ids = table(folder, lambda i: "", n=n)
    lines = [line for i, id in enumerate(ids) for line in lines_of(id, i)]
    (folder / "train.csv").write_text("\n".join([header, *lines]) + "\n")
    return ids


def check_labels(competition, found, ids, of=labels_of):
    assert (competition.task, competition.labels, found.problems) == ("classification", "many", [])
    by_id = {s.id: s.values for s in found.train}
    assert by_id == {id: tuple(float(n in of(i)) for n in competition.classes) for i, id in enumerate(ids)}


@pytest.mark.parametrize("ending", ["", ".png"])
@pytest.mark.parametrize("header", ["id,label", "image,tag", "image_id,finding_type"])
def test_a_row_a_label(tmp_path, header, ending):
    ids = rows(tmp_path / "d", header, lambda id, i: [f"{id}{ending},{n}" for n in labels_of(i)])
    inference = infer(tmp_path / "d", "n")
    assert "one a label" in inference.why["data.targets"]
    assert "a row a label" in inference.why["task"]
    competition, found = inferred(tmp_path / "d")
    assert list(competition.classes) == ["cat", "dog", "eel", "fox"]
    check_labels(competition, found, ids)


def test_an_id_with_an_empty_label_has_none(tmp_path):
    ids = rows(
        tmp_path / "d", "id,label", lambda id, i: [f"{id},{n}" for n in labels_of(i) if n != "fox"] or [f"{id},"]
    )
    competition, found = inferred(tmp_path / "d")
    check_labels(competition, found, ids, lambda i: [n for n in labels_of(i) if n != "fox"])


@pytest.mark.parametrize("kind", ["joined", "column"])
def test_a_row_for_each_class_with_0_and_1(tmp_path, kind):
    """As RSNA's haemorrhages, ID_any,1; and the same with the class in a column."""
    sep, header = ("_", "ID,Label") if kind == "joined" else (",", "ID,class,Label")
    ids = rows(
        tmp_path / "d", header, lambda id, i: [f"{id}{sep}{n},{int(n in labels_of(i))}" for n in ("cat", "dog", "eel")]
    )
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.id, competition.data.class_column) == (
        ("{id}_{class}", None) if kind == "joined" else (None, "class")
    )
    check_labels(competition, found, ids)


def test_a_label_that_is_no_class_is_a_problem_of_its_sample(tmp_path):
    ids = rows(tmp_path / "d", "id,label", lambda id, i: [f"{id},{n}" for n in labels_of(i)])
    competition, _ = inferred(tmp_path / "d")
    text = (tmp_path / "d/train.csv").read_text().replace(f"{ids[2]},cat", f"{ids[2]},cow")
    (tmp_path / "d/train.csv").write_text(text)
    found = list_samples(competition, tmp_path / "d")
    assert [(p.id, p.reason) for p in found.problems] == [(ids[2], "'cow' is none of [classes]")]


def test_a_double_row_is_a_slip(tmp_path):
    table(tmp_path / "d", lambda i: ONE[i % 3])
    text = (tmp_path / "d/train.csv").read_text()
    (tmp_path / "d/train.csv").write_text(text + text.splitlines()[1] + "\n")
    competition = infer(tmp_path / "d", "n").competition
    assert competition.labels == "one"
    with pytest.raises(DataError, match="is there twice, on lines 2 and 26"):
        list_samples(competition, tmp_path / "d")


@pytest.mark.parametrize(
    ("header", "line", "sentence"),
    [
        ("id,xmin,ymin,xmax,ymax,label", "{},1,2,{},4,car", "has boxes of objects (xmin, ymin, xmax, ymax, label)"),
        ("image,width,height,bbox", '{},9,9,"[{}, 2, 3, 4]"', "has boxes of objects (width, height, bbox)"),
        ("id,count", "{},{}", "has up to 3 rows a sample (count), and no column that tells a label in each"),
    ],
)
def test_what_is_not_read_is_said_in_one_sentence(tmp_path, header, line, sentence):
    rows(tmp_path / "d", header, lambda id, i: [line.format(id, (7 * i + k) % 19) for k in range(i % 3 + 1)])
    with pytest.raises(DataError) as caught:
        infer(tmp_path / "d", "n")
    assert f"train.csv {sentence}" in caught.value.found
    assert "\n" not in caught.value.found


def test_boxes_beside_folders_of_classes_do_no_harm(tmp_path):
    for c, name in enumerate(ONE):
        for i in range(4):
            save(tmp_path / f"d/{name}/{name}{i}.jpg", np.full((4, 4), 9 * c + i, np.uint8))
    lines = [f"{name}{i}.jpg,{k},1,{k + 1},3" for name in ONE for i in range(4) for k in range(3)]
    (tmp_path / "d/boxes.csv").write_text("\n".join(["file,xmin,ymin,xmax,ymax", *lines]))
    competition, found = inferred(tmp_path / "d")
    assert (list(competition.classes), len(found.train)) == (ONE, 12)


# ---------------------------------------------------------------------- inputs of another table


@pytest.mark.parametrize("form", ["masks", "rle"])
def test_depths_beside_masks(tmp_path, form):
    """As TGS: depths.csv with id,z of training and test images."""
    data, folder = planted(10), tmp_path / "d"
    if form == "masks":
        write(folder, data, "train/images/{}.png", "train/masks/{}.png")
    else:
        write(folder, data, "images/{}.png", None)
        lines = [f"{id},{rle.encode(labels > 0, 'column')}" for id, (_, labels) in data.items()]
        (folder / "train.csv").write_text("\n".join(["id,rle_mask", *lines]))
    tests = {f"t{i}": image for i, (image, _) in enumerate(data.values())}
    for id, image in tests.items():
        save(folder / f"test/images/{id}.png", image)
    depths = {id: str(100 + 7 * i) for i, id in enumerate([*data, *tests])}
    lines = [f"{id},{z},{int(z) * 3}" for id, z in depths.items()]
    (folder / "depths.csv").write_text("\n".join(["id,z,salt_pixels", *lines]))
    inference = infer(folder, "n")
    assert "not taken, since it may come of the target: salt_pixels" in inference.why["data.inputs"]
    competition, found = inferred(folder)
    assert (competition.data.inputs, competition.data.inputs_csv) == (["z"], "depths.csv")
    assert {s.id: s.inputs for s in (*found.train, *found.test)} == {id: (z,) for id, z in depths.items()}
    assert len(found.train) == len(found.test) == 10


def test_a_table_without_the_test_images_gives_no_input(tmp_path):
    data, folder = planted(10), tmp_path / "d"
    write(folder, data, "train/images/{}.png", "train/masks/{}.png")
    for i, (image, _) in enumerate(data.values()):
        save(folder / f"test/images/t{i}.png", image)
    (folder / "depths.csv").write_text("\n".join(["id,z", *(f"{id},{i}" for i, id in enumerate(data))]))
    competition, found = inferred(folder)
    assert competition.data.inputs == []
    assert found.test[0].inputs == found.train[0].inputs == ()


def test_columns_of_train_csv_are_looked_for_in_test_csv(tmp_path):
    folder = tmp_path / "d"
    ids = table(folder, lambda i: f"{ONE[i % 3]},{30 + i},{'mf'[i % 2]},{i % 5}", header="id,label,age,sex,extra")
    tests = [f"t{i}" for i in range(8)]
    for id in tests:
        save(folder / f"test/{id}.png", np.zeros((4, 4), np.uint8))
    lines = [f"{id}.png,{60 + i},f" for i, id in enumerate(tests)]
    (folder / "test.csv").write_text("\n".join(["id,age,sex", *lines]))
    inference = infer(folder, "n")
    assert "test.csv has no extra, so left out" in inference.why["data.inputs"]
    competition, found = inferred(folder)
    assert competition.data.inputs == ["age", "sex"]
    assert competition.data.inputs_csv == ["train.csv", "test.csv"]
    assert {s.id: s.inputs for s in found.train} == {id: (str(30 + i), "mf"[i % 2]) for i, id in enumerate(ids)}
    assert {s.id: s.inputs for s in found.test} == {id: (str(60 + i), "f") for i, id in enumerate(tests)}


def test_inputs_that_no_table_has_for_the_test_images(tmp_path):
    folder = tmp_path / "d"
    table(folder, lambda i: f"{ONE[i % 3]},{30 + i}", header="id,label,age")
    save(folder / "test/t.png", np.zeros((4, 4), np.uint8))
    assert "no table has it for the test images: age" in infer(folder, "n").why["data.targets"]
    competition, found = inferred(folder)  # else a model would learn from what it is never told again
    assert competition.data.inputs == []
    assert found.test[0].inputs == ()


def test_two_rows_that_differ(tmp_path):
    folder = tmp_path / "d"
    data = planted(10)
    write(folder, data)
    (folder / "depths.csv").write_text("\n".join(["id,z", *(f"{id},{i}" for i, id in enumerate(data))]))
    competition, found = inferred(folder)
    assert len({s.inputs for s in found.train}) == 10
    with open(folder / "depths.csv", "a") as f:
        f.write(f"\n{next(iter(data))},77\n")
    with pytest.raises(DataError, match="has two rows with other values of z"):
        read_inputs(competition.data, folder, str)


def test_rows_of_every_name_for_every_sample_are_no_labels(tmp_path):
    """A number for each of several names, a row each: not read, and so it says."""
    ids = table(tmp_path / "d", lambda i: "x", n=12)
    rows = [f"{id},{name},{n * 1.7}" for n, id in enumerate(ids) for name in ("clover", "dead", "green")]
    (tmp_path / "d/train.csv").write_text("\n".join(["image,target_name,grams", *rows]) + "\n")
    with pytest.raises(DataError, match=r"train\.csv has up to 3 rows a sample \(target_name, grams\), and no column"):
        infer(tmp_path / "d", "d")
