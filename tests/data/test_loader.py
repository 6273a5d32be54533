"""Batches: a function of seed and epoch, whatever the threads; all samples, once."""

import ctypes
import time
from functools import partial

import numpy as np
import pytest

from podium.data import loader
from podium.data.geometry import canvas_for, place
from podium.data.loader import MaskPart, TrainLoader, training_canvas, whole_batches
from podium.data.ring import Ring
from podium.data.store import Item, build_store
from podium.errors import ConfigError, DataError, TrainingError
from podium.recipe import Recipe

SHAPES = [(24, 40)] * 17


def stores(folder, shapes):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*s, 3), dtype=np.uint8) for s in shapes]
    masks = [rng.random(s) < 0.5 for s in shapes]
    ids = [f"s{i}" for i in range(len(shapes))]
    built = [
        build_store(folder / name, ids, lambda id, a=arrays: Item(id, a[int(id[1:])], {}), what=name)
        for name, arrays in (("images", images), ("masks", masks))
    ]
    return (*built, images, masks)


@pytest.fixture
def equal(tmp_path):
    return stores(tmp_path, SHAPES)


def recipe(**changes):
    return Recipe().with_overrides({"train": {"batch_size": 4}, "input": {"pad_to": 8}, **changes})


PLAIN = {"augment": {"hflip": 0, "warp": 0, "colour": 0}}


@pytest.mark.parametrize("change", [{}, {"input": {"pad_to": 8, "train_crop": 16}}])
def test_batches_do_not_depend_on_the_number_of_workers(equal, change):
    images, masks, *_ = equal
    runs = [list(TrainLoader(images, masks, range(17), recipe(**change), workers=w).epoch(3, 1)) for w in (1, 4)]
    assert len(runs[0]) == len(runs[1]) == 4
    for a, b in zip(*runs, strict=True):
        assert (a.rows == b.rows).all()
        assert (a.images == b.images).all()
        assert (a.masks == b.masks).all()


def test_a_sample_is_augmented_by_seed_epoch_and_row_alone(equal):
    images, masks, *_ = equal

    def seen(rows, size, seed, epoch):
        batches = TrainLoader(images, masks, rows, recipe(train={"batch_size": size}), workers=2).epoch(seed, epoch)
        return {int(r): b.images[i].tobytes() + b.masks[i].tobytes() for b in batches for i, r in enumerate(b.rows)}

    everything, some = seen(range(16), 8, 5, 2), seen([3, 9, 1, 7], 2, 5, 2)
    assert some.keys() == {1, 3, 7, 9}
    assert all(everything[r] == some[r] for r in some)
    assert all(
        everything[r] != other[r] for other in (seen(range(16), 8, 5, 3), seen(range(16), 8, 6, 2)) for r in other
    )


def test_an_epoch_has_each_sample_once_and_leaves_out_the_short_rest(equal):
    images, masks, *_ = equal
    train = TrainLoader(images, masks, range(17), recipe())
    orders = [[int(r) for b in train.epoch(0, e) for r in b.rows] for e in range(3)]
    assert all(len(o) == len(set(o)) == 16 == 4 * len(train) for o in orders)
    assert orders[0] != orders[1] != orders[2]


def test_without_augmentation_batches_are_the_padded_samples(equal):
    images, masks, pixels, truth = equal
    for batch in TrainLoader(images, masks, range(17), recipe(**PLAIN, input={"pad_to": 32})).epoch(0, 0):
        for row, image, mask in zip(batch.rows, batch.images, batch.masks, strict=True):
            assert (image == place(pixels[row], 32, 64)).all()
            assert (mask == place(truth[row].astype(np.uint8), 32, 64)).all()


def test_fewer_samples_than_a_batch_make_one_small_batch(equal):
    images, masks, *_ = equal
    train = TrainLoader(images, masks, [2, 5], recipe())
    (batch,) = train.epoch(0, 0)
    assert sorted(batch.rows) == [2, 5]
    assert len(train) == 1


def test_a_failure_names_the_sample(equal, monkeypatch):
    images, masks, *_ = equal

    def fails(config, canvas, rng, image, mask):
        raise MemoryError("too big")

    monkeypatch.setattr(loader, "augment", fails)
    with pytest.raises(TrainingError, match=r"the sample 's\d+' failed: MemoryError: too big"):
        list(TrainLoader(images, masks, range(17), recipe()).epoch(0, 0))


def test_an_epoch_may_be_left_early(equal):
    images, masks, *_ = equal
    epoch = TrainLoader(images, masks, range(17), recipe(), workers=4).epoch(0, 0)
    next(epoch)
    epoch.close()


def test_sizes_that_differ_need_a_crop(tmp_path):
    images, masks, *_ = stores(tmp_path, [(24, 40), (30, 20), (8, 8)])
    with pytest.raises(DataError, match="3 sizes, from 8x8 to 20x30"):
        training_canvas(images, range(3), recipe())
    crop = recipe(input={"train_crop": 16, "pad_to": 8}, train={"batch_size": 3})
    (batch,) = TrainLoader(images, masks, range(3), crop).epoch(0, 0)
    assert batch.images.shape == (3, 16, 16, 3)


def test_whole_batches_hold_every_image_in_order(tmp_path):
    images, _, pixels, _ = stores(tmp_path, [(24, 40)] * 5 + [(30, 20)] * 2 + [(24, 40)])
    batches = list(whole_batches(images, range(8), partial(canvas_for, pad_to=16), 2))
    assert [list(b.rows) for b in batches] == [[0, 1], [2, 3], [4], [5, 6], [7]]
    for batch in batches:
        assert batch.masks is None
        for row, image in zip(batch.rows, batch.images, strict=True):
            assert (image == place(pixels[row], *image.shape[:2])).all()
            assert all(side % 16 == 0 for side in image.shape[:2])


# ---------------------------------------------------------------------- mixing, memory, plug-ins

WILD = {"rotate": 40, "hue": 20, "noise": 0.5, "elastic": 0.5, "mixup": 0.3, "cutmix": 0.4, "mosaic": 0.4}


def contents(loader, seed=0, epoch=1):
    return [(b.rows.tolist(), b.images.tobytes(), b.masks.tobytes()) for b in loader.epoch(seed, epoch)]


def test_mixed_batches_do_not_depend_on_the_number_of_workers_either(equal):
    images, masks, *_ = equal
    wild = recipe(augment={**WILD, "copy_paste": 0.4})
    one, many = (contents(TrainLoader(images, masks, range(17), wild, workers=w)) for w in (1, 5))
    assert one == many
    assert one != contents(TrainLoader(images, masks, range(17), recipe(augment={"rotate": 40, "hue": 20})))


def test_a_cutmix_shows_pieces_of_other_samples(tmp_path):
    """Sample k is grey 10 k all over, its mask full for odd k: pixels and masks must tell the same story."""
    levels = [np.full((24, 24, 3), 10 * k, np.uint8) for k in range(12)]
    ids = [f"s{k}" for k in range(12)]
    images = build_store(tmp_path / "i", ids, lambda id: Item(id, levels[int(id[1:])], {}), what="i")
    odd = build_store(tmp_path / "m", ids, lambda id: Item(id, np.full((24, 24), int(id[1:]) % 2 > 0), {}), what="m")
    plain = {"hflip": 0, "warp": 0, "colour": 0}
    partners = set()
    for batch in TrainLoader(images, odd, range(12), recipe(augment={**plain, "cutmix": 1})).epoch(0, 0):
        who = batch.images[..., 0] // 10
        assert (who % 2 == batch.masks).all()
        for row, seen in zip(batch.rows, who, strict=True):
            others = set(np.unique(seen).tolist()) - {int(row)}
            assert len(others) == 1
            partners |= others
    assert len(partners) > 4


def test_memory_is_used_again_in_a_plain_loop(equal):
    images, masks, *_ = equal
    made = []

    def allocate(shape):
        made.append(shape)
        return np.empty(shape, np.uint8)

    train = TrainLoader(images, masks, range(17), recipe(train={"batch_size": 1}), allocate=allocate)
    expected = [(b.rows.copy(), b.images.copy(), b.masks.copy()) for b in train.epoch(0, 0)]
    for _ in range(2):
        for batch, (rows, pictures, labels) in zip(train.epoch(0, 0), expected, strict=True):
            assert (batch.rows == rows).all()
            assert (batch.images == pictures).all()
            assert (batch.masks == labels).all()
    assert made == [(24 * 40 * 4,)] * (loader.AHEAD + 2)


@pytest.mark.parametrize("keep", ["batch", "view"])
def test_what_somebody_still_holds_is_never_written_to(equal, keep):
    images, masks, *_ = equal
    train = TrainLoader(images, masks, range(17), recipe(train={"batch_size": 1}), workers=2)
    held = []
    for batch in train.epoch(0, 0):
        time.sleep(0.005)
        held.append((batch.images[0, 2:] if keep == "view" else batch, batch.images.copy()))
    for thing, before in held:
        assert (thing == before[0, 2:]).all() if keep == "view" else (thing.images == before).all()


def test_tensors_that_share_the_memory_are_safe(equal):
    torch = pytest.importorskip("torch")
    images, masks, *_ = equal
    train = TrainLoader(images, masks, range(17), recipe(train={"batch_size": 1}), workers=2)
    held = [(torch.from_numpy(b.images).permute(0, 3, 1, 2), b.images.copy()) for b in train.epoch(0, 0)]
    assert all((t.permute(0, 2, 3, 1).numpy() == before).all() for t, before in held)


def test_a_fence_is_waited_for_before_memory_is_written_to(equal):
    """A device that reads memory later than the loop: each read is done when the fence lets go, on what was there."""
    images, masks, *_ = equal
    events, current = [], {}

    def fence():
        address, before = current["address"], current["content"]
        picture = np.ctypeslib.as_array(current["pointer"], (current["size"],))

        def wait():
            assert picture.tobytes() == before
            events.append(address)

        return wait

    train = TrainLoader(images, masks, range(17), recipe(train={"batch_size": 1}), workers=2, fence=fence)
    for batch in train.epoch(0, 0):
        current = {
            "address": batch.images.ctypes.data,
            "pointer": ctypes.cast(batch.images.ctypes.data, ctypes.POINTER(ctypes.c_uint8)),
            "size": batch.images.size,
            "content": batch.images.tobytes(),
        }
    assert len(events) == 17 - (loader.AHEAD + 2)


def test_memory_of_another_size_is_waited_for_before_it_is_given_away():
    ring, waited = Ring(lambda shape: np.empty(shape, np.uint8)), []
    memory, arrays = ring.take((4, 4))
    memory.wait = lambda: waited.append(16)
    del memory, arrays
    ring.take((5, 5))
    assert waited == [16]


def test_label_maps_keep_their_values(tmp_path):
    rng = np.random.default_rng(0)
    labels = [rng.choice(np.array([0, 3, 9], np.uint8), (4, 5)).repeat(8, 0).repeat(8, 1) for _ in range(6)]
    ids = [f"s{k}" for k in range(6)]
    pictures = [np.repeat(a[..., None] * np.uint8(20), 3, 2) for a in labels]
    images = build_store(tmp_path / "i", ids, lambda id: Item(id, pictures[int(id[1:])], {}), what="i")
    maps = build_store(tmp_path / "m", ids, lambda id: Item(id, labels[int(id[1:])][..., None], {}), what="m")
    wild = recipe(augment={"rotate": 40, "warp": 1, "colour": 0, "border": "ignore"}, train={"batch_size": 3})
    seen = set()
    for epoch in range(3):
        for batch in TrainLoader(images, maps, range(6), wild).epoch(0, epoch):
            seen |= set(np.unique(batch.masks).tolist())
    assert seen == {0, 3, 9, 255}
    for batch in TrainLoader(images, maps, range(6), recipe(**PLAIN)).epoch(0, 0):
        assert all((batch.masks[i, :32] == labels[r]).all() for i, r in enumerate(batch.rows))


@pytest.mark.parametrize("columns", [(0, 40), (3, 17), (8, 16), (15, 40), (39, 40)])
def test_a_part_of_a_mask_is_that_part(equal, columns):
    _, masks, _, truth = equal
    part = MaskPart(masks, 4)
    assert part.shape == (24, 40)
    assert (part[5:20, slice(*columns)] == truth[4][5:20, slice(*columns)]).all()


def test_a_plug_in_runs_in_the_threads_and_its_failure_names_the_sample(equal, tmp_path, monkeypatch):
    images, masks, *_ = equal
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "def noise(image, mask, rng):\n    return image ^ rng.integers(0, 256, image.shape, dtype='u1'), mask\n"
        "def bad(image, mask):\n    raise RuntimeError('no')\n"
    )
    mine = recipe(augment={"extra": "mine.py:noise"})
    one, many = (contents(TrainLoader(images, masks, range(17), mine, workers=w)) for w in (1, 4))
    assert one == many
    with pytest.raises(TrainingError, match=r"sample 's\d+' failed: augment.extra = mine.py:bad: .*RuntimeError: no"):
        contents(TrainLoader(images, masks, range(17), recipe(augment={"extra": "mine.py:bad"})))
    with pytest.raises(ConfigError, match="did you mean 'noise'"):
        TrainLoader(images, masks, range(17), recipe(augment={"extra": "mine.py:nose"}))
