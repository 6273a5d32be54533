"""The cache: each stage's result under a key of exactly what it was made from.

A key hashes the content of the source files and the settings that the stage reads. So a touched or moved file costs a
look at its bytes but no work, and a changed setting rebuilds only the stages that read it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from blake3 import blake3

from podium.cores import usable_cores
from podium.errors import DataError
from podium.files import write_atomic

WORKERS = min(16, usable_cores())

STORE_FORMAT = 3
"""Part of every key: raised when stores are laid out differently on disk."""


@dataclass(frozen=True)
class Stage:
    """What `prepare` tells about one stage.

    Attributes:
        did: What was done, where it is neither "reused" nor "built".
    """

    name: str
    folder: Path
    reused: bool
    why: str
    did: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.did or ('reused' if self.reused else 'built')}, {self.why}"


class NotBuilt(DataError):
    """A store that is not there, while one only looks."""


@dataclass
class Looking:
    """What the stages would read, found out without building anything.

    Attributes:
        seen: Folders of the stores they read.
        missing: (stage, digest of its settings) of the stores that they would have to build.
    """

    seen: set[Path] = field(default_factory=set)
    missing: set[tuple[str, str]] = field(default_factory=set)


_looking: ContextVar[Looking | None] = ContextVar("looking", default=None)


@contextlib.contextmanager
def looking() -> Iterator[Looking]:
    """Within the block no store is built and no log is written: a store that is not there raises `NotBuilt`."""
    found = Looking()
    token = _looking.set(found)
    try:
        yield found
    finally:
        _looking.reset(token)


def looked_at(folder: Path, stage: str, digest: str) -> bool:
    """Whether somebody only looks; what a stage is about to open is noted for them."""
    found = _looking.get()
    if found is not None and folder.exists():
        found.seen.add(folder)
    elif found is not None:
        found.missing.add((stage, digest))
    return found is not None


def content_hashes(files: Sequence[Path], memo: Path) -> dict[Path, str]:
    """blake3 of each file's bytes; files whose size and time are as in ``memo`` are not read again.

    A file that cannot be read has the reason as its hash: that it is so is for the stage that decodes it to report.
    """
    known: dict[str, list[Any]] = {}
    with contextlib.suppress(FileNotFoundError, orjson.JSONDecodeError):  # a memo only saves time
        known = _lists(orjson.loads(memo.read_bytes()))
    stats = {path: _stat(path) for path in files}
    known |= {str(path): [*s, s[1]] for path, s in stats.items() if s[0] < 0}
    fresh = [p for p in files if known.get(str(p), [None])[:2] != stats[p]]
    with ThreadPoolExecutor(WORKERS) as pool:
        for path, digest in zip(fresh, pool.map(_digest, fresh), strict=True):
            known[str(path)] = [*stats[path], digest]
    if fresh:
        write_atomic(memo, orjson.dumps(known))
    return {path: str(known[str(path)][2]) for path in files}


def _lists(memo: Any) -> dict[str, list[Any]]:
    """What of a memo is as it should be."""
    rows = memo.items() if isinstance(memo, dict) else ()
    return {k: v for k, v in rows if isinstance(v, list) and len(v) == 3}


def _stat(path: Path) -> list[Any]:
    try:
        s = path.stat()
    except OSError as error:
        return [-1, f"cannot be read ({error.strerror})"]
    return [s.st_size, s.st_mtime_ns]


def _digest(path: Path) -> str:
    try:
        return str(blake3(path.read_bytes()).hexdigest(length=16))
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def stage_key(name: str, content: Iterable[tuple[str, str]], settings: Mapping[str, object]) -> str:
    """A short key of a stage: its name, (id, content hash) of every input, and the settings it reads."""
    text = orjson.dumps([STORE_FORMAT, name, sorted(content), dict(settings)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


class StageLog:
    """Remembers what each stage was last made from, so that `prepare` can say why it is made again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def why(self, name: str, content: Mapping[str, str], settings: Mapping[str, object]) -> str:
        """In words, what changed since the stage was last made; and remember the new state."""
        if _looking.get() is not None:
            return ""
        log = self._read()
        before = log.get(name)
        log[name] = {"content": dict(content), "settings": dict(settings)}
        write_atomic(self.path, orjson.dumps(log))
        if before is None:
            return "first time"
        changed = [
            f"{k}: {before['settings'].get(k)} -> {v}" for k, v in settings.items() if before["settings"].get(k) != v
        ]
        old = before["content"]
        counts = {
            "added": len(content.keys() - old.keys()),
            "removed": len(old.keys() - content.keys()),
            "changed": sum(old[k] != content[k] for k in content.keys() & old.keys()),
        }
        changed += [f"{n} files {what}" for what, n in counts.items() if n]
        return ", ".join(changed) or "its result was not in the cache"

    def _read(self) -> dict[str, dict[str, dict[str, Any]]]:
        try:
            return dict(orjson.loads(self.path.read_bytes()))
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}
