"""Files on their way out: signed addresses for one download each, with ranges so that a cut one can go on."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import formatdate

from podium.host.server.accounts import User
from podium.host.server.competitions import DataFile, Hosted
from podium.host.server.host import Host
from podium.host.server.refusals import Refusal
from podium.host.server.tokens import sign, signed

VALID = timedelta(hours=1)
MOST_PARTS = 12
"""Requests that may go on with a download that was cut."""
REMEMBERED = 10_000


def download_token(host: Host, hosted: Hosted, user: User, file: DataFile) -> str:
    """What an address of one download has in it."""
    content = {"c": hosted.slug, "f": file.name, "e": file.etag, "u": user.id, "n": secrets.token_urlsafe(12)}
    return sign(host.key, content, host.now() + VALID)


@dataclass(frozen=True)
class Piece:
    """What to send of a file.

    Attributes:
        start, stop: Bytes, the last one not among them.
        partial: Whether it is less than all that was there (206).
    """

    file: DataFile
    start: int
    stop: int
    partial: bool

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        found = {
            "content-length": str(self.stop - self.start),
            "last-modified": formatdate(self.file.modified, usegmt=True),
            "etag": self.file.etag,
            "accept-ranges": "bytes",
            "content-type": "application/octet-stream",
            "content-disposition": "attachment",
        }
        if self.partial:
            found["content-range"] = f"bytes {self.start}-{self.stop - 1}/{self.file.bytes}"
        return found


class Downloads:
    """Addresses that were used: each opens one download; only parts of that same file may be asked for again."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._used: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, token: str, headers: Mapping[str, str]) -> Piece:
        """What a request for an address gets.

        Raises:
            Refusal: if the address is not this host's, has expired or was used, the file has changed, or the range lies
                outside it.
        """
        content = signed(self.host.key, token, self.host.now())
        if content is None:
            raise Refusal("this address is not valid any more", remedy="ask for the download again", status=410)
        hosted = self.host.competitions.get(content["c"])
        file = hosted.bundle if content["f"] == hosted.bundle.name else hosted.file(content["f"])
        if file.etag != content["e"]:
            raise Refusal("the file has changed meanwhile", remedy="ask for the download again", status=409)
        goes_on = "range" in headers and headers.get("if-range", file.etag) == file.etag
        self._use(content["n"], goes_on)  # not by the text: base64 has several for the same
        return piece(file, headers)

    def _use(self, key: str, goes_on: bool) -> None:
        with self._lock:
            uses = self._used.get(key, 0)
            if uses and (not goes_on or uses > MOST_PARTS):
                raise Refusal("this address was used already", remedy="ask for the download again", status=410)
            self._used[key] = uses + 1
            while len(self._used) > REMEMBERED:
                self._used.popitem(last=False)


def piece(file: DataFile, headers: Mapping[str, str]) -> Piece:
    """The part of a file that Range and If-Range ask for (RFC 9110, 14.2); more than one range is the whole file.

    Raises:
        Refusal: with 416, if it lies behind the end.
    """
    whole = Piece(file, 0, file.bytes, False)
    unit, _, spec = headers.get("range", "").partition("=")
    first, dash, last = spec.strip().partition("-")
    valid = (
        unit.strip().lower() == "bytes"
        and dash
        and all(p == "" or (p.isascii() and p.isdigit()) for p in (first, last))
    )
    if not valid or not (first or last) or max(len(first), len(last)) > 18:
        return whole
    date = formatdate(file.modified, usegmt=True)
    if headers.get("if-range", file.etag) not in (file.etag, date):
        return whole
    if first:
        start, stop = int(first), min(int(last) + 1 if last else file.bytes, file.bytes)
        if last and int(last) < int(first):
            return whole
    else:
        start, stop = max(0, file.bytes - int(last)), file.bytes
    if start >= file.bytes or start >= stop:
        raise Refusal("the range lies behind the end of the file", status=416)
    return Piece(file, start, stop, True)
