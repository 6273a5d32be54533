"""The application: all routes behind the guard, and errors as clients print them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from podium.errors import ConfigError, PodiumError
from podium.host import pages
from podium.host.server import kaggle_api, rest, rest_organiser, rest_people, sse, transfer
from podium.host.server.api_page import api_page
from podium.host.server.graders import Graders
from podium.host.server.guard import App, Guard
from podium.host.server.host import Host
from podium.host.server.refusals import Refusal
from podium.host.server.services import Services
from podium.host.server.uploads import sweep

SWEEP_SECONDS = 3600.0

log = logging.getLogger("podium.host")


def make_app(host: Host, *, grade: bool = True) -> App:
    """The host as an ASGI application.

    Args:
        grade: Whether to grade what is submitted; another process may do so instead.
    """
    graders, feed = Graders(host) if grade else None, sse.Feed(host)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        if graders:
            graders.start()
        feeding = asyncio.create_task(feed.run())
        feeding.add_done_callback(_fed)
        sweeping = asyncio.create_task(_sweep(host))
        yield
        feeding.cancel()
        sweeping.cancel()
        if graders:
            graders.stop()

    app = FastAPI(title=host.config.name, version="1", lifespan=life, docs_url=None, redoc_url=None)
    app.state.services, app.state.feed, app.state.graders = Services(host), feed, graders
    for module in (kaggle_api, transfer, rest, rest_people, rest_organiser, sse):
        app.include_router(module.router)
    app.include_router(pages.router)
    app.add_exception_handler(PodiumError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    app.add_exception_handler(Exception, _broken)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(api_page(app.openapi()))

    return Guard(app, host.config.hosts, host.config.upload_seconds)


def failure(status: int, message: str) -> Response:
    """An error as the kaggle client reads it: what is in ``message`` is printed."""
    return JSONResponse({"code": status, "message": _whole(message)}, status)


def _whole(text: str) -> str:
    """A text that may quote halves of characters, without them."""
    return text.encode("utf-8", "replace").decode()


def _fed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        log.error("the live feed ended", exc_info=task.exception())


async def _sweep(host: Host) -> None:
    """Remove expired uploads every hour."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await run_in_threadpool(sweep, host)
        except (PodiumError, OSError) as error:
            log.error("expired uploads are not removed: %s", error)


async def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return failure(error.status, error.message)
    if isinstance(error, ConfigError):
        return failure(400, "; ".join(filter(None, [error.found, error.expected, error.remedy])))
    log.error("%s", error)
    return failure(503, "the host cannot do that now; its organisers can see why")


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
    return failure(422, told[:1000])


async def _no_text(_: Request, error: Exception) -> Response:
    return failure(400, "a text with half of a character in it")


async def _plain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = failure(error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _broken(_: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return failure(500, "the host failed; its organisers can see why")
