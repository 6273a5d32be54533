"""From files to stores: pixels exact, trouble kept as rows, and nothing made again that did not change."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from podium.data.geometry import resize
from podium.data.infer import infer
from podium.data.prepare import Preparer, decode_sample, pixel_digest
from podium.data.ready import make_ready
from podium.data.samples import list_samples
from podium.errors import DataError, StorageError
from podium.formats.images import read_image
from podium.recipe import InputConfig


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
    return Game(tiny_competition(tmp_path / "d", table="t.csv", masks="m/{id}.png"), tmp_path / ".podium/cache")


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
    assert stores.stages[0].why == "1 files changed; 17 copied, 1 decoded"
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
    assert reused(game.train([16, 16], data={"mask_values": "0/1"})) == [True, False, True]  # with equal pixels
    assert reused(game.train([16, 16], metric="iou", folds={"k": 3})) == [True, True, True]


def test_a_new_sample_is_noticed(game):
    game.train()
    for folder, suffix in (("train", ".jpg"), ("m", ".png")):
        (game.tiny.folder / folder / f"car9_01{suffix}").write_bytes(
            (game.tiny.folder / folder / f"car0_01{suffix}").read_bytes()
        )
    stores = game.train()
    assert [s.why for s in stores.stages] == ["1 files added; 19 copied", "1 files added; 19 copied"]
    assert len(stores.images) == 19


def test_a_step_makes_again_only_what_it_changes(game):
    plain = game.train()
    assert game.train(InputConfig(pad="zero", pad_side="end", pad_to=64, normalize="unit")).stages == plain_again(plain)
    pixels = game.train(InputConfig(clahe=[2, 8]))
    assert reused(pixels) == [False, True]
    assert pixels.stages[0].why == "clahe: None -> [2.0, 8]"
    cut = game.train(InputConfig(crop=[2, 4, 16, 16]))
    assert reused(cut) == [False, True, False]
    again = game.train(InputConfig(crop=[2, 4, 16, 16], channels="grey"))
    assert reused(again) == [False, True, True]
    assert cut.truth.folder == plain.truth.folder
    for i, id in enumerate(cut.images.ids):
        assert (cut.images.image(i) == plain.images.image(i)[2:18, 4:20]).all()
        assert (cut.masks.mask(i) == game.tiny.masks[id][2:18, 4:20]).all()
        assert (cut.truth.mask(i) == game.tiny.masks[id]).all()


def plain_again(stores):
    return [replace(stage, reused=True, why="nothing it reads has changed") for stage in stores.stages]


def test_files_that_mask_out_are_part_of_what_an_image_is_made_from(game):
    folder = game.cache.parent.parent / "keep"
    folder.mkdir()
    for sample in game.samples().train:
        Image.new("L", (32, 24), 255).save(folder / f"{sample.id}.png")
    given = InputConfig(mask_out="keep/{id}.png")
    assert (game.train(given).images.image(0) == game.train().images.image(0)).all()
    assert reused(game.train(given)) == [True, True]
    Image.new("L", (32, 24), 0).save(folder / "car0_01.png")
    changed = game.train(given)
    assert reused(changed) == [False, True]
    assert not changed.images.image(0).any()
    (folder / "car0_02.png").unlink()
    (problem,) = game.train(given).problems
    assert (problem.id, problem.file, problem.reason) == ("car0_02", "image", "no such file")


def test_a_crop_that_an_image_is_too_small_for_is_that_samples_problem(game):
    small = read_image(game.tiny.folder / "train/car0_01.jpg")[:12]
    Image.fromarray(small).save(game.tiny.folder / "train/car0_01.jpg")
    Image.fromarray(game.tiny.masks["car0_01"][:12]).save(game.tiny.folder / "m/car0_01.png")
    stores = game.train(InputConfig(crop=[2, 4, 16, 16]))
    (problem,) = stores.problems
    assert problem.id == "car0_01"
    assert "does not lie within the image of 32x12" in problem.reason
    assert stores.images.index["pixels"].null_count() == 0, "the folds still know it"


# ---------------------------------------------------------------------- fixes


@pytest.fixture
def space(tmp_path, tiny_competition):
    game = Game(tiny_competition(tmp_path / "data", images="train/{id}.png", masks="m/{id}.png"), tmp_path)
    (tmp_path / "fixes/masks").mkdir(parents=True)
    (tmp_path / "fixes/images").mkdir()
    return tmp_path, game


def prepare(space, size=None, **options):
    root, game = space
    return make_ready(game.competition, root, size, **options)


def test_a_mask_in_fixes_stands_in_for_the_downloaded_one(space):
    root, game = space
    before = {p: p.read_bytes() for p in (root / "data").rglob("*.*")}
    prepare(space)
    mine = np.zeros((24, 32), bool)
    mine[3:9, 4:20] = True
    Image.fromarray(mine).save(root / "fixes/masks/car0_02.png")
    (root / "fixes.csv").write_text("id,reason,by\ncar0_02,half of the car was missing,me\n")
    fixed = prepare(space)
    assert str(fixed.stages[0]) == "fixes: reused, 1 mask in place of the downloaded"
    assert [(s.name, s.reused) for s in fixed.stages[1:3]] == [("train images", True), ("train targets", False)]
    assert fixed.stages[2].why == "1 files changed; 17 copied, 1 decoded"
    truth = fixed.stores.truth
    assert (truth.mask(truth.row["car0_02"]) == mine).all()
    assert (truth.mask(truth.row["car0_01"]) == game.tiny.masks["car0_01"]).all()
    mine[:] = True
    Image.fromarray(mine).save(root / "fixes/masks/car0_02.png")
    assert prepare(space).stores.truth.index["area"][1] == 24 * 32
    (root / "fixes/masks/car0_02.png").unlink()
    back = prepare(space)
    assert all(stage.reused for stage in back.stages)
    assert back.stages[0].name == "train images"
    assert before == {p: p.read_bytes() for p in (root / "data").rglob("*.*")}


def test_images_of_train_and_test_can_be_fixed_and_a_missing_reason_is_told(space):
    root, _ = space
    for id, shade in (("car0_01", 10), ("car6_01", 20)):
        Image.new("RGB", (32, 24), (shade,) * 3).save(root / f"fixes/images/{id}.png")
    prepared = prepare(space)
    assert prepared.told()[0] == "fixes: reused, 1 image in place of the downloaded; no reason in fixes.csv for car0_01"
    assert (prepared.stores.images.image(0) == 10).all()
    competition = space[1].competition
    preparer = Preparer(competition, root / ".podium" / "cache")
    _, test = preparer.images("test images", list_samples(competition, root / "data").test, None)
    assert (test.image(test.row["car6_01"]) == 20).all()


def test_a_fix_of_a_run_length_mask(tmp_path, tiny_competition):
    game = Game(tiny_competition(tmp_path / "data", masks=None, table="t.csv"), tmp_path / ".podium/cache")
    (tmp_path / "fixes/masks").mkdir(parents=True)
    Image.new("L", (32, 24), 255).save(tmp_path / "fixes/masks/car0_01.png")
    truth = game.train().truth
    assert truth.mask(0).all()
    assert (truth.mask(1) == game.tiny.masks["car0_02"]).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("masks/car0_77.png", "no sample 'car0_77'"),
        ("masks/car0_01.txt", "not an image file"),
        ("images/car0_01.jpg", "two fixes for 'car0_01'"),
    ],
)
def test_fixes_that_cannot_be_meant(space, name, message):
    root, _ = space
    Image.new("RGB", (32, 24)).save(root / "fixes/images/car0_01.png")
    (root / "fixes" / name).write_bytes(b"x")
    with pytest.raises(DataError, match=message):
        prepare(space)


def test_a_broken_fix_is_named(space):
    root, _ = space
    (root / "fixes/masks/car0_01.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"car0_01: not an image.*fixes/masks/car0_01.png"):
        prepare(space)


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
    told = str(Preparer(game.competition, small_disk / "cache").left_out(test, [400, 400]))
    assert "not kept decoded" in told
    assert "a fifth" in told
    with pytest.raises(StorageError, match="this needs"):
        Preparer(game.competition, small_disk / "cache").images("test images", test, [2000, 2000])


def test_keeping_the_test_images_is_no_reason_to_keep_them_no_more(game, monkeypatch):
    test, preparer = game.samples().test, Preparer(game.competition, game.cache)
    need = preparer.images_bytes(test, None)
    free = [need * 5.5]
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=int(free[0])))
    assert preparer.fits(test, None)
    preparer.images("test images", test, None)
    free[0] -= need
    assert preparer.fits(test, None)
