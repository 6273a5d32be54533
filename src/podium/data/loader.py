"""Batches: threads fill preallocated uint8 arrays a few batches ahead; cv2 and numpy let go of the GIL."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.augment import augment
from podium.data.cache import WORKERS
from podium.data.geometry import Canvas, canvas_for, place
from podium.data.store import Store, ordered_map
from podium.errors import DataError, TrainingError
from podium.recipe import Recipe

AHEAD = 3
"""Batches being filled while one is trained on."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples side by side.

    Attributes:
        rows: Their rows in the store, (N,).
        images: uint8 (N, H, W, 3).
        masks: uint8 (N, H, W) of 0 and 1; None when only images were asked for.
    """

    rows: NDArray[np.int64]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None = None


def single_thread_cv2() -> None:
    """Our threads are the parallelism; OpenCV's own on top of them only gets in the way."""
    cv2.setNumThreads(1)


class TrainLoader:
    """Augmented batches in an order that depends on (seed, epoch) alone, whatever the number of threads."""

    def __init__(self, images: Store, masks: Store, rows: Sequence[int], recipe: Recipe, *, workers: int = 0) -> None:
        self.images, self.masks, self.rows, self.recipe = images, masks, np.asarray(rows), recipe
        self.workers = workers or max(1, min(8, (os.cpu_count() or 1)))
        self.canvas = training_canvas(images, rows, recipe)

    def __len__(self) -> int:
        return max(1, len(self.rows) // self.recipe.train.batch_size)

    def epoch(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch; the short rest of a shuffle is left out (another epoch has it)."""
        single_thread_cv2()
        size = min(self.recipe.train.batch_size, len(self.rows))
        order = np.random.default_rng([seed, epoch]).permutation(len(self.rows))
        pending: deque[tuple[Batch, list[Future[None]]]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="loader")
        try:
            for b in range(len(self)):
                rows = self.rows[order[b * size : (b + 1) * size]]
                pending.append(self._start(pool, rows, seed, epoch))
                if len(pending) > AHEAD:
                    yield _finish(pending.popleft())
            while pending:
                yield _finish(pending.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _start(
        self, pool: ThreadPoolExecutor, rows: NDArray[np.int64], seed: int, epoch: int
    ) -> tuple[Batch, list[Future[None]]]:
        shape = (len(rows), self.canvas.height, self.canvas.width)
        batch = Batch(rows, np.empty((*shape, 3), np.uint8), np.empty(shape, np.uint8))
        return batch, [pool.submit(self._fill, batch, slot, seed, epoch) for slot in range(len(rows))]

    def _fill(self, batch: Batch, slot: int, seed: int, epoch: int) -> None:
        row = int(batch.rows[slot])
        try:
            rng = np.random.default_rng([seed, epoch, row])
            image, mask = augment(self.recipe.augment, self.canvas, rng, self.images.image(row), self.masks.mask(row))
            assert batch.masks is not None
            batch.images[slot], batch.masks[slot] = image, mask
        except Exception as error:
            raise TrainingError(
                f"loading the sample '{self.images.ids[row]}' failed: {type(error).__name__}: {error}",
                remedy="run: podium look",
            ) from error


def _finish(pending: tuple[Batch, list[Future[None]]]) -> Batch:
    for future in pending[1]:
        future.result()
    return pending[0]


def training_canvas(images: Store, rows: Sequence[int], recipe: Recipe) -> Canvas:
    """The frame of the training batches.

    Raises:
        DataError: if whole images are asked for and they differ in size.
    """
    shapes = {images.shape(int(r)) for r in rows}
    if len(shapes) > 1 and not recipe.input.train_crop:
        small, large = min(shapes), max(shapes)
        raise DataError(
            f"the images have {len(shapes)} sizes, from {small[1]}x{small[0]} to {large[1]}x{large[0]}",
            where="recipe",
            expected="one size, to batch whole images",
            remedy="set input.size=[height,width], or input.train_crop=256 to train on crops",
        )
    return canvas_for(next(iter(shapes)), recipe.input.pad_to, recipe.input.train_crop)


class Images(Protocol):
    """Where whole images come from: a store, or files decoded as they are needed."""

    def __len__(self) -> int: ...

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of image ``i`` at the input size, without decoding it."""

    def image(self, i: int) -> NDArray[np.uint8]:
        """Image ``i``, uint8 (H, W, 3)."""


def whole_batches(images: Images, rows: Sequence[int], pad_to: int, batch_size: int) -> Iterator[Batch]:
    """Unaugmented whole images, padded, in the order given; neighbours of one size share a batch.

    Read in threads, a few batches ahead.
    """
    single_thread_cv2()
    chunks: list[list[int]] = []
    for row in map(int, rows):
        if chunks and len(chunks[-1]) < batch_size and images.shape(chunks[-1][0]) == images.shape(row):
            chunks[-1].append(row)
        else:
            chunks.append([row])

    def read(chunk: list[int]) -> Batch:
        frame = canvas_for(images.shape(chunk[0]), pad_to)
        placed = [place(images.image(r), frame.height, frame.width) for r in chunk]
        return Batch(np.asarray(chunk), np.stack(placed))

    return ordered_map(read, chunks, workers=min(4, WORKERS), ahead=2)
