"""Batches for a device that warps and colours itself: the parts of the images that it needs, and orders for each.

What no device carries out (an elastic distortion, a mixup, …) is made here, and sent as a frame to be copied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.augment.affine import MODES, table_of
from podium.data.augment.orders import Order, order
from podium.data.loader import Batch, MaskPart, TrainLoader
from podium.data.ring import Filling
from podium.data.views import grid

Longs = NDArray[np.int64]
Pixels = NDArray[np.uint8]

STRAIGHT = (1 << 32, 0, 0, 1 << 32)
"""Steps of a frame that is copied as it is."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A batch of N samples before it is warped; places are in bytes, of ``flat`` or of what the device has already.

    Attributes:
        batch: Rows, targets and inputs; without images and masks.
        flat: uint8, all parts one after another.
        sent: (N,) whether a sample's parts are in ``flat``.
        at, mask_at: (N,) where the part of the image, uint8 (h, w, 3), and that of the mask, uint8 (h, w), begin.
        shapes: (N, 2) height and width of both.
        starts, steps: (N, 2) and (N, 4), as `Order` has them.
        borders: (N, 2) of image and mask, numbers of `affine.MODES`.
        colours: float32 (N, 3, 4), as `affine.table_of` makes them.
        coloured: (N,) whether a sample's colours change.
        size: (height, width) of the frames.
        outside: Of masks, beyond a constant border.
    """

    batch: Batch
    flat: Pixels
    sent: NDArray[np.bool_]
    at: Longs
    mask_at: Longs
    shapes: Longs
    starts: Longs
    steps: Longs
    borders: Longs
    colours: NDArray[np.float32]
    coloured: NDArray[np.bool_]
    size: tuple[int, int]
    outside: int


@dataclass(frozen=True, slots=True)
class Resident:
    """What the device has already.

    Attributes:
        places: {row: (where its image begins, where its mask)}.
        pixels: The device's bytes.
    """

    places: Mapping[int, tuple[int, int]]
    pixels: Any


class WindowLoader(TrainLoader):
    """As `TrainLoader`, but of what its batches are made of.

    Args:
        resident: Images and masks that need not be sent.

    Attributes:
        bring: Makes ``resident``, when the device begins to warp.
    """

    def __init__(self, *args: Any, resident: Resident | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.resident, self._most = resident, 0
        self.bring: Callable[[], Resident | None] = lambda: None

    def windows(self, seed: int, epoch: int, skip: int = 0) -> Iterator[Windows]:
        """What the batches of an epoch are made of; see `epoch`."""
        return self.run(self._begin, seed, epoch, skip)

    def order_of(self, row: int, seed: int, epoch: int) -> Order | None:
        """The order of a sample's variant; None if it is made here."""
        if len(self.views) > 1 or self.partners(row, seed, epoch) is not None:
            return None
        shape = (*self.images.shape(row), self.channels)
        return order(self.recipe.augment, self.canvas, np.random.default_rng([seed, epoch, row]), shape)

    def _begin(self, pool: ThreadPoolExecutor, order: Longs, part: slice, seed: int, epoch: int) -> Filling[Windows]:
        rows, (down, across) = order[part], grid(len(self.views))
        size = (down * self.canvas.height, across * self.canvas.width)
        orders = [self.order_of(int(row), seed, epoch) for row in rows]
        held = self.resident.places if self.resident else {}
        sent = np.array([o is None or int(row) not in held for o, row in zip(orders, rows, strict=True)])
        boxes = [o.box if o else (0, size[0], 0, size[1]) for o in orders]
        shapes = np.array([(bottom - top, right - left) for top, bottom, left, right in boxes], np.int64)
        areas = shapes.prod(1) * sent
        ends = np.cumsum((self.channels + 1) * areas)
        at = ends - (self.channels + 1) * areas
        places = [held.get(int(row), (0, 0)) for row in rows]
        here = np.array([[a, a + self.channels * n] for a, n in zip(at, areas, strict=True)], np.int64)
        where = np.where(sent[:, None], here, np.array(places, np.int64))
        for n in np.flatnonzero(~sent):  # of those the whole image is there, of which the box is a part
            shapes[n] = self.images.shape(int(rows[n]))
        self._most = max(self._most, _rounded(int(ends[-1])))
        memory, (flat,) = self.ring.take((self._most,))
        none = np.zeros(0, np.uint8)
        batch = Windows(
            self.batch_of(rows, none, none),
            flat[: int(ends[-1])],
            sent,
            where[:, 0],
            where[:, 1],
            shapes,
            np.array([_start(o, bool(s)) for o, s in zip(orders, sent, strict=True)], np.int64),
            np.array([o.steps if o else STRAIGHT for o in orders], np.int64),
            np.array([self._borders(o) for o in orders], np.int64),
            np.stack([table_of(np.eye(3, 4) if o is None or o.colour is None else o.colour) for o in orders]),
            np.array([o is not None and o.colour is not None for o in orders]),
            size,
            self.recipe.augment.ignore_label if self.recipe.augment.border == "ignore" else 0,
        )
        todo = np.flatnonzero(sent)
        slots = np.array_split(todo, max(1, min(len(todo), 2 * self.workers)))
        futures = [pool.submit(self._gather, batch, orders, part_of, order, seed, epoch) for part_of in slots]
        return Filling(memory, batch, futures)

    def _borders(self, order: Order | None) -> tuple[int, int]:
        constant = MODES[cv2.BORDER_CONSTANT]
        if order is None:
            return constant, constant
        return order.border, constant if self.recipe.augment.border == "ignore" else order.border

    def _gather(
        self, windows: Windows, orders: list[Order | None], slots: Longs, order: Longs, seed: int, epoch: int
    ) -> None:
        for slot in map(int, slots):
            row, (h, w) = int(windows.batch.rows[slot]), windows.shapes[slot].tolist()
            image = windows.flat[windows.at[slot] :][: h * w * self.channels].reshape(h, w, self.channels)
            mask = windows.flat[windows.mask_at[slot] :][: h * w].reshape(h, w)
            with self.naming(row):
                if (wanted := orders[slot]) is None:
                    self.make(windows.batch, slot, image, mask, order, seed, epoch)
                    continue
                top, bottom, left, right = wanted.box
                image[:] = self.images.image(row)[top:bottom, left:right]
                if self.table is None:
                    mask[:] = MaskPart(self.masks, row)[top:bottom, left:right]


def _start(order: Order | None, sent: bool) -> tuple[int, int]:
    """Where the first pixel of a frame comes from, in what lies at `Windows.at`."""
    if order is None:
        return 0, 0
    x, y = order.start
    return (x, y) if sent else (x + (order.box[2] << 32), y + (order.box[0] << 32))


def _rounded(n: int) -> int:
    """A little more, so that batches whose sizes differ a little share memory."""
    step = 1 << max(10, math.frexp(n)[1] - 3)
    return -(-n // step) * step
