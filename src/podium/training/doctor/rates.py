"""How fast each part of a training is on a workspace's own data, each measured for a second or so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch

from podium.cores import usable_cores
from podium.data.build import ordered_map
from podium.data.cache import WORKERS
from podium.data.loader import TrainLoader, single_thread_cv2
from podium.formats.images import read_image
from podium.recipe import Recipe
from podium.training.doctor.steps import Speed, Steps, by_threads, speeds
from podium.training.doctor.timing import per_call, per_second
from podium.training.evaluate import Predictor, evaluate
from podium.training.feed import Fed, Feed, feed_of
from podium.training.fold_run import FoldData, with_batch
from podium.training.lr_find import endless
from podium.training.resident import loaders
from podium.training.tasks import MaskTask, TableTask, Values, create_task

FILES = 256
"""Image files that are decoded over and over; more would only tell of the disk."""


@dataclass(frozen=True)
class Rates:
    """Samples a second, of one fold of one recipe.

    Attributes:
        decode: Image files read and decoded, in threads, as `podium prepare` does once.
        read: Images read from where training reads them, in one thread; ``read_mb``: in MB/s.
        augment: Variants made, reading included, in one thread.
        load: Batches made ready and brought to the device, with nothing else to do.
        step: Training steps on a batch that is there already.
        train: Training steps with their batches, as the loop does it.
        validate: Validation images predicted and scored, without flips.
        transfer: Pixels copied to the device; None where that is the CPU.
    """

    decode: float
    read: float
    read_mb: float
    augment: float
    load: float
    step: float
    train: float
    validate: float
    transfer: float | None = None


@dataclass(frozen=True)
class Measured:
    """A workspace's rates, the speeds of its precisions, and what they were measured on.

    Attributes:
        size: [height, width] of a training batch.
        parameters: Of the network.
        threads: Images a second of bare steps, by torch's threads; empty on a GPU.
        loaders: Threads of the loader.
    """

    rates: Rates
    speeds: list[Speed]
    recipe: Recipe
    size: list[int]
    parameters: int
    threads: dict[int, float]
    loaders: int


def measure(data: FoldData, recipe: Recipe, seconds: float = 1.0) -> Measured:
    """Measure a recipe on the first fold of a workspace; nothing of it is kept.

    Args:
        seconds: That each measurement takes, about; a slow step counts a few times whatever it takes.
    """
    store, truth = data.stores.images, data.truth
    train_rows = [store.row[id] for id in data.folds.training(0)]
    val_rows = [store.row[id] for id in data.folds.validation(0)]
    task, table = create_task(data.competition, data.metric, recipe), None
    task.channels = data.channels
    if isinstance(task, TableTask):
        assert isinstance(truth, Values)
        task.fit(truth.take(train_rows))
        table = task.table(truth)
    steps = Steps(task, recipe, recipe.train.precision)
    device = steps.fabric.device
    make = loaders(data.stores, data.opened, train_rows, table, device)
    recipe = with_batch(recipe, steps.fabric, steps.model, task, lambda r: make(train_rows, r), "doctor")
    loader = make(train_rows, recipe)
    feed = feed_of(loader, device, recipe.input.normalize)
    batch = next(feed.epoch(0, 1))
    timed = speeds(task, recipe, batch, seconds)
    alone = next(s.images_per_s for s in timed if s.chosen)
    read, read_mb = _reading(loader, seconds)
    return Measured(
        Rates(
            decode=_decoding(data, seconds),
            read=read,
            read_mb=read_mb,
            augment=_augmenting(loader, seconds),
            load=_loading(feed, steps, seconds),
            step=alone,
            train=_training(feed, steps, seconds),
            validate=_validating(data, recipe, steps, val_rows, seconds),
            transfer=_copying(batch, seconds),
        ),
        timed,
        recipe,
        list(batch.images.shape[2:]),
        sum(p.numel() for p in steps.model.parameters()),
        by_threads(task, recipe, batch, seconds, usable_cores()),
        loader.workers,
    )


def _decoding(data: FoldData, seconds: float) -> float:
    """As `prepare` decodes: in threads, one file each."""
    single_thread_cv2()
    paths = [s.image for s in data.samples if s.id in data.folds.fold][:FILES]
    done = ordered_map(read_image, cycle(paths), workers=WORKERS)
    return per_second((1 for _ in done), seconds, warm=2 * WORKERS)


def _reading(loader: TrainLoader, seconds: float) -> tuple[float, float]:
    """(images, MB) a second in one thread, in the order of an epoch."""
    rows = np.random.default_rng(0).permutation(loader.rows)
    held = [0, 0]

    def read() -> Iterator[int]:
        for row in cycle(map(int, rows)):
            held[0], held[1] = held[0] + np.array(loader.images.image(row)).nbytes, held[1] + 1
            yield 1

    rate = per_second(read(), seconds, warm=min(32, len(rows)))
    return rate, rate * held[0] / max(1, held[1]) / 1e6


def _augmenting(loader: TrainLoader, seconds: float) -> float:
    def make() -> Iterator[int]:
        for n in range(2**31):
            loader.sample(int(loader.rows[n % len(loader.rows)]), 0, 1 + n // len(loader.rows), loader.rows)
            yield 1

    return per_second(make(), seconds)


def _batches(feed: Feed) -> Iterator[Fed]:
    return endless(lambda epoch: feed.epoch(0, epoch))


def _loading(feed: Feed, steps: Steps, seconds: float) -> float:
    def load() -> Iterator[int]:
        for batch in _batches(feed):
            steps.wait()
            yield len(batch.rows)

    return per_second(load(), seconds, warm=3)


def _training(feed: Feed, steps: Steps, seconds: float) -> float:
    """Steps and batches side by side; at the end of each part the device is waited for."""

    def train() -> Iterator[int]:
        seen, last = 0, time.perf_counter()
        for batch in _batches(feed):
            steps.step(batch)
            seen += len(batch.rows)
            if time.perf_counter() - last > seconds / 8:
                steps.wait()
                yield seen
                seen, last = 0, time.perf_counter()

    return per_second(train(), 1.5 * seconds, warm=1, parts=4)


def _validating(data: FoldData, recipe: Recipe, steps: Steps, rows: list[int], seconds: float) -> float:
    """One batch to see how long that takes, then as many as fit into the time."""
    task = steps.task
    assert isinstance(task, MaskTask | TableTask)
    predictor = Predictor(steps.fabric, [steps.model], task, while_training=True)
    images, truth = data.images(recipe), data.truth

    def rate(count: int) -> float:
        some, started = rows[:count], time.perf_counter()
        evaluate(predictor, images, truth, some)
        return len(some) / (time.perf_counter() - started)

    first = min(len(rows), recipe.train.val_batch)
    rate(first)  # compiles and caches what it needs
    count = int(rate(first) * seconds)
    return rate(max(first, min(len(rows), count)))


def _copying(batch: Fed, seconds: float) -> float | None:
    """Images that the bus to the device carries a second."""
    if not batch.images.is_cuda:
        return None
    pixels = torch.zeros(batch.images.shape, dtype=torch.uint8, pin_memory=True)

    def copy() -> None:
        pixels.to(batch.images.device, non_blocking=True)
        torch.cuda.synchronize()

    return len(batch.rows) / per_call(copy, min(seconds, 0.2))
