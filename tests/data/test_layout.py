"""What lies in a folder, and which names belong together."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from podium.data.layout import ImageFolder, pair_masks, scan, spread
from podium.data.layout import test_folder as find_test_folder
from podium.errors import DataError


def save(folder, name, mask=False):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray((pixels > 127).astype(np.uint8) * 255 if mask else pixels).save(path)


@pytest.mark.parametrize(
    ("image", "mask", "affix"),
    [
        ("train/{}.jpg", "train_masks/{}_mask.gif", ("", "_mask")),
        ("images/{}.png", "masks/{}.png", ("", "")),
        ("train/images/{}.png", "train/masks/{}.png", ("", "")),
        ("x/{}.jpg", "x/{}_mask.png", ("", "_mask")),
        ("{}.jpg", "{}-label.png", ("", "-label")),
        ("img/{}.jpg", "ground_truth/gt_{}.png", ("gt_", "")),
        ("a/{}.jpg", "b/{}.png", ("", "")),
        ("a b/{}.jpg", "ä.labels/seg {} ok.png", ("seg ", " ok")),
    ],
)
def test_images_find_their_masks(tmp_path, image, mask, affix):
    ids = ["car 1", "car 10", "ä.b", "z"]
    for id in ids:
        save(tmp_path, image.format(id))
        save(tmp_path, mask.format(id), mask=True)
    pairing = pair_masks(scan(tmp_path))[0]
    assert (pairing.before, pairing.after) == affix
    assert sorted(pairing.ids) == sorted(ids)
    assert all(pairing.mask_of(id) == tmp_path / mask.format(id) for id in ids)
    assert all(pairing.images.files[id] == tmp_path / image.format(id) for id in ids)


def test_pictures_of_the_same_names_are_no_masks(tmp_path):
    for id in "abc":
        save(tmp_path, f"left/{id}.png")
        save(tmp_path, f"right/{id}.png")
    assert pair_masks(scan(tmp_path)) == []


def test_training_comes_before_test_and_more_before_fewer(tmp_path):
    for id in "abc":
        save(tmp_path, f"test/images/{id}.png")
        save(tmp_path, f"test/masks/{id}.png", mask=True)
    for id in "xy":
        save(tmp_path, f"train/images/{id}.png")
        save(tmp_path, f"train/masks/{id}.png", mask=True)
    assert [p.images.path for p in pair_masks(scan(tmp_path))] == ["train/images", "test/images"]


def test_scan_lists_folders_and_tables_and_no_hidden_things(tmp_path):
    save(tmp_path, "a/x.PNG")
    save(tmp_path, ".hidden/y.png")
    save(tmp_path, "a/._z.png")
    (tmp_path / "a/t.csv").write_text("id\nx\n")
    layout = scan(tmp_path)
    assert [(f.path, list(f.files)) for f in layout.folders] == [("a", ["x"])]
    assert list(layout.tables) == ["a/t.csv"]


def test_scan_says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="not there"):
        scan(tmp_path / "none")
    with pytest.raises(DataError, match="no image found"):
        scan(tmp_path)
    (tmp_path / "f").touch()
    with pytest.raises(DataError, match="a file, not a folder"):
        scan(tmp_path / "f")


def test_a_pattern_finds_its_files_and_only_those(tmp_path):
    for folder in ("a [v2]", "a v", "b*", "."):
        save(tmp_path, f"{folder}/x.jpg")
        save(tmp_path, f"{folder}/y.JPG")
    for folder in scan(tmp_path).folders:
        assert sorted(tmp_path.glob(folder.pattern())) == sorted(folder.files.values())
    assert ImageFolder("t", {"a": tmp_path / "a.jpg"}).pattern(stem="{id}_m") == "t/{id}_m.jpg"


def test_the_test_folder_holds_the_wanted_ids_or_is_called_so(tmp_path):
    for name in ("stage2/c.png", "stage2/d.png", "test/e.png", "test_masks/e.png", "latest/f.png"):
        save(tmp_path, name)
    layout = scan(tmp_path)
    assert find_test_folder(layout, [], {"c", "d"}, ()).path == "stage2"
    assert find_test_folder(layout, [], {"c.png"}, ()).path == "stage2"
    assert find_test_folder(layout, [], set(), ()).path == "test"
    layout.folders = [f for f in layout.folders if f.path != "test"]
    assert find_test_folder(layout, [], set(), ()) is None


def test_spread_takes_evenly():
    assert spread(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert spread(list(range(3)), 5) == [0, 1, 2]
    assert spread([], 5) == []
