"""Templates, and what each of them knows."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from markupsafe import Markup

from podium.host.server.accounts import Session
from podium.host.server.competitions import Hosted
from podium.host.server.offers import offers
from podium.host.server.services import services_of
from podium.host.server.standings import score_text
from podium.host.server.teams import team_of

HERE = Path(__file__).parent

SAID = {
    "entered": "You are in. Your team is on the board as soon as its first submission is scored.",
    "renamed": "The team has its new name.",
    "invited": "The invitation is sent: it is on the page “Team” of whom you asked.",
    "proposed": "The proposal is sent: the other team’s leader answers it on their page “Team”.",
    "accepted": "Accepted.",
    "declined": "Declined.",
    "left": "You have left the team.",
    "picked": "These submissions count at the end.",
    "cancelled": "The submission is taken back; nothing was used of the quota.",
    "published": "Published, for all to see.",
    "withdrawn": "Taken back.",
    "rules": "The rules hold from now on.",
    "described": "The description is replaced.",
    "rescored": "All submissions are graded anew; the old scores are kept.",
    "revoked": "The token is no longer valid.",
    "password": "The new password holds.",
    "out": "You are logged out.",
}
"""What a page says after something was done, by the word in its address."""


@cache
def templates() -> jinja2.Environment:
    """The environment; everything is escaped unless it was made here."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.filters |= {"when": when, "day": day, "size": size, "score": score, "signed": signed, "markdown": markdown}
    return env


def page(request: Request, name: str, status: int = 200, /, **known: Any) -> HTMLResponse:
    """A whole page.

    Args:
        known: What its template needs beside the viewer, the host and what was said.
    """
    services = services_of(request)
    session = services.session(request)
    said = SAID.get(request.query_params.get("said", ""), "")
    base: dict[str, Any] = {
        "site": services.host.config.name,
        "open": services.host.config.registration == "open",
        "now": services.host.now(),
        "user": session.user if session else None,
        "csrf": session.csrf if session else "",
        "path": request.url.path if request.url.path not in ("/login", "/register") else "/",
        "said": said,
    }
    text = templates().get_template(name).render(base | known)
    return HTMLResponse(text, status, {"cache-control": "no-store"})


def about(request: Request, hosted: Hosted, session: Session | None) -> dict[str, Any]:
    """What the pages of a competition have in common."""
    host = services_of(request).host
    user = session.user if session else None
    now, rules = host.now(), hosted.rules
    team = team_of(host, hosted.slug, user) if user else None
    return {
        "comp": hosted,
        "rules": rules,
        "team": team,
        "waiting": len(offers(host, hosted.slug, user)) if user else 0,
        "state": state(hosted, now),
        "revealed": rules.private_shown(now),
        "entry_open": rules.entry_open(now),
        "mergers_open": rules.mergers_open(now),
        "started": rules.started(now),
        "ended": rules.ended(now),
    }


def state(hosted: Hosted, now: datetime) -> tuple[str, str]:
    """A word for where a competition stands, and the class that colours it."""
    rules = hosted.rules
    if rules.paused:
        return "paused", "warn"
    if not rules.started(now):
        return "not begun", "soft"
    if rules.ended(now):
        return ("final" if rules.private_shown(now) else "ended"), "soft"
    return "running", "good"


@cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").enable("strikethrough")


def markdown(text: str) -> Markup:
    """Markdown as HTML: tags in it are shown as they are written, links with odd schemes stay text."""
    return Markup(_reader().render(text))


def when(moment: datetime) -> Markup:
    """A moment to the second for programs, to the minute for people, in UTC."""
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M} UTC</time>').format(utc.isoformat(), utc)


def day(moment: datetime) -> Markup:
    """The day of a moment; a date far away is no date."""
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{:%-d %B %Y, %H:%M} UTC</time>').format(utc.isoformat(), utc)


def size(count: int) -> str:
    """Bytes as people say them."""
    number = float(count)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def score(value: float | None) -> str:
    """As on the board."""
    return "" if value is None else score_text(value)


def signed(value: float | int | None) -> str:
    """With its sign."""
    if value is None:
        return ""
    return f"{value:+d}" if isinstance(value, int) else f"{value:+.5f}"
