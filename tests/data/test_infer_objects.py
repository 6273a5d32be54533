"""Small numbers in masks: classes or objects, told by what their regions look like."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from infer_drawing import inferred, save

from podium.data.infer import infer
from podium.data.infer.objects import Region, regions, told_by_regions

HIGH, WIDE = 96, 128
LOOKS = {
    1: (26, (230, 80, 60)),
    2: (16, (60, 200, 80)),
    3: (10, (70, 90, 220)),
    4: (7, (220, 210, 60)),
    5: (5, (90, 30, 90)),
}
"""The radius and colour of each class."""


def drawn(kind, n=24, most=5, seed=0):
    """{id: (image, labels)}; an image holds 1 to ``most`` numbers without a gap, so that these alone tell nothing."""
    rng = np.random.default_rng(seed)
    out = {}
    for i in range(n):
        labels = np.zeros((HIGH, WIDE), np.uint16)
        image = rng.integers(0, 60, (HIGH, WIDE, 3)).astype(np.int64)
        shapes = []
        for value in range(1, 2 + i % most):
            radius, colour = (
                LOOKS[value] if kind in ("organs", "scenes") else (int(rng.integers(5, 14)), (150, 140, 160))
            )
            pieces, part = (4, 2) if kind == "scenes" else (1, 1)
            shapes += [(radius // part, np.array(colour) + rng.integers(-20, 20, 3)) for _ in range(pieces)]
        for k, (radius, colour) in enumerate(shapes):
            value = 1 + (k // 4 if kind == "scenes" else k)
            mask = np.zeros(labels.shape, np.uint8)
            while not mask.any():
                centre = int(rng.integers(15, WIDE - 15)), int(rng.integers(15, HIGH - 15))
                cv2.circle(mask, centre, radius, 1, -1)
                mask[labels > 0] = 0
            labels[mask > 0] = value
            image[mask > 0] = colour + rng.integers(0, 20)
        if kind == "by size":
            largest_first = np.argsort(-np.bincount(labels.ravel())[1:]) + 1
            labels = np.append(0, np.argsort(largest_first) + 1)[labels]
        out[f"{'kmqz'[i % 4]}{i * 37}"] = (image.clip(0, 255).astype(np.uint8), labels)
    return out


def written(folder, data, dtype=np.uint8):
    for id, (image, labels) in data.items():
        save(folder / f"images/{id}.png", image)
        save(folder / f"masks/{id}.png", labels.astype(dtype))
    return folder


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most", [3, 5])
@pytest.mark.parametrize(
    ("kind", "task", "why"),
    [
        ("organs", "segmentation", "same size or colour in all images"),
        ("scenes", "segmentation", "lie in separate pieces"),
        ("cells", "instances", "does not look alike in several images"),
        ("by size", "instances", "does not look alike in several images"),
    ],
)
def test_numbers_of_classes_and_of_objects(tmp_path, kind, task, why, most, seed):
    folder = written(tmp_path / "d", drawn(kind, most=most, seed=seed))
    competition, found = inferred(folder)
    assert competition.task == task
    assert why in infer(folder, "n").why["data.mask_values"]
    assert found.problems == []
    assert len(competition.classes) == (1 if task == "instances" else most + 1)


def test_names_for_all_values_make_them_classes(tmp_path):
    folder = written(tmp_path / "d", drawn("cells", most=3))
    (folder / "classes.txt").write_text("soil\ncrop\nweed\nstone\n")
    competition, _ = inferred(folder)
    assert competition.classes == {"soil": 0, "crop": 1, "weed": 2, "stone": 3}
    assert "names them all" in infer(folder, "n").why["data.mask_values"]


def test_the_same_values_in_every_mask_are_classes(tmp_path):
    data = drawn("cells", n=10, most=1)
    for i, (_, labels) in enumerate(data.values()):
        labels[:6, 6 * i : 6 * i + 6], labels[-6:, 6 * i : 6 * i + 6] = 2, 3
    competition, _ = inferred(written(tmp_path / "d", data))
    assert (competition.task, len(competition.classes)) == ("segmentation", 4)


def test_one_outline_in_pieces_does_not_make_objects_classes(tmp_path):
    """An object may be cut in two by one above it."""
    data = drawn("cells", most=5)
    for _, labels in list(data.values())[::6]:
        rows = np.nonzero(labels == 1)[0]
        labels[int(rows.mean())] = 0
    competition, _ = inferred(written(tmp_path / "d", data))
    assert competition.task == "instances"


def test_regions_of_a_mask():
    labels = np.zeros((10, 20), np.uint16)
    labels[1:4, 1:4], labels[6:9, 1:4], labels[6:9, 10:18] = 1, 1, 7
    image = np.full((10, 20, 3), 51, np.uint8)
    image[labels == 7] = (255, 0, 102)
    one, seven = regions(labels, image)
    assert (one.number, one.pieces, seven.number, seven.pieces) == (1, 2, 7, 1)
    np.testing.assert_allclose(one.traits, [np.log(18 / 200), 0.2, 0.2, 0.2])
    np.testing.assert_allclose(seven.traits, [np.log(24 / 200), 1, 0, 0.4])
    assert regions(labels, image[:5])[0].traits == pytest.approx([np.log(18 / 200)]), "an image of another size"
    assert regions(labels * 0, image) == []


def test_too_little_tells_nothing():
    few = [[Region(n, 1, (float(n + i), 0.1)) for n in (1, 2)] for i in range(2)]
    assert told_by_regions(few) == (None, "")
    assert told_by_regions([]) == (None, "")
    rng = np.random.default_rng(0)
    unsure = [[Region(n, 1, (rng.normal(), rng.normal())) for n in (1, 2)] for _ in range(4)]
    assert told_by_regions(unsure) == (None, ""), "by chance as much is explained"


def test_it_does_not_depend_on_the_light_of_an_image():
    rng = np.random.default_rng(0)
    masks = []
    for _ in range(12):
        light = rng.normal(0, 10)
        masks.append([Region(n, 1, (rng.normal(0, 0.1), n + light + rng.normal(0, 0.2))) for n in (1, 2, 3)])
    objects, why = told_by_regions(masks)
    assert objects is False
    assert "same size or colour" in why
