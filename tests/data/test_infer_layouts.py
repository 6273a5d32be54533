"""Layouts with mask files: inferred, written, loaded, listed, and each target read as it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import SIZE, check_masks, inferred, planted, read_all, save, write
from PIL import Image

from podium.data.samples import Sample
from podium.data.targets import mask_targets, read_target
from podium.formats import rle

# ---------------------------------------------------------------------- image and mask folders


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{}.jpg", "masks/{}.png"),
        ("imgs/{}.png", "gts/{}.png"),
        ("Images/{}.tif", "Labels/{}.tif"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("data/img/{}.bmp", "data/ground-truth/{}.bmp"),
        ("train/{}.tiff", "train_masks/{}_mask.gif"),
        ("train/images/{}.webp", "train/masks/{}_segmentation.png"),
        ("imgs/img_{}.png", "gts/gt_{}.png"),
        ("training/images/{}_training.tif", "training/1st_manual_masks/{}_manual1.gif"),
        ("CXR/{}.png", "CXR_masks/{}_mask.png"),
        ("a/{}.jpg", "a/{}_mask.png"),
        ("{}.jpg", "{}_gt.png"),
        ("ISIC_Data/{}.jpg", "ISIC_GroundTruth/{}_segmentation.png"),
        ("images/train/{}.png", "labels/train/{}.png"),
    ],
)
def test_folders_of_images_and_masks(tmp_path, images, masks):
    data = planted()
    competition, found = inferred(write(tmp_path / "d", data, images, masks))
    assert (competition.task, len(competition.classes)) == ("segmentation", 1)
    check_masks(competition, found, data)


def palette(labels):
    image = Image.frombytes("P", labels.shape[::-1], labels.tobytes())
    image.putpalette([0, 0, 0] + [255] * 765)
    return image


@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "bmp"])
@pytest.mark.parametrize(
    "change",
    [
        palette,
        lambda m: m,
        lambda m: m * np.uint8(255),
        lambda m: m * np.uint8(100),
        lambda m: np.dstack([m * np.uint8(255)] * 3),
        lambda m: np.dstack([m * np.uint8(255), m * 0, m * 0]),
        lambda m: Image.fromarray(m > 0),
    ],
    ids=["palette", "0/1", "0/255", "0/100", "rgb", "red", "1 bit"],
)
def test_masks_of_one_class(tmp_path, change, suffix):
    data = planted(6)
    if suffix == "gif" and not isinstance(change(next(iter(data.values()))[1]), Image.Image):
        pytest.skip("a GIF is a palette")
    competition, found = inferred(write(tmp_path / "d", data, masks=f"masks/{{}}.{suffix}", change=change))
    assert competition.data.mask_values in ("0/1", "0/max")
    check_masks(competition, found, data)


@pytest.mark.parametrize("top", [65535, 1, 255])
def test_masks_of_16_bits(tmp_path, top):
    data = planted(6)
    folder = write(tmp_path / "d", data, change=lambda m: m.astype(np.uint16) * np.uint16(top))
    competition, found = inferred(folder)
    check_masks(competition, found, data)


def test_jpeg_masks_are_cut_at_half(tmp_path):
    data = planted(6)
    competition, found = inferred(write(tmp_path / "d", data, masks="masks/{}.jpg"))
    assert competition.data.mask_values == "0/max"
    read = read_all(competition, found)
    assert all((read[id] != (labels > 0)).mean() < 0.02 for id, (_, labels) in data.items())


@pytest.mark.parametrize(
    "change",
    [
        lambda i: np.dstack([i, np.full(SIZE, 255, np.uint8)]),
        lambda i: i[:, :, 0],
        lambda i: i[:, :, 0].astype(np.uint16) * 257,
        lambda i: Image.fromarray(i).convert("P"),
    ],
    ids=["RGBA", "grey", "16 bits", "palette"],
)
def test_kinds_of_images(tmp_path, change):
    data = planted(6)
    folder = write(tmp_path / "d", data)
    for id, (image, _) in data.items():
        save(folder / f"images/{id}.png", change(image))
    check_masks(*inferred(folder), data)


def test_an_8_bit_bmp_mask_of_two_colours(tmp_path):
    """Pillow reads such a file as 1 bit a pixel, and so as empty."""
    data = planted(6)

    def two(m):
        image = Image.frombytes("P", m.shape[::-1], m.tobytes())
        image.putpalette([0, 0, 0, 255, 255, 255])
        return image

    competition, found = inferred(write(tmp_path / "d", data, masks="masks/{}.bmp", change=two))
    check_masks(competition, found, data)


# ---------------------------------------------------------------------- classes

NAMED = {0: "sky", 1: "road", 2: "traffic light", 3: "car"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("README.md", "2019, 240 images, 5.0 MB.\n0..3 = sky, road, traffic light, car; 4 = unlabelled. See 12: x.\n"),
        ("README.txt", "Classes:\n  0: sky\n  1: road\n  2: traffic light\n  3: car\n  4: void\n"),
        ("notes.txt", "classes\n- 0 = sky\n- 1 = road\n- 2 = traffic light\n- 3 = car\n- 4 = ignore\n"),
        ("labels.txt", "0 sky\n1 road\n2 traffic light\n3 car\n4 unlabeled\n"),
        ("classes.txt", "sky\nroad\ntraffic light\ncar\nvoid\n"),
        ("class_dict.csv", "name,id\nsky,0\nroad,1\ntraffic light,2\ncar,3\nvoid,4\n"),
    ],
)  # fmt: skip
def test_named_classes_and_an_ignored_one(tmp_path, file, text):
    data = planted(classes=4)
    folder = write(tmp_path / "d", data, change=lambda m: m)
    (folder / file).write_text(text)
    competition, found = inferred(folder)
    assert {v: k for k, v in competition.classes.items()} == NAMED
    assert competition.data.ignore == [4]
    assert competition.data.mask_values == "classes"
    check_masks(competition, found, data, lambda m: np.where(m == 4, 255, m))


def test_a_readme_with_numbers_names_no_class(tmp_path):
    folder = write(tmp_path / "d", planted(classes=4), change=lambda m: m)
    (folder / "README.md").write_text(
        "Source: x @ 8c27d81e64, 2019\nFigure 3: Results\nat 10:30 we\n240 images, 5.0 MB\n2: Electric Boogaloo\n"
    )
    competition, _ = inferred(folder)
    assert competition.classes == {"background": 0, "class1": 1, "class2": 2, "class3": 3, "class4": 4}


@pytest.mark.parametrize("values", [[0, 85, 170, 255], [0, 50, 100, 150], [0, 128, 255], [1, 2, 3], [0, 1, 255]])
def test_codes_of_classes(tmp_path, values):
    data = planted(classes=len(values) - 1)
    table = np.array(values, np.uint8)
    competition, found = inferred(write(tmp_path / "d", data, change=lambda m: table[m]))
    ignored = values == [0, 1, 255]
    assert competition.data.ignore == ([255] if ignored else [])
    assert sorted(competition.classes.values()) == (values[:2] if ignored else values)
    check_masks(competition, found, data, lambda m: np.where(m == 2, 255, m) if ignored else m)


def test_classes_up_to_150_with_a_rare_one(tmp_path):
    data = planted(90, classes=2)
    ids = list(data)
    labels = {
        id: m * 0 + np.arange(SIZE[1], dtype=np.uint8)[None] + np.uint8(i)
        for i, (id, (_, m)) in enumerate(data.items())
    }
    labels[ids[1]][0, 0] = 150
    data = {id: (image, labels[id]) for id, (image, _) in data.items()}
    competition, found = inferred(write(tmp_path / "d", data, change=lambda m: m))
    values = sorted(competition.classes.values())
    assert values == [*range(121), 150]
    check_masks(competition, found, data, lambda m: np.searchsorted(values, m))


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("{0}/{1}.png", "{0}annot/{1}.png"),
        ("{0}/images/{1}.png", "{0}/masks/{1}.png"),
        ("images/{0}/{1}.png", "annotations/{0}/{1}.png"),
    ],
)
@pytest.mark.parametrize("names", [("train", "val", "test"), ("training", "validation", "testing")])
def test_official_splits(tmp_path, images, masks, names):
    data = planted(24, classes=3)
    parts = dict(zip(data, [0] * 14 + [1] * 5 + [2] * 5, strict=True))
    for id, part in parts.items():
        write(
            tmp_path / "d",
            {id: data[id]},
            images.format(names[part], "{}"),
            masks.format(names[part], "{}"),
            lambda m: m,
        )
    competition, found = inferred(tmp_path / "d")
    assert {s.id: s.split for s in found.train} == {id: ("train", "val")[p] for id, p in parts.items() if p < 2}
    assert {s.id for s in found.test} == {id for id, p in parts.items() if p == 2}
    assert competition.data.test_masks == masks.format(names[2], "{id}")
    check_masks(competition, found, {id: d for id, d in data.items() if parts[id] < 2}, lambda m: m)


def test_splits_that_use_the_same_names(tmp_path):
    first, second = planted(8), planted(8, seed=1)
    assert first.keys() == second.keys()
    for split, data in {"train": first, "val": second, "test": first}.items():
        write(tmp_path / "d", data, f"{split}/images/{{}}.png", f"{split}/labels/{{}}.png")
    competition, found = inferred(tmp_path / "d")
    both = {f"train_{id}": d for id, d in first.items()} | {f"val_{id}": d for id, d in second.items()}
    check_masks(competition, found, both)
    assert all(s.split == s.id.partition("_")[0] for s in found.train)
    assert len(found.test) == 8


def test_a_leak_between_official_splits_is_left_to_the_audit(tmp_path):
    data = planted(12)
    shared = next(iter(data.values()))
    for split, ids in {"train": list(data)[:8], "test": list(data)[8:]}.items():
        write(tmp_path / "d", {i: data[i] for i in ids}, f"{split}/images/{{}}.png", f"{split}/masks/{{}}.png")
    write(tmp_path / "d", {"copy": shared}, "test/images/{}.png", "test/masks/{}.png")
    _, found = inferred(tmp_path / "d")
    assert (len(found.train), len(found.test), found.problems) == (8, 5, [])


@pytest.fixture
def by_class(tmp_path):
    """Masks in a folder a class: later classes on top, one that overlaps the first."""
    data = planted(8, classes=3)
    folder = write(tmp_path / "d", data, masks=None)
    layers = {}
    for id, (_, labels) in data.items():
        layers[id] = {"cup": labels >= 1, "disc": labels == 1, "vessel": labels == 3}
        for name, mask in layers[id].items():
            save(folder / f"masks/{name}/{id}.png", mask * np.uint8(255))
    return folder, layers


def merged(layers, names):
    out = np.zeros(SIZE, np.uint8)
    for i, name in enumerate(names, 1):
        out[layers[name]] = i
    return out


@pytest.mark.parametrize("left_out", [[], ["disc"], ["cup", "vessel"]])
def test_a_folder_a_class_is_merged_into_one_map(by_class, left_out):
    folder, layers = by_class
    competition, found = inferred(folder, f"data.exclude_classes={left_out}")
    names = [n for n in ("cup", "disc", "vessel") if n not in left_out]
    assert competition.data.train_masks == "masks/{class}/{id}.png"
    read = read_all(competition, found)
    assert read.keys() == layers.keys()
    for id, known in layers.items():
        np.testing.assert_array_equal(read[id], merged(known, names))


def test_a_folder_a_class_as_several_labels_at_once(by_class):
    folder, layers = by_class
    competition, found = inferred(folder, "labels=many", 'data.exclude_classes=["disc"]')
    for id, mask in read_all(competition, found).items():
        np.testing.assert_array_equal(mask, np.stack([layers[id][n] for n in ("cup", "vessel")]))


def test_a_folder_a_class_in_every_official_part(tmp_path):
    """The test masks of the classes are those of the training classes, and no others."""
    data = planted(18, classes=3)
    parts = dict(zip(data, ["train"] * 10 + ["val"] * 4 + ["test"] * 4, strict=True))
    for id, part in parts.items():
        image, labels = data[id]
        save(tmp_path / "d" / f"{part}/images/{id}.png", image)
        for n, name in enumerate(("cup", "disc", "vessel"), 1):
            save(tmp_path / f"d/{part}/masks/{name}/{id}.png", (labels == n) * np.uint8(255))
    competition, found = inferred(tmp_path / "d")
    assert competition.data.train_masks == ["train/masks/{class}/{id}.png", "val/masks/{class}/{id}.png"]
    assert competition.data.test_masks == "test/masks/{class}/{id}.png"
    assert {s.id: s.split for s in found.train} == {id: p for id, p in parts.items() if p != "test"}
    assert {s.id for s in found.test} == {id for id, p in parts.items() if p == "test"}
    check_masks(competition, found, {id: d for id, d in data.items() if parts[id] != "test"}, lambda m: m)
    tests = mask_targets([competition.data.test_masks], competition.data, tmp_path / "d")
    for id, target in tests.items():
        sample = Sample(id, target.where, class_masks=target.class_masks)
        np.testing.assert_array_equal(read_target(competition, sample, SIZE), data[id][1])


def test_a_second_drawing_of_the_masks_is_no_class(tmp_path):
    data = planted(8, classes=3)
    folder = write(tmp_path / "d", data, "JPEGImages/{}.jpg", "SegmentationClass/{}.png", lambda m: m)
    write(folder, data, "JPEGImages/{}.jpg", "SegmentationObject/{}.png", lambda m: m)
    competition, found = inferred(folder)
    assert competition.data.train_masks == "SegmentationClass/{id}.png"
    check_masks(competition, found, data, lambda m: m)


# ---------------------------------------------------------------------- instances


def objects(n=12, seed=0):
    """{id: (image, labels)} with 1 to 7 blocks of different sizes."""
    rng = np.random.default_rng(seed)
    out = {}
    for i in range(n):
        labels = np.zeros(SIZE, np.uint16)
        for k in range(1, 2 + i % 7):
            y, x = 6 * ((k - 1) // 4), 8 * ((k - 1) % 4)
            labels[y : y + int(rng.integers(3, 6)), x : x + int(rng.integers(3, 7))] = k
        image = rng.integers(0, 40, (*SIZE, 3)).astype(np.uint8)
        image[labels > 0] += np.uint8(180)
        out[f"n{i * 7:03x}"] = (image, labels)
    return out


def same_objects(read, labels):
    return {(read == k).tobytes() for k in np.unique(read) if k} == {
        (labels == k).tobytes() for k in np.unique(labels) if k
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbered_objects(tmp_path, dtype):
    data = objects()
    competition, found = inferred(write(tmp_path / "d", data, masks="labels/{}.png", change=lambda m: m.astype(dtype)))
    assert (competition.task, competition.submission.format) == ("instances", "rle_objects")
    check_masks(competition, found, data, lambda m: m)


@pytest.mark.parametrize("order", ["row", "column"])
@pytest.mark.parametrize("ending", ["", ".png"])
def test_a_row_an_object(tmp_path, order, ending):
    data = objects()
    folder = write(tmp_path / "d", data, "stage1_train/{}.png", None)
    rows = ["ImageId,EncodedPixels"]
    for id, (_, labels) in data.items():
        rows += [f"{id}{ending},{rle.encode(labels == k, order)}" for k in range(1, labels.max() + 1)]
    (folder / "stage1_train_labels.csv").write_text("\n".join(rows))
    competition, found = inferred(folder)
    assert (competition.task, competition.submission.order) == ("instances", order)
    assert competition.submission.value_column == "EncodedPixels"
    read = read_all(competition, found)
    assert all(same_objects(read[id], labels) for id, (_, labels) in data.items())


def test_a_folder_a_sample_as_the_data_science_bowl_came(tmp_path):
    data = objects()
    for id, (image, labels) in data.items():
        save(tmp_path / f"d/stage1_train/{id}/images/{id}.png", np.dstack([image, image[:, :, 0] * 0 + 255]))
        for k in range(1, labels.max() + 1):
            save(tmp_path / f"d/stage1_train/{id}/masks/{id}{k:03}f.png", (labels == k) * np.uint8(255))
        save(tmp_path / f"d/stage1_test/t{id}/images/t{id}.png", image)
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, found.problems) == ("instances", [])
    assert {s.id for s in found.test} == {f"t{id}" for id in data}
    read = read_all(competition, found)
    assert all((read[id] == labels).all() for id, (_, labels) in data.items())
