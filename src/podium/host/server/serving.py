"""Serving: one process and its graders, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import logging
import re
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


class Protocol(HttpToolsProtocol):
    """Tells the guard which host an absolute-form target names: by itself uvicorn drops it."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but none that only we may set."""
        if name.lower() != TARGET:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin with the request."""
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


def server(host: Host, bind: str = "127.0.0.1", port: int = 8765, **settings: Any) -> uvicorn.Server:
    """A server that is not running yet."""
    config = uvicorn.Config(
        make_app(host), host=bind, port=port, http=Protocol, ws="none", log_level="info", server_header=False,
        date_header=True, timeout_keep_alive=20, h11_max_incomplete_event_size=2**16, proxy_headers=False,
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
        server(host, bind, port).run()
