"""The organisers' page of a competition: rules, description, submissions, baselines, users."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from podium.host.pages.render import about, page
from podium.host.pages.route import OrganiserOnly, PageRoute, Sent, back, text
from podium.host.server import submissions as subs
from podium.host.server.refusals import Refusal
from podium.host.server.rest_organiser import change_rules
from podium.host.server.services import Of, TheHost, services_of
from podium.host.server.spec import Rules

router = APIRouter(prefix="/c/{slug}/organise", route_class=PageRoute, include_in_schema=False)

LISTED = 200


@router.get("")
def organise(request: Request, host: TheHost, hosted: Of, user: OrganiserOnly) -> Response:
    """All that organisers can do."""
    return _page(request, host, hosted, user)


def _page(request: Request, host: TheHost, hosted: Of, user: OrganiserOnly, **more: Any) -> Response:
    session = services_of(request).session(request)
    submitted = subs.all_submissions(host, hosted, user)
    teams = {one.id: one.team_name for one in submitted}
    known: dict[str, Any] = {
        "fields": [_field(hosted.rules, name) for name in Rules.model_fields],
        "submitted": submitted[:LISTED],
        "same": [
            {"ids": ids, "names": dict.fromkeys(teams[i] for i in ids)}
            for ids in (row["ids"] for row in subs.same_content(host, hosted, user))
        ],
        "users": host.accounts.everybody(),
        "new_user": "",
        "token": "",
    }
    return page(request, "organise.html", tab="organise", **known | more, **about(request, hosted, session))


def _field(rules: Rules, name: str) -> dict[str, Any]:
    """A rule as an input of the form."""
    field, value = Rules.model_fields[name], getattr(rules, name)
    kind = {bool: "checkbox", int: "number", float: "number"}.get(type(value), "text")
    choices = getattr(field.annotation, "__args__", ()) if isinstance(value, str) else ()
    moment = isinstance(value, datetime) or "deadline" in name
    if moment:
        kind, value = "datetime-local", f"{value.astimezone(UTC):%Y-%m-%dT%H:%M}" if value else ""
    return {"name": name, "value": value, "kind": kind, "choices": choices, "about": field.description or "",
            "step": "any" if isinstance(value, float) else "1"}  # fmt: skip


@router.post("/rules")
def rules(host: TheHost, hosted: Of, user: OrganiserOnly, form: Sent) -> Response:
    """Change what was changed in the form; it holds at once."""
    change_rules(host, hosted, user, _changes(hosted.rules, form))
    return back(f"/c/{hosted.slug}/organise", "rules")


def _changes(rules: Rules, form: dict[str, Any]) -> dict[str, Any]:
    """The rules of the form that are others now, as values of their types."""
    changes: dict[str, Any] = {}
    for name in Rules.model_fields:
        field, raw = _field(rules, name), text(form, name).strip()
        value: Any = raw
        if field["kind"] == "checkbox":
            value = bool(raw)
        elif field["kind"] == "datetime-local":
            value = f"{raw}Z" if raw and len(raw) == 16 else raw
            if raw == field["value"]:
                continue
            changes[name] = value or None
            continue
        elif field["kind"] == "number":
            value = _number(name, raw, whole=field["step"] == "1")
        if value != field["value"]:
            changes[name] = value
    return changes


def _number(name: str, raw: str, *, whole: bool) -> float | int:
    try:
        return int(raw) if whole else float(raw)
    except ValueError:
        raise Refusal(f"{name} is '{raw[:20]}'", expected="a whole number" if whole else "a number") from None


@router.post("/description")
def describe(host: TheHost, hosted: Of, user: OrganiserOnly, form: Sent) -> Response:
    """Replace the description."""
    host.competitions.describe(hosted.slug, text(form, "text").replace("\r\n", "\n")[:200_000])
    return back(f"/c/{hosted.slug}/organise", "described")


@router.post("/rescore")
def rescore(host: TheHost, hosted: Of, user: OrganiserOnly, form: Sent) -> Response:
    """Grade all anew."""
    subs.rescore(host, hosted, user)
    return back(f"/c/{hosted.slug}/organise", "rescored")


@router.post("/users")
def add_user(request: Request, host: TheHost, hosted: Of, user: OrganiserOnly, form: Sent) -> Response:
    """A new user; the token is on the page that comes, and never again."""
    added = host.accounts.add(text(form, "name"), host.now(), organiser=bool(text(form, "organiser")))
    token = host.accounts.issue(added, host.now())
    return _page(request, host, hosted, user, new_user=added.name, token=token)
