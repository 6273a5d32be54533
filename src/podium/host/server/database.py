"""The host's record: one SQLite database in WAL mode, migrated by version."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

from podium.errors import StorageError
from podium.files import locked
from podium.host.server.schema import MIGRATIONS
from podium.host.store import explain, transaction

Row = sqlite3.Row


class Database:
    """Connections, one a thread; one writer at a time.

    Args:
        path: The file; made, or brought up to date, if need be.
        timeout: Seconds to wait for another process that writes.

    Raises:
        StorageError: from any method, if the disk is full or not writable, or the file is no database.
        BusyError: from any method, if another process writes for longer than ``timeout``.
    """

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        self.path, self.timeout = path, timeout
        self._own, self._writing = threading.local(), threading.Lock()
        self._all: list[tuple[weakref.ref[threading.Thread], sqlite3.Connection]] = []
        self._opening = threading.Lock()
        with locked(path.with_name(path.name + ".lock"), wait=lambda: None):
            self._migrate()

    @contextlib.contextmanager
    def write(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that sees nobody else's writes from its first moment; rolled back on an exception.

        Args:
            lasting: Whether it has to survive a power cut from the moment it returns, for which the disk is waited for.
                All survive the end of this process; what the next start makes good again need do no more than that.
        """
        with self._writing, self._explained():
            db = self._connection()
            db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            with transaction(db, "IMMEDIATE"):
                yield db

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view of all tables."""
        with self._explained():
            db = self._connection()
            nested = db.in_transaction
            if not nested:
                db.execute("BEGIN DEFERRED")
            try:
                yield db
            finally:
                if not nested and db.in_transaction:
                    db.execute("ROLLBACK")

    def all(self, sql: str, *values: object) -> list[Row]:
        """The rows of a query."""
        with self.read() as db:
            return db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> Row | None:
        """The first row of a query, if any."""
        with self.read() as db:
            row: Row | None = db.execute(sql, values).fetchone()
            return row

    def backup(self, path: Path) -> None:
        """A consistent copy, while others read and write."""
        with self._explained(), contextlib.closing(sqlite3.connect(path)) as target:
            self._connection().backup(target)
            target.execute("PRAGMA journal_mode = DELETE")

    def close(self) -> None:
        """Close the connections of all threads; nobody may use them any more."""
        while self._all:
            self._all.pop()[1].close()
        self._own = threading.local()

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._own, "db", None)
        if db is None:
            db = sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA foreign_keys = ON")
            self._own.db = db
            with self._opening:
                self._close_those_of_ended_threads()
                self._all.append((weakref.ref(threading.current_thread()), db))
        return db

    def _close_those_of_ended_threads(self) -> None:
        """A server's threads come and go; each new one sees to it that the old ones' connections are not left open."""
        left = []
        for thread, db in self._all:
            owner = thread()
            if owner is not None and owner.is_alive():
                left.append((thread, db))
            else:
                db.close()
        self._all = left

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _migrate(self) -> None:
        with self._explained():
            db = self._connection()
            db.execute("PRAGMA journal_mode = WAL")
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version > len(MIGRATIONS):
                raise StorageError(
                    f"the database is of version {version}, made by a newer podium",
                    where=self.path,
                    expected=f"version {len(MIGRATIONS)} at most",
                    remedy="upgrade podium",
                )
            for number in range(version, len(MIGRATIONS)):
                db.executescript(f"BEGIN; {MIGRATIONS[number]}; PRAGMA user_version = {number + 1}; COMMIT;")


def marks(values: Sequence[object]) -> str:
    """Placeholders for an IN clause."""
    return ", ".join("?" * len(values))
