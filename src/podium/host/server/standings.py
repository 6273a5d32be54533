"""The board: who stands where, in public and, once it is revealed, in private."""

from __future__ import annotations

import csv
import io
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from weakref import WeakKeyDictionary

from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.database import Row
from podium.host.server.host import Host
from podium.host.server.medals import Medal, medal
from podium.host.server.refusals import Forbidden
from podium.host.server.teams import team_of


@dataclass(frozen=True)
class Standing:
    """A team's place.

    Attributes:
        rank: From 1; None for a baseline, which has a score but no place.
        at: When the submission that stands for the team was handed in.
        entries: Scored submissions.
        medal: On the private board.
        public_rank: On the private board, the place that the team had in public.
        mine: Whether the viewer is in it.
    """

    rank: int | None
    team: int
    name: str
    members: tuple[str, ...]
    score: float
    at: datetime
    entries: int
    baseline: bool
    medal: Medal = ""
    public_rank: int | None = None
    mine: bool = False

    @property
    def shake(self) -> int | None:
        """Places won (positive) or lost from the public to the private board."""
        return None if self.public_rank is None or self.rank is None else self.public_rank - self.rank

    @property
    def score_text(self) -> str:
        """As it is written on the board."""
        return score_text(self.score)


def score_text(value: float) -> str:
    """Five decimals; of a number too large to be read with them, as one guess of 1e300 makes, its size."""
    return f"{value:.5f}" if abs(value) < 1e12 else f"{value:.5e}"


_memo: WeakKeyDictionary[Host, dict[tuple[str, bool], tuple[object, list[Standing]]]] = WeakKeyDictionary()
_memo_lock = threading.Lock()


def standings(host: Host, hosted: Hosted, viewer: User | None, *, private: bool = False) -> list[Standing]:
    """The board as somebody may see it: on an anonymous one others have no names until the reveal.

    Args:
        private: The private board.

    Raises:
        Forbidden: for the private board before it is revealed, to everybody.
    """
    revealed = hosted.rules.private_shown(host.now())
    if private and not revealed:
        raise Forbidden(f"the private board of {hosted.title} is not revealed yet")
    rows = _board(host, hosted, private)
    mine = team_of(host, hosted.slug, viewer) if viewer else None
    hidden = hosted.rules.anonymous and not revealed
    return [_for_viewer(row, mine.id if mine else None, hidden) for row in rows]


def my_standing(host: Host, hosted: Hosted, viewer: User, *, private: bool = False) -> Standing | None:
    """The viewer's team on the board, if it is there."""
    return next((row for row in standings(host, hosted, viewer, private=private) if row.mine), None)


def team_name(host: Host, hosted: Hosted, viewer: User | None, number: int, name: str) -> str:
    """What a viewer may read of a team's name."""
    if not hosted.rules.anonymous or hosted.rules.private_shown(host.now()):
        return name
    mine = team_of(host, hosted.slug, viewer) if viewer else None
    return name if mine is not None and mine.id == number else masked(number)


def masked(number: int) -> str:
    """A team of an anonymous board."""
    return f"Team {number}"


def as_csv(rows: Sequence[Standing]) -> str:
    """The board as a file; no name can be taken for a formula by a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("Rank", "TeamId", "TeamName", "LastSubmissionDate", "Score", "SubmissionCount", "TeamMemberUserNames")
    )
    for row in rows:
        name, members = harmless(row.name), harmless(",".join(row.members))
        when = f"{row.at:%Y-%m-%d %H:%M:%S}"
        writer.writerow((row.rank or "", row.team, name, when, row.score_text, row.entries, members))
    return text.getvalue()


def harmless(cell: str) -> str:
    """A text that no spreadsheet runs.

    Source: OWASP, CSV injection.
    """
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%"):
        return "'" + cell
    return cell


def _for_viewer(row: Standing, mine: int | None, hidden: bool) -> Standing:
    if row.team == mine:
        return replace(row, mine=True)
    return replace(row, name=masked(row.team), members=()) if hidden and not row.baseline else row


def _board(host: Host, hosted: Hosted, private: bool) -> list[Standing]:
    """The board, computed anew after it moved only, and by one of those who ask."""
    kind = None if private else "board"  # a pick moves the private one alone, and wakes nobody who looks at the other
    stamp = (host.events.last(hosted.slug, kind), hosted.rules, hosted.spec.metric)
    memo = _memo.setdefault(host, {})
    known = memo.get((hosted.slug, private))
    if known is not None and known[0] == stamp:
        return known[1]
    with _memo_lock:
        stamp = (host.events.last(hosted.slug, kind), hosted.rules, hosted.spec.metric)
        known = memo.get((hosted.slug, private))
        if known is None or known[0] != stamp:
            with host.db.read() as db:
                rows = _private(db, hosted) if private else _public(db, hosted)
            known = memo[hosted.slug, private] = stamp, rows
        return known[1]


def _entries(db: sqlite3.Connection, hosted: Hosted) -> dict[int, list[Row]]:
    """The submissions of each team that rank, the oldest first."""
    rows = db.execute(
        """SELECT * FROM submissions WHERE competition = ? AND late = 0 AND shown IS NOT NULL
           AND private IS NOT NULL AND status IN ('scored', 'queued', 'grading') ORDER BY id""",
        (hosted.slug,),
    )
    of: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        of[row["team"]].append(row)
    return of


def _public(db: sqlite3.Connection, hosted: Hosted) -> list[Standing]:
    chosen = {}
    for team, rows in _entries(db, hosted).items():
        best = max(rows, key=lambda r: hosted.sign * r["shown"])  # the first of equals
        chosen[team] = (best if hosted.rules.board == "best" else rows[-1]), len(rows), "shown"
    return _ranked(db, hosted, chosen)


def _private(db: sqlite3.Connection, hosted: Hosted) -> list[Standing]:
    """By the best private score of the picks; places not picked go to the best in public."""
    chosen = {}
    for team, rows in _entries(db, hosted).items():
        finals = final_rows(rows, hosted)
        best = max(finals, key=lambda r: hosted.sign * r["private"])
        chosen[team] = best, len(rows), "private"
    ranked = _ranked(db, hosted, chosen)
    before = {row.team: row.rank for row in _public(db, hosted)}
    teams = sum(not row.baseline for row in ranked)
    return [
        replace(
            row,
            public_rank=before.get(row.team),
            medal=medal(row.rank, teams) if row.rank and hosted.rules.medals else "",
        )
        for row in ranked
    ]


def final_rows(rows: Sequence[Row], hosted: Hosted) -> list[Row]:
    """The submissions of a team, the oldest first, that count at the end."""
    picked = [row for row in rows if row["picked"]]
    rest = sorted((r for r in rows if not r["picked"]), key=lambda r: (-hosted.sign * r["shown"], r["id"]))
    return [*picked, *rest[: max(0, hosted.rules.final_picks - len(picked))]]


def _ranked(db: sqlite3.Connection, hosted: Hosted, chosen: dict[int, tuple[Row, int, str]]) -> list[Standing]:
    teams = {row["id"]: row for row in db.execute("SELECT * FROM teams WHERE competition = ?", (hosted.slug,))}
    members: dict[int, list[str]] = defaultdict(list)
    for row in db.execute(
        """SELECT team, name FROM members JOIN users ON users.id = members.user
           WHERE competition = ? ORDER BY joined, users.id""",
        (hosted.slug,),
    ):
        members[row["team"]].append(row["name"])
    order = sorted(
        chosen, key=lambda t: (-hosted.sign * chosen[t][0][chosen[t][2]], chosen[t][0]["at"], chosen[t][0]["id"])
    )
    rank, found = 0, []
    for number in order:
        row, entries, score = chosen[number]
        baseline = bool(teams[number]["baseline"])
        rank += not baseline
        found.append(
            Standing(
                None if baseline else rank, number, teams[number]["name"], tuple(members[number]), row[score],
                datetime.fromisoformat(row["at"]), entries, baseline,
            )
        )  # fmt: skip
    return found
