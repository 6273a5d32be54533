"""The index: one SQLite row an attempt, for quick listing. It can be thrown away; the folders are the record.

Whatever happens to it or to its disk, nothing is lost and nothing fails: at worst the folders are read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.ledger.stamps import folders_in, head_stamp, runs_stamp
from podium.progress import duration, say, track

if TYPE_CHECKING:
    from podium.ledger.attempt import Attempt

Row = dict[str, Any]

SHOWN = (
    *("id", "folder", "name", "parent", "created", "change", "why", "link", "cv", "folds", "fold_runs", "scores"),
    *("seconds", "verdict", "reason", "gain", "raw_gain", "se", "noise_floor", "evidence", "final", "crowned"),
    "crowned_by",
)
"""What a row tells of its attempt; ``scores`` are (fold, seed, score)."""
_OWN = ("enough", "same", "noise", "replicated", "damage", "open", "parts", "head_stamp", "runs_stamp")
_COLUMNS = ("folder", *(name for name in SHOWN if name != "folder"), *_OWN)
_EMPTY: Row = {**dict.fromkeys(_COLUMNS), "parts": [], "scores": []}
_SELECT = f"select {', '.join(_COLUMNS)} from attempts"
_INSERT = f"insert or replace into attempts values ({', '.join(':' + name for name in _COLUMNS)})"
_VERSION = zlib.crc32(repr((version("podium"), _COLUMNS)).encode()) >> 1
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

        self._store([_EMPTY | read_row(attempt.folder)])

    def rows(self, k: int, *, anew: bool = False) -> tuple[list[Row], list[str]]:
        """Every attempt's row by id, with `SHOWN`, ``time`` and ``state``, and a line for each damaged folder.

        Args:
            k: Number of folds of the competition.
            anew: Read every folder again.
        """
        entries = self.entries(anew=anew)
        damaged = [row["damage"] for row in entries if row["damage"]]
        return [_shown(row, k) for row in entries if not row["damage"]], damaged

    def entries(self, *, anew: bool = False) -> list[Row]:
        """Every folder's row by number, as it is kept; what has changed since it was read is read again first."""
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
            rows[name] = _EMPTY | read_row(self.folder / name)
            batch.append(rows[name])
            if kept and (n == len(names) or len(batch) == _BATCH):
                kept, batch = self._store(batch), []
        return rows

    # ------------------------------------------------------------------ the database

    def _stored(self) -> dict[str, Row]:
        """{folder: row}; of a database that is damaged, or not ours to read, nothing."""
        try:
            with self._open() as db:
                rows = {row[0]: dict(zip(_COLUMNS, row, strict=True)) for row in db.execute(_SELECT)}
            for row in rows.values():
                row["parts"], row["scores"] = row["parts"].split("/"), json.loads(row["scores"])
        except sqlite3.OperationalError:
            return {}
        except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError):
            self._remove()
            return {}
        return rows

    def _store(self, rows: list[Row], gone: Iterable[str] = ()) -> bool:
        packed = [row | {"parts": "/".join(row["parts"]), "scores": json.dumps(row["scores"])} for row in rows]
        try:
            with self._open() as db:
                db.execute("begin immediate")
                db.executemany("delete from attempts where folder = ?", [(name,) for name in gone])
                db.executemany(_INSERT, packed)
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
                    db.execute("drop table if exists attempts")
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
    if row["head_stamp"] != head_stamp(folder, row["parts"]):
        return False
    return not (deep or row["open"]) or row["runs_stamp"] == runs_stamp(folder, row["parts"])


def _each_number_once(rows: list[Row], folder: Path) -> list[Row]:
    """The same rows; where two can be read and have one number, the second is damaged."""
    first: dict[int, str] = {}
    for i, row in enumerate(rows):
        if row["damage"] is None and first.setdefault(row["id"], row["folder"]) != row["folder"]:
            why = f"{folder / row['folder']}: its number is that of {first[row['id']]} too; rename one of them"
            rows[i] = row | {"damage": why}
    return rows


def _shown(row: Row, k: int) -> Row:
    tree = {name: row[name] for name in SHOWN}
    tree["final"] = None if row["final"] is None else bool(row["final"])
    tree["state"] = "done" if row["enough"] >= k else "unfinished"
    tree["time"] = duration(row["seconds"])
    return tree
