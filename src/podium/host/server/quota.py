"""What a team may still submit: by date, pause, day, total and hour. All of it is asked inside one transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from podium.host.server.competitions import Hosted
from podium.host.server.host import Host
from podium.host.server.refusals import Forbidden, Refusal, TooMany

_USED = "FROM submissions WHERE team = ? AND counts = 1 AND status != 'cancelled'"


@dataclass(frozen=True)
class Limits:
    """A team's quota now.

    Attributes:
        today: Submissions of this UTC day that count.
        total: All that count.
        allowed: How many more may be handed in now.
        by_total: Whether the total, not the day, is what limits them.
        resets: When the next day begins.
    """

    today: int
    total: int
    allowed: int
    by_total: bool
    resets: datetime


def limits(host: Host, hosted: Hosted, team: int | None) -> Limits:
    """The quota of a team; of somebody without one, what they would have."""
    with host.db.read() as db:
        return limits_in(db, hosted, team, host.now())


def limits_in(db: sqlite3.Connection, hosted: Hosted, team: int | None, now: datetime) -> Limits:
    """`limits` within a transaction."""
    rules = hosted.rules
    today = int(db.execute(f"SELECT count(*) AS n {_USED} AND day = ?", (team, now.date().isoformat())).fetchone()["n"])
    total = int(db.execute(f"SELECT count(*) AS n {_USED}", (team,)).fetchone()["n"])
    allowed = max(0, rules.daily_limit - today)
    left = max(0, rules.total_limit - total) if rules.total_limit else allowed
    open_now = not rules.paused and rules.started(now) and (not rules.ended(now) or rules.late == "graded")
    resets = datetime.combine(now.date(), datetime.min.time(), UTC) + timedelta(days=1)
    return Limits(today, total, min(allowed, left) if open_now else 0, left < allowed, resets)


def require_allowed(db: sqlite3.Connection, hosted: Hosted, team: int, now: datetime) -> None:
    """Refuse a submission that the rules do not allow.

    Raises:
        Refusal: saying which rule, and until when.
    """
    rules = hosted.rules
    if rules.paused:
        raise Forbidden(f"{hosted.title} is paused: nothing can be submitted for now")
    if not rules.started(now):
        raise Forbidden(f"{hosted.title} begins at {rules.start:%Y-%m-%d %H:%M} UTC")
    if rules.ended(now) and rules.late == "refused":
        raise Forbidden(f"{hosted.title} ended at {rules.end:%Y-%m-%d %H:%M} UTC")
    found = limits_in(db, hosted, team, now)
    waiting = _waiting(db, rules.failed_count, team)
    if rules.total_limit and found.total >= rules.total_limit:
        raise Refusal(f"the quota is used up: {found.total} of {rules.total_limit} submissions in all{waiting}")
    if found.today >= rules.daily_limit:
        minutes = int((found.resets - now).total_seconds() + 59) // 60
        raise Refusal(
            f"the quota is used up: {found.today} of {rules.daily_limit} submissions on {now:%Y-%m-%d} (UTC){waiting}",
            remedy=f"it resets at {found.resets:%Y-%m-%d %H:%M} UTC, in {minutes // 60} h {minutes % 60:02d} min",
        )
    hour = (now - timedelta(hours=1)).isoformat()
    lately = db.execute("SELECT count(*) AS n FROM submissions WHERE team = ? AND at > ?", (team, hour)).fetchone()["n"]
    if lately >= rules.submissions_an_hour:
        raise TooMany(f"{lately} submissions within an hour", expected=f"{rules.submissions_an_hour} at most")


def _waiting(db: sqlite3.Connection, failed_count: bool, team: int) -> str:
    """What is said of submissions without a score yet, whose place comes back if they fail."""
    pending = (
        "SELECT count(*) AS n FROM submissions WHERE team = ? AND status IN ('queued', 'grading') AND shown IS NULL"
    )
    n = 0 if failed_count else int(db.execute(pending, (team,)).fetchone()["n"])
    return f", {n} of which not yet graded: what fails does not count" if n else ""


def require_room(host: Host, db: sqlite3.Connection, team: int, size: int) -> None:
    """Refuse an upload that there is no room for.

    Raises:
        Refusal: naming the limit.
    """
    import shutil

    most = host.config.upload_mb * 2**20
    if size > most:
        raise Refusal(f"the file has {size:,} bytes", expected=f"{host.config.upload_mb} MB at most", status=413)
    stored = db.execute("SELECT total(bytes) AS n FROM submissions WHERE team = ?", (team,)).fetchone()["n"]
    if stored + size > host.config.team_mb * 2**20:
        raise Refusal(
            f"the team has stored {stored / 2**20:,.0f} MB", expected=f"{host.config.team_mb:,} MB at most", status=413
        )
    if shutil.disk_usage(host.folder).free - size < host.config.spare_mb * 2**20:
        raise Refusal("the host's disk is nearly full", remedy="tell the organisers; nothing was used", status=503)
