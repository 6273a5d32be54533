"""How a store comes to be: produced in threads, written in order, journaled so that a kill costs next to nothing."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from podium.data.cache import WORKERS
from podium.data.items import INDEX_SCHEMA, Item, Packed, aligned, end_of, pack
from podium.data.reuse import Donors
from podium.files import MARKER, require_space, write_atomic
from podium.progress import say, track

A = TypeVar("A")
B = TypeVar("B")

COMMIT_BYTES = 64 * 2**20
"""A killed build loses no more than this."""

AHEAD = 2
"""Items in memory for each thread of a build."""


@dataclass(frozen=True)
class Built:
    """How the items of a store that was just built came to be.

    Attributes:
        copied: Taken from another store because what they are made from is the same.
        made: Decoded and processed.
        kept: On disk already when the build went on after it had been stopped.
    """

    copied: int
    made: int
    kept: int = 0

    def __str__(self) -> str:
        """``9,999 copied, 1 decoded``; empty where nothing was copied or kept."""
        counts = {"kept": self.kept, "copied": self.copied, "decoded": self.made}
        return ", ".join(f"{n:,} {how}" for how, n in counts.items() if n) if self.copied or self.kept else ""


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


def fill(
    partial: Path,
    ids: Sequence[str],
    produce: Callable[[str], Item],
    *,
    what: str,
    need: int,
    workers: int,
    content: Mapping[str, str],
    donors: Donors,
) -> Built:
    """Make the store of ``ids`` in ``partial``, going on from what a stopped build left there.

    Args:
        content: {id: hash of what it is made from}; an item of a donor with the same hash is copied.
    """

    def work(id: str) -> Packed:
        made_from = content.get(id)
        found = donors.take(made_from, id) if made_from else None
        if found is None:
            found = pack(produce(id))
        return replace(found, row=found.row | {"content": made_from}) if made_from else found

    with StoreWriter(partial, ids) as writer:
        require_space(partial, need - writer.end)
        kept, copied, todo = len(writer.rows), 0, ids[len(writer.rows) :]
        if kept and todo:
            say(f"  {what}: going on from {kept}/{len(ids)}")
        for packed in track(ordered_map(work, todo, workers, AHEAD), what, len(todo)):
            writer.write(packed)
            copied += packed.copied
    writer.finish()
    return Built(copied, len(todo) - copied, kept)


class StoreWriter:
    """Appends items to a store being made in ``folder``; `finish` makes it readable.

    Only what `commit` has put on disk survives a kill; ``rows`` begins with those that did.
    """

    def __init__(self, folder: Path, ids: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).unlink(missing_ok=True)
        self.folder = folder
        self.rows = _recover(folder, ids)
        self._journaled, self._committed = len(self.rows), self.end
        self._pixels = open(folder / "pixels.bin", "ab")  # noqa: SIM115 - closed in __exit__
        self._journal = open(folder / "index.jsonl", "ab")  # noqa: SIM115
        self._pixels.truncate(self.end)

    @property
    def end(self) -> int:
        """Bytes of pixels so far."""
        return end_of(self.rows[-1]) if self.rows else 0

    def add(self, item: Item) -> None:
        """Append one item; its pixels are copied out at once."""
        self.write(pack(item))

    def write(self, packed: Packed) -> None:
        """Append one item that is packed already."""
        offset = aligned(self.end)
        self._pixels.write(bytes(offset - self.end))
        self._pixels.write(packed.data)
        self.rows.append(packed.row | {"offset": offset})
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
        if not isinstance(row, dict) or row.keys() != INDEX_SCHEMA.keys() or row["id"] != id or end_of(row) > size:
            break
        rows.append(row)
    write_atomic(journal, b"".join(json.dumps(r).encode() + b"\n" for r in rows))
    return rows
