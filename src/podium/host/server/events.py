"""What happened, in order: kept in the database, handed to those who listen, replayed to those who were away."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from podium.host.server.database import Database

KEPT = timedelta(days=7)
AT_ONCE = 500
"""Events handed out in one piece."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        id: Ascending; what a client says it saw last.
        kind: "board" (it moved), "submission" (of my team), "team" (of mine), "shared", "rules".
        team: Who alone may see it; None = everybody.
        data: Never a score: what a viewer may see of it they ask for.
    """

    id: int
    competition: str
    kind: str
    team: int | None
    data: dict[str, Any]


class Events:
    """The log of events. `add` is called inside the transaction that the event is about, `wake` after it."""

    def __init__(self, database: Database) -> None:
        self.db = database
        self._listeners: set[Callable[[], None]] = set()
        self._lock = threading.Lock()

    def add(
        self, db: sqlite3.Connection, now: datetime, competition: str, kind: str, team: int | None = None, **data: Any
    ) -> None:
        """Note an event in the open transaction ``db``."""
        db.execute(
            "INSERT INTO events (at, competition, kind, team, data) VALUES (?, ?, ?, ?, ?)",
            (now.isoformat(), competition, kind, team, json.dumps(data)),
        )

    def wake(self) -> None:
        """Tell all listeners that there may be new events; from any thread."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` at each wake; returns what ends that."""
        with self._lock:
            self._listeners.add(listener)

        def stop() -> None:
            with self._lock:
                self._listeners.discard(listener)

        return stop

    def last(self, competition: str | None = None, kind: str | None = None) -> int:
        """The id of the newest event (of a competition; of a kind too); 0 before the first."""
        named = {"competition": competition, "kind": kind}
        wanted = {name: value for name, value in named.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        row = self.db.one(f"SELECT max(id) AS id FROM events WHERE {where}", *wanted.values())
        return int(row["id"] or 0) if row else 0

    def since(self, seen: int, competition: str | None = None) -> list[Event]:
        """The next events (of a competition) after one, of all teams; who may see which is the caller's to ask."""
        rows = self.db.all(
            "SELECT * FROM events WHERE id > ?1 AND (?2 IS NULL OR competition = ?2) ORDER BY id LIMIT ?3",
            seen, competition, AT_ONCE,
        )  # fmt: skip
        return [Event(r["id"], r["competition"], r["kind"], r["team"], json.loads(r["data"])) for r in rows]

    def forget(self, now: datetime) -> None:
        """Remove what is older than a week."""
        with self.db.write() as db:
            db.execute("DELETE FROM events WHERE at < ?", ((now - KEPT).isoformat(),))
