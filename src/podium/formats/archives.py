"""Zip archives unpacked safely: nothing outside the target, no links, no bombs, no half-done result."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from podium.errors import DataError, storage_error
from podium.files import require_space, size_text

MOST_MEMBERS = 2_000_000
HIGHEST_RATIO = 200
"""Unpacked to packed size of a member above 10 MB; images hardly shrink, and text does so 20-fold at best."""


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack a zip archive below ``folder``; returns the files.

    An archive inside it (train.zip in all.zip) is unpacked too, where `home_of` says, once.

    Raises:
        DataError: naming the member, for a damaged or encrypted archive, a path that leads outside, a link, or sizes
            that no data set has.
        StorageError: if it would not fit on the disk.
    """
    written = _unpack(archive, folder)
    for inner in [p for p in written if p.suffix.lower() == ".zip"]:
        written.remove(inner)
        written += _unpack(inner, home_of(inner, inner.parent))
        inner.unlink()
    return written


def home_of(archive: Path, folder: Path) -> Path:
    """Where an archive's content goes: a folder of its name, or ``folder`` if it brings that one or is one file."""
    with _open(archive) as z:
        names = [PurePosixPath(n.replace("\\", "/")) for n in z.namelist() if not _is_litter(n)]
    stem = archive.name.split(".")[0]
    tops = {name.parts[0] for name in names if name.parts}
    bare = len(names) == 1 and len(names[0].parts) == 1
    return folder if bare or tops == {stem} or not stem else folder / stem


def _is_litter(name: str) -> bool:
    """What file managers leave in archives, and what macOS knows of each file."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "__MACOSX" in parts or (bool(parts) and (parts[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")))


def _unpack(archive: Path, folder: Path) -> list[Path]:
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
        if name.endswith("/") or _is_litter(name):
            continue
        inside = os.path.normpath(name)
        problem = ""
        if name.startswith("/") or ".." in PurePosixPath(name).parts or inside in ("", ".") or "\0" in name:
            problem = "leads outside the folder"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a link"
        elif info.flag_bits & 1:
            problem = "is encrypted"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a bound
            problem = "is compressed in a way that is not read here"
        elif info.file_size > 10 * 2**20 and info.file_size > HIGHEST_RATIO * max(info.compress_size, 1):
            problem = f"would grow from {size_text(info.compress_size)} to {size_text(info.file_size)}"
        elif inside in seen:
            problem = "is there twice"
        if problem:
            raise DataError(
                f"the member '{name[:200]}' {problem}",
                where=archive,
                expected="an archive of plain files, as a competition ships it",
                remedy="unpack it by hand if you trust it, and give the folder",
            )
        seen.add(inside)
        yield info, folder / inside


def _extract(archive: Path, z: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    name = info.filename[:200]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with z.open(info) as source, open(target, "xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)  # zipfile stops at the declared size and checks the CRC
            if sink.tell() != info.file_size:
                raise EOFError(f"{sink.tell()} bytes, {info.file_size} declared")
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, struct.error) as e:
        found = f"the member '{name}' is damaged ({e})"
        raise DataError(found, where=archive, remedy="download it again") from None
    except FileExistsError:
        raise DataError(f"the member '{name}' is there already", where=archive) from None
    except OSError as error:  # a name that is too long, or a file where another member needs a folder
        raise storage_error(error, target) or DataError(
            f"the member '{name}' cannot be written ({error.strerror})", where=archive
        ) from None
