"""Batches: threads fill preallocated uint8 arrays a few batches ahead; cv2 and numpy let go of the GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.cores import usable_cores
from podium.data.augment import Partners, augment, load_extra, mix, mixup_share, partners
from podium.data.augment.mixing import Others, Pair
from podium.data.cache import WORKERS
from podium.data.geometry import Canvas
from podium.data.joined import Joined
from podium.data.order import batch_key, class_weights, epoch_rows, epoch_size
from podium.data.preprocess import Preprocess
from podium.data.presence import mask_classes, table_classes
from podium.data.ring import AHEAD, Allocate, Filling, Ring, empty
from podium.data.store import Store, ordered_map
from podium.data.views import Images, Source, grid, montage
from podium.errors import DataError, PodiumError, TrainingError
from podium.recipe import Recipe

B = TypeVar("B")
Start = Callable[[ThreadPoolExecutor, NDArray[np.int64], slice, int, int], "Filling[B]"]
Fence = Callable[[], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples side by side.

    Attributes:
        rows: Their rows in the store, (N,).
        images: uint8 (N, H, W, C), or uint16.
        masks: uint8 (N, H, W) of labels; None when only images were asked for.
        targets: float32 (N, T): what a table says of each sample, as `Table` has it; None where there is no table.
        inputs: float32 (N, M): numbers that the network gets beside the image; None where there are none.
        second: uint8 (N, H, W): masks of the samples that a mixup blended in; None where none does.
        shares: float32 (N,): how much of them there is, 0 to 0.5.
    """

    rows: NDArray[np.int64]
    images: NDArray[Any]
    masks: NDArray[np.uint8] | None = None
    targets: NDArray[np.float32] | None = None
    inputs: NDArray[np.float32] | None = None
    second: NDArray[np.uint8] | None = None
    shares: NDArray[np.float32] | None = None

    @property
    def unmixed(self) -> bool:
        """Whether every sample has a target of 1: where a table says one class of several, nothing is a mixture."""
        return self.targets is not None and bool((self.targets.max(axis=1) == 1).all())

    def part(self, which: slice) -> Batch:
        """Some of its samples, sharing memory."""
        rest = (None if a is None else a[which] for a in (self.masks, self.targets, self.inputs))
        return Batch(self.rows[which], self.images[which], *rest)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Table:
    """Targets and inputs that are values, not pixels: row i belongs to item i of the store of images.

    Attributes:
        targets: float32 (rows, T), of which means are taken where samples are mixed.
        inputs: float32 (rows, M), or None.
    """

    targets: NDArray[np.float32]
    inputs: NDArray[np.float32] | None = None


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
        table: Targets that are values; ``masks`` are not looked at then.
        views: The stores of all images of a sample, where it has several: side by side they are one picture.

    Attributes:
        weights: How often each of the rows comes, relatively, where `sampling.replacement` is on; None = all alike.
        share: The part of each batch that is made here, where several processes make it: (which, of how many).
    """

    def __init__(
        self,
        images: Source,
        masks: Store,
        rows: Sequence[int],
        recipe: Recipe,
        *,
        workers: int = 0,
        allocate: Allocate | None = None,
        fence: Fence | None = None,
        table: Table | None = None,
        views: Sequence[Source] = (),
    ) -> None:
        self.images, self.masks, self.rows, self.recipe = images, masks, np.asarray(rows), recipe
        self.table, self.views = table, list(views) or [images]
        self.workers = workers or max(1, min(8, usable_cores()))
        self.canvas = training_canvas(images, rows, recipe, self.views)
        self.channels, self.dtype = pixel_kind(images, rows)
        self.ring, self._fence = Ring(allocate or empty), fence
        if recipe.augment.extra is not None:
            load_extra(recipe.augment.extra)  # a wrong one is an error now, not in a thread
        self.share = (0, 1)
        self.weights: NDArray[np.float64] | None = None
        if recipe.sampling.by == "class":
            there = mask_classes(masks, self.rows) if table is None else table_classes(table.targets[self.rows])
            self.weights = class_weights(there, recipe.sampling.power)

    def __len__(self) -> int:
        return max(1, epoch_size(len(self.rows), self.recipe.sampling) // int(self.recipe.train.batch_size))

    @property
    def size(self) -> int:
        """Samples a batch, of all processes together."""
        return min(int(self.recipe.train.batch_size), epoch_size(len(self.rows), self.recipe.sampling))

    def pin(self, allocate: Allocate, fence: Fence) -> None:
        """Have other memory from now on; see ``allocate`` and ``fence`` above."""
        self.ring, self._fence = Ring(allocate), fence

    def epoch(self, seed: int, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; the short rest of a shuffle is left out (another epoch has it).

        Args:
            skip: Batches that are left out at the beginning, for a training that was stopped within the epoch.
        """
        return self.run(self._start, seed, epoch, skip)

    def run(self, start: Start[B], seed: int, epoch: int, skip: int = 0) -> Iterator[B]:
        """What ``start`` begins for the rows of each batch of an epoch, in order, a few of them ahead."""
        single_thread_cv2()
        sampling, size = self.recipe.sampling, self.size
        order = epoch_rows(self.rows, sampling, seed, epoch, self.weights)
        first, last = (size * (self.share[0] + k) // self.share[1] for k in (0, 1))
        pending: deque[Filling[B]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="loader")
        try:
            for b in range(skip, len(self)):
                part = slice(b * size + first, b * size + last)
                pending.append(start(pool, order, part, seed, batch_key(sampling, epoch, b)))
                if len(pending) > AHEAD:
                    yield from self._hand_over(pending.popleft())
            while pending:
                yield from self._hand_over(pending.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _hand_over(self, filling: Filling[B]) -> Iterator[B]:
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
    ) -> Filling[Batch]:
        rows, (down, across) = order[part], grid(len(self.views))
        h, w = down * self.canvas.height, across * self.canvas.width
        across_bytes = self.channels * self.dtype.itemsize
        memory, (images, masks) = self.ring.take((len(rows), h, w, across_bytes), (len(rows), h, w))
        batch = self.batch_of(rows, images.view(self.dtype), masks)
        slots = np.array_split(np.arange(len(rows)), min(len(rows), 2 * self.workers))
        futures = [pool.submit(self._fill, batch, part_of, order, seed, epoch) for part_of in slots]
        return Filling(memory, batch, futures)

    def batch_of(self, rows: NDArray[np.int64], images: NDArray[Any], masks: NDArray[np.uint8]) -> Batch:
        """A batch with what the table, if there is one, says of its rows."""
        batch, table = Batch(rows, images, masks), self.table
        if table is None and self.recipe.augment.mixup * self.recipe.augment.strength > 0:
            down, across = grid(len(self.views))
            shape = (len(rows), down * self.canvas.height, across * self.canvas.width)
            return replace(batch, second=np.zeros(shape, np.uint8), shares=np.zeros(len(rows), np.float32))
        if table is None:
            return batch
        return replace(batch, targets=table.targets[rows], inputs=None if table.inputs is None else table.inputs[rows])

    def _fill(self, batch: Batch, slots: NDArray[np.int64], order: NDArray[np.int64], seed: int, epoch: int) -> None:
        assert batch.masks is not None
        for slot in map(int, slots):
            with self.naming(int(batch.rows[slot])):
                self.make(batch, slot, batch.images[slot], batch.masks[slot], order, seed, epoch)

    def make(
        self,
        batch: Batch,
        slot: int,
        image: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        order: NDArray[np.int64],
        seed: int,
        epoch: int,
    ) -> None:
        """Write a sample's variant into ``image`` and ``mask``, and its target, if it has a value, into the batch."""
        row = int(batch.rows[slot])
        found, others = self._others(row, seed, epoch, order)
        image[:], mask[:] = self._made(row, seed, epoch, found, others)
        if self.table is not None and batch.targets is not None:
            batch.targets[slot] = self._mixture(row, seed, epoch, order, mask)
        if found is not None and "mixup" in found.come and batch.second is not None and batch.shares is not None:
            batch.second[slot], batch.shares[slot] = others(0)[1], mixup_share(self.recipe.augment, found)

    @contextmanager
    def naming(self, row: int) -> Iterator[None]:
        """Whatever fails within the block names the sample."""
        try:
            yield
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
        return self._made(row, seed, epoch, *self._others(row, seed, epoch, order))

    def _made(self, row: int, seed: int, epoch: int, found: Partners | None, others: Others) -> Pair:
        own = self._variant(row, seed, epoch)
        return own if found is None else mix(self.recipe.augment, found, own, others)

    def _others(self, row: int, seed: int, epoch: int, order: NDArray[np.int64]) -> tuple[Partners | None, Others]:
        """Who is mixed into a sample's variant, and their own variants, each made once."""
        found = self.partners(row, seed, epoch)

        @cache
        def other(k: int) -> Pair:
            assert found is not None
            return self._variant(_partner(found, k, row, order), seed, epoch, row, 1 + k)

        return found, other

    def partners(self, row: int, seed: int, epoch: int) -> Partners | None:
        """Who is mixed into a sample's variant; None if nobody is."""
        return partners(self.recipe.augment, np.random.default_rng([seed, epoch, row])) if self._mixes() else None

    def _mixture(
        self, row: int, seed: int, epoch: int, order: NDArray[np.int64], mask: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """The target of a variant of `sample`: the mean of those mixed in it, each by its share of the picture."""
        assert self.table is not None
        targets, found = self.table.targets, self.partners(row, seed, epoch)
        if found is None:
            return np.asarray(targets[row], np.float32)
        rows = [row, *(_partner(found, k, row, order) for k in range(len(found.places)))]
        areas = np.bincount(mask.ravel(), minlength=len(rows))[: len(rows)]  # not what is outside
        shares = areas / max(1, areas.sum())
        if "mixup" in found.come:
            blended = mixup_share(self.recipe.augment, found)
            shares = shares * (1 - blended)
            shares[1] += blended
        return np.asarray(shares @ targets[rows], np.float32)

    def _mixes(self) -> bool:
        c = self.recipe.augment
        return bool(c.mixup or c.cutmix or c.mosaic or c.copy_paste)

    def _variant(self, row: int, *seeds: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        rng = np.random.default_rng([*seeds[:2], row, *seeds[2:]])
        if self.table is None:
            return augment(self.recipe.augment, self.canvas, rng, self.images.image(row), MaskPart(self.masks, row))
        whose = np.uint8(seeds[3] if len(seeds) > 3 else 0)  # in the mask: the sample itself, or which partner
        pictures = [store.image(row) for store in self.views]
        pairs = [augment(self.recipe.augment, self.canvas, rng, p, np.full(p.shape[:2], whose)) for p in pictures]
        return pairs[0] if len(pairs) == 1 else (montage([p for p, _ in pairs]), montage([m for _, m in pairs]))


def _partner(found: Partners, k: int, row: int, order: NDArray[np.int64]) -> int:
    """The row of the sample that is mixed into ``row``."""
    place = int(found.places[k] * len(order))
    return int(order[place] if order[place] != row else order[place - 1])


class MaskPart:
    """A stored mask of which only the part that is looked at is unpacked."""

    def __init__(self, masks: Store, row: int) -> None:
        self._raw, self.shape, self._kind = masks.raw(row), masks.shape(row), masks.kinds[row]

    def __getitem__(self, part: tuple[slice, slice]) -> NDArray[np.uint8]:
        rows, columns = part
        if self._kind not in ("mask", "masks"):  # labels, not bits
            return self._raw[rows, columns] if self._raw.ndim == 2 else self._raw[rows, columns, 0]
        first, last, _ = columns.indices(self.shape[1])
        bits = np.unpackbits(self._raw[..., rows, first // 8 : (last + 7) // 8], axis=-1)
        bits = bits[..., first % 8 : first % 8 + last - first]
        if bits.ndim == 2:
            return bits
        whole = np.zeros(bits.shape[1:], np.uint8)  # classes that overlap: a bit each
        for k, layer in enumerate(bits):
            whole |= layer << np.uint8(k)
        return whole


def pixel_kind(images: Source, rows: Sequence[int]) -> tuple[int, np.dtype[Any]]:
    """Channels and type of the training images.

    Raises:
        DataError: if they differ.
    """
    kinds = sorted(images.pixel_kinds([int(r) for r in rows])) if isinstance(images, (Store, Joined)) else []
    if len(kinds) > 1:
        told = ", ".join(f"{channels} of {bits} bits" for channels, bits in kinds)
        raise DataError(
            f"the images have different channels: {told}",
            where="recipe",
            expected="the same of all, to batch them",
            remedy='set input.channels="rgb": all are brought to three channels of 8 bits',
        )
    first = images.image(int(rows[0]))
    return int(first.shape[2]), first.dtype


def training_canvas(images: Source, rows: Sequence[int], recipe: Recipe, views: Sequence[Source] = ()) -> Canvas:
    """The frame of the training batches; of each image, where a sample has several.

    Raises:
        DataError: if whole images are asked for and they differ in size.
    """
    preprocess = Preprocess.of(recipe.input)
    shapes = {store.shape(int(r)) for store in (views or [images]) for r in rows}
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


def whole_batches(
    images: Images, rows: Sequence[int], canvas: Callable[[tuple[int, int]], Canvas], batch_size: int
) -> Iterator[Batch]:
    """Unaugmented whole images, padded, in the order given; neighbours of one frame share a batch.

    Read in threads, a few batches ahead.

    Args:
        canvas: (height, width) of an image -> the frame it is padded to.
    """
    single_thread_cv2()

    def read(chunk: tuple[Canvas, list[int]]) -> Batch:
        frame, rows = chunk
        return Batch(np.asarray(rows), np.stack([frame.place(images.image(r)) for r in rows]))

    return ordered_map(read, neighbours(images, rows, canvas, batch_size), workers=min(4, WORKERS), ahead=2)


def neighbours(
    images: Images, rows: Sequence[int], canvas: Callable[[tuple[int, int]], Canvas], batch_size: int
) -> list[tuple[Canvas, list[int]]]:
    """The frame and the rows of each batch of `whole_batches`. From the first row of any of them on, the same ones."""
    chunks: list[tuple[Canvas, list[int]]] = []
    for row in map(int, rows):
        frame = canvas(images.shape(row))
        if chunks and len(chunks[-1][1]) < batch_size and chunks[-1][0] == frame:
            chunks[-1][1].append(row)
        else:
            chunks.append((frame, [row]))
    return chunks
