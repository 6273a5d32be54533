"""Serving: one process and its graders, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import asyncio
import logging
import re
import resource
import sys
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from podium.files import locked
from podium.host.server.app import make_app
from podium.host.server.guard import TARGET
from podium.host.server.host import Host
from podium.host.server.uploads import remove_parts, sweep

LOCK = "serving.lock"

SWITCH = 0.001
"""Seconds after which a busy thread lets others run; with Python's 5 ms, each step of an answer may wait as long."""


HEAD_SECONDS = 20.0
"""Time that a connection has to send the head of a request."""

OPEN_FILES = 1 << 16


class Protocol(HttpToolsProtocol):
    """Tells the guard which host an absolute-form target names, which uvicorn drops by itself; and ends a connection
    whose head comes too slowly, as the guard does with bodies."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        self._head_came()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._head is None:
            self._await_head()

    def _await_head(self) -> None:
        self._head = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.transport.close)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but none that only we may set."""
        if name.lower() != TARGET:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin with the request."""
        self._head_came()
        if not self.url.startswith(b"/"):
            host = httptools.parse_url(self.url).host if b"://" in self.url else b"-"
            self.headers.append((TARGET, host or b"-"))
            if host == b"-":  # of CONNECT, or *: no address of ours
                self.url = b"/"
        super().on_headers_complete()


class Redacted(logging.Filter):
    """Takes tokens out of what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line, without its secrets."""
        if isinstance(record.args, tuple):
            record.args = tuple(redact(a) if isinstance(a, str) else a for a in record.args)
        record.msg = redact(str(record.msg))
        return True


_SECRETS = re.compile(r"podium_[\w-]{20,}|(?<=/downloads/)[^/\s\"]+|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+")


def redact(text: str) -> str:
    """A text without tokens."""
    return _SECRETS.sub("…", text)


def _allow_files() -> None:
    """Thousands of open connections and files, where the system lets this process have them."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, wanted), most))


def server(host: Host, bind: str = "127.0.0.1", port: int = 8765, **settings: Any) -> uvicorn.Server:
    """A server that is not running yet."""
    config = uvicorn.Config(
        make_app(host), host=bind, port=port, http=Protocol, ws="none", log_level="info", server_header=False,
        date_header=True, timeout_keep_alive=20, h11_max_incomplete_event_size=2**16,
        proxy_headers=host.config.proxy, forwarded_allow_ips=["127.0.0.1", "::1"],
        timeout_graceful_shutdown=3, **settings,
    )  # fmt: skip
    for name in ("uvicorn.access", "uvicorn.error", "podium.host"):
        for handler in logging.getLogger(name).handlers or logging.getLogger("uvicorn").handlers:
            handler.addFilter(Redacted())
    return uvicorn.Server(config)


def serve(host: Host, bind: str = "127.0.0.1", port: int = 8765) -> None:
    """Serve until interrupted.

    Raises:
        BusyError: if another process serves this host.
    """
    with locked(host.folder / LOCK):
        remove_parts(host.blobs)
        sweep(host)
        host.events.forget(host.now())
        sys.setswitchinterval(SWITCH)
        _allow_files()
        server(host, bind, port).run()
