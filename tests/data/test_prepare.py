"""From files to stores: pixels exact, trouble kept as rows, and nothing made again that did not change."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from podium.data.geometry import resize
from podium.data.infer import infer
from podium.data.prepare import Preparer, decode_sample, pixel_digest
from podium.data.samples import list_samples
from podium.errors import StorageError
from podium.formats.images import read_image


class Game:
    def __init__(self, tiny, cache):
        self.tiny, self.cache = tiny, cache
        self.competition = infer(tiny.folder, "n").competition

    def samples(self):
        return list_samples(self.competition, self.tiny.folder)

    def train(self, size=None, **changes):
        competition = self.competition.with_overrides(changes)
        return Preparer(competition, self.cache).train(self.samples().train, size)


@pytest.fixture
def game(tmp_path, tiny_competition):
    return Game(tiny_competition(tmp_path / "d", table="t.csv", masks="m/{id}.png"), tmp_path / "cache")


def reused(stores):
    return [stage.reused for stage in stores.stages]


@pytest.mark.parametrize("size", [None, [16, 48]])
def test_stores_hold_what_the_files_hold(game, size):
    stores = game.train(size)
    assert stores.images.ids == stores.masks.ids == stores.truth.ids == sorted(game.tiny.masks)
    for i, sample in enumerate(game.samples().train):
        image, mask = read_image(sample.image), game.tiny.masks[sample.id]
        assert (stores.images.image(i) == (resize(image, size) if size else image)).all()
        assert (stores.truth.mask(i) == mask).all()
        wanted = resize(mask.astype(np.uint8) * 255, size) > 127 if size else mask
        assert (stores.masks.mask(i) == wanted).all()
    assert stores.truth.index["area"].to_list() == [int(game.tiny.masks[i].sum()) for i in stores.truth.ids]
    assert stores.problems == []
    assert (decode_sample(sample, None)[0] == image).all()


def test_run_length_masks_give_the_same_truth(tmp_path, tiny_competition):
    for order in ("row", "column"):
        tiny = tiny_competition(tmp_path / order, masks=None, table="t.csv", order=order)
        truth = Game(tiny, tmp_path / f"cache-{order}").train().truth
        assert all((truth.mask(i) == tiny.masks[id]).all() for i, id in enumerate(truth.ids))


# ---------------------------------------------------------------------- what is made again


def test_nothing_is_made_twice_nor_for_a_touched_file(game):
    assert reused(game.train([16, 16])) == [False, False, False]
    assert reused(game.train([16, 16])) == [True, True, True]
    for path in game.tiny.folder.rglob("*.*"):
        os.utime(path, ns=(1, 1))
    assert reused(game.train([16, 16])) == [True, True, True]


def test_a_changed_image_makes_the_images_again_and_says_so(game):
    game.train([16, 16])
    path = game.tiny.folder / "train/car0_01.jpg"
    image = Image.fromarray(255 - read_image(path))
    image.save(path)
    stores = game.train([16, 16])
    assert reused(stores) == [False, True, True]
    assert stores.stages[0].why == "1 files changed"
    assert (stores.images.image(0) == resize(read_image(path), [16, 16])).all()


def test_a_changed_mask_makes_only_the_targets_again(game):
    game.train([16, 16])
    Image.new("L", (32, 24)).save(game.tiny.folder / "m/car0_01.png")
    stores = game.train([16, 16])
    assert reused(stores) == [True, False, False]
    assert stores.truth.index["area"][0] == 0


def test_a_changed_setting_makes_again_what_reads_it(game):
    game.train([16, 16])
    other = game.train([8, 8])
    assert reused(other) == [False, True, False]
    assert other.stages[0].why == "size: [16, 16] -> [8, 8]"
    assert reused(game.train([16, 16])) == [True, True, True]
    assert reused(game.train([16, 16], data={"mask_values": "0/1"})) == [True, False, False]
    assert reused(game.train([16, 16], metric="iou", folds={"k": 3})) == [True, True, True]


def test_a_new_sample_is_noticed(game):
    game.train()
    for folder, suffix in (("train", ".jpg"), ("m", ".png")):
        (game.tiny.folder / folder / f"car9_01{suffix}").write_bytes(
            (game.tiny.folder / folder / f"car0_01{suffix}").read_bytes()
        )
    stores = game.train()
    assert [s.why for s in stores.stages] == ["1 files added", "1 files added"]
    assert len(stores.images) == 19


# ---------------------------------------------------------------------- trouble


def test_what_cannot_be_read_is_kept_as_a_row_with_its_reason(game):
    whole = (game.tiny.folder / "train/car0_01.jpg").read_bytes()
    (game.tiny.folder / "train/car0_01.jpg").write_bytes(whole[: len(whole) // 2])
    (game.tiny.folder / "train/car0_02.jpg").write_bytes(b"")
    (game.tiny.folder / "m/car0_03.png").write_bytes(b"no mask")
    Image.new("L", (7, 9)).save(game.tiny.folder / "m/car1_01.png")
    for size in (None, [16, 16]):
        stores = game.train(size)
        problems = {p.id: (p.file, p.reason) for p in stores.problems}
        assert sorted(problems) == ["car0_01", "car0_02", "car0_03", "car1_01"]
        assert problems["car0_01"][0] == problems["car0_02"][0] == "image"
        assert "empty (0 bytes)" in problems["car0_02"][1]
        assert problems["car0_03"][0] == "mask"
        assert problems["car1_01"][1] == "mask is 7x9, its image 32x24"
        image = read_image(game.tiny.folder / "train/car1_03.jpg")
        assert (stores.images.image(5) == (resize(image, size) if size else image)).all()


def test_a_bad_run_length_mask_is_a_problem_of_its_sample(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", masks=None, table="t.csv")
    lines = (tiny.folder / "t.csv").read_text().splitlines()
    lines[1] = "car0_01.jpg,700 700"
    (tiny.folder / "t.csv").write_text("\n".join(lines))
    (problem,) = Game(tiny, tmp_path / "cache").train().problems
    assert problem.id == "car0_01"
    assert "700" in problem.reason


def test_identical_is_what_is_identical_before_resizing(tmp_path, tiny_competition):
    game = Game(tiny_competition(tmp_path / "d", images="i/{id}.png", masks="m/{id}.png"), tmp_path / "cache")
    image = read_image(game.tiny.folder / "i/car0_01.png")
    for y in range(24):  # one pixel differs, and not so much that it shows at 4x4
        other = image.copy()
        other[y, 0] ^= 1
        if (resize(other, [4, 4]) == resize(image, [4, 4])).all():
            break
    Image.fromarray(other).save(game.tiny.folder / "i/car0_02.png")
    Image.open(game.tiny.folder / "i/car1_01.png").save(game.tiny.folder / "i/car1_02.png", compress_level=1)
    for size in (None, [4, 4]):
        store = game.train(size).images
        digests = dict(zip(store.ids, store.index["pixels"].to_list(), strict=True))
        assert digests["car0_01"] != digests["car0_02"]
        assert digests["car1_01"] == digests["car1_02"]
        assert len(set(digests.values())) == 17
    assert (store.image(0) == store.image(1)).all()


def test_a_digest_is_of_shape_and_pixels():
    a = np.arange(12, dtype=np.uint8)
    assert pixel_digest(a.reshape(2, 2, 3)) != pixel_digest(a.reshape(4, 1, 3))
    assert pixel_digest(a.reshape(2, 2, 3)) == pixel_digest(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    assert pixel_digest(a[::2]) == pixel_digest(a[::2].copy())


def test_images_that_fill_the_disk_are_not_kept_decoded(game, small_disk):
    test = game.samples().test
    assert Preparer(game.competition, game.cache).fits(test, None)
    assert not Preparer(game.competition, small_disk / "cache").fits(test, [400, 400])
    with pytest.raises(StorageError, match="this needs"):
        Preparer(game.competition, small_disk / "cache").images("test images", test, [2000, 2000])
