"""Submissions: handed in, listed for those who may see them, picked, cancelled, graded anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.database import Row, marks
from podium.host.server.host import Host
from podium.host.server.quota import require_allowed, require_room
from podium.host.server.refusals import Conflict, Forbidden, Refusal, Unknown
from podium.host.server.standings import score_text
from podium.host.server.teams import require_team, team_of
from podium.host.server.tokens import hash_of
from podium.host.server.uploads import usable

LONGEST_MESSAGE = 500

Status = Literal["queued", "grading", "scored", "failed", "cancelled"]


@dataclass(frozen=True)
class Submission:
    """A submission as its team, or an organiser, may see it now.

    Attributes:
        public: The public score, as far as it is told.
        private: The private score; None before the reveal.
        error: Why it failed.
        late: Handed in after the end: graded, never ranked.
        counts: Whether it uses the quota.
    """

    id: int
    competition: str
    team: int
    team_name: str
    user: str
    at: datetime
    file_name: str
    bytes: int
    message: str
    status: Status
    public: float | None
    private: float | None
    error: str
    late: bool
    picked: bool
    counts: bool


def hand_in(host: Host, hosted: Hosted, user: User, token: str, message: str, team: int | None = None) -> Submission:
    """Make a submission of an upload; from here on it is not lost.

    Args:
        team: Of a baseline; else the user's.

    Raises:
        Refusal: if the rules or the quota do not allow it (two at once cannot share the last slot), the upload is
            not this user's, or the team handed in the same file before, which uses nothing.
    """
    text = "".join(c for c in message if c.isprintable())[:LONGEST_MESSAGE]
    with host.db.write() as db:
        now, mine = host.now(), team if team is not None else require_team(host, hosted.slug, user).id
        upload = usable(
            db.execute("SELECT * FROM uploads WHERE hash = ?", (hash_of(token),)).fetchone(), hosted, user, now
        )
        require_allowed(db, hosted, mine, now)
        require_room(host, db, mine, upload["declared"])
        _require_new(db, mine, upload["sha256"])
        done = db.execute(
            """INSERT INTO submissions (competition, team, user, at, day, blob, sha256, bytes, file_name, message, late)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                hosted.slug, mine, user.id, now.isoformat(timespec="milliseconds"), now.date().isoformat(),
                upload["hash"], upload["sha256"], upload["declared"], upload["file_name"], text,
                hosted.rules.ended(now),
            ),
        )  # fmt: skip
        number = int(done.lastrowid or 0)
        db.execute("UPDATE uploads SET submission = ? WHERE hash = ?", (number, upload["hash"]))
        host.events.add(db, now, hosted.slug, "submission", mine, id=number, status="queued")
    host.events.wake()
    return submission(host, number, user)


def submission(host: Host, number: int, user: User) -> Submission:
    """A submission of the user's team; organisers see all.

    Raises:
        Unknown: if there is none, or it is another team's: which of the two is not told.
    """
    row = host.db.one(_SELECT + " WHERE s.id = ?", number)
    unknown = Unknown(f"there is no submission {number} of yours")
    if row is None:
        raise unknown
    if not user.organiser:
        mine = team_of(host, row["competition"], user)
        if mine is None or mine.id != row["team"]:
            raise unknown
    return _seen(row, host.competitions.get(row["competition"]), host.now())


def submissions(host: Host, hosted: Hosted, team: int) -> list[Submission]:
    """All of a team, the newest first; who may see them is the caller's to ask."""
    rows = host.db.all(_SELECT + " WHERE s.competition = ? AND s.team = ? ORDER BY s.id DESC", hosted.slug, team)
    return [_seen(row, hosted, host.now()) for row in rows]


def all_submissions(host: Host, hosted: Hosted, user: User) -> list[Submission]:
    """Of all teams, the newest first.

    Raises:
        Forbidden: to all but organisers.
    """
    if not user.organiser:
        raise Forbidden("only organisers see the submissions of all teams")
    rows = host.db.all(_SELECT + " WHERE s.competition = ? ORDER BY s.id DESC", hosted.slug)
    return [_seen(row, hosted, host.now()) for row in rows]


def pick(host: Host, hosted: Hosted, user: User, numbers: Sequence[int]) -> list[Submission]:
    """Choose the submissions that count at the end; those that were chosen before are not any more.

    Raises:
        Refusal: if there are too many, one is not the team's, not scored or late, or the competition is over.
    """
    wanted = list(dict.fromkeys(numbers))
    if len(wanted) > hosted.rules.final_picks:
        raise Refusal(f"{len(wanted)} picks", expected=f"{hosted.rules.final_picks} at most")
    with host.db.write() as db:
        mine = require_team(host, hosted.slug, user)
        if hosted.rules.ended(host.now()):
            raise Forbidden("picks are final since the end of the competition")
        there = db.execute(
            f"SELECT id FROM submissions WHERE id IN ({marks(wanted)}) AND team = ? AND late = 0 AND shown IS NOT NULL "
            "AND status IN ('scored', 'queued', 'grading')",
            (*wanted, mine.id),
        ).fetchall()
        odd = sorted(set(wanted) - {row["id"] for row in there})
        if odd:
            raise Unknown(f"{odd[0]} is no scored submission of your team")
        db.execute("UPDATE submissions SET picked = 0 WHERE team = ?", (mine.id,))
        db.execute(f"UPDATE submissions SET picked = 1 WHERE id IN ({marks(wanted)})", wanted)
        host.events.add(db, host.now(), hosted.slug, "submission", mine.id)
    host.events.wake()
    return [s for s in submissions(host, hosted, mine.id) if s.picked]


def cancel(host: Host, number: int, user: User) -> Submission:
    """Take back a submission that waits to be graded, so that it uses no quota; an organiser may cancel any.

    Raises:
        Refusal: if it is another team's, or not waiting any more.
    """
    with host.db.write() as db:
        found = submission(host, number, user)
        allowed = "status != 'cancelled'" if user.organiser else "status = 'queued' AND public IS NULL"
        done = db.execute(
            f"UPDATE submissions SET status = 'cancelled', picked = 0 WHERE id = ? AND {allowed}", (number,)
        )
        if not done.rowcount:
            raise Conflict(f"submission {number} is {found.status} and cannot be cancelled")
        host.events.add(db, host.now(), found.competition, "submission", found.team, id=number, status="cancelled")
        host.events.add(db, host.now(), found.competition, "board")
    host.events.wake()
    return submission(host, number, user)


def rescore(host: Host, hosted: Hosted, user: User | None = None) -> int:
    """Grade all anew, after a change of metric or solution: old scores stand on the board until the new ones come, and
    stay in the record. Returns how many.

    Args:
        user: Who asks; None for the command line of the host.

    Raises:
        Forbidden: to all but organisers.
    """
    if user is not None and not user.organiser:
        raise Forbidden("only organisers may have submissions graded anew")
    with host.db.write() as db:
        done = db.execute(
            "UPDATE submissions SET status = 'queued' "
            "WHERE competition = ? AND status IN ('grading', 'scored', 'failed')",  # grading: by the old truth
            (hosted.slug,),
        )
        host.events.add(db, host.now(), hosted.slug, "board")
    host.events.wake()
    return done.rowcount


def history(host: Host, number: int, user: User) -> list[dict[str, object]]:
    """Every score that a submission had, the oldest first.

    Raises:
        Forbidden: to all but organisers.
    """
    if not user.organiser:
        raise Forbidden("only organisers see old scores")
    rows = host.db.all("SELECT metric, public, private, error, at FROM grades WHERE submission = ? ORDER BY id", number)
    return [dict(row) for row in rows]


def same_content(host: Host, hosted: Hosted, user: User) -> list[dict[str, Any]]:
    """Files that several teams handed in, byte for byte.

    Raises:
        Forbidden: to all but organisers.
    """
    if not user.organiser:
        raise Forbidden("only organisers see that")
    rows = host.db.all(
        """SELECT sha256, group_concat(DISTINCT team) AS teams, group_concat(id) AS ids FROM submissions
           WHERE competition = ? GROUP BY sha256 HAVING count(DISTINCT team) > 1 ORDER BY min(id)""",
        hosted.slug,
    )
    return [
        {
            "sha256": r["sha256"],
            "teams": [int(t) for t in r["teams"].split(",")],
            "ids": [int(i) for i in r["ids"].split(",")],
        }
        for r in rows
    ]


_SELECT = """SELECT s.*, teams.name AS team_name, users.name AS user_name FROM submissions s
    JOIN teams ON teams.id = s.team JOIN users ON users.id = s.user"""


def _require_new(db: sqlite3.Connection, team: int, sha256: str) -> None:
    same = db.execute(
        "SELECT id, at, message, shown FROM submissions WHERE team = ? AND sha256 = ? "
        "AND status IN ('queued', 'grading', 'scored') ORDER BY id",
        (team, sha256),
    ).fetchone()
    if same is None:
        return
    note = f' "{same["message"]}"' if same["message"] else ""
    score = f"; public score {score_text(same['shown'])}" if same["shown"] is not None else ""
    raise Conflict(
        f"this very file was submitted before, as {same['id']}{note} on {same['at'][:16].replace('T', ' ')}{score}",
        remedy="nothing was used of the quota",
        status=400,
    )


def _seen(row: Row, hosted: Hosted, now: datetime) -> Submission:
    shown = hosted.rules.private_shown(now)
    graded = row["status"] in ("scored", "queued", "grading")
    return Submission(
        row["id"],
        row["competition"],
        row["team"],
        row["team_name"],
        row["user_name"],
        datetime.fromisoformat(row["at"]),
        row["file_name"],
        row["bytes"],
        row["message"],
        row["status"],
        row["shown"] if graded else None,
        row["private"] if shown and graded else None,
        row["error"],
        bool(row["late"]),
        bool(row["picked"]),
        bool(row["counts"]),
    )
