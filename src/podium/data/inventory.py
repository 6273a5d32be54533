"""What lies in a workspace's cache, what of it is still read, and whether it is whole."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from podium.data.cache import WORKERS, Looking, NotBuilt, looking
from podium.data.competition import Competition
from podium.data.items import digest
from podium.data.prepare import Preparer
from podium.data.reuse import read_meta
from podium.data.samples import list_samples
from podium.data.sources import pack_jpegs
from podium.data.store import Store
from podium.errors import DataError, PodiumError
from podium.files import MARKER, is_complete
from podium.progress import track
from podium.recipe import InputConfig

State = Literal["current", "stale", "unknown", "damaged", "unfinished"]

REMOVED: tuple[State, ...] = ("stale", "damaged", "unfinished")
"""What `podium cache --prune` removes."""


@dataclass(frozen=True)
class Kept:
    """One store of the cache, or what a killed build left of one.

    Attributes:
        items: None where it cannot be told.
        settings: In words.
        used: When it was last opened, in seconds since 1970.
        state: "current": a recipe or an attempt reads it; "stale": none does; "unknown": that could not be found out;
            "damaged": it cannot be opened; "unfinished": a build was stopped.
        why: What is wrong, if something is.
    """

    folder: Path
    stage: str
    items: int | None
    bytes: int
    settings: str
    used: float
    state: State
    why: str = ""


@dataclass(frozen=True)
class Stock:
    """A workspace's cache.

    Attributes:
        stores: By stage, the last used first.
        free: Free disk, in bytes.
        unsure: Why it cannot be told what is stale; empty if it can.
    """

    stores: list[Kept]
    free: int
    unsure: str = ""

    @property
    def bytes(self) -> int:
        """What all of it takes."""
        return sum(s.bytes for s in self.stores)

    @property
    def removable(self) -> list[Kept]:
        """What no recipe and no attempt reads, what cannot be opened, and what killed builds left."""
        return [s for s in self.stores if s.state in REMOVED]


@dataclass(frozen=True)
class Damage:
    """An item whose bytes are not those that were stored; ``id`` is None where a whole store cannot be opened."""

    folder: Path
    stage: str
    id: str | None
    reason: str


def take_stock(competition: Competition, root: Path, inputs: Sequence[InputConfig], *, unsure: str = "") -> Stock:
    """List the cache; nothing is built, and no pixels are read.

    Args:
        root: The workspace's folder.
        inputs: `[input]` of every recipe and attempt: what they read is current.
        unsure: Why ``inputs`` may lack some, if so.
    """
    cache = root / ".podium" / "cache"
    with looking() as found:
        try:
            _look(competition, root, inputs, found)
        except PodiumError as error:
            unsure = unsure or str(error).splitlines()[0]
    folders = [p for p in sorted(cache.glob("*")) if p.is_dir() or p.name.endswith(".tmp")]
    stores = [_kept(folder, found) for folder in folders]
    known = {s.stage for s in stores if s.state == "current"}
    stores = [_judged(s, known, found, unsure) for s in stores]
    stores.sort(key=lambda s: (s.stage, -s.used))
    return Stock(stores, shutil.disk_usage(cache if cache.exists() else root).free, unsure)


def _look(competition: Competition, root: Path, inputs: Sequence[InputConfig], found: Looking) -> None:
    """Go through the motions of `prepare` for every recipe."""
    preparer = Preparer(competition, root / ".podium" / "cache")
    samples = preparer.fixes.applied_to(list_samples(competition, root / "data"))
    for given in {repr(i): i for i in inputs}.values():
        with suppress(NotBuilt):
            preparer.train(samples.train, given)
        if samples.test:
            with suppress(NotBuilt), _optional(found, not preparer.fits(samples.test, given)):
                preparer.images("test images", samples.test, given)
    with suppress(NotBuilt), _optional(found):
        pack_jpegs(preparer.cache, "train files", samples.train)


@contextmanager
def _optional(found: Looking, yes: bool = True) -> Iterator[None]:
    """What is not there in the block would not be built either."""
    before = set(found.missing)
    try:
        yield
    finally:
        if yes:
            found.missing = before


def _kept(folder: Path, found: Looking) -> Kept:
    meta = read_meta(folder) if folder.is_dir() else {}
    stage = str(meta.get("stage") or folder.name.lstrip(".").rpartition("-")[0].replace("_", " ") or folder.name)
    size = sum(p.stat().st_size for p in (folder.iterdir() if folder.is_dir() else [folder]))
    state: State = "current" if folder in found.seen else "stale"
    if not is_complete(folder) or folder.name.endswith(".partial"):
        return Kept(folder, stage, None, size, in_words(meta.get("settings")), folder.stat().st_mtime, "unfinished")
    used, items, why = (folder / MARKER).stat().st_mtime, None, ""
    try:
        items = len(Store(folder, touch=False))
    except DataError as error:
        state, why = "damaged", error.found
    return Kept(folder, stage, items, size, in_words(meta.get("settings")), used, state, why)


def _judged(store: Kept, known: set[str], found: Looking, unsure: str) -> Kept:
    """A store that nothing reads is stale only if that is certain, and the next build will not copy from it."""
    if store.state != "stale":
        return store
    if unsure or (found.missing and store.stage not in known):
        return replace(store, state="unknown")
    wanted = (store.stage, read_meta(store.folder).get("digest", "")) in found.missing
    return replace(store, state="unknown") if wanted else store


def in_words(settings: Mapping[str, Any] | None) -> str:
    """{"size": [320, 480]} -> 'size 480x320'."""
    if settings is None:
        return "-"
    words = []
    for key, value in settings.items():
        if key == "size" and value:
            words.append(f"size {value[1]}x{value[0]}")
        elif key != "format" and value not in (None, False, [], {}):
            words.append(key if value is True else f"{key} {value}")
    return ", ".join(words) or "as it is"


def prune(stock: Stock, *, dry_run: bool = False) -> list[Kept]:
    """Remove what is removable; returns what was (or, on a dry run, would be) removed.

    A build that is at work keeps its files.
    """
    removed = []
    for store in stock.removable:
        name = store.folder.name.removesuffix(".partial")
        with _unused(store.folder.with_name(f"{name}.lock")) as free:
            if not free:
                continue
            if not dry_run:
                (store.folder / MARKER).unlink(missing_ok=True)  # a half-removed store is never taken for a whole one
                shutil.rmtree(store.folder) if store.folder.is_dir() else store.folder.unlink(missing_ok=True)
            removed.append(store)
    return removed


@contextmanager
def _unused(lock: Path) -> Iterator[bool]:
    """Whether no build holds this lock; a lock file that a killed one left is removed."""
    if not lock.exists():
        yield True
        return
    with open(lock, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
        lock.unlink(missing_ok=True)


def verify(stock: Stock, workers: int = WORKERS) -> tuple[int, list[Damage]]:
    """Read every item of every finished store and compare its hash: the number looked at, and what is damaged."""
    damage = [Damage(s.folder, s.stage, None, s.why) for s in stock.stores if s.state == "damaged"]
    whole = [(s, Store(s.folder, touch=False)) for s in stock.stores if s.state not in ("damaged", "unfinished")]
    todo = [(kept, store, i) for kept, store in whole for i in range(len(store)) if store.kinds[i]]
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda job: _is_whole(job[1], job[2]), todo)
        for (kept, store, i), good in zip(todo, track(results, "verifying", len(todo)), strict=True):
            if not good:
                damage.append(Damage(kept.folder, kept.stage, store.ids[i], "its bytes are not those that were stored"))
    return len(todo), damage


def _is_whole(store: Store, i: int) -> bool:
    try:
        return bool(digest(store.read_bytes(i)) == store.index["hash"][i])
    except OSError:  # the disk cannot read it
        return False
