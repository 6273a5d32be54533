"""REST: logins, tokens and teams."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from podium.host.server import answers as a
from podium.host.server import offers as offering
from podium.host.server import teams
from podium.host.server.accounts import SESSION, Session, User
from podium.host.server.rest import FAILURES
from podium.host.server.services import COOKIE, Of, Somebody, TheHost, TheServices

router = APIRouter(prefix="/api", responses=FAILURES)


@router.get("/me", tags=["accounts"])
def me(user: Somebody) -> User:
    """Who I am."""
    return user


@router.post("/register", tags=["accounts"], status_code=201)
def register(services: TheServices, given: a.Credentials, request: Request, response: Response) -> a.LoggedIn:
    """Become a user, where the host is open to all; logs in."""
    return _logged_in(response, request, *services.register(given.name, given.password, address_of(request)))


@router.post("/login", tags=["accounts"])
def login(services: TheServices, given: a.Credentials, request: Request, response: Response) -> a.LoggedIn:
    """Log a browser in."""
    return _logged_in(response, request, *services.log_in(given.name, given.password, address_of(request)))


@router.post("/logout", tags=["accounts"], status_code=204)
def logout(host: TheHost, _: Somebody, request: Request) -> Response:
    """End the session."""
    host.accounts.log_out(request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


def _logged_in(response: Response, request: Request, cookie: str, session: Session) -> a.LoggedIn:
    set_cookie(response, request, cookie)
    return a.LoggedIn(user=session.user, csrf=session.csrf)


def set_cookie(response: Response, request: Request, cookie: str) -> None:
    """The session's cookie: not for scripts, not for other sites' forms."""
    response.set_cookie(
        COOKIE, cookie, max_age=int(SESSION.total_seconds()), httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "?"


@router.get("/me/tokens", tags=["accounts"])
def tokens(host: TheHost, user: Somebody) -> list[a.TokenView]:
    """My tokens, by their first characters."""
    return [a.TokenView.model_validate(t) for t in host.accounts.tokens(user)]


@router.post("/me/tokens", tags=["accounts"], status_code=201)
def new_token(host: TheHost, user: Somebody) -> a.NewToken:
    """A new token; it cannot be shown again."""
    return a.NewToken(token=host.accounts.issue(user, host.now()))


@router.delete("/me/tokens/{number}", tags=["accounts"])
def revoke(host: TheHost, user: Somebody, number: a.Number) -> a.Count:
    """End a token of mine."""
    return a.Count(count=host.accounts.revoke(user, host.now(), number))


@router.post("/competitions/{slug}/team", tags=["teams"], status_code=201)
def enter(host: TheHost, hosted: Of, user: Somebody, given: a.Entry) -> teams.Team:
    """Enter the competition with a team of my own."""
    return teams.enter(host, hosted, user, given.name)


@router.get("/competitions/{slug}/team", tags=["teams"])
def my_team(host: TheHost, hosted: Of, user: Somebody) -> teams.Team:
    """My team."""
    return teams.require_team(host, hosted.slug, user)


@router.patch("/competitions/{slug}/team", tags=["teams"])
def rename(host: TheHost, hosted: Of, user: Somebody, given: a.TeamName) -> teams.Team:
    """Rename my team."""
    return teams.rename(host, hosted, user, given.name)


@router.delete("/competitions/{slug}/team", tags=["teams"], status_code=204)
def leave(host: TheHost, hosted: Of, user: Somebody) -> Response:
    """Leave my team."""
    teams.leave(host, hosted, user)
    return Response(status_code=204)


@router.get("/competitions/{slug}/offers", tags=["teams"])
def offers(host: TheHost, hosted: Of, user: Somebody) -> list[offering.Offer]:
    """Open invitations and proposals to merge that concern me."""
    return offering.offers(host, hosted.slug, user)


@router.post("/competitions/{slug}/invitations", tags=["teams"], status_code=201)
def invite(host: TheHost, hosted: Of, user: Somebody, given: a.Invitation) -> offering.Offer:
    """Ask somebody into my team."""
    return offering.invite(host, hosted, user, host.accounts.find(given.user))


@router.post("/competitions/{slug}/mergers", tags=["teams"], status_code=201)
def merge(host: TheHost, hosted: Of, user: Somebody, given: a.Proposal) -> offering.Offer:
    """Propose to another team to become one."""
    return offering.propose_merge(host, hosted, user, given.team)


@router.post("/competitions/{slug}/offers/{number}", tags=["teams"])
def answer(host: TheHost, hosted: Of, user: Somebody, number: a.Number, given: a.Reply) -> teams.Team | None:
    """Accept or decline an offer, or withdraw my team's."""
    return offering.answer(host, hosted, user, number, given.accept)
