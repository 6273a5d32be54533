"""Files on their way in: a single-use token for one file of a declared size, and the bytes that come for it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import sqlite3
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from podium.errors import StorageError, storage_error
from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.database import Row
from podium.host.server.host import Host
from podium.host.server.quota import require_allowed, require_room
from podium.host.server.refusals import Conflict, Forbidden, Refusal, Unknown
from podium.host.server.teams import enter, team_of
from podium.host.server.tokens import hash_of, new_token

VALID = timedelta(hours=6)
MOST_OPEN = 20
"""Uploads that a user may have begun and not handed in; the next one takes the place of the oldest."""

LOOK = 64 * 2**20
"""Bytes of an upload after which the disk is looked at again."""

_HASH = re.compile(r"[0-9a-f]{64}")


def start_upload(host: Host, hosted: Hosted, user: User, file_name: str, size: int, team: int | None = None) -> str:
    """Ask for an upload, before a byte is sent; whoever has not entered the competition does so now.

    Args:
        team: Of a baseline; else the user's.

    Returns:
        The token: it is in the address to send to, and is what the submission is made from.

    Raises:
        Refusal: if the rules, the quota or the room would not allow the submission.
    """
    if size < 0:
        raise Refusal(f"a file of {size} bytes")
    if team is None:
        mine = team_of(host, hosted.slug, user)
        if mine is None:
            with host.db.read() as db:  # what is refused anyway does not make a team
                require_allowed(db, hosted, -1, host.now())
                require_room(host, db, -1, size)
            mine = enter(host, hosted, user)
        team = mine.id
    token, now = new_token(), host.now()
    with host.db.write(lasting=False) as db:
        require_allowed(db, hosted, team, now)
        require_room(host, db, team, size)
        dropped = _without_the_oldest(db, user)
        db.execute(
            "INSERT INTO uploads (hash, competition, user, file_name, declared, expires) VALUES (?, ?, ?, ?, ?, ?)",
            (hash_of(token), hosted.slug, user.id, clean_file_name(file_name), size, (now + VALID).isoformat()),
        )
    for name in dropped:  # only now: nobody can hand them in any more
        (host.blobs / name).unlink(missing_ok=True)
    return token


def _without_the_oldest(db: sqlite3.Connection, user: User) -> list[str]:
    """Forget a user's oldest uploads that were never handed in, to make a place; returns the names of their files."""
    open_ones = "SELECT hash FROM uploads WHERE user = ? AND submission IS NULL ORDER BY rowid DESC LIMIT -1 OFFSET ?"
    hashes = [row["hash"] for row in db.execute(open_ones, (user.id, MOST_OPEN - 1))]
    db.executemany("DELETE FROM uploads WHERE hash = ?", [(h,) for h in hashes])
    return hashes


class Arrival:
    """The bytes of one upload; they count once all of them are here, and the last whole arrival counts.

    Raises:
        Refusal: if the token is unknown, expired or used, or there are more or fewer bytes than declared.
        StorageError: if the disk is full.
    """

    def __init__(self, host: Host, token: str) -> None:
        self.host, self.hash = host, hash_of(token)
        self.declared = int(
            _open_upload(host.db.one("SELECT * FROM uploads WHERE hash = ?", self.hash), host.now())["declared"]
        )
        self._part = host.blobs / f".{self.hash}.{secrets.token_hex(8)}.tmp"
        self._sha, self._size = hashlib.sha256(), 0
        self._file: IO[bytes] = open(self._part, "wb")  # noqa: SIM115 - closed by finish or abandon

    def write(self, data: bytes) -> None:
        """The next bytes."""
        before, self._size = self._size, self._size + len(data)
        if self._size > self.declared:
            raise Refusal(f"more bytes than the {self.declared:,} that were declared", status=413)
        if before // LOOK != self._size // LOOK:  # several uploads may have been let in beside each other
            require_spare(self.host)
        self._sha.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise storage_error(error, "the host") or error from error

    def finish(self) -> None:
        """All bytes are here: keep them."""
        if self._size != self.declared:
            raise Refusal(f"{self._size:,} bytes came, {self.declared:,} were declared")
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(error, "the host") or error from error
        self._file.close()
        with self.host.db.write(lasting=False) as db:
            _open_upload(db.execute("SELECT * FROM uploads WHERE hash = ?", (self.hash,)).fetchone(), self.host.now())
            db.execute("UPDATE uploads SET sha256 = ? WHERE hash = ?", (self._sha.hexdigest(), self.hash))
            os.replace(self._part, self.host.blobs / self.hash)
        _keep_names(self.host.blobs)

    def abandon(self) -> None:
        """Remove what came; harmless after `finish`."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def require_spare(host: Host) -> None:
    """Stop before the disk is full.

    Raises:
        StorageError: if less than ``spare_mb`` is free.
    """
    if shutil.disk_usage(host.folder).free < host.config.spare_mb * 2**20:
        raise StorageError("the disk is nearly full", where="the host")


def _keep_names(folder: Path) -> None:
    """Wait until a file's new name survives a power cut too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _open_upload(row: Row | None, now: datetime) -> Row:
    if row is None:
        raise Unknown("there is no such upload")
    if row["submission"] is not None:
        raise Conflict(f"this upload was handed in already, as submission {row['submission']}")
    if row["expires"] <= now.isoformat():
        raise Forbidden("this upload has expired", remedy="submit again")
    return row


def usable(row: Row | None, hosted: Hosted, user: User, now: datetime) -> Row:
    """An upload that a user may hand in.

    Raises:
        Refusal: if it is another user's, of another competition, used, expired, or its bytes have not come.
    """
    if row is None or row["user"] != user.id or row["competition"] != hosted.slug:
        raise Unknown("there is no such upload of yours in this competition")
    row = _open_upload(row, now)
    if row["sha256"] is None:
        raise Conflict("its bytes have not come", remedy="send the file first")
    return row


def clean_file_name(name: str) -> str:
    """The last part of a path, of characters that show; it is told, and never used on the disk."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in unicodedata.normalize("NFKC", last) if unicodedata.category(c)[0] != "C").strip()
    return plain[:120] or "submission.csv"


def sweep(host: Host) -> int:
    """Remove files of uploads that were never handed in; returns how many."""
    now = host.now().isoformat()
    with host.db.write() as db:
        db.execute("DELETE FROM uploads WHERE submission IS NULL AND expires < ?", (now,))
        known = {row["hash"] for row in db.execute("SELECT hash FROM uploads")}
        known |= {row["blob"] for row in db.execute("SELECT blob FROM submissions")}
        lost = [p for p in host.blobs.iterdir() if _HASH.fullmatch(p.name) and p.name not in known]
        for path in lost:
            path.unlink(missing_ok=True)
    return len(lost)


def remove_parts(folder: Path) -> None:
    """Remove what half-done uploads left; only where no server is running."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
