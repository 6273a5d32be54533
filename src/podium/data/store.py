"""The pixel store: every image decoded once into one flat file, read by row bands through a memory map.

A store folder holds `pixels.bin` (uint8, images one after another) and `index.parquet`: one row an item with its
offset and shape, and what was seen of its source while it was open anyway. Images are (height, width, channels);
masks have their rows bit-packed, eight pixels a byte.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.cache import WORKERS
from podium.errors import DataError, storage_error
from podium.files import MARKER, is_complete, locked, remove_leftovers, require_space, write_atomic
from podium.formats import bits
from podium.progress import say, track

Pixels = NDArray[np.uint8]
A = TypeVar("A")
B = TypeVar("B")

COMMIT_BYTES = 64 * 2**20
"""A killed build loses no more than this."""

INDEX_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "offset": pl.Int64,
    "height": pl.Int32,
    "width": pl.Int32,
    "channels": pl.Int32,
    "bits": pl.Boolean,
    "source_height": pl.Int32,
    "source_width": pl.Int32,
    "mode": pl.String,
    "content": pl.String,
    "pixels": pl.String,
    "area": pl.Int64,
    "error": pl.String,
}


@dataclass(frozen=True, slots=True)
class Item:
    """What a producer hands to the store for one id: pixels, or the reason why there are none.

    Attributes:
        pixels: uint8 (H, W, C); or bool (H, W), which is stored bit-packed. None with an ``error``.
        facts: Columns of the index beside offset and shape.
    """

    id: str
    pixels: NDArray[Any] | None
    facts: dict[str, Any]
    error: str | None = None


class Store:
    """A finished store, open for reading. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        if not is_complete(folder):
            raise DataError("this cache folder is not finished", where=folder, remedy="run: podium prepare")
        self.folder = folder
        try:
            self.index = pl.read_parquet(folder / "index.parquet")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _damaged(folder, f"index.parquet cannot be read: {str(error).splitlines()[0][:200]}") from None
        self.ids: list[str] = self.index["id"].to_list()
        self.row = {id: i for i, id in enumerate(self.ids)}
        self.shapes = self.index.select("height", "width", "channels").to_numpy()
        self._offsets = self.index["offset"].to_numpy()
        self._bits = self.index["bits"].to_numpy()
        size = (folder / "pixels.bin").stat().st_size if (folder / "pixels.bin").exists() else 0
        if len(self.index) and size < _end(self.index.row(-1, named=True)):
            raise _damaged(folder, f"pixels.bin is cut off at {size} bytes")
        self._flat: Pixels = (
            np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r") if size else np.zeros(0, np.uint8)
        )

    def __len__(self) -> int:
        return len(self.ids)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of item ``i``."""
        return int(self.shapes[i, 0]), int(self.shapes[i, 1])

    def raw(self, i: int) -> Pixels:
        """Item ``i`` as stored, a view of the map: (H, W, C), or (H, ceil(W / 8)) where bit-packed."""
        h, w, c = (int(x) for x in self.shapes[i])
        start = int(self._offsets[i])
        if self._bits[i]:
            stride = (w + 7) // 8
            return self._flat[start : start + h * stride].reshape(h, stride)
        return self._flat[start : start + h * w * c].reshape(h, w, c)

    def image(self, i: int) -> Pixels:
        """Image ``i``, uint8 (H, W, C), a view of the map."""
        return self.raw(i)

    def mask(self, i: int) -> Pixels:
        """Mask ``i``, uint8 (H, W) of 0 and 1."""
        return np.unpackbits(self.raw(i), axis=1, count=self.shape(i)[1])

    @property
    def errors(self) -> dict[str, str]:
        """{id: reason} of the items that could not be read."""
        bad = self.index.filter(pl.col("error").is_not_null())
        return dict(zip(bad["id"].to_list(), bad["error"].to_list(), strict=True))


def _damaged(folder: Path, how: str) -> DataError:
    return DataError(f"this cache folder is damaged ({how})", where=folder, remedy="delete it and run: podium prepare")


def ordered_map(work: Callable[[A], B], items: Iterable[A], workers: int = WORKERS, ahead: int = 4) -> Iterator[B]:
    """``map`` in threads, results in order, never more than ``workers * ahead`` of them in memory."""
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[B]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= workers * ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def build_store(
    folder: Path,
    ids: Sequence[str],
    produce: Callable[[str], Item],
    *,
    what: str,
    need: int = 0,
    workers: int = WORKERS,
) -> Store:
    """Open the store in ``folder``, building it first if it is not there.

    Items are produced in threads and written in order. A build that is stopped, however hard, goes on from the last
    item that reached the disk; two processes building the same store do the work once.

    Args:
        folder: `cache/<key>`; the key already says what goes in.
        ids: Every id, in the order to store.
        produce: id -> Item; runs in threads.
        what: For the progress line.
        need: Bytes it will take, checked against the free disk before anything is written.
    """
    if is_complete(folder):
        return Store(folder)
    with locked(folder.with_name(f"{folder.name}.lock"), wait=lambda: say(f"  {what}: another podium builds it")):
        if not is_complete(folder):
            partial = folder.with_name(f"{folder.name}.partial")
            try:
                if not is_complete(partial):  # else it was stopped just before it got its name
                    partial.mkdir(parents=True, exist_ok=True)
                    _fill(partial, ids, produce, what, need, workers)
                remove_leftovers(partial)
                (partial / "index.jsonl").unlink(missing_ok=True)
                os.rename(partial, folder)
            except OSError as error:
                raise storage_error(error, partial) or error from error
    folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    return Store(folder)


class StoreWriter:
    """Appends items to a store being made in ``folder``; `finish` makes it readable.

    Only what `commit` has put on disk survives a kill; `resume` gives the number of items that did.
    """

    def __init__(self, folder: Path, ids: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).unlink(missing_ok=True)
        self.folder = folder
        self.rows = _recover(folder, ids)
        self._journaled, self._committed = len(self.rows), self.end
        self._pixels = open(folder / "pixels.bin", "ab")  # noqa: SIM115 - closed in close()
        self._journal = open(folder / "index.jsonl", "ab")  # noqa: SIM115
        self._pixels.truncate(self.end)

    @property
    def end(self) -> int:
        """Bytes of pixels so far."""
        return _end(self.rows[-1]) if self.rows else 0

    def add(self, item: Item) -> None:
        """Append one item; its pixels are copied out at once."""
        row = _row(item, self.end)
        if item.pixels is not None:
            data = bits.pack(item.pixels) if item.pixels.dtype == np.bool_ else item.pixels
            self._pixels.write(np.ascontiguousarray(data).tobytes())
        self.rows.append(row)
        if self.end - self._committed > COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        """Put everything added so far on disk: pixels before the lines that say they are there."""
        self._pixels.flush()
        os.fsync(self._pixels.fileno())
        self._journal.write(b"".join(json.dumps(row).encode() + b"\n" for row in self.rows[self._journaled :]))
        self._journal.flush()
        self._journaled, self._committed = len(self.rows), self.end

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        with (
            contextlib.ExitStack() as stack
        ):  # on a full disk closing the one may fail: the other is closed all the same
            stack.callback(self._journal.close)
            stack.callback(self._pixels.close)
            self.commit()

    def finish(self) -> None:
        """Write the index, and the marker last."""
        table = io.BytesIO()
        pl.DataFrame(self.rows, schema=INDEX_SCHEMA).write_parquet(table)
        write_atomic(self.folder / "index.parquet", table.getvalue())
        write_atomic(self.folder / MARKER, "")
        (self.folder / "index.jsonl").unlink()


def _fill(
    partial: Path, ids: Sequence[str], produce: Callable[[str], Item], what: str, need: int, workers: int
) -> None:
    with StoreWriter(partial, ids) as writer:
        require_space(partial, need - writer.end)
        todo = ids[len(writer.rows) :]
        if writer.rows and todo:
            say(f"  {what}: going on from {len(writer.rows)}/{len(ids)}")
        for item in track(ordered_map(produce, todo, workers), what, len(todo)):
            writer.add(item)
    writer.finish()


def _row(item: Item, offset: int) -> dict[str, Any]:
    row: dict[str, Any] = {name: item.facts.get(name) for name in INDEX_SCHEMA}
    shape = (0, 0, 0) if item.pixels is None else (*item.pixels.shape, 1)[:3]
    bits = item.pixels is not None and item.pixels.dtype == np.bool_
    row |= {"id": item.id, "offset": offset, "height": shape[0], "width": shape[1], "channels": shape[2]}
    return row | {"bits": bits, "error": item.error}


def _end(row: dict[str, Any]) -> int:
    stride = (row["width"] + 7) // 8 if row["bits"] else row["width"] * row["channels"]
    return int(row["offset"] + row["height"] * stride)


def _recover(partial: Path, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a stopped build whose pixels are on disk; the journal's last line may be torn."""
    journal, pixels = partial / "index.jsonl", partial / "pixels.bin"
    if not (journal.exists() and pixels.exists()):
        return []
    size, rows = pixels.stat().st_size, []
    for id, line in zip(ids, journal.read_bytes().splitlines(keepends=True), strict=False):
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            row = None
        if not isinstance(row, dict) or row.keys() != INDEX_SCHEMA.keys() or row["id"] != id or _end(row) > size:
            break
        rows.append(row)
    write_atomic(journal, b"".join(json.dumps(r).encode() + b"\n" for r in rows))
    return rows
