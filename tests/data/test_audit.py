"""Each finding is there when its cause is planted, and absent from clean data."""

from __future__ import annotations

import polars as pl
import pytest

from podium.data.audit import SEVERITIES, audit, histogram, percent
from podium.data.competition import Competition
from podium.data.facts import TEST_SCHEMA, TRAIN_SCHEMA, Facts
from podium.data.samples import Problem
from podium.data.target_checks import targets
from podium.errors import DataError

COMPETITION = Competition.from_tree(
    {"name": "x", "metric": "dice", "data": {"train_images": "*.png", "train_masks": "m/{id}.png"}}
)
ALWAYS = {"mask areas", "class balance", "groups and folds"}


def facts(changes=None, test=(), competition=COMPETITION, **more):
    """Ten sound samples a0 … a9 of 10x20 pixels, with {id: {column: value}} changed."""
    rows = []
    for i in range(10):
        row = {
            "id": f"a{i}",
            "group": f"a{i}",
            "height": 10,
            "width": 20,
            "mode": "RGB",
            "pixels": f"p{i}",
            "flat": False,
        }
        row |= {"mask_height": 10, "mask_width": 20, "mask_kind": "PNG L, 8 bits", "area": 20 + 10 * i}
        rows.append(dict.fromkeys(TRAIN_SCHEMA) | row | (changes or {}).get(f"a{i}", {}))
    tests = [
        dict.fromkeys(TEST_SCHEMA) | {"id": f"t{i}", "height": 10, "width": 20, "mode": "RGB"} | t
        for i, t in enumerate(test)
    ]
    train, test_table = pl.DataFrame(rows, schema=TRAIN_SCHEMA), pl.DataFrame(tests, schema=TEST_SCHEMA)
    return Facts(competition, train, test_table, **({"folds": [5, 5]} | more))


def all_rows(**values):
    return {f"a{i}": values for i in range(10)}


def competition(**data):
    return COMPETITION.with_overrides({"data": data})


def test_clean_data_has_only_the_descriptions():
    found = audit(facts(test=[{"pixels": "q"}]))
    assert {f.name for f in found} == ALWAYS
    assert {f.severity for f in found} == {"note"}


UNREADABLE = {
    "error": "cut off",
    "height": None,
    "width": None,
    "mode": None,
    "pixels": None,
    "mask_height": None,
    "area": None,
}
TWIN = {"pixels": "p0", "mask_pixels": "m0"}
PLANTED = {
    "unreadable images": ({"changes": {"a3": UNREADABLE}}, "error", ["a3"]),
    "unreadable test images": ({"test": [{"error": "cut off"}]}, "error", ["t0"]),
    "mask of another size": (
        {"changes": {"a3": {"mask_height": 5, "mask_error": "mask is 20x5, its image 20x10"}}},
        "error",
        ["a3"],
    ),
    "unreadable masks": (
        {"changes": {"a3": {"mask_height": None, "mask_width": None, "mask_error": "cut off"}}},
        "error",
        ["a3"],
    ),
    "images without a mask": ({"problems": [Problem("b", "b.png", "has no mask")]}, "error", ["b"]),
    "masks without an image": (
        {"problems": [Problem("c", "c.png", "is a mask without an image")]},
        "error",
        ["c"],
    ),
    "test images not looked at": ({"unseen": "test images: not kept decoded"}, "warning", []),
    "excluded": ({"excluded": {"z": "bad"}}, "note", ["z"]),
    "mixed image sizes": ({"changes": {"a3": {"height": 5}}}, "warning", ["a3"]),
    "mixed image modes": ({"changes": {"a3": {"mode": "L"}}}, "note", ["a3"]),
    "mixed mask encodings": ({"changes": {"a3": {"mask_kind": "PNG I;16, 16 bits"}}}, "note", ["a3"]),
    "JPEG masks": ({"changes": all_rows(mask_kind="JPEG L, 8 bits")}, "note", [f"a{i}" for i in range(10)]),
    "all masks empty": ({"changes": all_rows(area=0)}, "error", [f"a{i}" for i in range(10)]),
    "all masks full": ({"changes": all_rows(area=200)}, "error", [f"a{i}" for i in range(10)]),
    "empty masks": ({"changes": {"a3": {"area": 0}}}, "note", ["a3"]),
    "full masks": ({"changes": {"a3": {"area": 200}}}, "warning", ["a3"]),
    "identical images": ({"changes": {"a0": TWIN, "a3": TWIN}}, "warning", ["a0", "a3"]),
    "same image, different targets": (
        {"changes": {"a0": TWIN, "a3": TWIN | {"mask_pixels": "m3"}}},
        "warning",
        ["a0", "a3"],
    ),
    "train images in test": ({"test": [{"pixels": "p3"}]}, "warning", ["a3"]),
    "blank images": ({"changes": {"a3": {"flat": True}}}, "warning", ["a3"]),
    "no folds": ({"folds": DataError("2 groups cannot fill 5 folds", remedy="set folds.k = 2")}, "error", []),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name):
    arguments, severity, ids = PLANTED[name]
    found = {f.name: f for f in audit(facts(**arguments))}
    assert found[name].severity == severity
    assert sorted(found[name].ids) == ids
    assert found[name].count >= len(ids)
    assert found[name].what.endswith(".")
    assert found[name].remedy


@pytest.mark.parametrize("name", PLANTED)
def test_nothing_else_is_an_error(name):
    arguments, _, _ = PLANTED[name]
    assert {f.name for f in audit(facts(**arguments)) if f.severity == "error"} <= {name}


def test_the_gravest_come_first():
    changes = {"a1": UNREADABLE, "a2": {"area": 200}, "a3": {"area": 0}}
    order = [SEVERITIES.index(f.severity) for f in audit(facts(changes))]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2}


def test_excluded_samples_are_not_complained_about_again():
    problems = [Problem("b", "b.png", "has no mask")]
    assert "images without a mask" not in {f.name for f in audit(facts(problems=problems, excluded={"b": "known"}))}


def test_twins_with_the_same_mask_do_not_contradict():
    found = {f.name for f in audit(facts({"a0": TWIN, "a3": TWIN}))}
    assert "same image, different targets" not in found


def test_unreadable_images_are_not_twins():
    found = {f.name for f in audit(facts({"a1": UNREADABLE, "a2": UNREADABLE}, test=[{"error": "cut off"}]))}
    assert not found & {"identical images", "train images in test"}


def test_sizes_are_a_note_where_the_recipe_resizes():
    found = {f.name: f for f in audit(facts({"a3": {"height": 5}}, input_size=[64, 96]))}
    assert found["mixed image sizes"].severity == "note"
    assert "input.size = [64, 96]" in found["mixed image sizes"].remedy


def test_jpeg_masks_read_as_0_1_are_a_warning():
    found = {
        f.name: f
        for f in audit(facts(all_rows(mask_kind="JPEG L, 8 bits"), competition=competition(mask_values="0/1")))
    }
    assert found["JPEG masks"].severity == "warning"
    assert 'data.mask_values = "0/max"' in found["JPEG masks"].remedy


def test_storage_that_tells_which_masks_are_empty_is_said():
    telling = {i: {"area": 0, "mask_kind": "PNG I;16, 16 bits"} for i in ("a3", "a4")}
    what = {f.name: f.what for f in audit(facts(telling))}["mixed mask encodings"]
    assert "PNG I;16, 16 bits are exactly the empty ones" in what


def test_a_rare_class_is_a_warning():
    found = {f.name: f for f in audit(facts(all_rows(area=1)))}
    assert found["class balance"].severity == "warning"
    assert found["class balance"].what.startswith("0.5% of all pixels")


def test_a_group_larger_than_a_fold_is_a_warning():
    changes = {f"a{i}": {"group": "a0"} for i in range(7)}
    found = {f.name: f for f in audit(facts(changes, competition=competition(group="(?P<group>.+)"), folds=[7, 3]))}
    assert found["groups and folds"].severity == "warning"
    assert found["groups and folds"].what.startswith("4 groups of 1 to 7 samples")
    assert found["groups and folds"].detail == ("a0: 7",)


def test_an_id_with_a_comma_is_quoted_in_the_line_to_copy():
    found = {f.name: f for f in audit(facts({"a3": {"id": "a,3", "area": 200}}))}
    assert found["full masks"].remedy.endswith('"a,3",full mask,me')


def test_nothing_usable_is_no_crash():
    found = {f.name for f in audit(facts(all_rows(**UNREADABLE)))}
    assert found == {"unreadable images"}


def test_the_histogram_counts_every_mask_once():
    bars = histogram(facts({"a0": {"area": 0}, "a1": {"area": 200}}))
    assert bars[0] == ("empty", 1)
    assert bars[-1] == ("90–100", 1)
    assert sum(n for _, n in bars) == 10


@pytest.mark.parametrize(("share", "bar"), [(20, "0–10"), (21, "10–20"), (199, "90–100")])
def test_a_bar_holds_its_upper_end(share, bar):
    changes = {"a0": {"area": share}, "a9": {"area": 200}}
    with_it, without = (dict(histogram(facts(c))) for c in (changes, changes | {"a0": {"area": 0}}))
    assert with_it[bar] == without[bar] + 1


def test_percent_never_rounds_to_all():
    assert [percent(v) for v in (0, 0.0098, 3.52, 28.4, 99.93, 99.999, 100)] == [
        "0%",
        "0.0098%",
        "3.5%",
        "28%",
        "99.93%",
        "99.99%",
        "100%",
    ]


def test_classes_of_one_sample_are_counted_and_few_are_named():
    classes = {f"w_{i:02}": i for i in range(12)}
    tree = {"train_csv": "t.csv", "id_column": "id", "targets": ["y"], "train_images": "*.png"}
    competition = Competition.from_tree(
        {"name": "n", "task": "classification", "metric": "accuracy", "data": tree, "classes": classes}
    )
    values = {f"s{i}": (float(max(0, i - 20)),) for i in range(32)}
    (finding,) = targets(Facts(competition, pl.DataFrame(), pl.DataFrame(), values=values))
    assert finding.severity == "warning"
    assert "w_01, w_02, w_03, w_04, w_05 and 6 more with too few for 5 folds" in finding.what
    assert "11 of them have one sample each" in finding.what
