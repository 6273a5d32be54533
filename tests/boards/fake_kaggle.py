"""A server on the loopback that speaks what the official kaggle client speaks, and keeps a log of what was asked.

It answers for http://localhost alone, as a proxy would be asked; a request for any other host is refused with 421 and
remembered: a test that made one fails.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SLUG = "salt-of-the-earth"
TOKEN = "KGAT_not-a-real-token-0123456789"
COMPETITIONS = "competitions.CompetitionApiService/"


class Refused(Exception):
    """An error as the service gives it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Kaggle:
    """One competition and what happens to it.

    Attributes:
        score: Public score of a file's bytes; raises Refused.
        cut: Bytes after which the next download breaks off.
        failing: {method: (status, message)}.
        slow: How often a submission is still pending when it is asked for.
    """

    bundle: bytes = b""
    daily: int = 5
    accepted: bool = True
    score: Callable[[bytes], float] = lambda data: round(len(data) / 1000, 5)
    cut: int | None = None
    redirects: bool = True
    slow: int = 0
    lists_ref: bool = True
    teams: list[tuple[str, float, str]] = field(default_factory=list)
    failing: dict[str, tuple[int, str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    put_headers: list[dict[str, str]] = field(default_factory=list)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0
    base: str = "http://localhost"

    def call(self, method: str, body: dict[str, Any]) -> Any:
        """The answer of a method, as JSON has it."""
        if method in self.failing:
            raise Refused(*self.failing[method])
        if method == "IntrospectToken":
            return {"active": body.get("token") == TOKEN, "username": "alice"}
        if body.get("competitionName", SLUG) != SLUG:
            raise Refused(404, "404 Client Error: Not Found for url: " + body["competitionName"])
        return getattr(self, f"on_{method}")(body)

    def on_ListCompetitions(self, body):
        mine = {"ref": f"https://www.kaggle.com/competitions/{SLUG}", "deadline": "2030-01-31T23:59:00Z"}
        other = {"ref": f"https://www.kaggle.com/competitions/{SLUG}-2", "deadline": "2020-01-31T23:59:00Z"}
        return {"competitions": [other, mine | {"teamCount": len(self.teams), "maxDailySubmissions": self.daily}]}

    def on_ListDataFiles(self, body):
        self._rules()
        start, size = int(body.get("pageToken") or 0), min(2, int(body.get("pageSize") or 20))
        page = self.files[start : start + size]
        more = {"nextPageToken": str(start + size)} if start + size < len(self.files) else {}
        return {"files": page} | more

    def on_StartSubmissionUpload(self, body):
        self._rules()
        if self._today() >= self.daily:
            raise Refused(400, f"You have reached your daily submission limit of {self.daily}")
        token = f"blob{len(self.uploads)}"
        self.uploads[token] = b""
        return {"token": token, "createUrl": f"{self.base}/upload/{token}"}

    def on_CreateSubmission(self, body):
        data = self.uploads[body["blobFileTokens"]]
        number = 1001 + len(self.submissions)
        entry = {"ref": number, "fileName": "submission.csv.gz", "date": f"2026-11-23T11:11:{number % 60:02d}.120Z"}
        entry |= {"description": body.get("submissionDescription", ""), "pending": self.slow, "data": data}
        try:
            entry |= {"status": "COMPLETE", "publicScore": f"{self.score(data):.5f}", "privateScore": "0.5"}
        except Refused as error:
            entry |= {"status": "ERROR", "errorDescription": str(error)}
        self.submissions.append(entry)
        return {"message": "Successfully submitted"} | ({"ref": number} if self.lists_ref else {})

    def on_GetSubmissionLimits(self, body):
        return {"numToday": self._today(), "numTotal": self._today(), "numAllowedNow": self.daily - self._today()}

    def on_ListSubmissions(self, body):
        return {"submissions": [self._shown(s) for s in reversed(self.submissions)]}

    def on_GetSubmission(self, body):
        return self._shown(next(s for s in self.submissions if s["ref"] == body["ref"]))

    def on_GetLeaderboard(self, body):
        start = int(body.get("pageToken") or 0)
        page = [{"teamId": n, "teamName": t, "score": str(s)} for n, (t, s, _) in enumerate(self.teams[start:][:20])]
        return {"submissions": page} | ({"nextPageToken": str(start + 20)} if start + 20 < len(self.teams) else {})

    def on_DownloadLeaderboard(self, body):
        rows = ["Rank,TeamId,TeamName,LastSubmissionDate,Score,SubmissionCount,TeamMemberUserNames"]
        rows += [f'{n},{n},"{t}",2026-11-20 10:00:00,{s},3,"{m}"' for n, (t, s, m) in enumerate(self.teams, 1)]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as z:
            z.writestr(f"{SLUG}-publicleaderboard.csv", "\n".join(rows) + "\n")
        return packed.getvalue()

    def on_DownloadDataFiles(self, body):
        self._rules()
        return f"{self.base}/files/{SLUG}.zip?signature=secret-signature" if self.redirects else b"not what you want"

    def _rules(self) -> None:
        if not self.accepted:
            raise Refused(403, f"You must accept this competition's rules before you can continue: {SLUG}")

    def _today(self) -> int:
        return sum(s["status"] == "COMPLETE" for s in self.submissions)

    def _shown(self, entry):
        shown = {k: v for k, v in entry.items() if k not in ("pending", "data")}
        if entry["pending"]:
            entry["pending"] -= 1
            return {k: v for k, v in shown.items() if "Score" not in k} | {"status": "PENDING"}
        return shown


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kaggle: Kaggle

    def log_message(self, *args: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        self._refuse()

    def do_POST(self) -> None:
        path = self._path()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path is None:
            return
        method = path.rpartition("/")[2]
        self.kaggle.log.append(method)
        try:
            answer = self.kaggle.call(method, json.loads(body or b"{}"))
        except Refused as error:
            self._send(
                error.status, json.dumps({"code": error.status, "message": str(error)}).encode(), "application/json"
            )
            return
        if isinstance(answer, str):
            self._send(302, b"", "text/plain", {"Location": answer})
        elif isinstance(answer, bytes):
            self._send(200, answer, "application/zip")
        else:
            self._send(200, json.dumps(answer).encode(), "application/json")

    def do_PUT(self) -> None:
        path = self._path()
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path is None:
            return
        self.kaggle.log.append("PUT")
        self.kaggle.put_headers.append(dict(self.headers))
        if "PUT" in self.kaggle.failing:
            self._send(self.kaggle.failing["PUT"][0], b"no", "text/plain")
            return
        self.kaggle.uploads[path.rpartition("/")[2]] = data
        self._send(201, b"", "text/plain")

    def do_GET(self) -> None:
        if self._path() is None:
            return
        data, start = self.kaggle.bundle, 0
        asked = self.headers.get("Range", "")
        self.kaggle.log.append("GET")
        self.kaggle.ranges.append(asked)
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        if asked and self.headers.get("If-Range") in (None, tag):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        if start and start >= len(data):
            self._send(416, b"behind the end", "text/plain")
            return
        self.send_response(206 if start else 200)
        for name, value in {
            "Content-Length": str(len(data) - start), "ETag": tag, "Accept-Ranges": "bytes",
            "Last-Modified": "Mon, 23 Nov 2026 10:00:00 GMT", "Content-Type": "application/zip",
        }.items():  # fmt: skip
            self.send_header(name, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        cut, self.kaggle.cut = self.kaggle.cut, None
        self.wfile.write(data[start : start + cut] if cut else data[start:])
        if cut:
            self.close_connection = True

    def _path(self) -> str | None:
        """What is asked for, if it is asked of localhost."""
        parts = urlsplit(self.path)
        host = parts.hostname if parts.scheme else (self.headers.get("Host") or "").partition(":")[0]
        if host in ("localhost", "127.0.0.1") and parts.port in (None, 80, self.kaggle.port):
            return parts.path
        self._refuse()
        return None

    def _refuse(self) -> None:
        self.kaggle.refused.append(f"{self.command} {self.path}")
        self._send(421, b"this is no proxy", "text/plain")

    def _send(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(kaggle: Kaggle) -> Iterator[Kaggle]:
    """The server on a free port of the loopback, in a thread."""
    handler = type("Handler", (_Handler,), {"kaggle": kaggle})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    kaggle.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield kaggle
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive in memory."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as z:
        for name, data in files.items():
            z.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()
