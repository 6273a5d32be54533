"""A small client of the calls that a leaderboard server answers: JSON in, JSON out, files by range, nothing more.

Plain `urllib`. The token goes to the server alone: not to where a redirect or an upload leads.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from podium.boards.client import redacted
from podium.errors import BoardError, ConfigError
from podium.files import size_text
from podium.progress import say

SERVICE = "competitions.CompetitionApiService"
LARGEST_ANSWER = 64 * 2**20
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class RpcError(BoardError):
    """What a server answered instead.

    Attributes:
        status: The HTTP status; 0 if it did not answer.
    """

    def __init__(self, found: str, *, status: int = 0, where: str = "", remedy: str = "") -> None:
        self.status = status
        super().__init__(found, where=where, remedy=remedy)


class _Kept(urllib.request.HTTPRedirectHandler):
    """Follows a redirect as a GET; to another server without the token."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        target = urljoin(req.full_url, newurl)
        _require_as_safe(req.full_url, target, code)
        kept = {k: v for k, v in req.header_items() if k.lower() in ("range", "if-range")}
        if urlsplit(target)[:2] == urlsplit(req.full_url)[:2]:  # scheme and server
            kept |= {k: v for k, v in req.header_items() if k.lower() == "authorization"}
        return urllib.request.Request(target, headers=kept, method="GET")


class Rpc:
    """Calls of one server.

    Args:
        url: Its address, without a path behind it.
        token: Who we are; "" for nobody.
    """

    def __init__(self, url: str, token: str = "", timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ConfigError(
                f"'{url}' is no address of a host", where="board.url", expected="https://board.example.org"
            )
        self.url, self.token, self.timeout = url.rstrip("/"), token, timeout
        local = parts.hostname in LOOPBACK
        proxies = [urllib.request.ProxyHandler({})] if local else []  # a proxy has no way to this machine
        self._opener = urllib.request.build_opener(_Kept, *proxies)
        if token and parts.scheme == "http" and not local:
            say(f"  {parts.hostname} is not encrypted: whoever listens can read your token")

    def call(self, method: str, **body: Any) -> dict[str, Any]:
        """What a method of the competition service answers.

        Raises:
            RpcError: with the server's own words, if it refuses; or saying that it does not answer.
        """
        with self._open(self._request(method, body)) as answer:
            text = answer.read(LARGEST_ANSWER)
        try:
            found = json.loads(text)
            if not isinstance(found, dict):
                raise ValueError
        except ValueError:
            raise RpcError("the answer is not understood: is this a podium host?", where=self.url) from None
        return found

    def get(self, path: str) -> str:
        """The text at an address of the server.

        Raises:
            RpcError: as `call` does.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with self._open(urllib.request.Request(self.url + path, headers=headers)) as answer:
            return str(answer.read(LARGEST_ANSWER).decode(errors="replace"))

    def who(self) -> str:
        """Whose token it is, by user name; "" if the server does not know it."""
        if not self.token:
            return ""
        request = self._request("IntrospectToken", {"token": self.token}, "security.OAuthService")
        with self._open(request) as answer:
            found = json.loads(answer.read(LARGEST_ANSWER) or b"{}")
        return str(found.get("username") or "") if isinstance(found, dict) and found.get("active") else ""

    def download(self, method: str, body: dict[str, Any], target: Path) -> None:
        """Save the file that a method leads to; what is there of it under ``.part`` is not fetched again."""
        part = target.with_name(target.name + ".part")
        tag = part.with_name(part.name + ".etag")
        for _ in range(6):
            have, known = (part.stat().st_size, tag.read_text()) if part.exists() and tag.exists() else (0, "")
            request = self._request(method, body)
            if have and known:
                request.add_header("Range", f"bytes={have}-")
                request.add_header("If-Range", known)
            try:
                whole = self._save(request, part, tag, have)
            except RpcError as error:
                if error.status != 416 or not have:
                    raise
                part.unlink()  # there is nothing behind what is here: it was whole, or is of another file
                continue
            if whole is None or part.stat().st_size >= whole:
                break
            say(f"  {target.name} broke off at {size_text(part.stat().st_size)}; going on")
        else:
            raise RpcError("the download breaks off again and again", where=self.url, remedy="run it again later")
        if whole is not None and part.stat().st_size != whole:
            part.unlink()
            raise RpcError("the download is longer than announced", where=self.url, remedy="run it again")
        os.replace(part, target)
        tag.unlink(missing_ok=True)

    def _save(self, request: urllib.request.Request, part: Path, tag: Path, have: int) -> int | None:
        """Write what comes behind the first ``have`` bytes; the size of the whole file, if it is told."""
        with self._open(request) as answer:
            whole = _length(answer, have)
            tag.write_text(answer.headers.get("ETag") or "")
            with open(part, "ab" if have and answer.status == 206 else "wb") as sink:
                _copy(answer, sink)
        return whole

    def upload(self, url: str, file: Path) -> None:
        """PUT a file's bytes to where the server asked for them; without the token, for the address is the permission.

        Raises:
            RpcError: if they are not taken.
        """
        target = urljoin(self.url, url)
        _require_as_safe(self.url, target)
        size = file.stat().st_size
        with open(file, "rb") as body:
            headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
            request = urllib.request.Request(target, data=body, headers=headers, method="PUT")
            with self._open(request):
                pass

    def _request(self, method: str, body: dict[str, Any], service: str = SERVICE) -> urllib.request.Request:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode()
        return urllib.request.Request(f"{self.url}/api/v1/{service}/{method}", data=data, headers=headers)

    @contextlib.contextmanager
    def _open(self, request: urllib.request.Request) -> Any:
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise RpcError(
                f"the host does not answer ({reason})",
                where=self.url,
                remedy="see that it runs and is reached from here",
            ) from None

    def _refusal(self, error: urllib.error.HTTPError) -> RpcError:
        with error:
            text = error.read(65536).decode(errors="replace")
        try:
            said = str(json.loads(text)["message"])
        except (ValueError, KeyError, TypeError):
            said = f"HTTP {error.code} {error.reason}"
        remedies = {
            401: "put your token of this host into the variable PODIUM_HOST_TOKEN, or into its file (docs: submit)",
            429: "wait a while; podium standings shows what is left today",
        }
        return RpcError(redacted(said)[:500], status=error.code, where=self.url, remedy=remedies.get(error.code, ""))


def _require_as_safe(asked: str, target: str, status: int = 0) -> None:
    """Follow a server to http and https only, and never from https to http."""
    old, new = urlsplit(asked).scheme, urlsplit(target).scheme
    if new not in ("http", "https"):
        raise RpcError(f"the server leads to '{new}:'", status=status, where=asked)
    if old == "https" and new == "http":
        raise RpcError(
            "the server leads from https to http, where whoever listens can read along",
            status=status,
            where=urlsplit(target).netloc,
            remedy="of a podium host behind a proxy: its organisers set proxy = true in host.toml",
        )


def _length(answer: Any, have: int) -> int | None:
    """Bytes of the whole file, if the server tells."""
    told = answer.headers.get("Content-Length")
    if told is None or not told.isdigit():
        return None
    return int(told) + (have if answer.status == 206 else 0)


def _copy(answer: Any, sink: IO[bytes], every: int = 1 << 20, tell: Callable[[str], None] = say) -> None:
    done = told = 0
    with contextlib.suppress(http.client.IncompleteRead):  # the caller sees that it is too short
        while chunk := answer.read(every):
            sink.write(chunk)
            done += len(chunk)
            if done - told > 256 * 2**20:
                told = done
                tell(f"  downloaded {size_text(done)}")
