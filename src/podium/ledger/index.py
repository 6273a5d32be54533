"""The index: one SQLite row an attempt, for quick listing. It can be thrown away; the folders are the record.

Whatever happens to it or to its disk, nothing is lost and nothing fails: at worst the folders are read again.

Ten thousand attempts are listed in less than a second of processor time: rows stay tuples from the database to the
table, no folder is opened, and nothing is imported that takes long.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from podium.ledger.stamps import file_stamp, folders_in, head_stamp, runs_stamp
from podium.ledger.views.entries import Entry
from podium.progress import say, track

if TYPE_CHECKING:
    from podium.ledger.attempt import Attempt

FACTS = Entry._fields[:-2]
"""What is kept of an `Entry`: all but what depends on the number of folds and on the board."""


class Row(NamedTuple):
    """What is kept of an attempt's folder.

    Attributes:
        enough: The most folds of a competition with which nothing would be left to train.
        same: Equal for attempts that train the very same; `rows.sameness`.
        noise: What its folds say of the run noise, as JSON.
        replicated: Whether a fold has several seeds.
        metric: What it was scored by; "" if that is not known.
        damage: Why it cannot be read; else None.
        open: Whether a fold run of it was not finished.
        parts: What was read of it, joined by "/".
        head_stamp, runs_stamp: As of `stamps`, when it was read.
        facts: The values of `FACTS`.
    """

    enough: int
    same: str
    noise: str | None
    replicated: bool
    metric: str
    damage: str | None
    open: bool
    parts: str
    head_stamp: str
    runs_stamp: str
    facts: tuple[Any, ...]

    @property
    def id(self) -> int:
        """The attempt's number; None of a damaged one."""
        return self.facts[0]  # type: ignore[no-any-return]

    @property
    def folder(self) -> str:
        """The name of the attempt's folder."""
        return self.facts[1]  # type: ignore[no-any-return]


class Scale(NamedTuple):
    """What the scores of a workspace mean, as its `competition.toml` says.

    Attributes:
        k: Number of folds.
        board: `board.kind`.
    """

    metric: str
    greater_is_better: bool
    k: int
    board: str


_OWN = Row._fields[:-1]
_COLUMNS = (*_OWN, *FACTS)
_SELECT = f"select {', '.join(_COLUMNS)} from attempts"
_INSERT = f"insert or replace into attempts values ({', '.join('?' * len(_COLUMNS))})"
_VERSION = zlib.crc32(repr((version("podium"), _COLUMNS, Scale._fields)).encode()) >> 1
"""Of the table; one that another podium made is thrown away."""

DEEP = 1000
"""Of more finished attempts than these, the older ones' fold runs are not looked at each time, only their own files."""
_BATCH = 500
"""Rows are stored as they are read, so many at a time: a first reading that is stopped goes on where it was."""


class Index:
    """`.podium/podium.db`, over the `attempts/` folder."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder

    def put(self, attempt: Attempt) -> None:
        """Read one attempt's folder again, which has changed."""
        from podium.ledger.rows import read_row

        self._store([read_row(attempt.folder)])

    def entries(self, k: int, *, anew: bool = False) -> tuple[list[Entry], list[str]]:
        """Every attempt by id, and a line for each damaged folder.

        Args:
            k: Number of folds of the competition.
            anew: Read every folder again.
        """
        rows = self.rows(anew=anew)
        entries = [Entry._make((*row.facts, row.enough >= k, None)) for row in rows if not row.damage]
        return entries, [row.damage for row in rows if row.damage]

    def rows(self, *, anew: bool = False) -> list[Row]:
        """Every folder's row by number; what has changed since it was read is read again first."""
        if anew:
            self._remove()
        known, names, base = {} if anew else self._stored(), folders_in(self.folder), str(self.folder)
        shallow = set(names[:-DEEP])
        rows = {
            name: row
            for name in names
            if (row := known.get(name)) and _current(f"{base}/{name}", row, deep=name not in shallow)
        }
        gone = known.keys() - set(names)
        changed = [name for name in names if name not in rows]
        if gone or changed:
            rows |= self._read(changed, gone)
        return _each_number_once([rows[name] for name in names], self.folder)

    def _read(self, names: list[str], gone: Iterable[str]) -> dict[str, Row]:
        """Rows of folders that are new or have changed; they are stored as they come."""
        from podium.ledger.rows import read_row

        rows: dict[str, Row] = {}
        batch: list[Row] = []
        kept = self._store([], gone)
        told = track(names, "reading attempts", len(names)) if len(names) > _BATCH else names
        for n, name in enumerate(told, 1):
            rows[name] = read_row(self.folder / name)
            batch.append(rows[name])
            if kept and (n == len(names) or len(batch) == _BATCH):
                kept, batch = self._store(batch), []
        return rows

    def scale(self, file: Path, read: Callable[[], Scale]) -> Scale:
        """What ``read`` makes of a `competition.toml`, which takes long to import: as it is kept, until it changes.

        Raises:
            ConfigError: as ``read``; what is wrong is not kept.
        """
        stamp = file_stamp(str(file))
        with contextlib.suppress(sqlite3.DatabaseError, TypeError), self._open() as db:
            for _, metric, up, *rest in db.execute("select * from scale where stamp = ?", (stamp,)):
                return Scale(metric, bool(up), *rest)
        found = read()
        with contextlib.suppress(sqlite3.DatabaseError), self._open() as db:
            db.execute("begin immediate")
            db.execute("delete from scale")
            db.execute("insert into scale values (?, ?, ?, ?, ?)", (stamp, *found))
            db.execute("commit")
        return found

    # ------------------------------------------------------------------ the database

    def _stored(self) -> dict[str, Row]:
        """{folder: row}; of a database that is damaged, or not ours to read, nothing."""
        n = len(_OWN)
        try:
            with self._open() as db:
                return {row[n + 1]: Row._make((*row[:n], row[n:])) for row in db.execute(_SELECT)}
        except sqlite3.OperationalError:
            return {}
        except (sqlite3.DatabaseError, ValueError, TypeError):
            self._remove()
            return {}

    def _store(self, rows: list[Row], gone: Iterable[str] = ()) -> bool:
        try:
            with self._open() as db:
                db.execute("begin immediate")
                db.executemany("delete from attempts where folder = ?", [(name,) for name in gone])
                db.executemany(_INSERT, [(*row[:-1], *row.facts) for row in rows])
                db.execute("commit")
        except sqlite3.DatabaseError as error:
            say(f"  {self.path} cannot be written ({error}); nothing is lost, but listing takes longer")
            return False
        return True

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.suppress(OSError):  # what cannot be made cannot be opened either
            self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            if _version(db) != _VERSION:
                db.execute("begin immediate")
                if _version(db) != _VERSION:  # nobody else was quicker
                    for old in ("attempts", "scale"):
                        db.execute(f"drop table if exists {old}")
                    db.execute(f"create table scale (stamp primary key, {', '.join(Scale._fields)})")
                    db.execute(f"create table attempts ({', '.join(_COLUMNS)}, primary key (folder))")
                    db.execute(f"pragma user_version = {_VERSION}")
                db.execute("commit")
            yield db
        finally:
            db.close()  # what is not committed is undone

    def _remove(self) -> None:
        for end in ("", "-journal"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self.path}{end}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("pragma user_version").fetchone()[0])


def _current(folder: str, row: Row, *, deep: bool) -> bool:
    """Whether a row still says what the folder says."""
    parts = row.parts.split("/")
    if row.head_stamp != head_stamp(folder, parts):
        return False
    return not (deep or row.open) or row.runs_stamp == runs_stamp(folder, parts)


def _each_number_once(rows: list[Row], folder: Path) -> list[Row]:
    """The same rows; where two can be read and have one number, the second is damaged."""
    first: dict[int, str] = {}
    for i, row in enumerate(rows):
        if row.damage is None and first.setdefault(row.id, row.folder) != row.folder:
            why = f"{folder / row.folder}: its number is that of {first[row.id]} too; rename one of them"
            rows[i] = row._replace(damage=why)
    return rows
