"""Files that are there whole or not at all, and locks that die with their process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from podium.errors import BusyError, PodiumError, StorageError, storage_error

MARKER = "COMPLETE"
"""Written last into a finished folder; a folder without it is never trusted."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, a kill or a full disk leaves the old content or the new, never a half."""
    data = content.encode() if isinstance(content, str) else content
    with open_atomic(path) as f:
        f.write(data)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under ``path`` when the block ends well, and not at all otherwise."""
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise storage_error(error, path) or error from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def building(folder: Path, note: str = "", *, marker: bool = True) -> Iterator[Path]:
    """A folder that gets its final name only when the block ends well, with its marker unless ``marker`` is False.

    Yields a temporary sibling to fill. Leftovers of killed builds of the same folder are removed first; call it
    under a lock when two processes may build the same folder.
    """
    for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = _temporary(folder)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if marker:
            write_atomic(temporary / MARKER, note)
        if folder.exists():  # unfinished or outdated: its marker was looked for before building
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    except PodiumError as error:  # of a file inside: by the name it was to get
        error.rename(temporary, folder)
        raise
    except OSError as error:
        raise storage_error(error, folder) or error from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """A sibling that is this thread's alone; sweepers know it by the dot and the ending."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.tmp")


def remove_leftovers(folder: Path) -> None:
    """Remove the half-written files that killed writers left in a folder; call it where nobody else writes."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def is_complete(folder: Path) -> bool:
    """Whether ``folder`` was finished: its marker is written last."""
    return (folder / MARKER).is_file()


def mark_complete(folder: Path, note: str = "") -> None:
    """Declare a folder finished, after everything else in it is on disk."""
    write_atomic(folder / MARKER, note)


def share_file(source: Path, target: Path) -> None:
    """The same file under another name: a hard link, so that either may be deleted; a copy where there are none.

    Only for files that nobody writes into: podium replaces files, it does not change them.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        shutil.copyfile(source, target)


def require_space(folder: Path, need: int) -> None:
    """Refuse work that cannot end well: ``need`` bytes are about to be written below ``folder``.

    Raises:
        StorageError: with both figures, if less is free.
    """
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < need:
        raise StorageError(
            f"the disk has {size_text(free)} free and this needs {size_text(need)}",
            where=folder,
            remedy="free some space and run the same command again; what was finished is kept",
        )


def size_text(n: float) -> str:
    """1536 -> '1.5 KB'."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} TB"


@contextlib.contextmanager
def locked(path: Path, *, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock; the kernel lets go of it when the process dies, however it dies.

    Args:
        path: The lock file; its content says who holds it.
        wait: Called once before waiting for another holder. Without it a held lock is an error at once.

    Raises:
        BusyError: naming the other process, if the lock is held and ``wait`` is None.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        f = open(path, "a+")  # noqa: SIM115 - closed below; closing is what releases the lock
    except OSError as error:
        raise storage_error(error, path) or error from error
    with f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            if wait is None:
                raise _busy(path, f) from None
            wait()
            fcntl.flock(f, fcntl.LOCK_EX)
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
        holder = json.dumps({"pid": os.getpid(), "command": command, "since": time.time()})
        with contextlib.suppress(OSError):  # who holds it is a courtesy; a full disk must not prevent the work
            f.truncate(0)
            os.write(f.fileno(), holder.encode())  # unbuffered: closing the file has nothing left to write
        yield


def _busy(path: Path, f: IO[str]) -> BusyError:
    f.seek(0)
    try:
        holder = json.loads(f.read())
        minutes = (time.time() - holder["since"]) / 60
        who = f"process {holder['pid']}, {holder['command']}, for {minutes:.0f} min"
    except (ValueError, KeyError, TypeError):
        who = "an unnamed process"
    return BusyError(
        f"another podium is at work in this workspace ({who})",
        where=path.parent.parent if path.parent.name == ".podium" else path.parent,
        remedy="wait for it to end or stop it; reading commands (attempts, show, standings) work meanwhile",
    )
