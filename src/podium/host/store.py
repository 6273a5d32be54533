"""Submissions and their quota, in SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from podium.errors import BoardError, BusyError, PodiumError, StorageError
from podium.files import locked

DATABASE = "board.db"
"""Where a workspace's own board keeps its submissions, in `board/`."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    team TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    file_name TEXT NOT NULL,
    message TEXT NOT NULL,
    attempt TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('scored', 'rejected')),
    public REAL,
    private REAL,
    error TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS submissions_of_a_day ON submissions (team, status, submitted_at);
"""


@dataclass(frozen=True)
class Entry:
    """One submission as the board keeps it.

    Attributes:
        team: Who submitted.
        submitted_at: When, ISO 8601 in UTC.
        sha256: Of the file's bytes.
        file_name: As given.
        message: The submitter's note.
        attempt: The attempt behind it, or "".
        status: "scored", or "rejected" for a file that is not in order, which takes nothing from the quota.
        public: Public score, None if rejected.
        private: Private score, None if rejected.
        error: Why it was rejected.
        id: Given by the store, from 1.
    """

    team: str
    submitted_at: str
    sha256: str
    file_name: str
    message: str = ""
    attempt: str = ""
    status: Literal["scored", "rejected"] = "scored"
    public: float | None = None
    private: float | None = None
    error: str = ""
    id: int = 0


_COLUMNS = ", ".join(f.name for f in fields(Entry))


class BoardStore:
    """The submissions of one board.

    Args:
        path: The database; made if missing.
        timeout: Seconds to wait for another process that writes.

    Raises:
        StorageError: from any method, if the disk is full or not writable, or the file is no database.
        BusyError: from any method, if another process holds the database for longer than ``timeout``.
    """

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self.path, self.timeout = path, timeout
        with locked(path.with_name(path.name + ".lock"), wait=lambda: None), self._connection() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)

    def add(self, entry: Entry, daily_limit: int, *, again: bool = False) -> Entry:
        """Record a submission, checking the quota in the same transaction; returns it with its id.

        Raises:
            BoardError: as `admit`; a rejected entry is always recorded.
        """
        with self._transaction() as db:
            if entry.status == "scored":
                _admit(db, entry, daily_limit, again)
            marks = ", ".join("?" * (len(fields(Entry)) - 1))
            columns = _COLUMNS.removesuffix(", id")
            done = db.execute(f"INSERT INTO submissions ({columns}) VALUES ({marks})", astuple(entry)[:-1])
            return replace(entry, id=int(done.lastrowid or 0))

    def admit(self, entry: Entry, daily_limit: int, *, again: bool = False) -> None:
        """Say before the work of grading what `add` would refuse.

        Raises:
            BoardError: if the same file was scored before (unless ``again``), naming that submission, or the team's
                quota of the UTC day is used up, saying when it resets.
        """
        with self._transaction("DEFERRED") as db:
            _admit(db, entry, daily_limit, again)

    def list(self, team: str | None = None) -> list[Entry]:
        """All submissions (of a team), the oldest first, rejected ones too."""
        with self._transaction("DEFERRED") as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM submissions WHERE ?1 IS NULL OR team = ?1 ORDER BY id", (team,)
            ).fetchall()
        return [Entry(*row) for row in rows]

    @contextlib.contextmanager
    def _transaction(self, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._connection() as db, transaction(db, kind):
            yield db

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None)
            with contextlib.closing(connection) as db:
                db.execute("PRAGMA foreign_keys = ON")
                yield db
        except sqlite3.Error as error:
            raise explain(error, self.path) from error


@contextlib.contextmanager
def transaction(db: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"]) -> Iterator[None]:
    """All that is done within, or nothing of it."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def explain(error: sqlite3.Error, path: Path) -> PodiumError:
    """The clear form of a database error."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BusyError("another process is writing to the board", where=path, remedy="run the same command again")
    if code == sqlite3.SQLITE_FULL:
        return StorageError(
            "the disk is full", where=path, remedy="free some space and run the same command again; nothing was lost"
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StorageError(f"the board's database is damaged ({error})", where=path, remedy="restore it from a backup")
    return StorageError(
        f"the board's database cannot be used ({error})",
        where=path,
        remedy="see that the disk has space and that you may write there, then run the same command again",
    )


def day_of(at: str) -> str:
    """The UTC day of an ISO time, the unit of the quota."""
    return at[:10]


def _admit(db: sqlite3.Connection, entry: Entry, daily_limit: int, again: bool) -> None:
    scored = "FROM submissions WHERE team = ? AND status = 'scored'"
    same = db.execute(
        f"SELECT id, submitted_at, message, public {scored} AND sha256 = ? ORDER BY id", (entry.team, entry.sha256)
    ).fetchone()
    if same and not again:
        note = f' "{same[2]}"' if same[2] else ""
        raise BoardError(
            f"this very file was submitted before, as number {same[0]}{note} on {same[1]}; public score {same[3]:.5f}",
            where=entry.file_name,
            remedy="nothing was used of the quota; to submit it all the same: --again",
        )
    day = day_of(entry.submitted_at)
    used = db.execute(f"SELECT count(*) {scored} AND substr(submitted_at, 1, 10) = ?", (entry.team, day)).fetchone()[0]
    if used >= daily_limit:
        now = datetime.fromisoformat(entry.submitted_at)
        reset = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        minutes = int((reset - now).total_seconds() + 59) // 60
        raise BoardError(
            f"the quota is used up: {used} of {daily_limit} submissions on {day} (UTC)",
            remedy=f"it resets at {reset:%Y-%m-%d %H:%M} UTC, in {minutes // 60} h {minutes % 60:02d} min",
        )
