"""Nothing is recomputed that a change did not touch: items of older stores, found by what they were made from."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from podium.data.cache import STORE_FORMAT, stage_key
from podium.data.items import INDEX_SCHEMA, Packed, digest
from podium.files import is_complete, write_atomic

META = "meta.json"


def write_meta(folder: Path, stage: str, settings: Mapping[str, object]) -> None:
    """Write down which stage a store is of, and the settings it was made with."""
    meta = {"stage": stage, "settings": dict(settings), "digest": settings_digest(stage, settings), "by": command()}
    write_atomic(folder / META, orjson.dumps(meta | {"format": STORE_FORMAT}))


def command() -> str:
    """What podium was asked to do: "look"; empty where it is no command."""
    words = sys.argv[1:]
    if Path(sys.argv[0]).name not in ("podium", "__main__.py"):
        return ""
    return next((w for before, w in pairwise(["", *words]) if not w.startswith("-") and before != "-C"), "")


def why_reused(folder: Path) -> str:
    """Why a store is not made again, and who made it, if that was another command."""
    by = str(read_meta(folder).get("by") or "")
    return "nothing it reads has changed" + (f" since podium {by} made it" if by and by != command() else "")


def read_meta(folder: Path) -> dict[str, Any]:
    """What `write_meta` wrote; empty if there is none, or it is damaged."""
    with contextlib.suppress(OSError, orjson.JSONDecodeError):
        meta = orjson.loads((folder / META).read_bytes())
        if isinstance(meta, dict):
            return meta
    return {}


def settings_digest(stage: str, settings: Mapping[str, object]) -> str:
    """Equal for stores whose items are equal wherever what they were made from is equal."""
    return stage_key(stage, (), settings)


class Donors:
    """The finished stores beside a new one that were made by the same stage with the same settings."""

    def __init__(self, cache: Path, stage: str, settings: Mapping[str, object] | None) -> None:
        self._found: dict[str, tuple[int, dict[str, Any]]] = {}
        self._open = contextlib.ExitStack()
        if settings is None:
            return
        wanted = settings_digest(stage, settings)
        for meta in sorted(cache.glob(f"*/{META}")):
            if is_complete(meta.parent) and read_meta(meta.parent).get("digest") == wanted:
                with contextlib.suppress(OSError, pl.exceptions.PolarsError):  # a damaged one gives nothing
                    self._add(meta.parent)

    def _add(self, folder: Path) -> None:
        index = pl.read_parquet(folder / "index.parquet")
        if index.columns != list(INDEX_SCHEMA):
            return
        file = os.open(folder / "pixels.bin", os.O_RDONLY)  # stays readable if the store is deleted meanwhile
        self._open.callback(os.close, file)
        good = index.filter(pl.col("kind").is_not_null() & pl.col("content").is_not_null() & pl.col("error").is_null())
        for row in good.iter_rows(named=True):
            self._found.setdefault(row["content"], (file, row))

    def take(self, content: str, id: str) -> Packed | None:
        """The item that was made from ``content``, under a new id; None if there is none, or it is damaged."""
        if content not in self._found:
            return None
        file, row = self._found[content]
        try:
            data = os.pread(file, row["nbytes"], row["offset"])
        except OSError:
            return None
        if len(data) != row["nbytes"] or digest(data) != row["hash"]:
            return None
        return Packed(row | {"id": id}, data, copied=True)

    def __enter__(self) -> Donors:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()
