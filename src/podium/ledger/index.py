"""The index: one SQLite row an attempt, for quick listing. It can be thrown away; the folders are the record."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podium.errors import PodiumError, StorageError
from podium.ledger.attempts import Attempt, Attempts, change_text
from podium.progress import duration

_SCHEMA = """
create table if not exists attempts (
    id integer primary key, folder text not null unique, name text not null, parent integer, created text not null,
    change text not null, why text not null, cv real, folds integer not null, seconds real not null,
    verdict text, gain real, state text not null, stamp text not null
)
"""
_VERSION = 2
"""Of the table; one of another version is thrown away."""
_READ = ("COMPLETE", "recipe.toml", "change.toml", "why.md", "verdict.toml", "fold*/COMPLETE", "fold*/run.toml",
         "fold*/scores.parquet")  # fmt: skip
"""The files that a row is made of."""
COLUMNS = (
    "id folder name parent created change why cv folds seconds verdict gain state".split()  # noqa: SIM905 - reads better
)
_MARKS = ",".join("?" * (len(COLUMNS) + 1))


class Index:
    """`.podium/podium.db`."""

    def __init__(self, path: Path, attempts: Attempts) -> None:
        self.path, self.attempts = path, attempts

    def put(self, attempt: Attempt, folds: int) -> None:
        """Write one attempt's row.

        Args:
            folds: Number of folds of the workspace; with fewer trained the attempt is unfinished.
        """
        with self._open() as db:
            db.execute(f"insert or replace into attempts values ({_MARKS})", _row(attempt, folds))

    def rebuild(self, folds: int) -> list[str]:
        """Make the index anew from the folders; returns a line for each damaged folder."""
        found, damaged = self.attempts.scan()
        rows = []
        for attempt in found:
            try:
                rows.append(_row(attempt, folds))
            except PodiumError as error:
                damaged.append(str(error).splitlines()[0])
        with self._open() as db:
            db.execute("delete from attempts")
            db.executemany(f"insert into attempts values ({_MARKS})", rows)
        return damaged

    def rows(self, folds: int) -> tuple[list[dict[str, Any]], list[str]]:
        """Every attempt's row by id, and a line for each damaged folder.

        The index is rebuilt first if it does not match the folders, a file of one has changed in time or size since,
        or an attempt was unfinished when last seen.
        """
        folder = self.attempts.folder
        names = {f.name for f in folder.glob("[0-9]*-*")} if folder.exists() else set()
        with self._open() as db:
            known = {name: (state, was) for name, state, was in db.execute("select folder, state, stamp from attempts")}
        seen = {name: ("done", stamp(folder / name)) for name in names}
        damaged = self.rebuild(folds) if known != seen else []
        with self._open() as db:
            rows = db.execute(f"select {','.join(COLUMNS)} from attempts order by id").fetchall()
        return [_as_dict(row) for row in rows], damaged

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            db = self._connect()
            try:
                with db:
                    yield db
            finally:
                db.close()
        except sqlite3.DatabaseError as error:
            if "malformed" in str(error) or "not a database" in str(error):
                self.path.unlink(missing_ok=True)
                raise StorageError(
                    "the index was damaged and has been removed",
                    where=self.path,
                    remedy="run: podium attempts --rebuild",
                ) from None
            raise StorageError(
                f"the index cannot be written ({error})", where=self.path, remedy="check the disk and run it again"
            ) from None

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=30)
        try:
            _lay_out(db)
        except sqlite3.DatabaseError as error:
            db.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            self.path.unlink()  # nothing is lost: `rows` makes the index anew from the folders
            db = sqlite3.connect(self.path, timeout=30)
            _lay_out(db)
        return db


def _lay_out(db: sqlite3.Connection) -> None:
    if db.execute("pragma user_version").fetchone()[0] != _VERSION:
        db.execute("drop table if exists attempts")
        db.execute(f"pragma user_version = {_VERSION}")
    db.execute(_SCHEMA)


def stamp(folder: Path) -> str:
    """Size and time of every file that an attempt's row is made of, in short; nothing is read."""
    lines = []
    for pattern in _READ:
        for path in sorted(folder.glob(pattern)):
            with contextlib.suppress(OSError):
                facts = path.stat()
                lines.append(f"{path.relative_to(folder)} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _as_dict(row: tuple[Any, ...]) -> dict[str, Any]:
    tree = dict(zip(COLUMNS, row, strict=True))
    change = {k: tuple(v) for k, v in json.loads(tree["change"]).items()}
    tree["change"] = change_text(change, tree["parent"])
    tree["time"] = duration(tree["seconds"])
    return tree


def _row(attempt: Attempt, folds: int) -> tuple[Any, ...]:
    trained = len(attempt.trained_folds())
    verdict = attempt.verdict
    return (
        attempt.id,
        attempt.folder.name,
        attempt.name,
        attempt.parent,
        attempt.created,
        json.dumps({k: list(v) for k, v in attempt.change.items()}),
        attempt.why,
        attempt.cv,
        trained,
        attempt.seconds,
        verdict.verdict if verdict else None,
        verdict.gain if verdict else None,
        "done" if trained >= folds else "unfinished",
        stamp(attempt.folder),
    )
