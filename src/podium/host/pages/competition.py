"""Pages of a competition that everybody may read: what it is about, its data, its board, its shared attempts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from podium.host.pages.render import about, page, templates
from podium.host.pages.route import Member, Onlooker, PageRoute, Sent, Visitor, back, text
from podium.host.server import shares as sharing
from podium.host.server.answers import Number
from podium.host.server.downloads import download_token
from podium.host.server.refusals import Refusal
from podium.host.server.services import Of, TheHost
from podium.host.server.standings import Standing, standings

router = APIRouter(prefix="/c/{slug}", route_class=PageRoute, include_in_schema=False)

LISTED = 200
"""Files that the page lists; the bundle has them all."""


@router.get("")
def overview(request: Request, hosted: Of, session: Visitor) -> Response:
    """Description, rules and data."""
    files = hosted.files
    known: dict[str, Any] = {"files": files[:LISTED], "more": max(0, len(files) - LISTED), "bundle": hosted.bundle}
    known["description"] = hosted.description.removeprefix(f"# {hosted.title}\n")  # it is the page's title already
    return page(request, "competition.html", tab="", **known, **about(request, hosted, session))


@router.get("/download")
def download(host: TheHost, hosted: Of, user: Member, name: str | None = None) -> Response:
    """To an address for one download of a file, or of the bundle."""
    file = hosted.bundle if name is None else hosted.file(name)
    token = download_token(host, hosted, user, file)
    return RedirectResponse(f"/api/downloads/{token}/{quote(file.name.rpartition('/')[2])}", 303)


@router.get("/leaderboard")
def leaderboard(request: Request, host: TheHost, hosted: Of, session: Visitor, private: bool = False) -> Response:
    """The board, which goes on by itself."""
    known = _board(host, hosted, session, private)
    return page(request, "leaderboard.html", tab="leaderboard", **known, **about(request, hosted, session))


@router.get("/leaderboard/rows")
def table(host: TheHost, hosted: Of, session: Onlooker, private: bool = False) -> Response:
    """The board's table alone."""
    found = standings(host, hosted, session.user if session else None, private=private)
    drawn = _drawn(hosted.slug, private, tuple(found), hosted.metric_name)
    return HTMLResponse(drawn, headers={"cache-control": "no-store"})


@lru_cache(maxsize=64)
def _drawn(slug: str, private: bool, rows: tuple[Standing, ...], metric: str) -> str:
    """The table, drawn once for all who see the same of it."""
    known = {"private": private, "rows": rows, "comp": {"slug": slug, "metric_name": metric}}
    return templates().get_template("leaderboard_rows.html").render(known)


def _board(host: TheHost, hosted: Of, session: Visitor, private: bool) -> dict[str, Any]:
    last = host.events.last(hosted.slug)  # first: what happens from here on, the page is told of
    found: list[Standing] = standings(host, hosted, session.user if session else None, private=private)
    return {"rows": found, "mine": next((row for row in found if row.mine), None), "private": private, "last": last}


@router.get("/attempts")
def attempts(request: Request, host: TheHost, hosted: Of, session: Visitor, change: str = "") -> Response:
    """What teams share of their attempts, and what all found together."""
    known: dict[str, Any] = {
        "shares": sharing.shares(host, hosted, session.user if session else None, change or None),
        "pools": sharing.pooled(host, hosted),
        "changes": sharing.CHANGES,
        "change": change,
    }
    return page(request, "attempts.html", tab="attempts", **known, **about(request, hosted, session))


@router.post("/attempts")
def publish(host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Share an attempt."""
    raw = text(form, "gain").strip()
    try:
        gain = float(raw) if raw else None
    except ValueError:
        raise Refusal(f"the gain is '{raw[:20]}'", expected="a number, for instance +0.0012, or nothing") from None
    names = ("what", "why", "change", "verdict", "link", "code")
    given = {name: text(form, name).replace("\r\n", "\n") for name in names}
    sharing.publish(host, hosted, user, gain=gain, **given)
    return back(f"/c/{hosted.slug}/attempts", "published")


@router.post("/attempts/{number}/withdraw")
def withdraw(number: Number, host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Take one back."""
    sharing.withdraw(host, hosted, user, number)
    return back(f"/c/{hosted.slug}/attempts", "withdrawn")
