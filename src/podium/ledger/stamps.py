"""Whether an attempt's folder has changed: times and sizes of the files that are read of it, without reading them.

Written for ten thousand folders: plain strings, no file opened, nothing imported that takes long.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence

from podium.files import MARKER

CODE = "code"
HEAD = ("change.toml", "champion.toml", CODE, "recipe.toml", "replicates.toml", "verdict.toml", "why.md")
"""Of an attempt's folder."""
RUN = (MARKER, "run.toml", "scores.parquet")
"""Of a fold run's folder."""


def folders_in(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the folders that stand for attempts, by number, then by name; hidden ones are being built."""
    try:
        with os.scandir(folder) as entries:
            found = [e.name for e in entries if not e.name.startswith(".") and e.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda name: (number_of(name), name))


def number_of(name: str) -> int:
    """The number that a folder's name begins with; -1 if none."""
    digits = name.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else -1


def parts_of(folder: str) -> list[str]:
    """What is read of an attempt's folder: names of files, and of its fold runs' folders."""
    return sorted(name for name in os.listdir(folder) if name in HEAD or is_run(name))


def is_run(part: str) -> bool:
    """Whether a part is a fold run's folder."""
    return part.startswith("fold")


def head_stamp(folder: str, parts: Iterable[str]) -> str:
    """Another one when something came into an attempt's folder or left it, or one of its own files changed.

    Args:
        parts: `parts_of`; as they were when it was read last, since the folder's own time tells of others.
    """
    own = [part for part in parts if not is_run(part)]
    code = [f"{CODE}/{name}" for name in _names_in(f"{folder}/{CODE}")] if CODE in own else []
    return _stamp([folder, *(f"{folder}/{part}" for part in (*own, *code))])


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def runs_stamp(folder: str, parts: Iterable[str]) -> str:
    """Another one when a fold run was finished, or a file of one changed."""
    return _stamp([f"{folder}/{part}/{name}" for part in parts if is_run(part) for name in RUN])


def file_stamp(path: str) -> str:
    """Another one when the file changed."""
    return _stamp([path])


def _stamp(paths: Sequence[str]) -> str:
    seen = []
    for path in paths:
        try:
            facts = os.stat(path)
        except OSError:
            seen.append("-")
        else:  # the time of the last change, which no program can set, unlike that of the content
            seen.append(f"{facts.st_ctime_ns} {facts.st_size}")
    return hashlib.blake2b("\n".join(seen).encode(), digest_size=8).hexdigest()
