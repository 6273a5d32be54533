"""Several folders of images for one folder of masks, and cases whose files are called the same."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import inferred, planted, save, write

from podium.data.infer import infer


@pytest.mark.parametrize(
    ("kept", "others"),
    [
        ("images", ["overlays"]),
        ("rgb", ["depth", "normals"]),
        ("original", ["a_copy_with_contours"]),
        ("t1", ["t2"]),
    ],
)
def test_one_folder_of_images_is_kept_and_the_others_are_told(tmp_path, kept, others):
    data = planted(8)
    for name in (kept, *others):
        write(tmp_path / "d", data, images=f"train/{name}/{{}}.png", masks="train/masks/{}.png")
        write(tmp_path / "d", planted(3, seed=1), images=f"test/{name}/x{{}}.png", masks="")
    inference = infer(tmp_path / "d", "d")
    assert inference.competition.data.train_images == f"train/{kept}/*.png"
    assert inference.competition.data.test_images == f"test/{kept}/*.png"
    assert f"passed over: {', '.join(f'train/{name}' for name in others)}" in inference.why["data.train_images"]
    _, samples = inferred(tmp_path / "d")
    assert (len(samples.train), len(samples.test), samples.problems) == (8, 3, [])


def test_folders_of_different_images_may_share_masks(tmp_path):
    data = planted(10)
    for i, (id, pair) in enumerate(data.items()):
        write(tmp_path / "d", {id: pair}, images=("a" if i % 2 else "b") + "/images/{}.png")
    _, samples = inferred(tmp_path / "d")
    assert len(samples.train) == 10


def test_masks_of_another_case_with_the_same_names_are_not_taken(tmp_path):
    for case in range(4):
        for k, (image, labels) in enumerate(planted(3, seed=case).values()):
            save(tmp_path / f"d/case{case}/frames/f{k}.png", image)
            save(tmp_path / f"d/case{case}/truth/masks/f{k}.png", labels * np.uint8(255))
    _, samples = inferred(tmp_path / "d")
    assert len(samples.train) == 12
    assert all(s.mask.parts[-4] == s.image.parts[-3] for s in samples.train)


def test_splits_of_several_places_that_use_the_same_names(tmp_path):
    counts = {"Train": 5, "Val": 3, "Test": 2}
    for split, n in counts.items():
        for place in ("Rural", "Urban"):
            for k, (image, labels) in enumerate(planted(n).values()):
                save(tmp_path / f"d/{split}/{place}/images_png/{k}.png", image)
                if split != "Test":
                    save(tmp_path / f"d/{split}/{place}/masks_png/{k}.png", labels * np.uint8(255))
    _, samples = inferred(tmp_path / "d")
    assert [sum(s.split == name for s in samples.train) for name in ("train", "val")] == [10, 6]
    assert all(s.mask.parts[-4:-2] == s.image.parts[-4:-2] for s in samples.train)
    assert (len(samples.test), samples.problems) == (4, [])
    assert len({s.id for s in (*samples.train, *samples.test)}) == 20


def test_a_second_reader_beside_the_images(tmp_path):
    data = planted(6)
    for masks in ("{}_1stHO.png", "{}_2ndHO.png"):
        write(tmp_path / "d", data, images="{}.jpg", masks=masks)
    competition, samples = inferred(tmp_path / "d")
    assert competition.data.train_masks == "{id}_1stHO.png"
    assert (len(samples.train), samples.problems) == (6, [])


def test_masks_in_a_folder_that_begins_like_that_of_the_images(tmp_path):
    for place in ("01", "02"):
        for k, (image, labels) in enumerate(planted(5, seed=int(place)).values()):
            save(tmp_path / f"d/{place}/t{k:03}.png", image)
            save(tmp_path / f"d/{place}_GT/SEG/man_seg{k:03}.png", labels * np.uint8(255))
    competition, samples = inferred(tmp_path / "d")
    assert len(samples.train) == 10
    assert len(competition.classes) == 1
    assert all(s.mask.parts[-3] == f"{s.image.parts[-2]}_GT" for s in samples.train)


def test_masks_beside_test_images_are_no_test_images(tmp_path):
    for folder, n in (("train", 6), ("testA", 3)):
        write(tmp_path / "d", planted(n, seed=n), f"{folder}/{folder}_{{}}.bmp", f"{folder}/{folder}_{{}}_anno.bmp")
    _, samples = inferred(tmp_path / "d")
    assert (len(samples.train), len(samples.test), samples.problems) == (6, 3, [])
