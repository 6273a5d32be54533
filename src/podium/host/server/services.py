"""What requests are served with, and who asks: tokens, keys, sessions, and how often."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from podium.host.server.accounts import Session, User, same_secret
from podium.host.server.competitions import Hosted
from podium.host.server.downloads import Downloads
from podium.host.server.guard import SAFE
from podium.host.server.host import Host
from podium.host.server.refusals import Forbidden, Unauthorised
from podium.host.server.throttle import Throttle

COOKIE = "podium_session"
CSRF_HEADER = "x-csrf-token"

MANY_BEHIND = 10
"""Times as many failures of an address as of a name: a whole class may sit behind one."""

MOST_FILES = 6
"""Uploads and downloads that use the disk at the same moment, in threads of their own: pages do not wait for them."""


@dataclass
class Services:
    """A host and what the server keeps in memory about its visitors."""

    host: Host
    downloads: Downloads = field(init=False)
    requests: Throttle = field(init=False)
    failures: Throttle = field(init=False)
    failures_of_address: Throttle = field(init=False)
    arriving: Counter[str] = field(default_factory=Counter)
    disk: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MOST_FILES))

    def __post_init__(self) -> None:
        config = self.host.config
        self.downloads = Downloads(self.host)
        self.requests = Throttle(config.requests_a_minute, 60)
        self.failures = Throttle(config.logins_a_quarter, 15 * 60)
        self.failures_of_address = Throttle(config.logins_a_quarter * MANY_BEHIND, 15 * 60)

    def log_in(self, name: str, password: str, address: str) -> tuple[str, Session]:
        """The cookie and session of a user; slowed down for a name and an address after failures.

        Raises:
            Unauthorised: if name and password do not belong together.
            TooMany: after too many failures.
        """
        key = f"name {name.casefold()[:60]}"
        self.failures.allow(key)
        self.failures_of_address.allow(address)
        try:
            return self.host.accounts.log_in(name, password, self.host.now())
        except Unauthorised:
            self.failures_of_address.take(address)
            self.failures.take(key)
            raise

    def register(self, name: str, password: str, address: str) -> tuple[str, Session]:
        """A new user of an open host, and their session; an address may make so many as it may fail to log in.

        Raises:
            Refusal: if the host is closed, the name is taken or the password too short.
            TooMany: after too many others; then there is no new user.
        """
        if self.host.config.registration != "open":
            raise Forbidden("registration is closed", remedy="ask the organisers for a login")
        self.failures_of_address.take(f"register {address}")
        self.host.accounts.add(name, self.host.now(), password=password)
        return self.host.accounts.log_in(name, password, self.host.now())

    def user(self, request: Request) -> User | None:
        """Who asks: by token, key or session; None if nobody says so.

        Raises:
            Unauthorised: if what they show is not valid (any more).
            TooMany: if they ask too often.
        """
        address = request.client.host if request.client else "?"
        header = request.headers.get("authorization", "")
        found = self._by_header(header, address) if header else self._by_session(request)
        self.requests.take(f"user {found.id}" if found else f"address {address}")
        return found

    def session(self, request: Request) -> Session | None:
        """The session of a browser, if it has one."""
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        if not hasattr(request.state, "session"):  # several parts of an answer ask
            request.state.session = self.host.accounts.session(cookie, self.host.now())
        found: Session | None = request.state.session
        return found

    def _by_header(self, header: str, address: str) -> User:
        kind, _, value = header.partition(" ")
        user = None
        if kind.lower() == "bearer":
            user = self.host.accounts.of_token(value.strip())
        elif kind.lower() == "basic":
            name, password = _basic(value)
            user = self.host.accounts.of_key(name, password)
        if user is None:  # only now: what is valid is not locked out by others' failures from the same address
            self.failures_of_address.take(f"token {address}")
            raise Unauthorised("the token is not valid", remedy="ask the organisers for one")
        return user

    def _by_session(self, request: Request) -> User | None:
        session = self.session(request)
        if session is None:
            return None
        if request.method not in SAFE:
            require_csrf(session, request.headers.get(CSRF_HEADER, ""))
        return session.user


def require_csrf(session: Session, given: str) -> None:
    """Refuse a request that a browser was tricked into: it lacks the session's secret.

    Raises:
        Forbidden: if so.
    """
    if not same_secret(given, session.csrf):
        raise Forbidden("this form is not of this session", remedy="load the page again")


def _basic(value: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def services_of(request: Request) -> Services:
    """The services that the application was made with."""
    found: Services = request.app.state.services
    return found


async def the_services(request: Request) -> Services:
    """`services_of`, without a thread for it."""
    return services_of(request)


async def anyone(request: Request) -> User | None:
    """Who asks, if they say so."""
    services = services_of(request)
    if "authorization" in request.headers or COOKIE in request.cookies:
        return await run_in_threadpool(services.user, request)
    return services.user(request)  # a stranger is only counted


def require_user(request: Request) -> User:
    """Who asks.

    Raises:
        Unauthorised: if they do not say so.
    """
    user = services_of(request).user(request)
    if user is None:
        raise Unauthorised("this needs a login or a token", remedy="Authorization: Bearer TOKEN")
    return user


def require_organiser(request: Request) -> User:
    """Who asks, an organiser.

    Raises:
        Refusal: to all others.
    """
    user = require_user(request)
    if not user.organiser:
        raise Forbidden("this is for organisers")
    return user


async def competition_of(slug: str, request: Request) -> Hosted:
    """The competition that an address names.

    Raises:
        Unknown: if there is none.
    """
    return services_of(request).host.competitions.get(slug)


async def host_of(request: Request) -> Host:
    """The host."""
    return services_of(request).host


Anyone = Annotated[User | None, Depends(anyone)]
Somebody = Annotated[User, Depends(require_user)]
Organiser = Annotated[User, Depends(require_organiser)]
Of = Annotated[Hosted, Depends(competition_of)]
TheHost = Annotated[Host, Depends(host_of)]
TheServices = Annotated[Services, Depends(the_services)]
