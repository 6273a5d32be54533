"""Backup and restore of a host: one folder with the database, rules, solutions, data and submitted files."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from podium.errors import DataError, StorageError
from podium.files import building, is_complete, share_file
from podium.host.server.competitions import BUNDLE, DATA, TRUTH
from podium.host.server.database import Row
from podium.host.server.host import CONFIG, DATABASE, KEY, Host

UPLOADS = "uploads"
FOLDERS = ("competitions", UPLOADS)


@dataclass(frozen=True)
class Backup:
    """What a backup holds."""

    folder: Path
    submissions: int
    bytes: int


def back_up(host: Host, target: Path) -> Backup:
    """Write a backup, while the host is served: the database first, then all files that it names.

    Submitted files and the data for competitors, which nobody writes into, are linked where that is possible; rules,
    solutions and descriptions, which organisers edit in place, are copied.

    Raises:
        DataError: if a submitted file is not there.
        StorageError: if ``target`` is there already, or cannot be written.
    """
    if target.exists():
        raise StorageError("there is something of this name", where=target, remedy="choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    with building(target) as draft:
        host.db.backup(draft / DATABASE)
        shutil.copyfile(host.folder / CONFIG, draft / CONFIG)
        if (host.folder / KEY).exists():
            shutil.copyfile(host.folder / KEY, draft / KEY)
            os.chmod(draft / KEY, 0o600)
        for name in FOLDERS:
            _copy(host.folder / name, draft / name)
        rows = _require_all(draft, host.folder, f"put them back into {host.blobs}")
    return Backup(target, len(rows), sum(r["bytes"] for r in rows))


def restore(backup: Path, target: Path) -> Backup:
    """A host from a backup, in a new folder.

    Raises:
        DataError: if it is no whole backup, or a submitted file that its database names is not there.
        StorageError: if ``target`` is there already.
    """
    if not is_complete(backup) or not (backup / DATABASE).is_file():
        raise DataError("this is no whole backup", where=backup, expected="a folder made by podium host backup")
    if target.exists() and any(target.iterdir()):
        raise StorageError("the folder is not empty", where=target, remedy="choose another name")
    with building(target, marker=False) as draft:
        for name in (CONFIG, DATABASE, KEY):
            if (backup / name).exists():
                shutil.copy2(backup / name, draft / name)
        for name in FOLDERS:
            if (backup / name).is_dir():
                shutil.copytree(backup / name, draft / name, dirs_exist_ok=True)
        rows = _require_all(draft, backup, "another backup")
    return Backup(target, len(rows), sum(r["bytes"] for r in rows))


def _require_all(folder: Path, where: Path, remedy: str) -> list[Row]:
    """The submissions of a copied host; every file that its database names must be there.

    Args:
        where: What it was copied from.
        remedy: What to do if one is not.
    """
    host = Host(folder)
    rows = host.db.all("SELECT id, blob, bytes FROM submissions")
    lost = [r["id"] for r in rows if not (host.blobs / r["blob"]).is_file()]
    host.db.close()
    if lost:
        what = f"the files of {len(lost)} submissions are not there, of {lost[0]} for one"
        raise DataError(what, where=where, expected="every file that its database names", remedy=remedy)
    return rows


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for root, folders, names in os.walk(source):
        here = target / Path(root).relative_to(source)
        folders[:] = [f for f in folders if not f.startswith(".")]
        for folder in folders:
            (here / folder).mkdir()
        for name in names:
            if not name.startswith("."):
                _take(Path(root) / name, here / name, Path(root, name).relative_to(source.parent).parts)


def _take(file: Path, target: Path, parts: tuple[str, ...]) -> None:
    """A link to what is replaced at most; a copy of what may be edited in place.

    Args:
        parts: Of its path below the host's folder.
    """
    if parts[0] == UPLOADS:
        with contextlib.suppress(FileNotFoundError):  # one that was given up; those that count are counted at the end
            share_file(file, target)
    elif parts[2:3] in ((DATA,), (BUNDLE,), (TRUTH,)):
        share_file(file, target)
    else:
        shutil.copy2(file, target)
