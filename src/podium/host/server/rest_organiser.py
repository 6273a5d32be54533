"""REST for organisers: rules, description, all submissions, grading anew, baselines, users."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Body, Request

from podium.host.server import answers as a
from podium.host.server import submissions as subs
from podium.host.server.accounts import User
from podium.host.server.kaggle_api import base_of
from podium.host.server.rest import FAILURES
from podium.host.server.services import Of, Organiser, TheHost
from podium.host.server.teams import baseline_team
from podium.host.server.uploads import start_upload

router = APIRouter(prefix="/api/organiser", tags=["organisers"], responses=FAILURES)


@router.get("/competitions/{slug}/rules")
def rules(hosted: Of, _: Organiser) -> dict[str, Any]:
    """All rules."""
    return hosted.rules.model_dump(mode="json")


@router.patch("/competitions/{slug}/rules")
def change_rules(host: TheHost, hosted: Of, _: Organiser, changes: dict[str, Any] = Body()) -> dict[str, Any]:
    """Change some rules: dates, limits, pause, reveal …; they hold at once."""
    changed = host.competitions.change_rules(hosted.slug, changes)
    with host.db.write() as db:
        host.events.add(db, host.now(), hosted.slug, "rules")
    host.events.wake()
    return changed.rules.model_dump(mode="json")


@router.put("/competitions/{slug}/description")
def describe(host: TheHost, hosted: Of, _: Organiser, given: a.Description) -> a.Count:
    """Replace the description."""
    return a.Count(count=len(host.competitions.describe(hosted.slug, given.text).description))


@router.get("/competitions/{slug}/submissions")
def submissions(host: TheHost, hosted: Of, user: Organiser) -> list[subs.Submission]:
    """Of all teams, the newest first; private scores only from the reveal on."""
    return subs.all_submissions(host, hosted, user)


@router.post("/competitions/{slug}/rescore")
def rescore(host: TheHost, hosted: Of, user: Organiser) -> a.Count:
    """Grade all submissions anew."""
    return a.Count(count=subs.rescore(host, hosted, user))


@router.get("/submissions/{number}/grades")
def grades(host: TheHost, user: Organiser, number: a.Number) -> list[dict[str, Any]]:
    """What a submission scored each time; private scores only from the reveal on."""
    found = subs.submission(host, number, user)
    shown = host.competitions.get(found.competition).rules.private_shown(host.now())
    rows = subs.history(host, number, user)
    return [row if shown else {k: v for k, v in row.items() if k != "private"} for row in rows]


@router.get("/competitions/{slug}/same-content")
def same_content(host: TheHost, hosted: Of, user: Organiser) -> list[dict[str, Any]]:
    """Files that several teams handed in, byte for byte."""
    return subs.same_content(host, hosted, user)


@router.post("/competitions/{slug}/baselines/uploads", status_code=201)
def upload(host: TheHost, hosted: Of, user: Organiser, given: a.BaselineUpload, request: Request) -> a.UploadView:
    """Ask to send a baseline's file."""
    team = baseline_team(host, hosted, user, given.name)
    token = start_upload(host, hosted, user, given.file_name, given.size, team)
    return a.UploadView(token=token, url=f"{base_of(request)}/api/uploads/{token}")


@router.post("/competitions/{slug}/baselines", status_code=201)
def baseline(host: TheHost, hosted: Of, user: Organiser, given: a.BaselineHandIn) -> subs.Submission:
    """Put a baseline on the board."""
    team = baseline_team(host, hosted, user, given.name)
    return subs.hand_in(host, hosted, user, given.token, given.message, team)


@router.post("/users", status_code=201)
def add_user(host: TheHost, _: Organiser, given: a.NewUser) -> a.NewToken:
    """A new user, and their token for the only time."""
    user = host.accounts.add(given.name, host.now(), organiser=given.organiser)
    return a.NewToken(token=host.accounts.issue(user, host.now()))


@router.get("/users")
def users(host: TheHost, _: Organiser) -> list[User]:
    """All users."""
    return host.accounts.everybody()
