"""Tar archives, gzipped or not, read once from beginning to end: the rules are those of `members`."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from podium.errors import DataError
from podium.files import require_space, size_text
from podium.formats.members import (
    HIGHEST_RATIO,
    MOST_MEMBERS,
    SMALL,
    damaged,
    fault_of,
    is_litter,
    refused,
    write_member,
)

_MOST_HEADER = 2**21
"""Bytes of one read; the tarfile module reads long names and the like whole, however long they claim to be."""


class _Bomb(Exception):
    """More comes out than any data set holds."""


class _Bounded(io.RawIOBase):
    """What a compressed archive unpacks to, as far as that is believable."""

    def __init__(self, source: gzip.GzipFile | io.BufferedReader, packed: int) -> None:
        self._source, self._most = source, max(SMALL, HIGHEST_RATIO * packed)

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise _Bomb("has a header that is too long")
        data = self._source.read(size)
        if self._source.tell() > self._most:
            raise _Bomb(f"would grow to more than {size_text(self._most)}")
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence != 0 or offset > self._most:
            raise _Bomb(f"would grow to more than {size_text(self._most)}")
        return self._source.seek(offset)

    def tell(self) -> int:
        return self._source.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def unpack_tar(archive: Path, folder: Path) -> list[Path]:
    """Unpack a tar archive, gzipped or not, below ``folder``; returns the files.

    Raises:
        DataError: naming the member, for a damaged archive, a path that leads outside, a link, a device or a bomb.
        StorageError: if it would not fit on the disk.
    """
    written: dict[Path, None] = {}
    name = ""
    try:
        with _open(archive) as tar:
            for n, member in enumerate(tar):
                name = member.name.replace("\\", "/")
                if n >= MOST_MEMBERS:
                    raise DataError(f"more than {MOST_MEMBERS} members", where=archive)
                if member.isdir() or is_litter(name):
                    continue
                target = folder / os.path.normpath(name)
                problem = _fault(member, name, archive) or ("is there twice" if target in written else "")
                if problem:
                    raise refused(archive, name, problem)
                require_space(folder, member.size)
                source = tar.extractfile(member)
                assert source is not None
                with source:
                    write_member(archive, name, source, target, member.size, _time(member))
                written[target] = None
                tar.members = []  # type: ignore[attr-defined]  # of two million members none is needed again
    except _Bomb as bomb:
        raise refused(archive, name or archive.name, str(bomb)) from None
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, OverflowError) as error:
        raise damaged(archive, name or archive.name, error) from None
    return list(written)


@contextlib.contextmanager
def _open(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        packed = archive.open("rb")
    except FileNotFoundError:
        raise DataError("no such file", where=archive) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=archive) from None
    with packed:
        zipped = packed.peek(2)[:2] == b"\x1f\x8b"
        bounded = _Bounded(gzip.GzipFile(fileobj=packed) if zipped else packed, archive.stat().st_size)
        try:
            tar = tarfile.TarFile(fileobj=bounded)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
            raise DataError(f"not a tar archive ({error})", where=archive, remedy="download it again") from None
        with tar:
            yield tar


def _fault(member: tarfile.TarInfo, name: str, archive: Path) -> str:
    if problem := fault_of(name):
        return problem
    if member.issym() or member.islnk():
        return "is a link"
    if not member.isfile() or member.issparse():  # a sparse file is as large as it says, whatever is there
        return "is no plain file"
    if member.size > max(SMALL, HIGHEST_RATIO * archive.stat().st_size):
        return f"would grow from {size_text(archive.stat().st_size)} to {size_text(member.size)}"
    return ""


def _time(member: tarfile.TarInfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(member.mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return None
