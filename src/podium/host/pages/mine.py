"""Pages of a team: its submissions, its members, its offers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from podium.host.pages.render import about, page, templates
from podium.host.pages.route import Member, PageRoute, Sent, back, text
from podium.host.server import offers, teams
from podium.host.server import submissions as subs
from podium.host.server.accounts import User
from podium.host.server.answers import Number
from podium.host.server.quota import limits
from podium.host.server.refusals import Refusal
from podium.host.server.services import Of, TheHost, services_of
from podium.host.server.standings import standings

router = APIRouter(prefix="/c/{slug}", route_class=PageRoute, include_in_schema=False)


@router.get("/submissions")
def submissions(request: Request, host: TheHost, hosted: Of, user: Member) -> Response:
    """The drop zone, what was handed in, and the picks."""
    known = _submitted(host, hosted, user)
    session = services_of(request).session(request)
    return page(request, "submissions.html", tab="submissions", **known, **about(request, hosted, session))


@router.get("/submissions/rows")
def rows(request: Request, host: TheHost, hosted: Of, user: Member) -> Response:
    """The list alone."""
    session = services_of(request).session(request)
    known = _submitted(host, hosted, user) | about(request, hosted, session)
    known |= {"csrf": session.csrf if session else ""}
    rendered = templates().get_template("submissions_rows.html").render(known)
    return HTMLResponse(rendered, headers={"cache-control": "no-store"})


def _submitted(host: TheHost, hosted: Of, user: User) -> dict[str, Any]:
    last, team = host.events.last(hosted.slug), teams.team_of(host, hosted.slug, user)
    return {
        "rows": subs.submissions(host, hosted, team.id) if team else [],
        "limits": limits(host, hosted, team.id if team else None),
        "last": last,
    }


@router.post("/picks")
def pick(host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Choose what counts at the end."""
    given = form.get("pick", [])
    subs.pick(host, hosted, user, [_number(n) for n in (given if isinstance(given, list) else [given])])
    return back(f"/c/{hosted.slug}/submissions", "picked")


@router.post("/submissions/{number}/cancel")
def cancel(number: Number, host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Take back what waits."""
    subs.cancel(host, number, user)
    return back(f"/c/{hosted.slug}/submissions", "cancelled")


@router.get("/team")
def team(request: Request, host: TheHost, hosted: Of, user: Member) -> Response:
    """Members, invitations and mergers."""
    session = services_of(request).session(request)
    known = about(request, hosted, session)
    mine = known["team"]
    others = [row for row in standings(host, hosted, user) if not row.mine and not row.baseline] if mine else []
    more: dict[str, Any] = {"offers": offers.offers(host, hosted.slug, user), "others": others}
    return page(request, "team.html", tab="team", **more, **known)


@router.post("/team/enter")
def enter(host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Enter with a team of one's own."""
    teams.enter(host, hosted, user, text(form, "name").strip() or None)
    return back(f"/c/{hosted.slug}/team", "entered")


@router.post("/team/rename")
def rename(host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Another name."""
    teams.rename(host, hosted, user, text(form, "name"))
    return back(f"/c/{hosted.slug}/team", "renamed")


@router.post("/team/invite")
def invite(host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Ask somebody in."""
    offers.invite(host, hosted, user, host.accounts.find(text(form, "user").strip()))
    return back(f"/c/{hosted.slug}/team", "invited")


@router.post("/team/merge")
def merge(host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Propose to become one team."""
    offers.propose_merge(host, hosted, user, _number(text(form, "team")))
    return back(f"/c/{hosted.slug}/team", "proposed")


@router.post("/team/offers/{number}")
def answer(number: Number, host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Accept, decline or withdraw."""
    accept = text(form, "accept") == "yes"
    offers.answer(host, hosted, user, number, accept)
    return back(f"/c/{hosted.slug}/team", "accepted" if accept else "declined")


@router.post("/team/leave")
def leave(host: TheHost, hosted: Of, user: Member, form: Sent) -> Response:
    """Leave it."""
    teams.leave(host, hosted, user)
    return back(f"/c/{hosted.slug}/team", "left")


def _number(given: object) -> int:
    value = str(given)
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise Refusal(f"'{value[:20]}' is no number of anything here")
    return int(value)
