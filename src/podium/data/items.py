"""What a store keeps for one id, and how it lies on disk: its bytes, and the row of the index that says what they are.

| kind | given as | stored as |
|---|---|---|
| image | uint8 or uint16 (H, W, C) | the same |
| labels | uint8 or uint16 (H, W): classes, or numbers of instances | the same |
| mask | bool (H, W) | eight pixels a byte, each row padded to whole bytes |
| masks | bool (C, H, W): classes that may overlap | the same, class after class |
| file | uint8 (N,): the bytes of an image file | the same |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from blake3 import blake3
from numpy.typing import NDArray

ALIGN = 8
"""Every item begins at a multiple of this, so that 16-bit pixels and words of a mask are read in place."""

INDEX_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "offset": pl.Int64,
    "nbytes": pl.Int64,
    "kind": pl.String,
    "depth": pl.Int32,
    "height": pl.Int32,
    "width": pl.Int32,
    "channels": pl.Int32,
    "hash": pl.String,
    "source_height": pl.Int32,
    "source_width": pl.Int32,
    "mode": pl.String,
    "content": pl.String,
    "pixels": pl.String,
    "area": pl.Int64,
    "overlap": pl.Int64,
    "present": pl.String,
    "error": pl.String,
}
"""Columns of `index.parquet`: ``depth`` is bits a pixel and channel, ``hash`` of the stored bytes, ``content`` of what
the item was made from; those after it are what was seen of the source while it was open anyway."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a producer hands to the store for one id: pixels, or the reason why there are none.

    Attributes:
        pixels: One of the kinds above. None with an ``error``.
        facts: Columns of the index: ``source_height``, ``mode``, ``content`` and the like. An item of kind "file" has
            the size of its image in ``height`` and ``width``.
    """

    id: str
    pixels: NDArray[Any] | None
    facts: dict[str, Any]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """An item as it is written: its bytes, and its row of the index without the offset.

    Attributes:
        copied: Whether it came from another store.
    """

    row: dict[str, Any]
    data: bytes
    copied: bool = False


def pack(item: Item) -> Packed:
    """An item's bytes and row.

    Raises:
        TypeError: if its pixels are of no kind that a store keeps.
    """
    row: dict[str, Any] = {name: item.facts.get(name) for name in INDEX_SCHEMA}
    row |= {"id": item.id, "nbytes": 0, "kind": None, "depth": 0, "channels": 0, "hash": None, "error": item.error}
    if item.pixels is None:
        return Packed(row | {"height": 0, "width": 0}, b"")
    kind, depth, shape = _kind(item)
    pixels = np.packbits(item.pixels, axis=-1) if depth == 1 else item.pixels
    data = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    row |= {"nbytes": len(data), "kind": kind, "depth": depth, "hash": digest(data)}
    return Packed(row | dict(zip(("height", "width", "channels"), shape, strict=True)), data)


def _kind(item: Item) -> tuple[str, int, tuple[int, int, int]]:
    """Kind, depth and (height, width, channels)."""
    assert item.pixels is not None
    shape, dtype = item.pixels.shape, item.pixels.dtype
    if dtype == np.bool_ and len(shape) == 2:
        return "mask", 1, (*shape, 1)
    if dtype == np.bool_ and len(shape) == 3:
        return "masks", 1, (shape[1], shape[2], shape[0])
    if dtype in (np.uint8, np.uint16) and len(shape) in (2, 3):
        return "labels" if len(shape) == 2 else "image", 8 * dtype.itemsize, (*shape, 1)[:3]
    if dtype == np.uint8 and len(shape) == 1:
        return "file", 8, (item.facts["height"], item.facts["width"], 3)
    raise TypeError(f"a store cannot keep {dtype} of shape {shape} (item '{item.id}'); see podium.data.items")


def digest(data: bytes | memoryview) -> str:
    """The hash that `podium cache --verify` compares."""
    return str(blake3(data).hexdigest(length=16))


def end_of(row: dict[str, Any]) -> int:
    """Where the item of an index row ends in `pixels.bin`."""
    return int(row["offset"] + row["nbytes"])


def aligned(end: int) -> int:
    """Where the item after ``end`` begins."""
    return -(-end // ALIGN) * ALIGN
