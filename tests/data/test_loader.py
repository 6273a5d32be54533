"""Batches: a function of seed and epoch, whatever the threads; all samples, once."""

import numpy as np
import pytest

from podium.data import loader
from podium.data.geometry import place
from podium.data.loader import TrainLoader, training_canvas, whole_batches
from podium.data.store import Item, build_store
from podium.errors import DataError, TrainingError
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
    batches = list(whole_batches(images, range(8), 16, 2))
    assert [list(b.rows) for b in batches] == [[0, 1], [2, 3], [4], [5, 6], [7]]
    for batch in batches:
        assert batch.masks is None
        for row, image in zip(batch.rows, batch.images, strict=True):
            assert (image == place(pixels[row], *image.shape[:2])).all()
            assert all(side % 16 == 0 for side in image.shape[:2])
