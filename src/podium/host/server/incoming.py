"""A submitted file as plain bytes: a gzip or a zip of one file is unpacked within limits, and nothing is trusted."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from podium.errors import SubmissionError
from podium.formats.members import HIGHEST_RATIO, SMALL, is_litter

LARGEST = int(os.environ.get("PODIUM_EXPANDED_MB", "4096")) * 2**20
"""Bytes of a submission once it is unpacked; the server sets it for its grading processes."""

MOST_MASKS = 200_000
"""Members of a zip of masks."""

GZIP, ZIPS = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
ARCHIVES = (GZIP, *ZIPS)

_CHUNK = 1 << 20


@contextlib.contextmanager
def opened(file: Path, name: str, masks: bool = False) -> Iterator[Path]:
    """The table in a submitted file; the file itself if it is one, or of masks, which stay in their zip.

    Raises:
        SubmissionError: for a bomb, a damaged or encrypted archive, a link, or more than one file.
    """
    with open(file, "rb") as f:
        start = f.read(4)
    if start.startswith(ZIPS):
        with _archive(file, name) as z:
            members = _checked(z, name)
            if masks:
                _require_bounded(members, name)
                yield file
                return
            with tempfile.TemporaryDirectory(prefix="podium-grade-") as folder:
                yield _only(z, members, name, Path(folder) / "submission.csv")
        return
    if start.startswith(GZIP):
        _require_sane_gzip(file, name)
    yield file


@contextlib.contextmanager
def _archive(file: Path, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as z:
            yield z
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise SubmissionError(f"the zip is damaged ({error})", where=name) from None


def _checked(z: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    members = [m for m in z.infolist() if not m.is_dir() and not is_litter(m.filename)]
    if len(members) > MOST_MASKS:
        raise SubmissionError(f"the zip has {len(members):,} members", where=name)
    for member in members:
        if member.flag_bits & 1:
            raise SubmissionError("the zip is encrypted", where=name)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SubmissionError("the zip has a link in it", where=name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SubmissionError("the zip is compressed in a way that is not read here", where=name)
        if member.file_size > SMALL and member.file_size > HIGHEST_RATIO * max(member.compress_size, 1):
            raise _bomb(name)
    return members


def _require_bounded(members: list[zipfile.ZipInfo], name: str) -> None:
    if sum(m.file_size for m in members) > LARGEST:
        raise _bomb(name)


def _only(z: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str, target: Path) -> Path:
    if len(members) != 1 or members[0].filename.lower().endswith((".zip", ".gz", ".tar", ".7z")):
        raise SubmissionError(f"the zip has {len(members)} files", where=name, expected="one CSV file")
    with z.open(members[0]) as source, open(target, "wb") as out:
        _copy(source, out, name)
    return target


def _copy(source: IO[bytes], out: IO[bytes], name: str) -> None:
    size = 0
    while chunk := source.read(_CHUNK):
        if not size and chunk.startswith(ARCHIVES):  # whatever its name: readers go by these bytes
            raise SubmissionError("an archive in an archive", where=name, expected="one CSV file")
        size += len(chunk)
        if size > LARGEST:
            raise _bomb(name)
        out.write(chunk)


def _require_sane_gzip(file: Path, name: str) -> None:
    """Unpack once, into nothing, up to the limit: what grading reads afterwards cannot be larger."""
    size, most = 0, min(LARGEST, max(SMALL, HIGHEST_RATIO * file.stat().st_size))
    inflate = zlib.decompressobj(31)
    try:
        with open(file, "rb") as f:
            while data := f.read(1 << 16):
                while data:
                    size += len(inflate.decompress(data, _CHUNK))
                    if size > most:
                        raise _bomb(name)
                    data = inflate.unconsumed_tail
                    if inflate.eof:
                        data = inflate.unused_data
                        inflate = zlib.decompressobj(31)
    except zlib.error as error:
        raise SubmissionError(f"the gzip file is damaged ({error})", where=name) from None


def _bomb(name: str) -> SubmissionError:
    return SubmissionError("it grows too much when it is unpacked", where=name, expected="a submission of sane size")
