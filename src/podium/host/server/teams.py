"""Teams: found, invite, accept, leave, rename, merge."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.host import Host
from podium.host.server.refusals import Conflict, Forbidden, Unknown
from podium.host.server.tokens import clean_name, fold


@dataclass(frozen=True)
class Team:
    """A team of a competition.

    Attributes:
        leader: The user who speaks for it.
        members: Users, the leader first.
    """

    id: int
    name: str
    leader: int
    members: tuple[User, ...]
    baseline: bool


def team_of(host: Host, slug: str, user: User) -> Team | None:
    """The team of a user in a competition, if they entered it."""
    row = host.db.one("SELECT team FROM members WHERE competition = ? AND user = ?", slug, user.id)
    return team(host, row["team"]) if row else None


def members_of(host: Host, slug: str) -> dict[int, int]:
    """The team of every user who entered a competition."""
    return {r["user"]: r["team"] for r in host.db.all("SELECT user, team FROM members WHERE competition = ?", slug)}


def require_team(host: Host, slug: str, user: User) -> Team:
    """The team of a user.

    Raises:
        Conflict: if they have not entered.
    """
    found = team_of(host, slug, user)
    if found is None:
        raise Conflict(f"{user.name} has not entered {slug}", remedy="enter it, or submit something")
    return found


def team(host: Host, number: int) -> Team:
    """A team by its number; of one that was merged, what it became.

    Raises:
        Unknown: if there is none.
    """
    with host.db.read() as db:
        row = db.execute("SELECT * FROM teams WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise Unknown(f"there is no team {number}")
        if row["merged_into"]:
            return team(host, row["merged_into"])
        members = db.execute(
            "SELECT users.* FROM members JOIN users ON users.id = user WHERE team = ? ORDER BY joined, users.id",
            (number,),
        ).fetchall()
    users = sorted(
        (User(m["id"], m["name"], bool(m["organiser"])) for m in members), key=lambda u: u.id != row["leader"]
    )
    return Team(row["id"], row["name"], row["leader"], tuple(users), bool(row["baseline"]))


def competition_of(host: Host, number: int) -> str:
    """The slug of the competition that a team is in.

    Raises:
        Unknown: if there is no such team.
    """
    row = host.db.one("SELECT competition FROM teams WHERE id = ?", number)
    if row is None:
        raise Unknown(f"there is no team {number}")
    return str(row["competition"])


def enter(host: Host, hosted: Hosted, user: User, name: str | None = None) -> Team:
    """Found a team of one; the user's team if they have entered already.

    Raises:
        Refusal: if the entry deadline has passed, or the name is taken (of a team that is named by its user, a number
            is added).
    """
    with host.db.write() as db:
        now = host.now()
        there = membership(db, hosted.slug, user)
        if there is None:
            if not hosted.rules.entry_open(now):
                raise Forbidden(f"{hosted.title} takes no new entrants any more")
            wanted = clean_name(name or user.name, "team")
            if name is None:
                wanted = _free_name(db, hosted.slug, wanted)
            there = _insert(db, hosted.slug, wanted, user, now)
            host.events.add(db, now, hosted.slug, "board")
    host.events.wake()
    return team(host, there)


def rename(host: Host, hosted: Hosted, user: User, name: str) -> Team:
    """Give the user's team another name.

    Raises:
        Refusal: if they do not lead it, the name is taken, or the competition is over.
    """
    plain = clean_name(name, "team")
    with host.db.write() as db:
        now, mine = host.now(), require_led(host, hosted, user)
        if hosted.rules.ended(now):
            raise Forbidden("names are final since the end of the competition")
        try:
            db.execute("UPDATE teams SET name = ?, key = ? WHERE id = ?", (plain, fold(plain), mine.id))
        except sqlite3.IntegrityError:
            raise Conflict(f"another team is called '{plain}'", remedy="choose another name") from None
        host.events.add(db, now, hosted.slug, "board")
    host.events.wake()
    return team(host, mine.id)


def leave(host: Host, hosted: Hosted, user: User) -> None:
    """Leave the team; what was submitted stays with it, and who leads it is next in line. Of a team that submitted
    something, the last member cannot leave.

    Raises:
        Refusal: if teams may not change any more, or it would leave submissions without anybody.
    """
    with host.db.write() as db:
        now, mine = host.now(), require_team(host, hosted.slug, user)
        require_open(hosted, now)
        left = db.execute(
            "SELECT user FROM members WHERE team = ? AND user != ? ORDER BY joined", (mine.id, user.id)
        ).fetchall()
        submitted = db.execute("SELECT 1 FROM submissions WHERE team = ?", (mine.id,)).fetchone()
        if not left and submitted:
            raise Conflict("the last member of a team that has submitted cannot leave it")
        db.execute("DELETE FROM members WHERE competition = ? AND user = ?", (hosted.slug, user.id))
        if mine.leader == user.id and left:
            db.execute("UPDATE teams SET leader = ? WHERE id = ?", (left[0]["user"], mine.id))
        if not left:
            db.execute(
                "UPDATE offers SET state = 'withdrawn' WHERE (team = ?1 OR other = ?1) AND state = 'open'", (mine.id,)
            )
            db.execute("UPDATE teams SET key = key || ' (left ' || id || ')' WHERE id = ?", (mine.id,))
        host.events.add(db, now, hosted.slug, "team", mine.id)
        host.events.add(db, now, hosted.slug, "board")
    host.events.wake()


def require_open(hosted: Hosted, now: datetime) -> None:
    if not hosted.rules.mergers_open(now):
        raise Forbidden("teams cannot change any more: the merger deadline has passed")


def require_room(db: sqlite3.Connection, hosted: Hosted, teams: list[int], more: int) -> None:
    marks = ", ".join("?" * len(teams))
    n = db.execute(f"SELECT count(*) AS n FROM members WHERE team IN ({marks})", teams).fetchone()["n"] + more
    if n > hosted.rules.team_size:
        raise Conflict(f"a team of {n}", expected=f"{hosted.rules.team_size} members at most")


def require_led(host: Host, hosted: Hosted, user: User) -> Team:
    mine = require_team(host, hosted.slug, user)
    if mine.leader != user.id:
        raise Forbidden("only the leader of the team may do that")
    return mine


def membership(db: sqlite3.Connection, slug: str, user: User) -> int | None:
    row = db.execute("SELECT team FROM members WHERE competition = ? AND user = ?", (slug, user.id)).fetchone()
    return int(row["team"]) if row else None


def _insert(db: sqlite3.Connection, slug: str, name: str, user: User, now: datetime, baseline: bool = False) -> int:
    try:
        done = db.execute(
            "INSERT INTO teams (competition, name, key, leader, baseline, created) VALUES (?, ?, ?, ?, ?, ?)",
            (slug, name, fold(name), user.id, baseline, now.isoformat()),
        )
    except sqlite3.IntegrityError:
        raise Conflict(f"another team is called '{name}'", remedy="choose another name") from None
    number = int(done.lastrowid or 0)
    if not baseline:
        db.execute("INSERT INTO members VALUES (?, ?, ?, ?)", (slug, user.id, number, now.isoformat()))
    return number


def _free_name(db: sqlite3.Connection, slug: str, name: str) -> str:
    taken = {r["key"] for r in db.execute("SELECT key FROM teams WHERE competition = ?", (slug,))}
    return next(n for n in (name, *(f"{name} {k}" for k in range(2, 10_000))) if fold(n) not in taken)


def baseline_team(host: Host, hosted: Hosted, organiser: User, name: str) -> int:
    """The team that an organiser's baseline of this name stands under.

    Raises:
        Refusal: if they are no organiser, or a team of competitors has that name.
    """
    if not organiser.organiser:
        raise Forbidden("only organisers set baselines")
    plain = clean_name(name, "baseline")
    with host.db.write() as db:
        row = db.execute(
            "SELECT id FROM teams WHERE competition = ? AND key = ? AND baseline = 1", (hosted.slug, fold(plain))
        ).fetchone()
        return int(row["id"]) if row else _insert(db, hosted.slug, plain, organiser, host.now(), baseline=True)
