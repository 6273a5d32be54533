"""Several mask files an image: an object, a class or a part each, in folders called like images or in their names."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import inferred, planted, save

from podium.data.infer import infer
from podium.data.targets import read_target
from podium.errors import ConfigError, DataError
from podium.workspace import Workspace

SHAPE = (24, 32)


def dot(i):
    """A mask of one square, in another place for each number."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[4 * (i % 5) : 4 * (i % 5) + 3, 5 * (i // 5) : 5 * (i // 5) + 3] = 255
    return mask


def drawn(folder, masks, images="images/{}.png", n=8):
    """Images c_0, c_1 … and of each the masks that ``masks`` gives for its number, {path: pixels}."""
    for i, (image, _) in enumerate(planted(n).values()):
        save(folder / images.format(f"c_{i}"), image)
        for name, pixels in masks(i).items():
            save(folder / name, pixels)
    return folder


@pytest.mark.parametrize(
    "name",
    ["masks/{id}/{k}.png", "masks/{id}/m{k}.png", "masks/{id}/{id}_{k}.png", "masks/{id}_{k}.png"],
)
@pytest.mark.parametrize("top", ["", "train/"])
def test_a_file_an_object(tmp_path, name, top):
    counts = [1 + i % 3 for i in range(8)]
    folder = drawn(
        tmp_path / "d",
        lambda i: {top + name.format(id=f"c_{i}", k=k): dot(3 * i % 11 + k) for k in range(counts[i])},
        top + "images/{}.png",
    )
    competition, samples = inferred(folder)
    assert competition.task == "instances"
    assert not samples.problems
    assert [int(read_target(competition, s, SHAPE).max()) for s in samples.train] == counts


@pytest.mark.parametrize("name", ["masks/{}_{}.png", "gt/{}_attribute_{}.png", "masks/{}/{}.png"])
def test_a_file_a_class(tmp_path, name):
    classes = {"liver": 0, "left_kidney": 7}
    folder = drawn(tmp_path / "d", lambda i: {name.format(f"c_{i}", c): dot(k) for c, k in classes.items()})
    competition, samples = inferred(folder)
    assert competition.classes == {"background": 0, "left_kidney": 1, "liver": 2}
    assert not samples.problems
    target = read_target(competition, samples.train[0], SHAPE)
    assert np.array_equal(target, 1 * (dot(7) > 0) + 2 * (dot(0) > 0))


@pytest.mark.parametrize("images", ["images/{}.png", "masks/{}.png"], ids=["beside each other", "in one folder"])
def test_further_parts_of_a_mask_are_merged_into_it(tmp_path, images):
    def masks(i):
        return {f"masks/c_{i}_mask.png": dot(0)} | ({f"masks/c_{i}_mask_1.png": dot(8)} if i in (2, 5) else {})

    competition, samples = inferred(drawn(tmp_path / "d", masks, images))
    assert competition.task == "segmentation"
    assert (len(samples.train), samples.problems) == (8, [])
    areas = [int(read_target(competition, s, SHAPE).sum()) for s in samples.train]
    assert areas == [9, 9, 18, 9, 9, 18, 9, 9]


def test_a_folder_a_class_with_an_ending_of_its_own(tmp_path):
    folder = drawn(tmp_path / "d", lambda i: {f"gt/1. Disc/c_{i}_OD.png": dot(0), f"gt/2. Cup/c_{i}_CU.png": dot(6)})
    competition, samples = inferred(folder)
    assert list(competition.classes) == ["background", "1. Disc", "2. Cup"]
    assert not samples.problems
    assert set(np.unique(read_target(competition, samples.train[0], SHAPE))) == {0, 1, 2}


@pytest.mark.parametrize("name", ["mask_{}", "{}_mask"])
def test_folders_of_classes_beside_that_of_the_images(tmp_path, name):
    folder = drawn(tmp_path / "d", lambda i: {f"{name.format(c)}/c_{i}.png": dot(k) for c, k in (("a", 0), ("b", 9))})
    competition, samples = inferred(folder)
    assert competition.classes == {"background": 0, "a": 1, "b": 2}
    assert (len(samples.train), samples.problems) == (8, [])


def test_of_several_readers_the_first_is_read(tmp_path):
    folder = drawn(tmp_path / "d", lambda i: {f"masks_expert{r}/c_{i}.png": dot(r) for r in (1, 2)})
    inference = infer(folder, "d")
    assert inference.competition.data.train_masks == "masks_expert1/{id}.png"
    assert "passed over: masks_expert2" in inference.why["data.train_masks"]


def test_masks_that_would_be_lost_are_an_error(tmp_path):
    odd = ["x", "y", "zz", "w", "v", "u", "t", "s"]
    folder = drawn(
        tmp_path / "d",
        lambda i: {f"masks/c_{i}_m.png": dot(0)} | {f"masks/c_{i}_{a}.png": dot(1) for a in odd[i : i + 1 + i % 2]},
    )
    with pytest.raises(DataError, match="belong to images that have another"):
        infer(folder, "d")


def test_no_sample_is_said_without_temporary_paths(tmp_path):
    folder = drawn(tmp_path / "d", lambda i: {f"masks/c_{i}.png": dot(0)})
    with pytest.raises((DataError, ConfigError), match="no sample has both an image and a mask") as error:
        Workspace.new(tmp_path / "w", folder, ["data.train_masks=masks/c{id}.png", "data.train_images=images/*.png"])
    assert ".tmp" not in str(error.value)
    assert not (tmp_path / "w").exists()
