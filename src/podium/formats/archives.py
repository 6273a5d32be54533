"""Archives unpacked safely: nothing outside the target, no links, no bombs, no half-done result."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

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

KINDS = (".zip", ".tar", ".tar.gz", ".tgz")
_BY_HAND = {
    ".7z": "7z x {name} -o{folder}",
    ".rar": "unrar x {name} {folder}/",
    ".tar.bz2": "mkdir {folder} && tar -xjf {name} -C {folder}",
    ".tbz2": "mkdir {folder} && tar -xjf {name} -C {folder}",
    ".tar.xz": "mkdir {folder} && tar -xJf {name} -C {folder}",
    ".txz": "mkdir {folder} && tar -xJf {name} -C {folder}",
    ".tar.zst": "mkdir {folder} && tar --zstd -xf {name} -C {folder}",
}


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive that `unpack` reads."""
    return path.name.lower().endswith(KINDS)


def by_hand(path: Path) -> str:
    """The command that unpacks an archive that `unpack` does not read; "" if the name is of none."""
    name = path.name.lower()
    ending = next((e for e in _BY_HAND if name.endswith(e)), None)
    if ending is None:
        return ""
    return _BY_HAND[ending].format(name=shlex.quote(path.name), folder=shlex.quote(path.name[: -len(ending)] or "data"))


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack an archive (zip, tar, tar.gz) below ``folder``; returns the files.

    An archive inside it (train.zip in all.zip) is unpacked too, as `unpack_home` does it, once.

    Raises:
        DataError: naming the member, for a damaged or encrypted archive, a path that leads outside, a link, or sizes
            that no data set has.
        StorageError: if it would not fit on the disk.
    """
    written = _unpack(archive, folder)
    for inner in [p for p in written if is_archive(p)]:
        written.remove(inner)
        written += _unpack_home(inner, inner.parent)
        inner.unlink()
    return written


def unpack_home(archive: Path, folder: Path) -> list[Path]:
    """Unpack an archive into a folder of its name below ``folder``; into ``folder`` itself if it brings that folder, or
    is one file. Otherwise as `unpack`."""
    written = _unpack_home(archive, folder)
    for inner in [p for p in written if is_archive(p)]:
        written.remove(inner)
        written += _unpack_home(inner, inner.parent)
        inner.unlink()
    return written


def home_of(archive: Path, folder: Path) -> Path:
    """Where a zip archive's content goes, as `unpack_home` says."""
    with _open(archive) as z:
        names = [PurePosixPath(n.replace("\\", "/")) for n in z.namelist() if not is_litter(n)]
    return _home(archive, folder, names)


def _home(archive: Path, folder: Path, names: Sequence[PurePosixPath]) -> Path:
    stem = archive.name.split(".")[0]
    tops = {name.parts[0] for name in names if name.parts}
    bare = len(names) == 1 and len(names[0].parts) == 1
    return folder if bare or tops == {stem} or not stem else folder / stem


def _unpack_home(archive: Path, folder: Path) -> list[Path]:
    if archive.name.lower().endswith(".zip"):
        return _unpack(archive, home_of(archive, folder))
    from podium.formats.tars import unpack_tar

    # a tar has no list of its members: it is read once, and then put where it belongs
    aside = folder / f".unpacking-{archive.name}"
    files = [p.relative_to(aside) for p in unpack_tar(archive, aside)]
    home = _home(archive, folder, [PurePosixPath(f.as_posix()) for f in files])
    for file in files:
        target = home / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise DataError(f"the member '{file}' is there already", where=archive)
        os.rename(aside / file, target)
    shutil.rmtree(aside, ignore_errors=True)
    return [home / file for file in files]


def _unpack(archive: Path, folder: Path) -> list[Path]:
    if not archive.name.lower().endswith(".zip"):
        from podium.formats.tars import unpack_tar

        return unpack_tar(archive, folder)
    with _open(archive) as z:
        members = list(_checked(archive, z, folder))
        require_space(folder, sum(info.file_size for info, _ in members))
        for info, target in members:
            _extract(archive, z, info, target)
    return [target for _, target in members]


def _open(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except FileNotFoundError:
        raise DataError("no such file", where=archive) from None
    except (zipfile.BadZipFile, OSError, ValueError, LookupError, NotImplementedError, struct.error) as error:
        raise DataError(f"not a zip archive ({error})", where=archive, remedy="download it again") from None


def _checked(archive: Path, z: zipfile.ZipFile, folder: Path) -> Iterator[tuple[zipfile.ZipInfo, Path]]:
    infos = z.infolist()
    if len(infos) > MOST_MEMBERS:
        raise DataError(f"{len(infos)} members", where=archive, expected=f"at most {MOST_MEMBERS}")
    if sum(info.compress_size for info in infos) > archive.stat().st_size:
        raise DataError("its members overlap, as in a bomb", where=archive, expected="an archive of plain files")
    seen = set[str]()
    for info in infos:
        name = info.filename.replace("\\", "/")
        if name.endswith("/") or is_litter(name):
            continue
        inside, problem = os.path.normpath(name), fault_of(name)
        if problem:
            pass
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a link"
        elif info.flag_bits & 1:
            problem = "is encrypted"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a bound
            problem = "is compressed in a way that is not read here"
        elif info.file_size > SMALL and info.file_size > HIGHEST_RATIO * max(info.compress_size, 1):
            problem = f"would grow from {size_text(info.compress_size)} to {size_text(info.file_size)}"
        elif inside in seen:
            problem = "is there twice"
        if problem:
            raise refused(archive, name, problem)
        seen.add(inside)
        yield info, folder / inside


def _extract(archive: Path, z: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    try:
        written = datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        written = None
    try:
        with z.open(info) as source:  # zipfile stops at the declared size and checks the CRC
            write_member(archive, info.filename, source, target, info.file_size, written)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError) as e:
        raise damaged(archive, info.filename, e) from None
