"""Batches: threads fill preallocated uint8 arrays a few batches ahead; cv2 and numpy let go of the GIL."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.augment import augment, load_extra, mix, partners
from podium.data.cache import WORKERS
from podium.data.geometry import Canvas
from podium.data.preprocess import Preprocess
from podium.data.store import Store, ordered_map
from podium.errors import DataError, PodiumError, TrainingError
from podium.recipe import Recipe

AHEAD = 3
"""Batches being filled while one is trained on."""

Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
Fence = Callable[[], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples side by side.

    Attributes:
        rows: Their rows in the store, (N,).
        images: uint8 (N, H, W, C).
        masks: uint8 (N, H, W) of labels; None when only images were asked for.
    """

    rows: NDArray[np.int64]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None = None


def single_thread_cv2() -> None:
    """Our threads are the parallelism; OpenCV's own on top of them only gets in the way."""
    cv2.setNumThreads(1)


class TrainLoader:
    """Augmented batches in an order that depends on (seed, epoch) alone, whatever the number of threads.

    The memory of a batch is used again once nothing refers to its arrays any more (tensors that share it count), which
    for a plain loop is when it asks for the next batch. What reads it without a reference, as a copy to a GPU that is
    still under way does, says so by ``fence``.

    Args:
        allocate: Makes the memory of a batch, for instance pinned; numpy's if not given.
        fence: Called when a batch is given back; returns what waits until its memory may be written to again:
            ``lambda: torch.cuda.current_stream().record_event().synchronize``.
    """

    def __init__(
        self,
        images: Store,
        masks: Store,
        rows: Sequence[int],
        recipe: Recipe,
        *,
        workers: int = 0,
        allocate: Allocate | None = None,
        fence: Fence | None = None,
    ) -> None:
        self.images, self.masks, self.rows, self.recipe = images, masks, np.asarray(rows), recipe
        self.workers = workers or max(1, min(8, (os.cpu_count() or 1)))
        self.canvas = training_canvas(images, rows, recipe)
        self.channels = int(images.raw(int(rows[0])).shape[2])
        self._ring, self._fence = _Ring(allocate or _empty), fence
        if recipe.augment.extra is not None:
            load_extra(recipe.augment.extra)  # a wrong one is an error now, not in a thread

    def __len__(self) -> int:
        return max(1, len(self.rows) // self.recipe.train.batch_size)

    def epoch(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch; the short rest of a shuffle is left out (another epoch has it)."""
        single_thread_cv2()
        size = min(self.recipe.train.batch_size, len(self.rows))
        order = self.rows[np.random.default_rng([seed, epoch]).permutation(len(self.rows))]
        pending: deque[_Filling] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="loader")
        try:
            for b in range(len(self)):
                pending.append(self._start(pool, order, slice(b * size, (b + 1) * size), seed, epoch))
                if len(pending) > AHEAD:
                    yield from self._hand_over(pending.popleft())
            while pending:
                yield from self._hand_over(pending.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _hand_over(self, filling: _Filling) -> Iterator[Batch]:
        for future in filling.futures:
            future.result()
        memory, batch = filling.memory, filling.batch
        del filling  # it refers to the arrays
        try:
            yield batch
        finally:
            memory.wait = self._fence() if self._fence else None

    def _start(
        self, pool: ThreadPoolExecutor, order: NDArray[np.int64], part: slice, seed: int, epoch: int
    ) -> _Filling:
        rows, (h, w) = order[part], (self.canvas.height, self.canvas.width)
        memory, (images, masks) = self._ring.take((len(rows), h, w, self.channels), (len(rows), h, w))
        batch = Batch(rows, images, masks)
        slots = np.array_split(np.arange(len(rows)), min(len(rows), 2 * self.workers))
        futures = [pool.submit(self._fill, batch, part_of, order, seed, epoch) for part_of in slots]
        return _Filling(memory, batch, futures)

    def _fill(self, batch: Batch, slots: NDArray[np.int64], order: NDArray[np.int64], seed: int, epoch: int) -> None:
        assert batch.masks is not None
        for slot in slots:
            row = int(batch.rows[slot])
            try:
                batch.images[slot], batch.masks[slot] = self.sample(row, seed, epoch, order)
            except Exception as error:
                told = str(error) if isinstance(error, PodiumError) else f"{type(error).__name__}: {error}"
                raise TrainingError(
                    f"loading the sample '{self.images.ids[row]}' failed: {told}",
                    remedy="" if isinstance(error, PodiumError) else "run: podium look",
                ) from error

    def sample(
        self, row: int, seed: int, epoch: int, order: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The variant of one sample in an epoch; ``order`` has the rows that may be mixed into it."""
        own = self._variant(row, seed, epoch)
        found = partners(self.recipe.augment, np.random.default_rng([seed, epoch, row])) if self._mixes() else None
        if found is None:
            return own

        @cache
        def other(k: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
            place = int(found.places[k] * len(order))
            partner = order[place] if order[place] != row else order[place - 1]
            return self._variant(int(partner), seed, epoch, row, 1 + k)

        return mix(self.recipe.augment, found, own, other)

    def _mixes(self) -> bool:
        c = self.recipe.augment
        return bool(c.mixup or c.cutmix or c.mosaic or c.copy_paste)

    def _variant(self, row: int, *seeds: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        rng = np.random.default_rng([*seeds[:2], row, *seeds[2:]])
        image, mask = self.images.image(row), MaskPart(self.masks, row)
        return augment(self.recipe.augment, self.canvas, rng, image, mask)


class MaskPart:
    """A stored mask of which only the part that is looked at is unpacked."""

    def __init__(self, masks: Store, row: int) -> None:
        self._raw, self.shape = masks.raw(row), masks.shape(row)

    def __getitem__(self, part: tuple[slice, slice]) -> NDArray[np.uint8]:
        rows, columns = part
        if self._raw.ndim == 3:  # labels, not bits
            return self._raw[rows, columns, 0]
        first, last, _ = columns.indices(self.shape[1])
        bits = np.unpackbits(self._raw[rows, first // 8 : (last + 7) // 8], axis=1)
        return bits[:, first % 8 : first % 8 + last - first]


# ---------------------------------------------------------------------- memory


@dataclass(slots=True)
class _Memory:
    """The memory of one batch, and what to wait for before it is written to again."""

    flat: NDArray[np.uint8]
    wait: Callable[[], None] | None = None


@dataclass(slots=True)
class _Filling:
    """A batch on its way."""

    memory: _Memory
    batch: Batch
    futures: list[Future[None]] = field(default_factory=list)


class _Ring:
    """Memory that is handed out again once nobody refers to it: AHEAD + 2 batches of it in a plain training loop."""

    def __init__(self, allocate: Allocate) -> None:
        self._allocate, self._all = allocate, list[_Memory]()

    def take(self, *shapes: tuple[int, ...]) -> tuple[_Memory, list[NDArray[np.uint8]]]:
        """Arrays of these shapes, in memory that is not in use."""
        sizes = [math.prod(shape) for shape in shapes]
        memory = next((m for m in self._all if m.flat.size == sum(sizes) and _references(m) <= _IDLE), None)
        if memory is None:
            memory = _Memory(self._allocate((sum(sizes),)))
            self._all = [*(m for m in self._all if m.flat.size == sum(sizes)), memory][-(AHEAD + 2) :]
        elif memory.wait is not None:
            memory.wait()
        memory.wait = None
        ends = np.cumsum([0, *sizes])
        return memory, [memory.flat[a:b].reshape(s) for a, b, s in zip(ends, ends[1:], shapes, strict=False)]


def _references(memory: _Memory) -> int:
    return sys.getrefcount(memory.flat)


def _empty(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


_IDLE = _references(_Memory(_empty((1,))))
"""References to memory that only the ring has; arrays cut out of it, and tensors over these, are further ones."""


def training_canvas(images: Store, rows: Sequence[int], recipe: Recipe) -> Canvas:
    """The frame of the training batches.

    Raises:
        DataError: if whole images are asked for and they differ in size.
    """
    preprocess = Preprocess.of(recipe.input)
    shapes = {images.shape(int(r)) for r in rows}
    frames = {preprocess.canvas(shape, recipe.input.train_crop) for shape in shapes}
    if len(shapes) > 1 and not (recipe.input.train_crop or recipe.input.keep_aspect):
        small, large = min(shapes), max(shapes)
        raise DataError(
            f"the images have {len(shapes)} sizes, from {small[1]}x{small[0]} to {large[1]}x{large[0]}",
            where="recipe",
            expected="one size, to batch whole images",
            remedy="set input.size=[height,width], or input.train_crop=256 to train on crops",
        )
    return frames.pop()


class Images(Protocol):
    """Where whole images come from: a store, or files decoded as they are needed."""

    def __len__(self) -> int: ...

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of image ``i`` at the input size, without decoding it."""

    def image(self, i: int) -> NDArray[np.uint8]:
        """Image ``i``, uint8 (H, W, 3)."""


def whole_batches(
    images: Images, rows: Sequence[int], canvas: Callable[[tuple[int, int]], Canvas], batch_size: int
) -> Iterator[Batch]:
    """Unaugmented whole images, padded, in the order given; neighbours of one frame share a batch.

    Read in threads, a few batches ahead.

    Args:
        canvas: (height, width) of an image -> the frame it is padded to.
    """
    single_thread_cv2()
    chunks: list[tuple[Canvas, list[int]]] = []
    for row in map(int, rows):
        frame = canvas(images.shape(row))
        if chunks and len(chunks[-1][1]) < batch_size and chunks[-1][0] == frame:
            chunks[-1][1].append(row)
        else:
            chunks.append((frame, [row]))

    def read(chunk: tuple[Canvas, list[int]]) -> Batch:
        frame, rows = chunk
        return Batch(np.asarray(rows), np.stack([frame.place(images.image(r)) for r in rows]))

    return ordered_map(read, chunks, workers=min(4, WORKERS), ahead=2)
