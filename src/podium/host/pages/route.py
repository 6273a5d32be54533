"""What every page has in common: errors as pages, logins first, and forms that only this site can have sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from podium.errors import ConfigError, PodiumError
from podium.host.pages.render import page
from podium.host.server.accounts import Session, User
from podium.host.server.refusals import Forbidden, Refusal, Unauthorised
from podium.host.server.rest_people import address_of
from podium.host.server.services import COOKIE, require_csrf, services_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose errors are pages; who has to log in first is sent there, and back again."""

    def get_route_handler(self) -> Handler:
        """The handler with its errors caught."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Unauthorised as error:
                if request.method == "GET" and services_of(request).session(request) is None:
                    return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
                return page(request, "error.html", error.status, status=error.status, message=error.message)
            except Refusal as error:
                return page(request, "error.html", error.status, status=error.status, message=error.message)
            except ConfigError as error:
                told = "; ".join(filter(None, [error.found, error.expected, error.remedy]))
                return page(request, "error.html", 400, status=400, message=told)
            except PodiumError:
                raise  # for the log; the answer says no more than that it failed
            except RequestValidationError as error:
                told = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors()[:3])[:500]
                return page(request, "error.html", 422, status=422, message=told)
            except HTTPException as error:
                return page(request, "error.html", error.status_code, status=error.status_code, message=error.detail)

        return handle


async def onlooker(request: Request) -> Session | None:
    """The session of who looks at what costs next to nothing and is asked for often, by many behind one address."""
    return await run_in_threadpool(services_of(request).session, request) if COOKIE in request.cookies else None


async def visitor(request: Request) -> Session | None:
    """The session of who looks, if there is one; both are counted.

    Raises:
        TooMany: if they ask too often.
    """
    services, found = services_of(request), await onlooker(request)
    services.requests.take(f"user {found.user.id}" if found else f"address {address_of(request)}")
    return found


async def member(request: Request) -> User:
    """Who is logged in.

    Raises:
        Unauthorised: if nobody is.
    """
    found = await visitor(request)
    if found is None:
        raise Unauthorised("log in first")
    return found.user


async def organiser(request: Request) -> User:
    """Who is logged in, an organiser.

    Raises:
        Refusal: if it is none.
    """
    user = await member(request)
    if not user.organiser:
        raise Forbidden("this page is for organisers")
    return user


async def sent(request: Request) -> dict[str, Any]:
    """The fields of a form that a page of this session sent: texts, and lists where a name comes several times.

    Raises:
        Refusal: if it was sent from elsewhere, or nobody is logged in.
    """
    form = await open_form(request)
    session = await run_in_threadpool(services_of(request).session, request)
    if session is None:
        raise Unauthorised("log in first")
    require_csrf(session, str(form.get("csrf", "")))
    return form


async def open_form(request: Request) -> dict[str, Any]:
    """The fields of a form that anybody may send, from this site's pages alone.

    Raises:
        Forbidden: if the browser says that it was sent from elsewhere.
    """
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("this form was sent from another site")
    form = await request.form(max_files=0, max_fields=200)
    return {name: values[0] if len(values := form.getlist(name)) == 1 else values for name in form}


def text(form: dict[str, Any], name: str, default: str = "") -> str:
    """A field as text; of several the first."""
    value = form.get(name, default)
    return str(value[0] if isinstance(value, list) else value)


def back(path: str, said: str = "") -> RedirectResponse:
    """To a page, by GET; one that is left again by reloading does nothing twice."""
    return RedirectResponse(f"{path}?said={said}" if said else path, 303)


Onlooker = Annotated[Session | None, Depends(onlooker)]
Visitor = Annotated[Session | None, Depends(visitor)]
Member = Annotated[User, Depends(member)]
OrganiserOnly = Annotated[User, Depends(organiser)]
Sent = Annotated[dict[str, Any], Depends(sent)]
OpenForm = Annotated[dict[str, Any], Depends(open_form)]
