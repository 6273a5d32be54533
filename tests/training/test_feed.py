"""Batches on a device: equal to those of the loader, whoever warps them and wherever the images lie."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from podium.data.augment.affine import HALF_STEP, MODES, affine, table_of
from podium.data.competition import Competition
from podium.data.loader import Batch, Table, TrainLoader
from podium.data.prepare import TrainStores
from podium.data.ready import make_ready
from podium.data.samples import Sample
from podium.data.sources import PackedJpegs, open_images
from podium.data.store import Item, build_store
from podium.data.windows import WindowLoader
from podium.formats.images import read_image
from podium.metrics import get_metric
from podium.recipe import LossConfig, Recipe
from podium.training import gather
from podium.training.device import Normalize
from podium.training.feed import Feed, Waits
from podium.training.fold_run import FoldData
from podium.training.losses import create_loss
from podium.training.resident import loaders, upload
from podium.training.tasks import create_task

CPU = torch.device("cpu")
WARPED = {"hflip": 0.5, "vflip": 0.5, "rotate": 30, "shear": 8, "scale": 0.3, "warp": 1, "colour": 1, "hue": 20}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("stores"), np.random.default_rng(0)
    shapes = [(40, 56), (64, 48), (37, 90), (50, 50)] * 4
    pictures = [cv2.GaussianBlur(rng.integers(0, 256, (*s, 3), np.uint8), (0, 0), 1.5) for s in shapes]
    masks = [cv2.GaussianBlur(rng.random(s), (0, 0), 2) > 0.5 for s in shapes]
    ids = [f"s{i}" for i in range(len(shapes))]
    return [
        build_store(folder / name, ids, lambda id, a=arrays: Item(id, a[int(id[1:])], {}), what=name)
        for name, arrays in (("images", pictures), ("masks", masks))
    ]


def recipe(**augment):
    return Recipe().with_overrides(
        {"train": {"batch_size": 4}, "input": {"pad_to": 8, "train_crop": 32}, "augment": augment}
    )


def both(stores, wanted, *, resident, table=None, rows=range(16), epoch=1):
    """The batches of the plain loader, and those that a device makes."""
    plain = TrainLoader(*stores, rows, wanted, workers=2, table=table)
    held = upload(stores[0], None if table else stores[1], rows, CPU) if resident else None
    loader = WindowLoader(*stores, rows, wanted, workers=2, table=table, resident=held)
    return list(plain.epoch(3, epoch)), list(Feed(loader, CPU, "unit", warp=True).epoch(3, epoch))


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize(
    ("augment", "far"),
    [
        (WARPED, 0),
        (WARPED | {"border": "ignore"}, 0),
        ({"warp": 0, "colour": 0, "hflip": 0.5, "vflip": 0.5, "rot90": 0.7}, 0),
        ({"warp": 0.5, "rotate": 20, "rot90": 0.5, "saturation": 0.3, "grey": 0.2, "shuffle": 0.2}, 1),
        (WARPED | {"elastic": 0.3, "blur": 0.3, "clahe": 0.2, "perspective": 0.1, "p": {"perspective": 0.3}}, 0),
        (WARPED | {"mixup": 0.3, "cutmix": 0.3, "mosaic": 0.3}, 0),
        ({"resized_crop": [0.1, 1.0], "aspect": 0.3, "colour": 0}, 0),
        ({"colour": 1, "colour_where": "foreground", "brightness": 0.5}, 0),
    ],
)
def test_a_device_makes_the_batches_of_the_loader(stores, augment, far, resident):
    """Bit for bit; but 1 of 255 where colours change and nothing is interpolated: the CPU rounds twice there."""
    for mine, theirs in zip(*both(stores, recipe(**augment), resident=resident), strict=True):
        assert (mine.rows == theirs.rows).all()
        pixels = (theirs.images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        assert np.abs(pixels.astype(int) - mine.images).max() <= far
        assert (theirs.masks.numpy() == mine.masks).all()


@pytest.mark.parametrize("pad", ["reflect", "edge", "zero"])
@pytest.mark.parametrize("side", ["both", "end"])
def test_padded_frames_too(stores, pad, side):
    wanted = Recipe().with_overrides(
        {"train": {"batch_size": 2}, "input": {"pad_to": 32, "pad": pad, "pad_side": side}, "augment": {"rot90": 0.5}}
    )
    for mine, theirs in zip(*both(stores, wanted, resident=True, rows=[0, 4, 8, 12]), strict=True):
        pixels = (theirs.images.permute(0, 2, 3, 1) * 255).round().numpy()
        assert np.abs(pixels - mine.images).max() <= 1
        assert (theirs.masks.numpy() == mine.masks).all()


@pytest.mark.parametrize("resident", [False, True])
def test_values_of_a_table_come_along(stores, resident):
    table = Table(np.arange(32, dtype=np.float32).reshape(16, 2), np.ones((16, 3), np.float32))
    for mine, theirs in zip(*both(stores, recipe(**WARPED, mixup=0.5), resident=resident, table=table), strict=True):
        assert (theirs.targets.numpy() == mine.targets).all()
        assert theirs.inputs.shape == (4, 3)


def test_a_plain_loader_feeds_too(stores):
    loader = TrainLoader(*stores, range(16), recipe(**WARPED), workers=2)
    kept = [(fed.images.clone(), fed.masks.clone()) for fed in Feed(loader, CPU, "imagenet").epoch(0, 0)]
    for batch, (images, masks) in zip(loader.epoch(0, 0), kept, strict=True):
        assert (Normalize("imagenet", CPU)(batch.images) == images).all()
        assert (masks.numpy() == batch.masks).all()


def test_memory_that_torch_made_is_not_written_to_while_it_is_held(stores):
    """As pinned memory is: numpy's view of a tensor."""
    loader = TrainLoader(*stores, range(16), recipe(**WARPED), workers=2)
    loader.pin(lambda shape: torch.empty(shape, dtype=torch.uint8).numpy(), lambda: lambda: None)
    held = [(batch, batch.images.copy()) for batch in loader.epoch(0, 0)]
    assert all((batch.images == before).all() for batch, before in held)
    again = [batch.images.copy() for batch in loader.epoch(0, 0)]
    assert all((a == before).all() for a, (_, before) in zip(again, held, strict=True))


def test_what_is_done_where_is_told(stores):
    loader = WindowLoader(*stores, range(16), recipe(**WARPED, elastic=0.1, gamma=0.2))
    assert Feed(loader, CPU, "unit").told() == "images are augmented on the CPU"
    told = Feed(loader, CPU, "unit", warp=True).told()
    assert told == (
        "images are sent as they are stored, the device warps and colours them; "
        "on the CPU where a sample gets: elastic, gamma"
    )
    loader = WindowLoader(*stores, range(16), recipe(), resident=upload(*stores, range(16), CPU))
    assert Feed(loader, CPU, "unit", warp=True).told() == "images lie on the device, the device warps and colours them"


numbers = st.floats(-1.5, 1.5)


@given(st.tuples(numbers, numbers, numbers, numbers), st.floats(-80, 80), st.floats(-80, 80), st.sampled_from([*MODES]))
def test_the_device_warps_as_the_compiled_loops_do(linear, x, y, border):
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 256, (31, 45, 3), np.uint8), rng.integers(0, 256, (31, 45), np.uint8)
    colour = np.column_stack([rng.uniform(-0.5, 1.2, (3, 3)), rng.uniform(-40, 40, 3)])
    matrix = np.array([[linear[0], linear[1], x], [linear[2], linear[3], y]])
    (right_x, down_x, x0), (right_y, down_y, y0) = (matrix * 2**32).round().astype(np.int64).tolist()
    places = gather.Places(
        torch.tensor([0]),
        torch.tensor([[31, 45]]),
        torch.tensor([[x0, y0]]),
        torch.tensor([[right_x, right_y, down_x, down_y]]),
        torch.tensor([MODES[border]]),
    )
    flat, table = torch.from_numpy(image.reshape(-1)), torch.from_numpy(table_of(colour))[None]
    for changed, wanted in ((False, None), (True, colour)):
        made = gather.images(flat, places, table, torch.tensor([changed]), (40, 33))
        assert (made[0].numpy() == affine(image, matrix, (40, 33), border, 0, wanted)).all()
    made = gather.masks(torch.from_numpy(labels.reshape(-1)), places, 9, (40, 33))
    assert (made[0].numpy() == affine(labels, matrix, (40, 33), border, 9, nearest=True)).all()
    assert HALF_STEP == 2**32 // 128 // 2


def test_an_upload_in_pieces_is_the_store(stores, monkeypatch):
    monkeypatch.setattr("podium.training.resident.PIECE", 20_000)
    held = upload(*stores, [3, 1, 3, 2], CPU)
    assert sorted(held.places) == [1, 2, 3]
    for row, (at, mask_at) in held.places.items():
        image, mask = stores[0].image(row), stores[1].mask(row)
        assert (held.pixels[at:mask_at].numpy() == image.reshape(-1)).all()
        assert (held.pixels[mask_at : mask_at + mask.size].numpy() == mask.reshape(-1)).all()


def test_many_pixels_are_made_in_pieces(stores, monkeypatch):
    whole = both(stores, recipe(**WARPED), resident=False)[1]
    monkeypatch.setattr(gather, "MOST", 32 * 32)
    for a, b in zip(whole, both(stores, recipe(**WARPED), resident=False)[1], strict=True):
        assert (a.images == b.images).all()
        assert (a.masks == b.masks).all()


# ---------------------------------------------------------------------- sources


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory):
    """A cache of decoded images, the samples whose files they are, and their masks."""
    folder, rng = tmp_path_factory.mktemp("jpegs"), np.random.default_rng(0)
    samples, shapes = [], [(40, 56), (64, 48), (37, 90)] * 3
    for n, (h, w) in enumerate(shapes):
        picture = cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (w, h))
        cv2.imwrite(str(folder / f"{n}.jpg"), picture)
        samples.append(Sample(str(n), folder / f"{n}.jpg"))

    def image(id):
        pixels = read_image(samples[int(id)].image)
        return Item(id, pixels, {"source_height": pixels.shape[0], "source_width": pixels.shape[1]})

    ids = [s.id for s in samples]
    images = build_store(folder / "images", ids, image, what="train images", settings={"format": 1})
    masks = build_store(folder / "masks", ids, lambda id: Item(id, rng.random(shapes[int(id)]) < 0.5, {}), what="m")
    return folder, TrainStores(images, masks, masks, []), samples


@pytest.mark.parametrize(
    ("memory", "device", "kind"), [(2**40, None, "memmap"), (2**40, 2**40, "device"), (30_000, 0, "jpeg")]
)
def test_every_source_gives_the_same_batches(jpegs, memory, device, kind):
    folder, stores, samples = jpegs
    opened = open_images(stores.images, samples, folder, free_memory=memory, free_device=device)
    assert opened.kind == kind
    plain = TrainLoader(stores.images, stores.masks, range(9), recipe(**WARPED), workers=2)
    loader = loaders(stores, opened, range(9), None, CPU)(range(9), recipe(**WARPED))
    if kind == "device":  # what `loaders` does where there is a GPU
        held = upload(stores.images, stores.masks, range(9), CPU)
        loader = WindowLoader(stores.images, stores.masks, range(9), recipe(**WARPED), resident=held)
    assert isinstance(loader.images, PackedJpegs) == (kind == "jpeg")
    for mine, theirs in zip(
        plain.epoch(0, 1), Feed(loader, CPU, "unit", warp=kind == "device").epoch(0, 1), strict=True
    ):
        assert (Normalize("unit", CPU)(mine.images) == theirs.images).all()
        assert (theirs.masks.numpy() == mine.masks).all()


def test_training_reads_where_prepare_said(blobs, monkeypatch):
    root, competition = blobs
    monkeypatch.setattr("podium.data.memory.free_device_memory", lambda: 2**40)
    prepared = make_ready(competition, root, None)
    assert prepared.opened.kind == "device"
    assert any("images are read: from the device" in line for line in prepared.told())
    data = FoldData(competition, prepared.stores, prepared.folds, get_metric("dice"), opened=prepared.opened)
    assert data.images(Recipe()) is prepared.opened.images


# ---------------------------------------------------------------------- mixup


@pytest.mark.parametrize("warp", [False, True])
def test_a_mixup_blends_masks_as_it_blends_images(tmp_path, warp):
    """Images of even k are black, of odd k grey with a full mask: the target must say what the picture says."""
    ids = [f"s{k}" for k in range(12)]
    shades = [np.full((16, 16, 3), k % 2 * 200, np.uint8) for k in range(12)]
    images = build_store(tmp_path / "i", ids, lambda i: Item(i, shades[int(i[1:])], {}), what="i")
    masks = build_store(tmp_path / "m", ids, lambda i: Item(i, np.full((16, 16), int(i[1:]) % 2 > 0), {}), what="m")
    plain = {"hflip": 0, "warp": 0, "colour": 0}
    wanted = recipe(**plain, mixup=0.7).with_overrides({"input": {"train_crop": None, "pad_to": 8}})
    competition = Competition.from_tree({"name": "x", "data": {"train_images": "i/*.png", "train_masks": "m/{id}.png"}})
    task = create_task(competition, get_metric("dice"), wanted)
    seen = set()
    for fed in Feed(WindowLoader(images, masks, range(12), wanted), CPU, "unit", warp=warp).epoch(0, 0):
        target, weight = task.target(fed, CPU)
        assert weight is None
        grey = fed.images[:, 0] * 255 / 200
        assert (target[:, 0] - grey).abs().max() < 0.003
        seen |= set(np.round(target[:, 0, 0, 0].numpy(), 3).tolist())
    assert len(seen - {0.0, 1.0}) > 2


def test_labels_are_blended_to_soft_ones(blobs):
    tree = {"name": "x", "classes": {"a": 0, "b": 1, "c": 2}, "metric": "mean_iou"}
    data = {"train_images": "i/*.png", "train_masks": "m/{id}.png", "mask_values": "classes"}
    task = create_task(Competition.from_tree(tree | {"data": data}), get_metric("dice"), recipe(mixup=1))
    masks = np.array([[[0, 1], [2, 255]], [[1, 1], [2, 2]]], np.uint8)
    second = np.array([[[2, 1], [255, 0]], [[0, 0], [0, 255]]], np.uint8)
    batch = Batch(np.arange(2), np.zeros(0, np.uint8), masks, second=second, shares=np.array([0.25, 0], np.float32))
    target, weight = task.target(batch, CPU)
    assert target[0, :, 0, 0].tolist() == [0.75, 0, 0.25]
    assert target[0, :, 0, 1].tolist() == [0, 1, 0]
    assert weight.tolist() == [[[1, 1], [0, 0]], [[1, 1], [1, 1]]]
    assert target[1].argmax(0).tolist() == [[1, 1], [2, 2]]
    loss, _ = create_loss(LossConfig(terms={"ce": 1.0}), "labels")(torch.zeros(2, 3, 2, 2), target, weight)
    assert loss.item() == pytest.approx(np.log(3), abs=1e-4)


def test_images_are_brought_to_the_device_only_when_that_is_asked_for(stores):
    """First the device warps what it is sent; a second relief brings all images."""
    loader = WindowLoader(*stores, range(16), recipe(**WARPED), workers=2)
    loader.bring = lambda: upload(*stores, range(16), CPU)
    feed = Feed(loader, CPU, "unit", warp=True, bring=False)
    assert feed.told().startswith("images are sent as they are stored")
    sent = list(feed.epoch(3, 1))
    assert feed.relieve()
    assert feed.told().startswith("images lie on the device")
    assert not feed.relieve()
    for a, b in zip(sent, feed.epoch(3, 1), strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.masks, b.masks)


def test_images_that_do_not_fit_are_no_relief(stores):
    feed = Feed(WindowLoader(*stores, range(16), recipe(**WARPED)), CPU, "unit")
    assert feed.relieve()  # now the device warps
    assert not feed.relieve()
    assert not Feed(TrainLoader(*stores, range(16), recipe(**WARPED)), CPU, "unit").relieve()


@pytest.mark.parametrize("busy", [False, True])
def test_a_device_that_is_busy_does_not_wait_for_the_host(monkeypatch, busy):
    class Event:
        def query(self):
            return not busy

    class Stream:
        def record_event(self):
            return Event()

    clock = iter(range(100))
    monkeypatch.setattr("podium.training.feed.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    for device, waited in (("cuda", 0 if busy else 2), ("cpu", 2)):
        waits = Waits(torch.device(device))
        waits.got()
        waits.ask()
        waits.got()
        assert waits.seconds == waited
