"""Targets as pixels and as numbers, and the patterns that find them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from podium.data.competition import Competition
from podium.data.patterns import files_like, path_rule, stem_of
from podium.data.samples import Sample, list_samples
from podium.data.targets import (
    class_order,
    classes_in,
    read_labels,
    read_overlapping,
    read_target,
    values_of,
)
from podium.errors import ConfigError, DataError
from podium.formats import rle


def spec(data=None, **top):
    return Competition.from_tree(
        {"name": "n", "data": {"train_images": "i/*.png", "train_masks": "m/{id}.png"} | (data or {})} | top
    )


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


# ---------------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        ("a/{id}_mask.png", "a/x_y_mask.png", {"id": "x_y"}),
        ("{class}/{id}.*", "cat/1.jpg", {"class": "cat", "id": "1"}),
        ("s/{id}/masks/*.png", "s/17/masks/abc.png", {"id": "17"}),
        ("**/m/{id}.png", "x/y/m/1.png", {"id": "1"}),
        ("a/{id}.png", "a/b/1.png", None),
        ("a [[]v2]/{id}.png", "a [v2]/1.png", {"id": "1"}),
    ],
)
def test_path_rules(pattern, path, named):
    match = path_rule(pattern).fullmatch(path)
    assert (match.groupdict() if match else None) == named


def test_views_are_told_from_ids():
    rule = path_rule("{id}_{view}.jpg", ["front", "front_left"])
    assert rule.fullmatch("3_front_left.jpg").groupdict() == {"id": "3", "view": "front_left"}
    assert rule.fullmatch("3_rear.jpg") is None


@pytest.mark.parametrize("pattern", ["../x/*.png", "a/../../*.png", "a**b/*.png", "a/**b.png"])
def test_patterns_that_are_none(tmp_path, pattern):
    with pytest.raises(DataError, match="no pattern of files"):
        files_like(tmp_path, pattern)


def test_a_name_twice_in_a_pattern():
    rule = path_rule("{id}/{id}_mask.png")
    assert rule.fullmatch("a_1/a_1_mask.png").groupdict() == {"id": "a_1"}
    assert rule.fullmatch("a_1/b_mask.png") is None
    with pytest.raises(DataError, match=r"no pattern of files \(it has \{class\}"):
        path_rule("{class}/{class}.png")


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("text", "id"), [("a", "a"), ("a.png", "a"), ("x/y/a.JPG", "a"), ("1.2", "1.2"), ("a.b.tif", "a.b"), ("x/a", "x/a")]
)
def test_ids_as_tables_spell_them(text, id):
    assert stem_of(text) == id


def table_spec(task, targets, **top):
    data = {"train_masks": None, "train_csv": "t.csv", "id_column": "id", "targets": targets}
    tree = spec().tree() | {"task": task} | top
    tree["data"] = {k: v for k, v in (tree["data"] | data | top.pop("data", {})).items() if v is not None}
    return Competition.from_tree(tree)


@pytest.mark.parametrize(
    ("competition", "row", "values"),
    [
        (table_spec("regression", ["a", "b"]), ("1.5", "-2e3"), (1.5, -2000.0)),
        (table_spec("classification", ["a"], classes={"a": 1}), ("True",), (1.0,)),
        (table_spec("classification", ["a"], classes={"x": 0, "y": 7}), ("y",), (7.0,)),
        (table_spec("classification", ["a", "b"], labels="many", classes={"a": 0, "b": 1}), ("1", "0.0"), (1.0, 0.0)),
    ],
)
def test_values(competition, row, values):
    assert values_of(competition, row) == values


@pytest.mark.parametrize(
    ("competition", "row", "words"),
    [
        (table_spec("regression", ["a"]), ("x",), "'a' is 'x', not a number"),
        (table_spec("regression", ["a"]), ("",), "'a' is '', not a number"),
        (table_spec("regression", ["a"]), ("inf",), "'a' is inf"),
        (table_spec("classification", ["a"], classes={"a": 1}), ("2",), "neither 0 nor 1"),
        (table_spec("classification", ["a"], classes={"x": 0, "y": 1}), ("z",), "'z' is none of"),
    ],
)
def test_values_that_are_none(competition, row, words):
    with pytest.raises(DataError, match=words):
        values_of(competition, row)


def test_a_bad_row_is_a_problem_of_its_sample(tmp_path):
    for id in "abc":
        save(tmp_path / f"i/{id}.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "t.csv").write_text("id,y\na,1\nb,\nc.png,3\nd,4\n")
    found = list_samples(table_spec("regression", ["y"]), tmp_path)
    assert [(s.id, s.values) for s in found.train] == [("a", (1.0,)), ("c", (3.0,))]
    assert [(p.id, p.reason) for p in found.problems] == [
        ("b", "'y' is '', not a number"), ("d", "is a row without an image")
    ]  # fmt: skip


# ---------------------------------------------------------------------- pixels


def test_classes_are_numbered_in_order_and_ignored_is_255(tmp_path):
    path = save(tmp_path / "m.png", np.array([[10, 20, 99, 10]], np.uint8))
    competition = spec({"mask_values": "classes", "ignore": [99]}, classes={"b": 20, "a": 10})
    assert read_target(competition, Sample("m", path, mask=path), (1, 4)).tolist() == [[0, 1, 255, 0]]
    with pytest.raises(DataError, match="holds 99, which is none"):
        read_target(competition.with_overrides({"data": {"ignore": []}}), Sample("m", path, mask=path), (1, 4))


def test_labels_of_grey_stored_as_colours_and_no_others(tmp_path):
    grey = np.array([[1, 2], [3, 300]], np.uint16)
    assert read_labels(save(tmp_path / "a.png", grey)).tolist() == grey.tolist()
    rgb = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    assert read_labels(save(tmp_path / "b.png", rgb)).tolist() == (grey & 255).tolist()
    rgb[0, 0] = (1, 2, 3)
    with pytest.raises(DataError, match="colours, not class numbers"):
        read_labels(save(tmp_path / "c.png", rgb))


@pytest.mark.parametrize("order", ["row", "column"])
def test_objects_of_runs(order):
    labels = np.array([[1, 1, 0, 2], [1, 0, 0, 2], [0, 3, 3, 3]], np.uint16)
    runs = " ; ".join(rle.encode(labels == k, order) for k in (1, 2, 3))
    data = {"train_masks": None, "train_rle": "t.csv"}
    tree = spec().tree() | {"task": "instances", "submission": {"order": order}}
    tree["data"] = {k: v for k, v in (tree["data"] | data).items() if v is not None}
    read = read_target(Competition.from_tree(tree), Sample("x", None, rle=runs), labels.shape)
    np.testing.assert_array_equal(read, labels)


def test_class_masks_of_another_size_are_named(tmp_path):
    path = save(tmp_path / "m.png", np.zeros((3, 5), np.uint8))
    competition = spec({"train_masks": "{class}/{id}.png"}, classes={"a": 1, "b": 2})
    with pytest.raises(DataError, match="mask is 5x3, its image 4x3"):
        read_target(competition, Sample("m", path, class_masks=(("a", path),)), (3, 4))


def test_one_folder_may_hold_train_and_test(tmp_path):
    for id in "abcd":
        save(tmp_path / f"i/{id}.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "t.csv").write_text("id,y\na,1\nb,2\n")
    competition = table_spec("regression", ["y"]).with_overrides({"data": {"test_images": "i/*.png"}})
    found = list_samples(competition, tmp_path)
    assert ([s.id for s in found.train], [s.id for s in found.test], found.problems) == (["a", "b"], ["c", "d"], [])


# ---------------------------------------------------------------------- classes that are left out


def test_a_class_that_is_left_out_has_no_number_and_its_pixels_are_ignored(tmp_path):
    """Heads go by `class_order`: [classes] keeps the names of what is left out."""
    path = save(tmp_path / "m.png", np.array([[0, 10, 20, 30]], np.uint8))
    classes = {"soil": 0, "crop": 10, "weed": 20, "stone": 30}
    competition = spec({"mask_values": "classes", "exclude_classes": ["crop"]}, classes=classes)
    assert class_order(competition) == ["soil", "weed", "stone"]
    target = read_target(competition, Sample("m", path, mask=path), (1, 4))
    assert target.tolist() == [[0, 255, 1, 2]]
    assert classes_in(target) == [0, 1, 2]

    grey = save(tmp_path / "c.png", np.array([[[0, 0, 9], [200, 0, 0], [0, 200, 0], [0, 0, 200]]], np.uint8))
    colours = {"soil": [0, 0, 9], "crop": [200, 0, 0], "weed": [0, 200, 0], "stone": [0, 0, 200]}
    data = {"mask_values": "colours", "exclude_classes": ["crop"]}
    competition = spec(data, classes=classes, colours=colours)
    assert read_target(competition, Sample("c", grey, mask=grey), (1, 4)).tolist() == [[0, 255, 1, 2]]


@pytest.mark.parametrize(("labels", "order"), [("one", ["background", "cup", "vessel"]), ("many", ["cup", "vessel"])])
def test_folders_that_are_left_out_are_not_in_the_order_of_classes(tmp_path, labels, order):
    for n, name in enumerate(("cup", "disc", "vessel")):
        save(tmp_path / f"m/{name}/a.png", (np.arange(4)[None] >= n) * np.uint8(255))
    save(tmp_path / "i/a.png", np.zeros((1, 4), np.uint8))
    classes = {"background": 0, "cup": 1, "disc": 2, "vessel": 3}
    data = {"train_masks": "m/{class}/{id}.png", "exclude_classes": ["disc"]}
    competition = spec(data, classes=classes, labels=labels)
    assert class_order(competition) == order
    target = read_target(competition, list_samples(competition, tmp_path).train[0], (1, 4))
    if labels == "many":
        assert target.astype(int).tolist() == [[[1, 1, 1, 1]], [[0, 0, 1, 1]]]
    else:
        assert target.tolist() == [[1, 1, 2, 2]]
    assert len(order) == (len(target) if labels == "many" else 3)


def test_pixels_that_are_claimed_twice_are_counted(tmp_path):
    one, two = np.zeros((2, 3, 4), np.uint8)
    one[:2], two[1:] = 255, 255
    files = (("", save(tmp_path / "1.png", one)), ("", save(tmp_path / "2.png", two)))
    sample = Sample("a", files[0][1], class_masks=files)
    competition = spec({"train_masks": "{id}/*.png"}, task="instances")
    labels, overlap = read_overlapping(competition, sample, (3, 4))
    assert (labels.tolist(), overlap) == ([[1] * 4, [1] * 4, [2] * 4], 4)
    named = Sample("a", files[0][1], class_masks=(("a", files[0][1]), ("b", files[1][1])))
    several = spec({"train_masks": "{class}/{id}.png"}, classes={"background": 0, "a": 1, "b": 2})
    labels, overlap = read_overlapping(several, named, (3, 4))
    assert (labels.tolist(), overlap) == ([[1] * 4, [2] * 4, [2] * 4], 4)
    assert read_overlapping(several.with_overrides({"labels": "many"}), named, (3, 4))[1] == 0


# ---------------------------------------------------------------------- colours


def by_colour():
    """[classes] and [colours]."""
    return {"classes": {"car": 1, "road": 2}, "colours": {"car": [128, 0, 0], "road": [[128, 64, 128], [0, 0, 255]]}}


def test_a_class_of_several_colours_and_one_ignored(tmp_path):
    tree = by_colour()
    tree["colours"]["void"] = [0, 0, 0]
    competition = spec({"mask_values": "colours", "ignore": ["void"]}, **tree)
    pixels = np.array([[[128, 0, 0], [128, 64, 128], [0, 0, 255], [0, 0, 0]]], np.uint8)
    path = save(tmp_path / "m.png", pixels)
    assert read_target(competition, Sample("m", path, mask=path), (1, 4)).tolist() == [[0, 1, 1, 255]]


@pytest.mark.parametrize("size", [1, 8])
def test_an_area_in_a_colour_that_is_none_is_an_error_and_a_speck_is_not(tmp_path, size):
    competition = spec({"mask_values": "colours"}, **by_colour())
    pixels = np.full((20, 20, 3), (128, 0, 0), np.uint8)
    pixels[5 : 5 + size, 5 : 5 + size] = (10, 200, 30)
    path = save(tmp_path / "m.png", pixels)
    sample = Sample("m", path, mask=path)
    if size == 1:
        assert not read_target(competition, sample, (20, 20)).any()
    else:
        with pytest.raises(DataError, match=r"holds the colour \[10, 200, 30\], which is none of \[colours\]"):
            read_target(competition, sample, (20, 20))


@pytest.mark.parametrize(
    ("top", "ignore", "words"),
    [
        ({"colours": {"car": [1, 2, 3]}}, [], "a colour for 'road' of [classes]"),
        ({"colours": {"car": [1, 2, 3], "road": [1, 2, 300]}}, [], "of 0 to 255"),
        ({"colours": {"car": [1, 2, 3], "road": []}}, [], "of 0 to 255"),
        ({"colours": {"car": [1, 2, 3], "road": [1, 2, 3]}}, [], "a colour once only"),
        ({"colours": {"car": [1, 2, 3], "road": [1, 2, 4], "void": [0, 0, 0]}}, [], "'void' of [colours]"),
        ({"colours": {}}, [], '[colours] and data.mask_values = "colours" together'),
    ],
)
def test_colours_that_do_not_fit(top, ignore, words):
    with pytest.raises(ConfigError) as caught:
        spec({"mask_values": "colours", "ignore": ignore}, **(by_colour() | top))
    assert words in str(caught.value)
