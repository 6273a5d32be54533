"""Whether a GPU waits for its images: images a second of the bare step, and of the step fed in each of podium's ways.

    python -m benchmarks.gpu_feed [--images 64] [--height 1280] [--width 1918] [--crop 512] [--batch 16]
    python -m benchmarks.gpu_feed --tiny --device cpu       # does everything run?

Needs no data: pictures and masks are drawn into a store in a temporary folder. First it checks that what the device
warps and colours is what the CPU makes, bit for bit, then it times each way in turn, `--rounds` times, and prints the
medians. "bare" trains again and again on one batch that lies on the device: no way can be faster.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.harness import machine
from benchmarks.scenes import car_mask, photo
from podium.data.loader import TrainLoader
from podium.data.prepare import TrainStores
from podium.data.samples import Sample
from podium.data.sources import PackedJpegs, pack_jpegs
from podium.data.store import Item, build_store
from podium.data.windows import WindowLoader
from podium.models import create_model
from podium.recipe import Recipe
from podium.training.device import create_fabric, to_device
from podium.training.feed import Fed, Feed
from podium.training.losses import create_loss
from podium.training.resident import upload


def stores(folder: Path, n: int, height: int, width: int, tiny: bool) -> tuple[TrainStores, PackedJpegs]:
    """Drawn pictures and masks: four of each, the others are these shifted, as drawing takes longer than training."""
    import simplejpeg

    pictures = [cv2.resize(photo(tiny, k), (width, height)) for k in range(4)]
    masks = [cv2.resize(car_mask(tiny, k), (width, height)) > 0 for k in range(4)]
    ids = [f"{k:04d}" for k in range(n)]
    samples = [Sample(id, folder / f"{id}.jpg") for id in ids]
    for k, sample in enumerate(samples):
        moved = np.ascontiguousarray(np.roll(pictures[k % 4], 37 * k, 1))
        sample.image.write_bytes(simplejpeg.encode_jpeg(moved, quality=84))

    def image(id: str) -> Item:
        return Item(id, simplejpeg.decode_jpeg((folder / f"{id}.jpg").read_bytes()), {})

    def mask(id: str) -> Item:
        return Item(id, np.roll(masks[int(id) % 4], 37 * int(id), 1), {})

    made = build_store(folder / "i", ids, image, what="images"), build_store(folder / "m", ids, mask, what="masks")
    return TrainStores(made[0], made[1], made[1], []), pack_jpegs(folder / "cache", "train files", samples)


def compare(data: TrainStores, recipe: Recipe, device: torch.device) -> str:
    """The largest difference, of 255, between the device's batches and the CPU's; and of mask pixels, how many."""
    rows = range(len(data.images))
    plain = TrainLoader(data.images, data.masks, rows, recipe)
    loader = WindowLoader(data.images, data.masks, rows, recipe)
    far, wrong = 0.0, 0
    for mine, theirs in itertools.islice(
        zip(plain.epoch(0, 1), Feed(loader, device, "unit", warp=True).epoch(0, 1), strict=True), 3
    ):
        pixels = (theirs.images.permute(0, 2, 3, 1) * 255).round().cpu().numpy()
        far = max(far, float(np.abs(pixels - mine.images).max()))
        wrong += int((theirs.masks.cpu().numpy() != mine.masks).sum())
    return f"the device's batches against the CPU's: images differ by {far:g} of 255 at most, masks in {wrong} pixels"


def endless(feed: Feed) -> Iterator[Fed]:
    for epoch in itertools.count():
        yield from feed.epoch(0, epoch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--height", type=int, default=1280)
    parser.add_argument("--width", type=int, default=1918)
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--arch", default="unet")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", type=Path)
    o = parser.parse_args()
    if o.tiny:
        o.images, o.height, o.width, o.crop, o.batch, o.steps, o.rounds, o.no_compile = 8, 96, 141, 64, 4, 2, 1, True
    device, cuda = torch.device(o.device), o.device.startswith("cuda")
    colour = {"colour": 1.0, "brightness": 0.1, "contrast": 0.1, "saturation": 0.1}
    augment = {"hflip": 0.5, "warp": 1.0, "shift": 0.0625, "scale": 0.1, "rotate": 5.0} | colour
    tree = {"input": {"train_crop": o.crop}, "train": {"batch_size": o.batch}, "augment": augment}
    recipe = Recipe.model_validate(tree | {"model": {"arch": o.arch, "width": 0.25 if o.tiny else 1.0}})

    with tempfile.TemporaryDirectory(prefix="podium-gpu-") as name:
        data, jpegs = stores(Path(name), o.images, o.height, o.width, o.tiny)
        print(compare(data, recipe, device), flush=True)
        rows = list(range(o.images)) * -(-o.batch * (o.steps + 8) // o.images)  # long epochs: few pauses at their ends
        fabric = create_fabric("auto" if cuda else "fp32")
        model = to_device(create_model(recipe.model), fabric) if cuda else create_model(recipe.model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=cuda)
        network, optimizer = fabric.setup(model, optimizer)
        forward = network if o.no_compile else torch.compile(network)
        criterion = create_loss(recipe.loss, "planes")

        def step(batch: Fed) -> None:
            loss, _ = criterion(forward(batch.images), (batch.masks == 1).float().unsqueeze(1), None)
            fabric.backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        def feed(kind: str) -> Feed:
            args = (jpegs if kind == "jpeg, device warps" else data.images, data.masks, rows, recipe)
            if kind == "memmap, CPU warps":
                return Feed(TrainLoader(*args), device, "imagenet")
            held = upload(data.images, data.masks, rows, device) if kind == "device, device warps" else None
            return Feed(WindowLoader(*args, resident=held), device, "imagenet", warp=True)

        kinds = ("memmap, CPU warps", "memmap, device warps", "jpeg, device warps", "device, device warps")
        feeds = {kind: endless(feed(kind)) for kind in kinds}
        one = next(feeds["memmap, CPU warps"])

        def rate(next_batch: Callable[[], Fed], train: bool) -> float:
            for _ in range(3):
                batch = next_batch()
                if train:
                    step(batch)
            torch.cuda.synchronize() if cuda else None
            begun = time.perf_counter()
            for _ in range(o.steps):
                batch = next_batch()
                if train:
                    step(batch)
            torch.cuda.synchronize() if cuda else None
            return o.steps * o.batch / (time.perf_counter() - begun)

        ways: dict[str, tuple[Callable[[], Fed], bool]] = {"bare step": (lambda: one, True)}
        for kind, batches in feeds.items():
            ways[f"step, {kind}"] = (batches.__next__, True)
            ways[f"feed alone, {kind}"] = (batches.__next__, False)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(o.rounds):
            for name, way in ways.items():
                rates[name].append(rate(*way))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    device_name = torch.cuda.get_device_name(device) if cuda else "cpu"
    print(
        f"{device_name}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}, {o.arch}, crops of {o.crop}, "
        f"batches of {o.batch}, {'not compiled' if o.no_compile else 'compiled'}"
    )
    print(f"{'images/s':40} {'median':>9} {'of bare':>8}")
    for name, value in medians.items():
        print(f"{name:40} {value:9.1f} {value / medians['bare step']:8.2f}")
    if o.json:
        o.json.write_text(
            json.dumps({"machine": machine(), "options": vars(o) | {"json": None}, "rates": rates}, indent=1)
        )


if __name__ == "__main__":
    main()
