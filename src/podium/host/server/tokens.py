"""Random tokens that are stored as hashes, signed tokens that expire, and names that cannot be confused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.files import open_atomic
from podium.host.server.refusals import Refusal

LONGEST_NAME = 50


def new_token() -> str:
    """256 random bits, in letters that need no quotes."""
    return "podium_" + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What is stored of a token: it has too many bits to be guessed from this."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def signing_key(path: Path) -> bytes:
    """The host's key, made at first use, for its owner alone."""
    if not path.exists():
        with open_atomic(path) as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(secrets.token_bytes(32))
    return path.read_bytes()


def sign(key: bytes, content: dict[str, Any], expires: datetime) -> str:
    """A text that says ``content`` until ``expires`` and that only the owner of ``key`` can make."""
    body = json.dumps({**content, "exp": int(expires.timestamp())}, separators=(",", ":")).encode()
    return f"{_text(body)}.{_text(_mac(key, body))}"


def signed(key: bytes, token: str, now: datetime) -> dict[str, Any] | None:
    """What `sign` was given; None if it was not made with this key, or has expired."""
    body, _, mac = token.partition(".")
    try:
        raw, seal = _bytes(body), _bytes(mac)
    except ValueError:
        return None
    if not hmac.compare_digest(seal, _mac(key, raw)):
        return None
    content: dict[str, Any] = json.loads(raw)
    return content if content["exp"] > now.timestamp() else None


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)


def clean_name(name: str, what: str) -> str:
    """A name of a user or team, without odd blanks.

    Raises:
        Refusal: if it is empty, longer than 50 characters, or has characters that do not show.
    """
    plain = " ".join(unicodedata.normalize("NFKC", name).split())
    if not 0 < len(plain) <= LONGEST_NAME:
        raise Refusal(f"the name of a {what} has {len(plain)} characters", expected=f"1 to {LONGEST_NAME}")
    odd = next((c for c in plain if unicodedata.category(c)[0] == "C"), None)
    if odd is not None:
        raise Refusal(f"the name of a {what} has a character that does not show (U+{ord(odd):04X})")
    return plain


def fold(name: str) -> str:
    """Equal for names that differ only in case, width or accents written another way."""
    return unicodedata.normalize("NFKC", name).casefold()
