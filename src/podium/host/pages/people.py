"""Pages of the whole host: home, login, registration, one's account."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from podium.host.pages.render import HERE, page, state
from podium.host.pages.route import Member, OpenForm, PageRoute, Sent, Visitor, back, text
from podium.host.server.accounts import User
from podium.host.server.answers import Number
from podium.host.server.api_page import STYLE_PATH
from podium.host.server.client_env import client_env
from podium.host.server.kaggle_api import base_of
from podium.host.server.refusals import Refusal, TooMany, Unauthorised, Unknown
from podium.host.server.rest_people import address_of, set_cookie
from podium.host.server.services import COOKIE, TheHost, TheServices
from podium.host.server.standings import my_standing, standings

TUNNEL = "http://localhost:8765"
"""Where the kaggle command finds a host that is behind a TLS proxy."""

router = APIRouter(route_class=PageRoute, include_in_schema=False)

STATIC = {"site.css": "text/css", "site.js": "text/javascript"}


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """The style and the script; nothing else is ever looked for on the disk."""
    if name not in STATIC:
        raise Unknown("there is no such page")
    headers = {"cache-control": "public, max-age=300"}
    return Response(_file(name), media_type=STATIC[name], headers=headers)


@cache
def _file(name: str) -> bytes:
    return (HERE / "static" / name).read_bytes()


@router.get(STYLE_PATH)
async def docs_style() -> Response:
    """The style of /docs, which is this site's."""
    return await static("site.css")


@router.get("/")
def home(request: Request, host: TheHost, session: Visitor) -> Response:
    """All competitions."""
    user, now = session.user if session else None, host.now()
    rows = [
        {
            "comp": hosted,
            "state": state(hosted, now),
            "teams": sum(not row.baseline for row in standings(host, hosted, user)),
            "mine": my_standing(host, hosted, user) if user else None,
        }
        for hosted in host.competitions.list()
    ]
    return page(request, "home.html", rows=rows)


@router.get("/login")
def login(request: Request, session: Visitor, next: str = "/") -> Response:
    """The form."""
    return page(request, "login.html", next=_ours(next), error="", name="", register=False)


@router.post("/login")
def log_in(request: Request, services: TheServices, form: OpenForm) -> Response:
    """Log in, and back to where one came from."""
    name, next = text(form, "name")[:60], _ours(text(form, "next", "/"))
    try:
        cookie, _ = services.log_in(name, text(form, "password")[:200], address_of(request))
    except (Unauthorised, TooMany) as error:
        known: dict[str, Any] = {"next": next, "error": error.message, "name": name, "register": False}
        return page(request, "login.html", error.status, **known)
    return _with_cookie(request, next, cookie)


@router.get("/register")
def registration(request: Request, session: Visitor) -> Response:
    """The form, where the host is open."""
    return page(request, "login.html", next="/", error="", name="", register=True)


@router.post("/register")
def register(request: Request, services: TheServices, form: OpenForm) -> Response:
    """Become a user."""
    name, password = text(form, "name")[:60], text(form, "password")[:200]
    try:
        cookie, _ = services.register(name, password, address_of(request))
    except Refusal as error:
        known: dict[str, Any] = {"next": "/", "error": error.message, "name": name, "register": True}
        return page(request, "login.html", error.status, **known)
    return _with_cookie(request, "/account", cookie)


@router.post("/logout")
def log_out(request: Request, host: TheHost, form: Sent) -> Response:
    """End the session."""
    host.accounts.log_out(request.cookies.get(COOKIE, ""))
    answer = back("/", "out")
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/account")
def account(request: Request, host: TheHost, user: Member) -> Response:
    """Tokens and password."""
    return page(request, "account.html", **_account(request, host, user, ""))


@router.post("/account/tokens")
def new_token(request: Request, host: TheHost, user: Member, form: Sent) -> Response:
    """A new token, shown on the page that comes and never again."""
    token = host.accounts.issue(user, host.now())
    return page(request, "account.html", **_account(request, host, user, token))


@router.post("/account/tokens/{number}/revoke")
def revoke(number: Number, host: TheHost, user: Member, form: Sent) -> Response:
    """End a token."""
    host.accounts.revoke(user, host.now(), number)
    return back("/account", "revoked")


@router.post("/account/password")
def password(request: Request, services: TheServices, user: Member, form: Sent) -> Response:
    """A new password; other sessions end."""
    host = services.host
    host.accounts.set_password(user, text(form, "password")[:200])
    cookie, _ = host.accounts.log_in(user.name, text(form, "password")[:200], host.now())
    return _with_cookie(request, "/account?said=password", cookie)


def _tokens(host: TheHost, user: Any) -> list[dict[str, Any]]:
    rows = [asdict(t) if not isinstance(t, dict) else dict(t) for t in host.accounts.tokens(user)]
    return [row | {"created": _moment(row["created"])} for row in rows]


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _account(request: Request, host: TheHost, user: User, token: str) -> dict[str, Any]:
    """Tokens, a new one if there is, and the lines for the kaggle command."""
    address = base_of(request)
    encrypted = address.startswith("https:")  # which the kaggle command does not speak to a host of one's own
    lines = client_env(user.name, TUNNEL if encrypted else address, token)
    known = {"tokens": _tokens(host, user), "token": token, "address": address, "lines": lines}
    return known | {"tunnel": encrypted}


def _ours(path: str) -> str:
    """A path of this host, or its home: never another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def _with_cookie(request: Request, to: str, cookie: str) -> Response:
    answer = RedirectResponse(to, 303)
    set_cookie(answer, request, cookie)
    return answer
