"""A folder for each sample, with its image and its mask, or a mask file an object or a class."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import SIZE, check_masks, inferred, planted, read_all, save, write
from PIL import Image

from podium.data.infer import infer
from podium.data.infer.objects import regions, told_by_regions
from podium.data.layout import scan, spread
from podium.data.sample_folders import sample_folders
from podium.data.targets import read_labels, read_target
from podium.formats.images import read_image


def png(labels):
    return (labels > 0) * np.uint8(255)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{0}/image.png", "{0}/mask.png"),
        ("train/{0}/image.jpg", "train/{0}/label.png"),
        ("a [v2]/deep/{0}/img.png", "a [v2]/deep/{0}/gt.png"),
        ("{0}/{0}.png", "{0}/{0}_mask.png"),
        ("{0}/{0}.jpg", "{0}/{0}_segmentation.png"),
        ("{0}/Original.tif", "{0}/GroundTruth.tif"),
        ("s/{0}/images/{0}.png", "s/{0}/masks/{0}.png"),
        ("s/{0}/image/photo.png", "s/{0}/mask/mask.png"),
    ],
)
def test_an_image_and_a_mask_in_each_folder(tmp_path, image, mask):
    data = planted()
    folder = write(tmp_path / "d", data, image.replace("{0}", "{0}"), mask)
    competition, found = inferred(folder)
    assert (competition.task, len(competition.classes)) == ("segmentation", 1)
    check_masks(competition, found, data)


@pytest.mark.parametrize("extra", ["depth.png", "mask_colour.png", "overlay.jpg", "info.txt"])
def test_what_else_lies_in_the_folders_is_passed_over(tmp_path, extra):
    data = planted()
    folder = write(tmp_path / "d", data, "{}/image.png", "{}/mask.png")
    for id, (image, _) in data.items():
        if extra.endswith("txt"):
            (folder / id / extra).write_text("a note")
        else:
            save(folder / id / extra, image)
    competition, found = inferred(folder)
    check_masks(competition, found, data)


def test_class_numbers_and_colours_in_sample_folders(tmp_path):
    data = planted(classes=3)
    for name, change in {
        "numbers": lambda m: m,
        "colours": lambda m: np.array([[0, 0, 0], [200, 0, 0], [0, 90, 250], [10, 10, 160]], np.uint8)[m],
    }.items():
        competition, found = inferred(write(tmp_path / name / "d", data, "{}/image.png", "{}/mask.png", change))
        assert len(competition.classes) == 4
        order = [tuple(c) for c in competition.colours.values()] if competition.colours else []
        number = np.array([order.index(tuple(c)) for c in change(np.arange(4))] if order else range(4))
        check_masks(competition, found, data, lambda m, number=number: number[m])


def test_official_splits_of_sample_folders(tmp_path):
    data = planted(24, classes=3)
    parts = dict(zip(data, ["train"] * 14 + ["val"] * 5 + ["test"] * 5, strict=True))
    for id, part in parts.items():
        write(tmp_path / "d", {id: data[id]}, f"{part}/{{}}/image.png", f"{part}/{{}}/mask.png", lambda m: m)
    competition, found = inferred(tmp_path / "d")
    assert {s.id: s.split for s in found.train} == {id: p for id, p in parts.items() if p != "test"}
    assert {s.id for s in found.test} == {id for id, p in parts.items() if p == "test"}
    assert competition.data.test_masks == "test/{id}/mask.png"
    check_masks(competition, found, {id: d for id, d in data.items() if parts[id] != "test"}, lambda m: m)


def test_test_images_in_folders_without_masks(tmp_path):
    data = planted()
    folder = write(tmp_path / "d", data, "train/{}/image.png", "train/{}/mask.png")
    write(folder, {f"t{k}": v for k, v in data.items()}, "test/{}/image.png", None)
    competition, found = inferred(folder)
    assert competition.data.test_images == "test/{id}/image.png"
    assert {s.id for s in found.test} == {f"t{k}" for k in data}
    check_masks(competition, found, data)


def test_a_mask_file_a_class_in_each_folder(tmp_path):
    data = planted(classes=3)
    folder = write(tmp_path / "d", data, "{}/image.png", None)
    for id, (_, labels) in data.items():
        for n, name in enumerate(("cup", "disc", "vessel"), 1):
            save(folder / id / f"mask_{name}.png", png(labels == n))
    competition, found = inferred(folder)
    assert competition.data.train_masks == "{id}/mask_{class}.png"
    assert competition.classes == {"background": 0, "cup": 1, "disc": 2, "vessel": 3}
    check_masks(competition, found, data, lambda m: m)


@pytest.mark.parametrize(
    "pattern", ["{0}/mask_{1}.png", "{0}/mask{1}.png", "{0}/{0}_mask{1}.png", "{0}/masks/o{1}.png"]
)
def test_a_mask_file_an_object(tmp_path, pattern):
    rng = np.random.default_rng(0)
    data = {}
    nested = "masks/" in pattern
    for i in range(8):
        labels = np.zeros(SIZE, np.uint16)
        for k in range(1, 2 + i % 5):
            y, x = 6 * ((k - 1) // 4), 8 * ((k - 1) % 4)
            labels[y : y + int(rng.integers(3, 6)), x : x + int(rng.integers(3, 7))] = k
        data[f"n{i * 7:03x}"] = (rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8), labels)
    for id, (image, labels) in data.items():
        save(tmp_path / f"d/{id}/images/{id}.png" if nested else tmp_path / f"d/{id}/image.png", image)
        for k in range(1, labels.max() + 1):
            save(tmp_path / "d" / pattern.format(id, k), png(labels == k))
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.submission.format) == ("instances", "rle_objects")
    read = read_all(competition, found)
    assert read.keys() == data.keys()
    for id, (_, labels) in data.items():
        assert (read[id] == labels).all()


def test_names_that_do_not_tell_masks_from_images_are_no_sample_folders(tmp_path):
    data = planted()
    folder = write(tmp_path / "d", data, "{}/photo.png", None)
    for id, (_, labels) in data.items():
        for k in range(3):
            save(folder / id / f"{k}mask.png", png(labels))
    assert sample_folders(scan(folder)) == []


def test_two_values_tell_a_mask_where_its_name_does_not(tmp_path):
    data = planted()
    competition, found = inferred(write(tmp_path / "d", data, "{}/x1.png", "{}/x2.png"))
    assert competition.data.train_masks == "{id}/x2.png"
    check_masks(competition, found, data)


def test_class_folders_with_masks_beside_the_images_are_no_samples(tmp_path):
    """As breast ultrasound images come: benign/1.png beside benign/1_mask.png."""
    for kind in ("benign", "malignant", "normal"):
        for n, (image, labels) in enumerate(planted(8).values()):
            save(tmp_path / f"d/{kind}/{n}.png", image)
            save(tmp_path / f"d/{kind}/{n}_mask.png", png(labels))
    assert sample_folders(scan(tmp_path / "d")) == []


def test_why_says_what_was_seen(tmp_path):
    why = infer(write(tmp_path / "d", planted(), "{}/image.png", "{}/mask.png"), "n").why
    assert why["data.train_images"] == "10 folders with one image each"
    assert why["data.train_masks"] == "10 masks in the same folders"


@pytest.mark.real_data
def test_dsb2018_with_a_file_an_object_as_it_was_published(tmp_path, real_data):
    published = real_data / "dsb2018"
    paths = sorted((published / "labels").glob("*.png"))[::45]
    labels = {path.stem: np.asarray(Image.open(path)) for path in paths}
    for id, numbers in labels.items():
        folder = tmp_path / f"d/stage1_train/{id}"
        for n in range(1, int(numbers.max()) + 1):
            save(folder / f"masks/{id[:40]}{n:05}.png", (numbers == n) * np.uint8(255))
        (folder / "images").mkdir()
        (folder / f"images/{id}.png").write_bytes((published / f"images/{id}.png").read_bytes())
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.metric, found.problems) == ("instances", "dsb2018", [])
    for sample in found.train:
        np.testing.assert_array_equal(
            read_target(competition, sample, labels[sample.id].shape), labels[sample.id], err_msg=sample.id
        )


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "task", "why"),
    [("dsb2018", "instances", "number their objects"), ("camvid", "segmentation", "12 values")],
)
def test_real_numbers_are_told_by_their_regions_too(real_data, name, task, why):
    """Without the number of values, which settles both of them before."""
    folder, pattern, image = {
        "dsb2018": ("labels", "images/{}.png", True), "camvid": ("trainannot", "train/{}.jpg", False)
    }[name]  # fmt: skip
    paths = spread(sorted((real_data / name / folder).glob("*.png")), 12)
    found = [regions(read_labels(p), read_image(real_data / name / pattern.format(p.stem))) for p in paths]
    assert told_by_regions(found)[0] is image
    inference = infer(real_data / name, name)
    assert inference.competition.task == task
    assert why in inference.why["data.mask_values"]


def test_folders_in_those_of_samples_may_carry_their_names(tmp_path):
    for i, (image, labels) in enumerate(planted(6).values()):
        place = tmp_path / f"d/pictures/case{i}"
        save(place / f"case{i}_Dermoscopic_Image/case{i}.bmp", image)
        save(place / f"case{i}_lesion/case{i}_lesion.bmp", labels * np.uint8(255))
        for k in range(1 + 2 * (i % 2)):
            save(place / f"case{i}_roi/case{i}_R{k}.bmp", labels * np.uint8(255))
    competition, samples = inferred(tmp_path / "d")
    assert competition.data.train_images == "pictures/{id}/{id}_Dermoscopic_Image/*.*"
    assert [s.mask.name for s in samples.train] == [f"case{i}_lesion.bmp" for i in range(6)]
