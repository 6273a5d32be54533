"""Folders called like classes, with folders of patients, sites, splits or forms above or below them."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import inferred, planted, save, write

from podium.data.infer import infer
from podium.data.patterns import stem_of
from podium.errors import DataError


def grown(folder, *names, seed=0):
    """Photographs at these paths."""
    rng = np.random.default_rng(seed)
    for name in names:
        save(folder / name, rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    return folder


def told(samples, place):
    """{group: the names that path places give its samples}."""
    groups: dict[str, set[str]] = {}
    for sample in samples.train:
        groups.setdefault(sample.group, set()).add(sample.image.parts[place])
    return groups


def test_patients_above_classes_are_groups(tmp_path):
    names = [f"{p}/{c}/{p}_x{k}_class{c}.png" for p in range(8863, 8869) for c in (0, 1) for k in range(2 + p % 3)]
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert len(samples.train) == len(names)
    assert competition.classes == {"0": 0, "1": 1}
    assert all(s.values == (float(s.image.parent.name),) for s in samples.train)
    groups = told(samples, -3)
    assert len(groups) == 6
    assert all(len(of) == 1 for of in groups.values())


@pytest.mark.parametrize("stem", ["{p}_{k}", "{k}"], ids=["names that tell the patient", "numbers in each folder"])
@pytest.mark.parametrize("top", ["", "train/"])
def test_patients_below_classes_are_groups(tmp_path, stem, top):
    names = [
        f"{top}{c}/case_{c[0]}_{p}/" + stem.format(p=f"case_{c[0]}_{p}", k=k) + ".png"
        for c in ("neg", "pos") for p in range(4) for k in range(3)
    ]  # fmt: skip
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert competition.classes == {"neg": 0, "pos": 1}
    assert len(samples.train) == len(names)
    assert not samples.problems
    groups = told(samples, -2)
    assert len(groups) == 8
    assert all(len(of) == 1 for of in groups.values())


def test_numbered_patients_in_both_classes_are_no_classes(tmp_path):
    names = [f"{c}/p{p:02}/{k}.png" for c in ("neg", "pos") for p in range(5) for k in range(3)]
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert competition.classes == {"neg": 0, "pos": 1}
    assert len({s.id for s in samples.train}) == len(names)
    assert sorted(told(samples, -2).values()) == [{f"p{p:02}"} for p in range(5)]


@pytest.mark.parametrize("sites", [("berlin", "new_york", "paris"), ("fold1", "fold2", "fold3", "fold4", "fold5")])
def test_sites_above_classes_are_groups(tmp_path, sites):
    names = [f"{s}/images/{c}/frame_{k}.jpg" for s in sites for c in ("back_pack", "mug") for k in range(4)]
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert list(competition.classes) == ["back_pack", "mug"]
    assert len(samples.train) == len(names)
    assert competition.folds.k == min(5, len(sites))
    assert sorted(told(samples, -4).values()) == [{s} for s in sites]


def test_magnifications_and_subtypes_are_no_classes(tmp_path):
    kinds = (("benign", "adenosis"), ("benign", "tumor"), ("malignant", "ductal"), ("malignant", "lobular"))
    names = [
        f"slides/{c}/SOB/{kind}/SOB_{kind}_{p}/{zoom}/{kind}-{p}-{zoom}-{k}.png"
        for c, kind in kinds for p in range(3) for zoom in ("40X", "100X") for k in range(2)
    ]  # fmt: skip
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert list(competition.classes) == ["benign", "malignant"]
    assert len(samples.train) == len(names)
    assert len(told(samples, -3)) == 12


def test_a_class_may_be_called_train_or_test_tube(tmp_path):
    names = [f"{c}/{c}{k}.jpg" for c in ("bus", "train", "truck") for k in range(4)]
    competition, samples = inferred(grown(tmp_path / "a", *names))
    assert (list(competition.classes), len(samples.train)) == (["bus", "train", "truck"], 12)
    names = [f"glass/{c}/{k}.jpg" for c in ("beaker", "test_tube") for k in range(4)]
    competition, samples = inferred(grown(tmp_path / "b", *names))
    assert (list(competition.classes), len(samples.train), samples.test) == (["beaker", "test_tube"], 8, [])


@pytest.mark.parametrize("inside", [False, True], ids=["train/cat", "cat/train"])
def test_splits_above_or_below_classes(tmp_path, inside):
    counts = {"train": 5, "val": 3, "test": 2}
    names = [
        (f"{c}/{s}" if inside else f"{s}/{c}") + f"/{s}{c}{k}.jpg"
        for s, n in counts.items() for c in ("cat", "dog", "train") for k in range(n)
    ]  # fmt: skip
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert list(competition.classes) == ["cat", "dog", "train"]
    assert [sum(s.split == name for s in samples.train) for name in ("train", "val")] == [15, 9]
    assert len(samples.test) == 6


def test_the_same_photographs_in_other_forms_are_passed_over(tmp_path):
    names = [
        f"{f}/{c}/im{k}.jpg" for f in ("color", "grayscale", "segmented") for c in ("rot", "rust") for k in range(3)
    ]
    inference = infer(grown(tmp_path / "d", *names), "d")
    assert inference.competition.data.train_images == "color/{class}/*.jpg"
    assert "passed over: grayscale/rot (3)" in inference.why["data.train_images"]


def test_much_beside_the_classes_is_an_error_that_names_it(tmp_path):
    names = [f"plants/{c}/{k}.jpg" for c in ("fern", "moss") for k in range(4)] + [f"more/{k}.jpg" for k in range(3)]
    with pytest.raises(DataError, match="hold 8 of 11 images") as error:
        infer(grown(tmp_path / "d", *names), "d")
    assert "more (3)" in error.value.remedy
    names = [f"plants/{c}/{k}.jpg" for c in ("fern", "moss") for k in range(4)] + [
        f"unlabeled/{k}.jpg" for k in range(9)
    ]
    assert infer(grown(tmp_path / "e", *names), "e").competition.data.train_images == "plants/{class}/*.jpg"


def test_masks_beside_images_are_no_class(tmp_path):
    folder = write(tmp_path / "d", planted(6, classes=3), images="X/{}.png", masks="y/{}.png", change=lambda m: m)
    with pytest.raises(DataError, match="'y' has few grey values and the names of 'X'"):
        infer(folder, "d")


def test_a_test_folder_beside_the_classes_holds_no_problems(tmp_path):
    names = [f"{c}/{c}{k}.jpg" for c in ("cat", "dog") for k in range(4)] + [f"test/{k}.jpg" for k in range(3)]
    _, samples = inferred(grown(tmp_path / "d", *names))
    assert (len(samples.train), len(samples.test), samples.problems) == (8, 3, [])
    assert {stem_of(s.image.name) for s in samples.test} == {"0", "1", "2"}


def test_a_folder_called_labels_that_fits_no_image_is_no_class(tmp_path):
    data = planted(6, classes=3)
    write(tmp_path / "d", data, images="v1_images/{}_w1.png", masks="v1_labels/of_{}.png", change=lambda m: m)
    for id, (image, _) in data.items():
        save(tmp_path / f"d/v1_images/{id}_w2_{id[::-1]}.png", image)
    with pytest.raises(DataError, match="'v1_labels' has few grey values"):
        infer(tmp_path / "d", "d")


def test_lists_of_official_splits_are_read_for_class_folders(tmp_path):
    ids = {c: [f"{c[0]}{k}" for k in range(6)] for c in ("pie", "sushi")}
    folder = grown(tmp_path / "d", *(f"images/{c}/{id}.jpg" for c in ids for id in ids[c]))
    (folder / "meta").mkdir()
    for name, part in (("train", slice(0, 4)), ("test", slice(4, 6))):
        lines = [f"{c}/{id}" for c in ids for id in ids[c][part]]
        (folder / f"meta/{name}.txt").write_text("\n".join(lines) + "\n")
    _, samples = inferred(folder)
    assert [sorted(s.id for s in part) for part in (samples.train, samples.test)] == [
        sorted(id for of in ids.values() for id in of[:4]),
        sorted(id for of in ids.values() for id in of[4:]),
    ]
    assert samples.problems == []


def test_a_test_set_may_be_called_so_beside_a_name_that_says_nothing(tmp_path):
    names = [f"rps{s}/{c}/{c}{s}{k}.png" for s in ("", "-test-set") for c in ("paper", "rock") for k in range(4)]
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert competition.data.group is None
    assert [sorted({s.image.parts[-3] for s in part}) for part in (samples.train, samples.test)] == [
        ["rps"],
        ["rps-test-set"],
    ]


def test_words_that_judge_are_the_classes(tmp_path):
    names = [f"{c}/{m}/{c}{m}{k}.jpg" for c in ("good", "bad") for m in ("canon", "nikon", "sony") for k in range(3)]
    competition, samples = inferred(grown(tmp_path / "d", *names))
    assert list(competition.classes) == ["bad", "good"]
    assert sorted(told(samples, -2).values()) == [{"canon"}, {"nikon"}, {"sony"}]
