"""The pixel store: every image decoded once into one flat file, read by row bands through a memory map.

A store folder holds `pixels.bin` (items one after another, as `podium.data.items` says), `index.parquet` (one row an
item: where it lies, its shape, the hash of its bytes, and what was seen of its source while it was open anyway) and
`meta.json` (the stage and the settings it was made with).
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.build import Built, StoreWriter, fill, ordered_map
from podium.data.cache import WORKERS, NotBuilt, looked_at
from podium.data.items import INDEX_SCHEMA, Item
from podium.data.memory import free_memory
from podium.data.reuse import Donors, settings_digest, write_meta
from podium.errors import DataError, storage_error
from podium.files import MARKER, is_complete, locked, remove_leftovers
from podium.progress import say

__all__ = ["Item", "Pixels", "Store", "StoreWriter", "build_store", "ordered_map"]

Pixels = NDArray[np.uint8]
Array = NDArray[Any]


class Store:
    """A finished store, open for reading. Threads may share it.

    Whatever an item's kind, what is read of it has its natural form: images (H, W, C), label maps (H, W), masks (H, W)
    and stacks of masks (C, H, W) as uint8 0 and 1. An item that could not be read has the shape (0, 0).

    Attributes:
        built: How its items came to be, if it was built just now.
    """

    def __init__(self, folder: Path, built: Built | None = None, *, touch: bool = True) -> None:
        if not is_complete(folder):
            raise DataError("this cache folder is not finished", where=folder, remedy="run: podium prepare")
        self.folder, self.built = folder, built
        try:
            self.index = pl.read_parquet(folder / "index.parquet")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _damaged(folder, f"index.parquet cannot be read: {str(error).splitlines()[0][:200]}") from None
        if self.index.columns != list(INDEX_SCHEMA):
            raise _damaged(folder, "index.parquet has other columns: it was made by another version of podium")
        self.ids: list[str] = self.index["id"].to_list()
        self.row = {id: i for i, id in enumerate(self.ids)}
        self.shapes = self.index.select("height", "width", "channels").to_numpy()
        self.kinds: list[str | None] = self.index["kind"].to_list()
        self._offsets: list[int] = self.index["offset"].to_list()
        self._ends: list[int] = (self.index["offset"] + self.index["nbytes"]).to_list()
        self._depths: list[int] = self.index["depth"].to_list()
        self._open_map()
        if touch:
            with contextlib.suppress(OSError):  # a read-only cache is read all the same
                os.utime(folder / MARKER)  # when it was last used: `podium cache` shows it

    def _open_map(self) -> None:
        path = self.folder / "pixels.bin"
        size = path.stat().st_size if path.exists() else 0
        if size < max(self._ends, default=0):
            raise _damaged(self.folder, f"pixels.bin is cut off at {size} bytes")
        self._flat: Pixels = np.zeros(0, np.uint8)
        self._map: mmap.mmap | None = None
        if size:
            with open(path, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._flat = np.frombuffer(self._map, np.uint8)
        self._cold = np.ones(len(self.ids), bool)
        self._warms_up = size < free_memory()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the folder for itself."""
        return partial(Store, touch=False), (self.folder,)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Bytes of all items."""
        return max(self._ends, default=0)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of item ``i``."""
        return int(self.shapes[i, 0]), int(self.shapes[i, 1])

    def pixel_kinds(self, rows: Sequence[int]) -> set[tuple[int, int]]:
        """(channels, bits of each) of some items."""
        return {(int(self.shapes[i, 2]), self._depths[i]) for i in rows}

    def raw(self, i: int) -> Array:
        """Item ``i`` as stored, a view of the map: bit-packed masks (H, ceil(W / 8)), a stack of them (C, H, …)."""
        if self.kinds[i] == "file":
            return self._flat[self._offsets[i] : self._ends[i]]
        return self._stored(i, 0, int(self.shapes[i, 0]))

    def read_bytes(self, i: int) -> bytes:
        """The bytes of item ``i``, read from the file: an unreadable disk is an OSError, where the map would crash."""
        with open(self.folder / "pixels.bin", "rb", buffering=0) as file:
            return os.pread(file.fileno(), self._ends[i] - self._offsets[i], self._offsets[i])

    def image(self, i: int) -> Array:
        """Image ``i``, uint8 or uint16 (H, W, C), a view of the map; a label map has one channel."""
        if self._depths[i] == 1:
            raise TypeError(f"item '{self.ids[i]}' is of kind '{self.kinds[i]}', not an image")
        view = self._stored(i, 0, int(self.shapes[i, 0]))
        return view[:, :, None] if view.ndim == 2 else view

    def mask(self, i: int) -> Pixels:
        """Mask ``i``, uint8 (H, W) of 0 and 1; a stack of masks (C, H, W)."""
        if self._depths[i] > 1:
            raise TypeError(f"item '{self.ids[i]}' is of kind '{self.kinds[i]}', not a mask")
        return self._natural(i, self.raw(i))

    def labels(self, i: int) -> Array:
        """Label map ``i``, uint8 or uint16 (H, W), a view of the map; of a mask, its 0 and 1."""
        if self.kinds[i] in ("image", "masks", "file"):
            raise TypeError(f"item '{self.ids[i]}' is of kind '{self.kinds[i]}', not a label map")
        return self._natural(i, self.raw(i))

    def band(self, i: int, y0: int, y1: int) -> Array:
        """Rows ``y0`` to ``y1`` (not included) of item ``i`` at full width; no other row is read."""
        h, w = self.shape(i)
        return self.crop(i, y0, 0, y1 - y0, w) if 0 <= y0 <= y1 <= h else self._outside(i, (y0, y1))

    def crop(self, i: int, y: int, x: int, h: int, w: int) -> Array:
        """The ``h`` by ``w`` pixels of item ``i`` from row ``y`` and column ``x`` on; only their rows are read.

        Raises:
            IndexError: if they do not lie within the item.
        """
        height, width = self.shape(i)
        if not (0 <= y <= y + h <= height and 0 <= x <= x + w <= width):
            self._outside(i, (y, x, h, w))
        rows = self._stored(i, y, y + h)
        if self._depths[i] != 1:
            return rows[:, x : x + w]
        first, last = x // 8, -(-(x + w) // 8)
        return np.unpackbits(rows[..., first:last], axis=-1)[..., x - 8 * first : x - 8 * first + w]

    @property
    def errors(self) -> dict[str, str]:
        """{id: reason} of the items that could not be read."""
        bad = self.index.filter(pl.col("error").is_not_null())
        return dict(zip(bad["id"].to_list(), bad["error"].to_list(), strict=True))

    def _outside(self, i: int, asked: tuple[int, ...]) -> Array:
        raise IndexError(f"{asked} does not lie within item '{self.ids[i]}' of shape {self.shape(i)}")

    def _natural(self, i: int, stored: Array) -> Array:
        if self.kinds[i] is None:
            return stored.reshape(0, 0)
        return np.unpackbits(stored, axis=-1, count=self.shape(i)[1]) if self._depths[i] == 1 else stored

    def _stored(self, i: int, y0: int, y1: int) -> Array:
        """Some rows of item ``i`` as stored, a view of the map."""
        height, width, channels = self.shapes[i].tolist()
        start, kind, depth = self._offsets[i], self.kinds[i], self._depths[i]
        if kind is None or kind == "file":
            return self._flat[:0].reshape(0, 0, 0) if kind is None else self._not_pixels(i)
        stride = (width + 7) // 8 if depth == 1 else width * channels * depth // 8
        if kind == "masks":
            self._will_read(i, start, self._ends[i])
            return self._flat[start : self._ends[i]].reshape(channels, height, stride)[:, y0:y1]
        begin, end = start + y0 * stride, start + y1 * stride
        self._will_read(i, begin, end)
        view: Array = self._flat[begin:end]
        if depth == 16:
            view = view.view("<u2")
        across = {"image": (width, channels), "labels": (width,), "mask": (stride,)}
        return view.reshape(y1 - y0, *across[kind])

    def _not_pixels(self, i: int) -> Array:
        raise TypeError(f"item '{self.ids[i]}' is of kind 'file', not pixels: read it with PackedJpegs")

    def _will_read(self, i: int, begin: int, end: int) -> None:
        """Have the kernel fetch a band in one go: page by page a cold one costs a seek each.

        Only at the first visit, unless the store is larger than the memory that could keep it.
        """
        if self._map is not None and end > begin and (self._cold[i] or not self._warms_up):
            self._cold[i] = False
            begin -= begin % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, begin, end - begin)


def _damaged(folder: Path, how: str) -> DataError:
    return DataError(f"this cache folder is damaged ({how})", where=folder, remedy="delete it and run: podium prepare")


def build_store(
    folder: Path,
    ids: Sequence[str],
    produce: Callable[[str], Item],
    *,
    what: str,
    need: int = 0,
    workers: int = WORKERS,
    content: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
) -> Store:
    """Open the store in ``folder``, building it first if it is not there.

    Items are produced in threads and written in order. A build that is stopped, however hard, goes on from the last
    item that reached the disk; two processes building the same store do the work once. Items that another store of
    the same stage and settings has are copied from it, if they are whole there.

    Args:
        folder: `cache/<key>`; the key already says what goes in.
        ids: Every id, in the order to store.
        produce: id -> Item; runs in threads.
        what: The stage's name, for the progress line too.
        need: Bytes it will take, checked against the free disk before anything is written.
        content: {id: hash of all that its item is made from, beside the settings}.
        settings: Everything else that an item depends on, the version of the code included. Without it nothing is
            copied.
    """
    digest = "" if settings is None else settings_digest(what, settings)
    looks = looked_at(folder, what, digest)
    if looks and not is_complete(folder):
        raise NotBuilt(f"there are no {what} yet", where=folder, remedy="run: podium prepare")
    if is_complete(folder):
        return Store(folder, touch=not looks)
    built = None
    with locked(folder.with_name(f"{folder.name}.lock"), wait=lambda: say(f"  {what}: another podium builds it")):
        if not is_complete(folder):
            partial = folder.with_name(f"{folder.name}.partial")
            try:
                if not is_complete(partial):  # else it was stopped just before it got its name
                    partial.mkdir(parents=True, exist_ok=True)
                    if settings is not None:
                        write_meta(partial, what, settings)
                    sizes = {"need": need, "workers": workers}
                    with Donors(folder.parent, what, settings) as donors:
                        built = fill(partial, ids, produce, what=what, content=content or {}, donors=donors, **sizes)
                remove_leftovers(partial)
                (partial / "index.jsonl").unlink(missing_ok=True)
                os.rename(partial, folder)
            except OSError as error:
                raise storage_error(error, partial) or error from error
    folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    return Store(folder, built)
