"""The pixel store, the loader and augmentation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.harness import Benchmark, Pair
from benchmarks.scenes import car_mask, car_size, photo
from podium.data.augment import augment
from podium.data.geometry import canvas_for
from podium.data.loader import TrainLoader
from podium.data.store import Item, Store, build_store
from podium.recipe import Recipe

IMAGES = 16
QUIET = {"hflip": 0.0, "warp": 0.0, "colour": 0.0}


def stores(tiny: bool, folder: Path) -> tuple[Store, Store]:
    """Photos and masks, in stores and as JPEG files."""
    ids = [f"{n:02d}" for n in range(4 if tiny else IMAGES)]
    for id in ids:
        if not (folder / f"{id}.jpg").exists():
            bgr = np.ascontiguousarray(photo(tiny, int(id))[:, :, ::-1])
            cv2.imwrite(str(folder / f"{id}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 84])

    def image(id: str) -> Item:
        return Item(id, cv2.imread(str(folder / f"{id}.jpg"))[:, :, ::-1], {})

    def mask(id: str) -> Item:
        return Item(id, car_mask(tiny, int(id)).astype(bool), {})

    images = build_store(folder / "images", ids, image, what="images")
    return images, build_store(folder / "masks", ids, mask, what="masks")


def _crop(tiny: bool, folder: Path, side: int) -> Pair:
    cv2.setNumThreads(1)
    images, _ = stores(tiny, folder)
    side = 32 if tiny else side
    h, w = car_size(tiny)
    rng = np.random.default_rng(0)
    places = [(n % len(images), int(rng.integers(h - side)), int(rng.integers(w - side))) for n in range(IMAGES)]
    slot = np.empty((side, side, 3), np.uint8)

    def ours(n: int) -> None:
        i, top, left = places[n]
        slot[:] = images.image(i)[top : top + side, left : left + side]

    def peer(n: int) -> None:
        i, top, left = places[n]
        pixels = cv2.imread(str(folder / f"{images.ids[i]}.jpg"))
        cv2.cvtColor(pixels[top : top + side, left : left + side], cv2.COLOR_BGR2RGB, slot)

    for n in range(len(places)):
        ours(n)
        mine = slot.copy()
        peer(n)
        np.testing.assert_array_equal(mine, slot)
    size = (folder / f"{images.ids[0]}.jpg").stat().st_size

    def all_of(one):
        return lambda: [one(n) for n in range(len(places))]

    return Pair(all_of(ours), all_of(peer), f"{len(places)} crops of {side}, JPEG of {size // 1000} KB")


def loader(tiny: bool, folder: Path) -> Pair:
    """Both read the same store and cut the same kind of crops; only who brings them together differs."""
    import torch

    images, masks = stores(tiny, folder)
    side, count, batch = (32, 16, 4) if tiny else (512, 512, 16)
    rows = [n % len(images) for n in range(count)]
    recipe = Recipe.model_validate({"input": {"train_crop": side}, "augment": QUIET, "train": {"batch_size": batch}})
    ours = TrainLoader(images, masks, rows, recipe, workers=2)

    class Crops(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return count

        def __getitem__(self, n):
            h, w = images.shape(rows[n])
            top, left = int(torch.randint(h - side + 1, ())), int(torch.randint(w - side + 1, ()))
            part = slice(top, top + side), slice(left, left + side)
            image = torch.from_numpy(images.image(rows[n])[part].copy())
            band = np.unpackbits(masks.raw(rows[n])[part[0]], axis=1, count=w)
            return image, torch.from_numpy(band[:, part[1]].copy())

    peer = torch.utils.data.DataLoader(
        Crops(), batch, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True, prefetch_factor=4
    )
    epochs = iter(range(10**9))

    def of_ours() -> int:
        return sum(int(b.images[0, 0, 0, 0] >= 0) for b in ours.epoch(0, next(epochs)))

    def of_peer() -> int:
        return sum(int(i[0, 0, 0, 0] >= 0) for i, _ in peer)

    mine, theirs = next(iter(ours.epoch(0, 0))), next(iter(peer))
    assert mine.images.shape == tuple(theirs[0].shape) == (batch, side, side, 3)
    assert mine.masks.shape == tuple(theirs[1].shape)
    assert of_ours() == of_peer() == count // batch
    return Pair(of_ours, of_peer, f"{count} crops of {side} with masks, batches of {batch}, from the same store")


def augmentation(tiny: bool, folder: Path) -> Pair:
    """Every change comes every time, on both sides; what is drawn differs, so only the form is compared."""
    import os

    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network at import
    import albumentations as A

    cv2.setNumThreads(1)
    images, masks = stores(tiny, folder)
    side = 64 if tiny else 1024
    changes = {"hflip": 0.5, "warp": 1.0, "shift": 0.0625, "scale": 0.1, "rotate": 5.0}
    colour = {"colour": 1.0, "brightness": 0.1, "contrast": 0.1, "saturation": 0.1}
    config = Recipe.model_validate({"augment": changes | colour}).augment
    canvas = canvas_for(car_size(tiny), 32, side)
    pipeline = A.Compose(
        [
            A.RandomCrop(side, side),
            A.HorizontalFlip(p=0.5),
            A.Affine(
                translate_percent=(-0.0625, 0.0625),
                scale=(0.9, 1.1),
                rotate=(-5, 5),
                border_mode=cv2.BORDER_REFLECT_101,
                p=1,
            ),
            A.ColorJitter(brightness=(0.9, 1.1), contrast=(0.9, 1.1), saturation=(0.9, 1.1), hue=(0, 0), p=1),
        ],
        seed=0,
    )
    pixels = [images.image(i) for i in range(len(images))]
    labels = [masks.mask(i) for i in range(len(images))]
    rng = np.random.default_rng(0)
    count = min(8, len(images))

    def ours():
        return [augment(config, canvas, rng, pixels[i], labels[i]) for i in range(count)]

    def peer():
        return [tuple(pipeline(image=pixels[i], mask=labels[i]).values()) for i in range(count)]

    for (a, m), (b, k) in zip(ours(), peer(), strict=True):
        assert a.shape == b.shape == (side, side, 3)
        assert m.shape == k.shape == (side, side)
    return Pair(ours, peer, f"{count} crops of {side} from the store")


BENCHMARKS = [
    Benchmark("crop_1024", "random crop from the store", "cv2.imread, crop", 8, lambda t, f: _crop(t, f, 1024)),
    Benchmark("crop_512", "random crop from the store", "cv2.imread, crop", 35, lambda t, f: _crop(t, f, 512)),
    Benchmark("loader", "an epoch of crop batches", "torch DataLoader, 2 workers, same store", 2.5, loader, "wall"),
    Benchmark("augment", "crop, flip, affine, colour", "albumentations", 2, augmentation),
]
