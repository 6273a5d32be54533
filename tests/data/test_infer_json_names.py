"""Names of classes in a JSON file beside the data: of a table's numbers, of folders, of the values in masks."""

from __future__ import annotations

import json

import pytest
from infer_drawing import inferred, planted, save, table, write

from podium.data.infer.json_names import json_names

DISEASES = {"0": "Bacterial Blight (CBB)", "1": "Green Mottle (CGM)", "2": "Healthy"}


def test_cassava_has_numbers_and_a_file_of_their_names(tmp_path):
    ids = table(tmp_path / "d", lambda i: i % 3, ending=".png", header="image_id,label", images="train_images/{}.png")
    save(tmp_path / "d/test_images/22.png", planted(1)["k11"][0])
    (tmp_path / "d/sample_submission.csv").write_text("image_id,label\n22.png,2\n")
    (tmp_path / "d/label_num_to_disease_map.json").write_text(json.dumps(DISEASES))
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {name: int(n) for n, name in DISEASES.items()}
    assert {s.id: s.values for s in found.train} == {id: (float(i % 3),) for i, id in enumerate(ids)}
    assert (competition.submission.format, competition.submission.classes) == ("names", ("0", "1", "2"))
    assert found.problems == []


def test_numbers_without_order_or_start_stay_what_they_are(tmp_path):
    table(tmp_path / "d", lambda i: [2, 19, 7][i % 3], header="id,category_id")
    names = {"categories": [{"id": n, "name": name} for n, name in ((19, "bear"), (2, "cow"), (7, "deer"), (9, "elk"))]}
    (tmp_path / "d/annotations.json").write_text(json.dumps(names))
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {"cow": 2, "deer": 7, "bear": 19}
    assert {s.values[0] for s in found.train} == {2.0, 7.0, 19.0}
    assert competition.submission.value_columns == ("cow", "deer", "bear")


@pytest.mark.parametrize("names", [{"0": "a", "1": "b"}, {"0": "a", "1": "a", "2": "b"}, ["a", "b"], 3, {"2": None}])
def test_a_file_that_does_not_name_them_all_differently_is_passed_over(tmp_path, names):
    table(tmp_path / "d", lambda i: i % 3)
    (tmp_path / "d/labels.json").write_text(json.dumps(names))
    assert inferred(tmp_path / "d")[0].classes == {"0": 0, "1": 1, "2": 2}


def test_flowers_have_folders_of_numbers(tmp_path):
    for n in (1, 21, 5):
        for i in range(4):
            save(tmp_path / f"d/train/{n}/{n:02}_{i}.png", planted(1)["k11"][0])
    (tmp_path / "d/cat_to_name.json").write_text(json.dumps({"21": "fire lily", "1": "pink primrose", "5": "stock"}))
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {"pink primrose": 1, "stock": 5, "fire lily": 21}
    assert {(s.id[:2], s.values[0]) for s in found.train} == {("01", 1.0), ("05", 5.0), ("21", 21.0)}


def test_values_of_masks(tmp_path):
    write(tmp_path / "d", planted(classes=2), change=lambda labels: labels)
    (tmp_path / "d/classes.json").write_text(json.dumps(["soil", "crop", "weed"]))
    assert inferred(tmp_path / "d")[0].classes == {"soil": 0, "crop": 1, "weed": 2}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"cat": 0, "dog": 1}, {0: "cat", 1: "dog"}),
        ({"0": ["n02", "cat"], "1": ["n03", "dog"]}, {0: "cat", 1: "dog"}),
        ({"categories": [{"id": 3, "name": "cat"}, {"id": "4", "name": "dog"}, 5]}, {3: "cat", 4: "dog"}),
        (["cat", "dog"], {0: "cat", 1: "dog"}),
        ({"a": True, "b": False}, None),
        ({"a": {"0": "cat"}}, None),
        ([1, 2], None),
        ("text", None),
    ],
)
def test_ways_to_write_names(tmp_path, given, names):
    (tmp_path / "class_names.json").write_text(json.dumps(given))
    assert [found for _, found in json_names([tmp_path, tmp_path])] == ([names] if names else [])


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\xff", '{"0": "a", "1": "b"}' + " " * 1_100_000])
def test_what_is_no_json_or_too_large_is_passed_over(tmp_path, text):
    (tmp_path / "class_names.json").write_text(text, encoding="latin-1")
    assert list(json_names([tmp_path])) == []
