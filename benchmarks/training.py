"""Training and prediction of a network, against the same network in a plain loop."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.harness import Benchmark, Pair, Seconds
from benchmarks.scenes import car_mask, photo
from podium.data.competition import Competition
from podium.data.loader import TrainLoader
from podium.data.store import Item, Store, build_store
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training.device import create_fabric, to_device
from podium.training.evaluate import Predictor, evaluate, evaluating
from podium.training.feed import Fed, Feed
from podium.training.loop import Training
from podium.training.setting import Setting
from podium.training.tasks import create_task

COMPETITION = {"name": "bench", "data": {"train_images": "*.png", "train_masks": "{id}.png"}}


def _recipe(tiny: bool, arch: str) -> Recipe:
    settings = [f"model.arch={arch}", "train.checkpoint=last", f"train.batch_size={2 if tiny else 4}"]
    return Recipe().with_overrides([*settings, "optim.lr=1e-4", "schedule.name=constant", "train.epochs=1"])


def _photos(n: int, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)


def _task(recipe: Recipe) -> Any:
    return create_task(Competition.from_tree(COMPETITION), get_metric("dice"), recipe)


class Resident:
    """Batches that lie on the device already: what is left is the loop."""

    def __init__(self, steps: int, batch: Fed) -> None:
        self.steps, self.batch = steps, batch

    def __len__(self) -> int:
        return self.steps

    def epoch(self, seed: int, epoch: int, skip: int = 0) -> Iterator[Fed]:
        """The same batch again and again."""
        yield from [self.batch] * (self.steps - skip)


def _training(recipe: Recipe, model: torch.nn.Module, task: Any, fabric: Any, feed: Any) -> Any:
    """One epoch of podium's own loop over resident batches; nothing is validated."""

    class Bare(Training):
        def _enter_epoch(self) -> bool:
            self.stage, self.feed = self.course.stage_at(0), feed
            return False

    folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
    metric = get_metric("dice")
    setting = Setting(fabric, model, task, lambda r: None, lambda: (0.0, None), folder, 0, metric)  # type: ignore
    training = Bare(setting, recipe)
    training._enter_epoch()
    return training


def _resident(size: int, batch: int, normalized: torch.Tensor) -> Fed:
    masks = torch.from_numpy((np.random.default_rng(1).random((batch, size, size)) < 0.3).astype(np.uint8))
    return Fed(np.arange(batch), normalized, masks.to(normalized.device))


def _setup(tiny: bool, arch: str) -> SimpleNamespace:
    size, recipe = 64 if tiny else 256, _recipe(tiny, arch)
    torch.manual_seed(0)
    fabric, task = create_fabric("auto"), _task(recipe)
    model = task.create_model()
    plain = copy.deepcopy(model)
    n = int(recipe.train.batch_size)
    images = torch.rand(n, 3, size, size).contiguous(memory_format=torch.channels_last)
    model = to_device(model, fabric)
    return SimpleNamespace(**locals())


def train_step(tiny: bool, folder: Path) -> Pair:
    """Steps of podium's loop against a plain fp32 loop."""
    s, steps = _setup(tiny, "ternausnet11"), 2
    feed = Resident(steps, _resident(s.size, s.n, s.images.to(s.fabric.device)))
    training = _training(s.recipe, s.model, s.task, s.fabric, feed)
    plain, optimizer = s.plain, torch.optim.AdamW(s.plain.parameters(), lr=1e-4)
    images, target = s.images.contiguous(), feed.batch.masks.float().unsqueeze(1).cpu()

    def ours() -> None:
        training.done.step = 0
        training._train_epoch()

    def peer() -> None:
        plain.train()
        for _ in range(steps):
            logits = plain(images)
            probs = logits.sigmoid()
            overlap, areas = (probs * target).sum((1, 2, 3)), (probs + target).sum((1, 2, 3))
            loss = F.binary_cross_entropy_with_logits(logits, target) + (1 - (2 * overlap + 1) / (areas + 1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return Pair(ours, peer, f"{steps} steps of {s.n} images of {s.size}x{s.size}")


def infer(tiny: bool, folder: Path) -> Pair:
    """Podium's predictor against a plain fp32 one."""
    s = _setup(tiny, "ternausnet11")
    predictor = Predictor(s.fabric, [s.model], s.task, while_training=True)
    photos = _photos(s.n, s.size)
    plain = s.plain.eval()
    mean, sd = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def ours() -> Any:
        return predictor(photos)[..., 0]

    def peer() -> Any:
        with torch.no_grad():
            x = (torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255 - mean) / sd
            return (plain(x.contiguous()).sigmoid()[:, 0] * 255).round().to(torch.uint8).numpy()

    gap = np.abs(ours().astype(int) - peer().astype(int)).mean()
    assert gap < 6, f"predictions differ by {gap:.1f} of 255 on the average"  # bf16 against fp32, random weights
    return Pair(ours, peer, f"{s.n} images of {s.size}x{s.size}, uint8 to uint8")


def loop_overhead(tiny: bool, folder: Path) -> Pair:
    """The bare forward and backward passes (ours) against podium's loop (peer): the ratio is the overhead."""
    s, steps = _setup(tiny, "unet"), 2 if tiny else 4
    feed = Resident(steps, _resident(s.size, s.n, s.images.to(s.fabric.device)))
    training = _training(s.recipe, s.model, s.task, s.fabric, feed)
    network, optimizer, batch = training.network, training.optimizer, feed.batch

    def bare() -> None:
        network.train()
        for _ in range(steps):
            loss, _ = s.task.loss(network(batch.images), batch)
            s.fabric.backward(loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def epoch() -> None:
        training.done.step = 0
        training._train_epoch()

    return Pair(bare, epoch, f"{steps} steps of {s.n} images of {s.size}x{s.size}")


def _scenes(tiny: bool, folder: Path, count: int) -> tuple[Store, Store, Store]:
    """(images, masks, truth): photos and masks of one side, and the masks at twice that."""
    side = 64 if tiny else 256
    ids = [f"{n:03d}" for n in range(count)]
    large = {id: cv2.resize(car_mask(True, n), (2 * side, 2 * side), interpolation=cv2.INTER_NEAREST) > 0
             for n, id in enumerate(ids)}  # fmt: skip
    photos = {id: cv2.resize(photo(True, n), (side, side)) for n, id in enumerate(ids)}
    images = build_store(folder / "images", ids, lambda id: Item(id, photos[id], {}), what="images")
    masks = build_store(folder / "masks", ids, lambda id: Item(id, large[id][::2, ::2], {}), what="masks")
    return images, masks, build_store(folder / "truth", ids, lambda id: Item(id, large[id], {}), what="truth")


def data_wait(tiny: bool, folder: Path) -> Pair:
    """An epoch of augmented batches from the store, without and with the time that the loop waits for them."""
    count = 8 if tiny else 32
    images, masks, _ = _scenes(tiny, folder, count)
    recipe = _recipe(tiny, "unet").with_overrides(["model.width=0.5"])
    task, fabric = _task(recipe), create_fabric("auto")
    loader = TrainLoader(images, masks, range(count), recipe)
    training = _training(
        recipe, to_device(task.create_model(), fabric), task, fabric, Feed(loader, fabric.device, "imagenet")
    )

    known: list[tuple[float, float]] = []

    def epoch(waiting: bool) -> Seconds:
        """Of one epoch, which the two calls of a round share: what it took, with the waiting or without."""
        if not known:
            training.done.step, begun = 0, time.monotonic()
            waited = training._train_epoch()[3]
            known.append((time.monotonic() - begun, waited))
            whole, waited = known[0]
        else:
            whole, waited = known.pop()
        return Seconds(whole - (0 if waiting else waited))

    return Pair(lambda: epoch(False), lambda: epoch(True), f"{count} images of {images.shape(0)[0]} squared")


def validation(tiny: bool, folder: Path) -> Pair:
    """The bare forward passes of a network over images on the device (ours) against their validation (peer).

    By the processor's time of all threads: reading and scoring run beside the network, which the wall clock of two
    cores would hide.
    """
    count, batch = (4, 2) if tiny else (32, 16)
    images, _, truth = _scenes(tiny, folder, count)
    side = images.shape(0)[0]
    recipe = _recipe(tiny, "unet").with_overrides([f"input.size=[{side}, {side}]", f"train.batch_size={batch // 2}"])
    task, fabric = _task(recipe), create_fabric("auto")
    model = to_device(task.create_model(), fabric)
    predictor = Predictor(fabric, [model], task, while_training=True)
    batches = [
        predictor.normalize(np.stack([images.image(i + k) for k in range(batch)])) for i in range(0, count, batch)
    ]

    @torch.inference_mode()
    def bare() -> Seconds:
        begun = time.process_time()
        with evaluating([model]), fabric.autocast():
            for x in batches:
                model(x)
        return Seconds(time.process_time() - begun)

    def whole() -> Seconds:
        begun = time.process_time()
        evaluate(predictor, images, truth, range(count))
        return Seconds(time.process_time() - begun)

    return Pair(bare, whole, f"{count} images of {side} squared, scored at {truth.shape(0)[0]} squared")


BENCHMARKS = (
    Benchmark(
        "train_step", "training steps, TernausNet-11", "the same network, plain fp32 loop", 4, train_step, "wall"
    ),
    Benchmark("infer", "prediction, TernausNet-11", "the same network, plain fp32", 5, infer, "wall"),
    Benchmark("loop_overhead", "bare steps, UNet", "podium's loop", 1.05, loop_overhead, "wall", at_most=True),
    Benchmark("data_wait", "an epoch less waiting, UNet", "the whole epoch", 1.02, data_wait, "wall", at_most=True),
    Benchmark("validation", "bare forward passes, UNet", "their validation", 1.1, validation, "wall", at_most=True),
)
