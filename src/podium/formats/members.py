"""What an archive may hold: rules that hold for zip and tar."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

from podium.errors import DataError, storage_error

MOST_MEMBERS = 2_000_000
HIGHEST_RATIO = 200
"""Unpacked to packed size of what is above 10 MB; images hardly shrink, and text does so 20-fold at best."""
SMALL = 10 * 2**20


def is_litter(name: str) -> bool:
    """What file managers leave in archives, and what macOS knows of each file."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if "__MACOSX" in parts or not parts:
        return "__MACOSX" in parts
    return parts[-1] in (".DS_Store", "Thumbs.db", "desktop.ini") or parts[-1].startswith("._")


def fault_of(name: str) -> str:
    """What is wrong with a member's name, with / between its parts; "" if nothing is."""
    inside = os.path.normpath(name)
    outside = name.startswith("/") or ".." in PurePosixPath(name).parts or inside in ("", ".") or "\0" in name
    return "leads outside the folder" if outside else ""


def refused(archive: Path, name: str, problem: str) -> DataError:
    """The error about a member that no data set has."""
    return DataError(
        f"the member '{name[:200]}' {problem}",
        where=archive,
        expected="an archive of plain files, as a competition ships it",
        remedy="unpack it by hand if you trust it, and give the folder",
    )


def damaged(archive: Path, name: str, error: object) -> DataError:
    """The error about a member that cannot be read."""
    return DataError(f"the member '{name[:200]}' is damaged ({error})", where=archive, remedy="download it again")


def write_member(
    archive: Path, name: str, source: IO[bytes], target: Path, size: int, written: datetime | None
) -> None:
    """Write one member, which must be as long as it says, with its time if it has one; no file is written over.

    Raises:
        EOFError: if it is shorter.
        DataError: if there is such a file, or its name cannot be a file's.
        StorageError: if the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            if sink.tell() != size:
                raise EOFError(f"{sink.tell()} bytes, {size} declared")
        with contextlib.suppress(ValueError, OverflowError, OSError):  # a member without a true date has none here
            if written is not None:
                os.utime(target, (written.timestamp(),) * 2)  # `podium look` asks whether times betray the target
    except FileExistsError:
        raise DataError(f"the member '{name[:200]}' is there already", where=archive) from None
    except OSError as error:  # a name that is too long, or a file where another member needs a folder
        if isinstance(error, gzip.BadGzipFile):  # of the archive, not of the disk
            raise
        raise storage_error(error, target) or DataError(
            f"the member '{name[:200]}' cannot be written ({error.strerror})", where=archive
        ) from None
