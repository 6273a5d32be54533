"""Masks in colour: classes by colour, named by text files, with noise at edges; and colours that are no classes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from infer_drawing import SIZE, check_masks, inferred, planted, read_all, save, write
from PIL import Image

from podium.data.infer import infer
from podium.data.infer.colour_kinds import voc_colour
from podium.data.targets import read_target
from podium.errors import DataError

CAMVID = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Road": (128, 64, 128),
    "Car": (64, 0, 128),
    "Void": (0, 0, 0),
}
VOC = [voc_colour(n) for n in range(5)]


def table_of(colours):
    return np.array(list(colours), np.uint8)


def test_the_colours_of_pascal_voc():
    first = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert first == VOC
    assert (voc_colour(20), voc_colour(255)) == ((0, 64, 128), (224, 224, 192))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("class_dict.csv", "name,r,g,b\nSky,128,128,128\nBuilding,128,0,0\nRoad,128,64,128\n"
         "Car,64,0,128\nVoid,0,0,0\n"),
        ("classes.csv", "id;class;red;green;blue\n7;Sky;128;128;128\n8;Building;128;0;0\n9;Road;128;64;128\n"
         "10;Car;64;0;128\n11;Void;0;0;0\n"),
        ("label_colors.txt", "128 128 128\tSky\n128 0 0\tBuilding\n128 64 128\tRoad\n64 0 128\tCar\n0 0 0\tVoid\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nSky:128,128,128::\nBuilding:128,0,0::\nRoad:128,64,128::\n"
         "Car:64,0,128::\nVoid:0,0,0::\n"),
        ("README.md", "Colours:\n- Sky: #808080\n- Building: #800000\n- Road: #804080\n- Car: #400080\n"
         "- Void: #000000\n"),
        ("colors.txt", "0 Sky [128, 128, 128]\n1 Building [128, 0, 0]\n2 Road [128, 64, 128]\n3 Car [64, 0, 128]\n"
         "4 Void [0, 0, 0]\n"),
        ("masks/codes.txt", "Sky 128 128 128\nBuilding 128 0 0\nRoad 128 64 128\nCar 64 0 128\nVoid 0 0 0\n"),
    ],
)  # fmt: skip
def test_colours_that_a_text_file_names(tmp_path, file, text):
    data = planted(classes=4)
    folder = write(tmp_path / "d", data, change=lambda m: table_of(CAMVID.values())[m])
    (folder / file).write_text(text)
    competition, found = inferred(folder)
    assert (competition.task, competition.data.mask_values) == ("segmentation", "colours")
    assert competition.classes == {"Sky": 0, "Building": 1, "Road": 2, "Car": 3}
    assert competition.data.ignore == ["Void"]
    assert {n: tuple(c) for n, c in competition.colours.items()} == CAMVID
    assert file.rpartition("/")[2] in infer(folder, "n").why["colours"]
    check_masks(competition, found, data, lambda m: np.where(m == 4, 255, m))


@pytest.mark.parametrize("missing", ["Car", "Void"])
def test_a_colour_that_the_file_lacks_is_a_class_of_its_own(tmp_path, missing):
    data = planted(classes=4)
    folder = write(tmp_path / "d", data, change=lambda m: table_of(CAMVID.values())[m])
    rows = [f"{n},{r},{g},{b}" for n, (r, g, b) in CAMVID.items() if n != missing]
    (folder / "class_dict.csv").write_text("\n".join(["name,r,g,b", *rows, "Train,1,200,7"]))
    competition, found = inferred(folder)
    own = "rgb_" + "_".join(map(str, CAMVID[missing]))
    assert own in competition.classes
    assert "Train" in competition.classes, "a class of the file that no mask here holds"
    assert found.problems == []
    order = sorted(competition.classes, key=lambda n: competition.classes[n])
    for id, mask in read_all(competition, found).items():
        assert ((mask == order.index(own)) == (data[id][1] == list(CAMVID).index(missing))).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "gif"])
def test_colours_that_nothing_names(tmp_path, mode):
    colours = [(10, 20, 30), (250, 50, 50), (0, 0, 0), (90, 160, 220)]
    data = planted(classes=3)

    def change(m):
        image = Image.fromarray(table_of(colours)[m])
        return image.quantize(4) if mode in ("P", "gif") else image.convert(mode)

    folder = write(tmp_path / "d", data, masks=f"masks/{{}}.{'gif' if mode == 'gif' else 'png'}", change=change)
    competition, found = inferred(folder)
    if mode in ("P", "gif") and competition.data.mask_values == "classes":
        pytest.skip("quantised to the same palette each time: indices")
    assert competition.classes == {"background": 0, "class1": 1, "class2": 2, "class3": 3}
    order = [tuple(c) for c in competition.colours.values()]
    assert order == [(0, 0, 0), (10, 20, 30), (90, 160, 220), (250, 50, 50)]
    check_masks(competition, found, data, lambda m: np.array([order.index(c) for c in colours])[m])


def test_palettes_that_differ_from_file_to_file_are_read_by_colour(tmp_path):
    data = planted(classes=3)
    turn = iter(range(100))

    def change(m):
        order = np.roll(np.arange(4), next(turn))
        image = Image.fromarray(order[m].astype(np.uint8), "P")
        image.putpalette(table_of(VOC)[np.argsort(order)].ravel().tolist())
        return image

    competition, found = inferred(write(tmp_path / "d", data, change=change))
    assert competition.data.mask_values == "colours"
    check_masks(competition, found, data, lambda m: m)


@pytest.mark.parametrize("names", ["", "0: background\n1: aeroplane\n2: bicycle\n3: bird\n4: boat\n5: bottle\n"])
def test_pascal_vocs_palette_written_as_rgb(tmp_path, names):
    data = planted(classes=4)
    numbers = np.array([0, 1, 3, 5, 255]) if names else np.array([0, 1, 2, 3, 255])
    folder = write(tmp_path / "d", data, "JPEGImages/{}.jpg", "SegmentationClass/{}.png",
                   lambda m: table_of([voc_colour(n) for n in numbers])[m])  # fmt: skip
    if names:
        (folder / "classes.txt").write_text(names)
    competition, found = inferred(folder)
    assert sorted(competition.classes.values()) == numbers[:4].tolist()
    assert competition.data.ignore == ["void"]
    if names:
        assert set(competition.classes) == {"background", "aeroplane", "bird", "bottle"}
    assert "Pascal VOC" in infer(folder, "n").why["classes"]
    check_masks(competition, found, data, lambda m: np.where(m == 4, 255, m))


def large(n=6, seed=0):
    """{id: (image, labels)} of 160 x 200 with classes 0 to 3 in pieces of many sizes."""
    rng = np.random.default_rng(seed)
    out = {}
    for i in range(n):
        labels = np.zeros((160, 200), np.uint8)
        labels[rng.integers(60, 100) :] = 1
        for k in range(14):
            centre = (int(rng.integers(10, 190)), int(rng.integers(10, 150)))
            cv2.circle(labels, centre, int(rng.integers(5, 25)), int(2 + k % 2), -1)
        out[f"{'kmqz'[i % 4]}{i * 37}"] = (rng.integers(0, 255, (160, 200, 3), dtype=np.uint8), labels)
    return out


@pytest.mark.parametrize("quality", [95, 75])
def test_jpeg_masks_in_colour(tmp_path, quality):
    data = large()
    for id, (image, labels) in data.items():
        save(tmp_path / f"d/images/{id}.jpg", image)
        save(tmp_path / f"d/masks/{id}.jpg", table_of(VOC)[labels], quality=quality)
    competition, found = inferred(tmp_path / "d")
    assert [tuple(c) for c in competition.colours.values()] == VOC[:4]
    assert "noise at edges" in infer(tmp_path / "d", "n").why["data.mask_values"]
    for sample in found.train:
        wrong = read_target(competition, sample, (160, 200)) != data[sample.id][1]
        assert wrong.mean() < 0.02


def test_soft_edges_between_two_classes_are_no_third(tmp_path):
    """(64, 0, 0) lies between black and (128, 0, 0): a pixel of an edge must not become it."""
    colours = [(0, 0, 0), (128, 0, 0), (64, 0, 0), (0, 128, 0)]
    data = large()
    for id, (image, labels) in data.items():
        save(tmp_path / f"d/images/{id}.png", image)
        save(tmp_path / f"d/masks/{id}.png", cv2.GaussianBlur(table_of(colours)[labels], (5, 5), 0))
    competition, found = inferred(tmp_path / "d")
    assert sorted(tuple(c) for c in competition.colours.values()) == sorted(colours)
    order = [tuple(c) for c in competition.colours.values()]
    number = np.array([order.index(c) for c in colours])
    for sample in found.train:
        truth = number[data[sample.id][1]]
        read = read_target(competition, sample, (160, 200))
        nearest = np.abs(np.asarray(Image.open(sample.mask)).astype(int)[:, :, None] - np.array(order)).sum(3).argmin(2)
        assert (read != truth).mean() < 0.004
        assert (read != truth).sum() < (nearest != truth).sum()


@pytest.mark.parametrize("colours", [[(0, 0, 0), (255, 0, 0)], [(128, 0, 64), (0, 200, 0)]])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_two_colours_are_one_foreground(tmp_path, colours, suffix):
    data = {k: (image, (m > 1).astype(np.uint8)) for k, (image, m) in large().items()}
    for id, (image, labels) in data.items():
        save(tmp_path / f"d/images/{id}.png", image)
        save(tmp_path / f"d/masks/{id}.{suffix}", table_of(colours)[labels])
    competition, found = inferred(tmp_path / "d")
    assert competition.binary
    for sample in found.train:
        read = read_target(competition, sample, (160, 200))
        assert read.dtype == np.bool_
        assert (read != data[sample.id][1]).mean() < 0.02


def test_a_colour_for_each_object_is_refused_with_a_remedy(tmp_path):
    rng = np.random.default_rng(0)
    folder = write(tmp_path / "d", planted(classes=3), change=lambda m: rng.integers(60, 255, (4, 3), np.uint8)[m])
    with pytest.raises(DataError, match="most of them in one mask only: those of objects") as caught:
        infer(folder, "n")
    assert "number them" in caught.value.remedy


def test_photographs_are_no_masks_in_colour(tmp_path):
    data = planted()
    folder = write(tmp_path / "d", data, masks=None)
    rng = np.random.default_rng(0)
    for id in data:
        save(folder / f"masks/{id}.png", cv2.GaussianBlur(rng.integers(0, 255, (*SIZE, 3), np.uint8), (0, 0), 2))
    with pytest.raises(DataError, match="no mask has a flat colour"):
        infer(folder, "n")


def test_greys_that_a_file_of_colours_names(tmp_path):
    data = planted(classes=2)
    folder = write(tmp_path / "d", data, change=lambda m: np.dstack([np.array([0, 128, 255], np.uint8)[m]] * 3))
    (folder / "class_dict.csv").write_text("name,r,g,b\nsoil,0,0,0\ncrop,128,128,128\nweed,255,255,255\n")
    competition, found = inferred(folder)
    assert competition.classes == {"soil": 0, "crop": 128, "weed": 255}
    check_masks(competition, found, data, lambda m: m)


@pytest.mark.real_data
def test_camvid_drawn_in_its_colours_reads_as_its_numbers(tmp_path, real_data):
    """Every fortieth mask of camvid, written as the original data set has them."""
    names = ["Sky", "Building", "Pole", "Road", "Pavement", "Tree", "Sign", "Fence", "Car", "Person", "Bicycle", "Void"]
    table = np.array(
        [(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0), (192, 128, 128),
         (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192), (0, 0, 0)], np.uint8,
    )  # fmt: skip
    camvid = real_data / "camvid"
    numbers = {path.stem: path for path in sorted((camvid / "trainannot").glob("*.png"))[::40]}
    for id, path in numbers.items():
        save(tmp_path / f"d/train_labels/{id}_L.png", table[np.asarray(Image.open(path))])
        (tmp_path / "d/train").mkdir(exist_ok=True)
        (tmp_path / f"d/train/{id}.jpg").write_bytes((camvid / f"train/{id}.jpg").read_bytes())
    text = "\n".join(f"{r} {g} {b}\t{n}" for n, (r, g, b) in zip(names, table.tolist(), strict=True))
    (tmp_path / "d/label_colors.txt").write_text(text)
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {n: i for i, n in enumerate(names[:-1])}
    assert competition.data.ignore == ["Void"]
    for sample in found.train:
        truth = np.asarray(Image.open(numbers[sample.id]))
        np.testing.assert_array_equal(read_target(competition, sample, truth.shape), np.where(truth == 11, 255, truth))
