"""What every request passes before it is looked at: host names, sizes, times, and headers of every answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TARGET = b"x-podium-target"
"""The host of an absolute-form request target, put there by our protocol class; never taken from a client."""

MOST_BODY = 2**20
"""Bytes of a request that is no upload."""

BODY_SECONDS, IDLE_SECONDS = 60.0, 30.0

SLOWEST = 8 * 1024
"""Bytes a second, below which an upload is given up: a connection that drips is not held open for an hour."""

WRITERS = 6
"""Requests that may change something and are worked on at once. More of them wait, for the disk has them one after the
other anyway; they take no thread from those who only read."""

SAFE = ("GET", "HEAD", "OPTIONS")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]

CLOSE = {"connection": "close"}

UPLOADS = ("/api/v1/uploads/", "/api/uploads/")


class Guard:
    """An ASGI application around another.

    Args:
        hosts: Names it answers to.
        upload_seconds: Time that one upload may take.
    """

    def __init__(self, app: App, hosts: list[str], upload_seconds: float) -> None:
        self.app, self.hosts, self.upload_seconds = app, {h.lower() for h in hosts}, upload_seconds
        self._writers = asyncio.Semaphore(WRITERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in HEADERS if h[0] not in names)]
            await send(message)

        refused = self._refused(scope)
        if refused:
            await reply(answer, *refused)
            return
        scope["headers"] = [h for h in scope["headers"] if h[0] != TARGET]
        receive = self._bounded(scope, receive)
        if scope["method"] in SAFE or scope["path"].startswith(UPLOADS):
            await self.app(scope, receive, answer)
            return
        try:
            receive = await _whole(receive)  # first: who sends slowly keeps nobody waiting
        except HTTPException as error:
            await reply(answer, error.status_code, error.detail)
            return
        async with self._writers:
            await self.app(scope, receive, answer)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        """The status and reason of a request that is not for this host, or too large."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        targets = [value for name, value in scope["headers"] if name == TARGET]
        for value in [*hosts, *targets]:
            if name_of(value.decode("latin-1")) not in self.hosts:
                return 421, "this host does not answer for that name"
        if len(hosts) != 1:
            return 400, "one Host header is wanted"
        if not scope["path"].startswith("/"):
            return 400, "this is no address of this host"
        length = declared_length(scope) or 0
        if length > MOST_BODY and not scope["path"].startswith(UPLOADS):
            return 413, f"a request of {length:,} bytes, and {MOST_BODY:,} at most are taken here"
        return None

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        upload = scope["path"].startswith(UPLOADS)
        end = time.monotonic() + (self._seconds(declared_length(scope)) if upload else BODY_SECONDS)
        size, whole = 0, False

        async def bounded() -> Message:
            nonlocal size, whole
            if whole:  # waiting for a disconnect, as long as it takes
                return await receive()
            left = min(IDLE_SECONDS, end - time.monotonic())
            try:
                async with asyncio.timeout(max(left, 0.001)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the request came too slowly", CLOSE) from None
            size += len(message.get("body", b""))
            if size > MOST_BODY and not upload:
                raise HTTPException(413, f"a request of more than {MOST_BODY:,} bytes", CLOSE)
            whole = not message.get("more_body", False)
            return message

        return bounded

    def _seconds(self, size: int | None) -> float:
        """The time that an upload of a size, if it was declared, may take."""
        return self.upload_seconds if size is None else min(self.upload_seconds, BODY_SECONDS + size / SLOWEST)


async def _whole(receive: Receive) -> Receive:
    """The same request with all of its body here."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            message = {"type": "http.request", "body": b"".join(parts), "more_body": False}
            break
    first: list[Message] = [message]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


def declared_length(scope: Scope) -> int | None:
    """What a request says that it has; None if it does not say."""
    value = next((v for n, v in scope["headers"] if n == b"content-length"), b"")
    return int(value) if value.isdigit() and len(value) < 19 else None


def name_of(host: str) -> str:
    """A host header without its port, in small letters."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if ":" in host else host


async def reply(send: Send, status: int, message: str) -> None:
    """A whole answer: JSON that the kaggle client prints."""
    body = json.dumps({"code": status, "message": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
