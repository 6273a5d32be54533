"""Attempts that teams publish: what they tried, why, and what came of it; verdicts pooled by kind of change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.host import Host
from podium.host.server.refusals import Forbidden, Refusal, TooMany, Unknown
from podium.host.server.standings import team_name
from podium.host.server.teams import require_team, team_of

Verdict = Literal["YES", "NO", "UNSURE"]
CHANGES = ("model", "encoder", "weights", "input", "augment", "loss", "optim", "schedule", "train", "tta", "ensemble",
           "postprocess", "data", "other")  # fmt: skip
"""Kinds of change, as sections of a recipe; by these verdicts are pooled."""

LONGEST = {"what": 200, "why": 4000, "link": 500, "code": 20_000}
LARGEST_GAIN = 1e9
"""So that the mean of gains is a number, and one that can be read."""
A_DAY = 50


@dataclass(frozen=True)
class Share:
    """A published attempt.

    Attributes:
        change: One of `CHANGES`.
        gain: How far the team's own validation score moved.
        link: To a paper, http or https only.
        mine: Whether it is the viewer's team's.
    """

    id: int
    team: int
    team_name: str
    at: datetime
    what: str
    why: str
    change: str
    verdict: Verdict
    gain: float | None
    link: str
    code: str
    mine: bool


@dataclass(frozen=True)
class Pool:
    """What all teams found about one kind of change.

    Attributes:
        mean_gain: Of the attempts that say one.
    """

    change: str
    yes: int
    no: int
    unsure: int
    teams: int
    mean_gain: float | None


def publish(
    host: Host, hosted: Hosted, user: User, *, what: str, verdict: str, change: str = "other", why: str = "",
    gain: float | None = None, link: str = "", code: str = "",
) -> Share:  # fmt: skip
    """Publish an attempt of the user's team.

    Raises:
        Refusal: if a field is missing, too long or none of its kind, or the team published 50 that day.
    """
    mine, now = require_team(host, hosted.slug, user), host.now()
    for name, text in (("what", what), ("why", why), ("link", link), ("code", code)):
        if len(text) > LONGEST[name] or "\0" in text:
            raise Refusal(f"'{name}' has {len(text):,} characters", expected=f"{LONGEST[name]:,} at most")
    if not what.strip():
        raise Refusal("an attempt without a name", expected="'what': one line that says what was tried")
    if verdict not in ("YES", "NO", "UNSURE"):
        raise Refusal(f"the verdict is '{verdict[:20]}'", expected="YES, NO or UNSURE")
    if change not in CHANGES:
        raise Refusal(f"the change is of '{change[:20]}'", expected="one of: " + ", ".join(CHANGES))
    if link and not link.startswith(("https://", "http://")):
        raise Refusal("the link is no address", expected="https://…")
    if gain is not None and not (math.isfinite(gain) and abs(gain) <= LARGEST_GAIN):
        raise Refusal(f"the gain is {gain:g}", expected=f"a number, {LARGEST_GAIN:,.0f} at most")
    with host.db.write() as db:
        today = db.execute(
            "SELECT count(*) AS n FROM shares WHERE team = ? AND substr(at, 1, 10) = ?",
            (mine.id, now.date().isoformat()),
        ).fetchone()["n"]
        if today >= A_DAY:
            raise TooMany(f"the team published {today} attempts today", expected=f"{A_DAY} at most")
        done = db.execute(
            """INSERT INTO shares (competition, team, user, at, what, why, change, verdict, gain, link, code)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (hosted.slug, mine.id, user.id, now.isoformat(), what.strip(), why, change, verdict, gain, link, code),
        )
        host.events.add(db, now, hosted.slug, "shared")
    host.events.wake()
    return next(s for s in shares(host, hosted, user) if s.id == done.lastrowid)


def shares(host: Host, hosted: Hosted, viewer: User | None, change: str | None = None) -> list[Share]:
    """What was published (of one kind of change), the newest first."""
    mine = team_of(host, hosted.slug, viewer) if viewer else None
    rows = host.db.all(
        """SELECT shares.*, teams.name AS name FROM shares JOIN teams ON teams.id = shares.team
           WHERE shares.competition = ?1 AND (?2 IS NULL OR change = ?2) ORDER BY shares.id DESC""",
        hosted.slug, change,
    )  # fmt: skip
    return [
        Share(
            r["id"], r["team"], team_name(host, hosted, viewer, r["team"], r["name"]), datetime.fromisoformat(r["at"]),
            r["what"], r["why"], r["change"], r["verdict"], r["gain"], r["link"], r["code"],
            mine is not None and mine.id == r["team"],
        )
        for r in rows
    ]  # fmt: skip


def pooled(host: Host, hosted: Hosted) -> list[Pool]:
    """The verdicts of all teams by kind of change, those with most verdicts first."""
    rows = host.db.all(
        """SELECT change, sum(verdict = 'YES') AS yes, sum(verdict = 'NO') AS no, sum(verdict = 'UNSURE') AS unsure,
                  count(DISTINCT team) AS teams, avg(gain) AS gain
           FROM shares WHERE competition = ? GROUP BY change ORDER BY count(*) DESC, change""",
        hosted.slug,
    )
    return [Pool(r["change"], r["yes"], r["no"], r["unsure"], r["teams"], r["gain"]) for r in rows]


def withdraw(host: Host, hosted: Hosted, user: User, number: int) -> None:
    """Take back an attempt of one's own team; an organiser may remove any.

    Raises:
        Refusal: if there is none, or it is another team's.
    """
    found = next((s for s in shares(host, hosted, user) if s.id == number), None)
    if found is None:
        raise Unknown(f"there is no shared attempt {number}")
    if not (found.mine or user.organiser):
        raise Forbidden("only its team may take it back")
    with host.db.write() as db:
        db.execute("DELETE FROM shares WHERE id = ?", (number,))
        host.events.add(db, host.now(), hosted.slug, "shared")
    host.events.wake()
