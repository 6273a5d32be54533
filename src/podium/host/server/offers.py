"""Invitations and proposals to merge: made, answered, withdrawn."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.database import Row
from podium.host.server.host import Host
from podium.host.server.refusals import Conflict, Forbidden, Unknown
from podium.host.server.standings import team_name
from podium.host.server.teams import (
    Team,
    competition_of,
    membership,
    require_led,
    require_open,
    require_room,
    team,
    team_of,
)

ACTIVE = "status IN ('queued', 'grading', 'scored') AND counts = 1"
"""Submissions that use the quota, where failed ones do not."""


@dataclass(frozen=True)
class Offer:
    """An invitation or a proposal to merge that is open.

    Attributes:
        kind: "invite": ``user`` is asked to join ``team``. "merge": ``other`` is asked to become one with ``team``.
    """

    id: int
    kind: Literal["invite", "merge"]
    team: int
    team_name: str
    user: int | None
    user_name: str
    other: int | None
    other_name: str


def invite(host: Host, hosted: Hosted, user: User, guest: User) -> Offer:
    """Ask somebody into the user's team.

    Raises:
        Refusal: if the user does not lead it, it is full, or teams may not change any more.
    """
    with host.db.write() as db:
        now, mine = host.now(), require_led(host, hosted, user)
        require_open(hosted, now)
        if guest.id in {m.id for m in mine.members}:
            raise Conflict(f"{guest.name} is in the team already")
        require_room(db, hosted, [mine.id], 1)
        number = _offer(db, "invite", hosted.slug, mine.id, now, user=guest.id)
        theirs = membership(db, hosted.slug, guest)
        host.events.add(db, now, hosted.slug, "team", mine.id)
        if theirs:
            host.events.add(db, now, hosted.slug, "team", theirs)
    host.events.wake()
    return next(o for o in offers(host, hosted.slug, user) if o.id == number)


def propose_merge(host: Host, hosted: Hosted, user: User, other: int) -> Offer:
    """Ask another team to become one with the user's; their leader has to agree.

    Raises:
        Refusal: if the user does not lead theirs, or the two may not merge.
    """
    with host.db.write() as db:
        now, mine, theirs = host.now(), require_led(host, hosted, user), team(host, other)
        if competition_of(host, other) != hosted.slug or theirs.baseline:
            raise Unknown(f"there is no team {other} in {hosted.slug}")
        if theirs.id == mine.id:
            raise Conflict("this is the same team")
        _require_mergeable(db, hosted, mine.id, theirs.id, now)
        number = _offer(db, "merge", hosted.slug, mine.id, now, other=theirs.id)
        for one in (mine.id, theirs.id):
            host.events.add(db, now, hosted.slug, "team", one)
    host.events.wake()
    return next(o for o in offers(host, hosted.slug, user) if o.id == number)


def offers(host: Host, slug: str, user: User) -> list[Offer]:
    """The open invitations and proposals that concern a user or their team.

    Who offers does so by name; who is asked to merge keeps on an anonymous board the name that it has there.
    """
    hosted = host.competitions.get(slug)
    mine = team_of(host, slug, user)
    rows = host.db.all(
        """SELECT offers.*, a.name AS team_name, b.name AS other_name, users.name AS user_name FROM offers
           JOIN teams a ON a.id = offers.team LEFT JOIN teams b ON b.id = offers.other
           LEFT JOIN users ON users.id = offers.user
           WHERE offers.competition = ?1 AND state = 'open' AND (offers.user = ?2 OR team = ?3 OR other = ?3)
           ORDER BY offers.id""",
        slug, user.id, mine.id if mine else -1,
    )  # fmt: skip
    return [_as_offer(row, _asked(host, hosted, user, row)) for row in rows]


def answer(host: Host, hosted: Hosted, user: User, offer: int, accept: bool) -> Team | None:
    """Accept or decline an invitation or a proposal to merge; or, of one's own team, withdraw it.

    Raises:
        Refusal: if it is not theirs to answer, or what was offered is not possible any more.
    """
    with host.db.write() as db:
        now, mine = host.now(), team_of(host, hosted.slug, user)
        found = next((o for o in offers(host, hosted.slug, user) if o.id == offer), None)
        if found is None:
            raise Unknown(f"there is no open offer {offer} for you")
        own = mine is not None and mine.id == found.team
        _require_answerable(found, user, mine, own, accept)
        if accept and found.kind == "invite":
            _join(db, hosted, user, found.team, now)
        elif accept:
            assert found.other is not None
            _merge(db, hosted, found.team, found.other, now)
        state = "accepted" if accept else "withdrawn" if own else "declined"
        db.execute("UPDATE offers SET state = ? WHERE id = ?", (state, offer))
        for one in filter(None, {found.team, found.other, mine.id if mine else None}):
            host.events.add(db, now, hosted.slug, "team", one)
        host.events.add(db, now, hosted.slug, "board")
    host.events.wake()
    return team_of(host, hosted.slug, user)


def _require_answerable(found: Offer, user: User, mine: Team | None, own: bool, accept: bool) -> None:
    if (found.kind == "merge" or own) and not (mine and mine.leader == user.id):
        raise Forbidden("only the leader of the team may say that")
    if found.kind == "invite" and not own and found.user != user.id:
        raise Forbidden("only who is invited may say that")
    if accept and own:
        raise Forbidden("the others have to accept it")


def _join(db: sqlite3.Connection, hosted: Hosted, user: User, into: int, now: datetime) -> None:
    require_open(hosted, now)
    theirs = membership(db, hosted.slug, user)
    if theirs is None:
        if not hosted.rules.entry_open(now):
            raise Forbidden(f"{hosted.title} takes no new entrants any more")
        require_room(db, hosted, [into], 1)
        db.execute("INSERT INTO members VALUES (?, ?, ?, ?)", (hosted.slug, user.id, into, now.isoformat()))
        return
    alone = db.execute("SELECT count(*) AS n FROM members WHERE team = ?", (theirs,)).fetchone()["n"] == 1
    if not alone:
        raise Conflict("you are in a team with others", remedy="leave it first, or merge the two teams")
    _merge(db, hosted, into, theirs, now)


def _merge(db: sqlite3.Connection, hosted: Hosted, into: int, other: int, now: datetime) -> None:
    """All of ``other`` becomes ``into``'s: members, submissions, picks as far as they fit."""
    _require_mergeable(db, hosted, into, other, now)
    db.execute("UPDATE members SET team = ? WHERE team = ?", (into, other))
    db.execute("UPDATE submissions SET team = ? WHERE team = ?", (into, other))
    db.execute("UPDATE shares SET team = ? WHERE team = ?", (into, other))
    db.execute("UPDATE teams SET merged_into = ? WHERE id = ?", (into, other))
    db.execute(
        "UPDATE offers SET state = 'withdrawn' WHERE state = 'open' AND (team = ?1 OR other = ?1)", (other,)
    )  # fmt: skip
    picked = db.execute("SELECT id FROM submissions WHERE team = ? AND picked = 1 ORDER BY id", (into,)).fetchall()
    if len(picked) > hosted.rules.final_picks:  # the team has to choose anew
        db.execute("UPDATE submissions SET picked = 0 WHERE team = ?", (into,))


def _require_mergeable(db: sqlite3.Connection, hosted: Hosted, one: int, other: int, now: datetime) -> None:
    require_open(hosted, now)
    there = db.execute("SELECT id FROM teams WHERE id IN (?, ?) AND merged_into IS NULL", (one, other)).fetchall()
    if len(there) < 2:
        raise Conflict("one of the teams was merged meanwhile")
    require_room(db, hosted, [one, other], 0)
    used = db.execute(f"SELECT count(*) AS n FROM submissions WHERE team IN (?, ?) AND {ACTIVE}", (one, other))
    first = db.execute("SELECT min(at) AS at FROM submissions WHERE competition = ?", (hosted.slug,)).fetchone()["at"]
    n, days = used.fetchone()["n"], days_so_far(hosted, first, now)
    most = hosted.rules.daily_limit * days
    if n > most:
        raise Conflict(
            f"the two teams have {n} submissions together, more than {hosted.rules.daily_limit} a day x {days} days so "
            f"far = {most}", remedy="merge on a later day",
        )  # fmt: skip


def days_so_far(hosted: Hosted, first: str | None, now: datetime) -> int:
    """UTC days since the start, today included; of a competition without a start, since its first submission."""
    begun = hosted.rules.start.date()
    if first is not None:
        begun = max(begun, datetime.fromisoformat(first).date())
    return max(1, (now.date() - begun) // timedelta(days=1) + 1)


def _offer(
    db: sqlite3.Connection, kind: str, slug: str, team: int, now: datetime, user: int | None = None,
    other: int | None = None,
) -> int:  # fmt: skip
    there = db.execute(
        "SELECT id FROM offers WHERE kind = ? AND team = ? AND user IS ? AND other IS ? AND state = 'open'",
        (kind, team, user, other),
    ).fetchone()
    if there:
        raise Conflict("this was offered already, and is not answered yet")
    done = db.execute(
        "INSERT INTO offers (kind, competition, team, user, other, created) VALUES (?, ?, ?, ?, ?, ?)",
        (kind, slug, team, user, other, now.astimezone(UTC).isoformat()),
    )
    return int(done.lastrowid or 0)


def _asked(host: Host, hosted: Hosted, viewer: User, row: Row) -> str:
    return "" if row["other"] is None else team_name(host, hosted, viewer, row["other"], row["other_name"])


def _as_offer(row: Row, asked: str) -> Offer:
    return Offer(
        row["id"], row["kind"], row["team"], row["team_name"], row["user"], row["user_name"] or "", row["other"], asked
    )
