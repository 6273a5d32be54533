"""Users, their tokens, passwords and sessions."""

from __future__ import annotations

import hmac
import re
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from podium.host.server.database import Database, Row
from podium.host.server.refusals import Conflict, Refusal, Unauthorised, Unknown
from podium.host.server.tokens import fold, hash_of, new_token

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SESSION = timedelta(days=14)
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?", re.I)


@dataclass(frozen=True)
class User:
    """Somebody who may log in."""

    id: int
    name: str
    organiser: bool


@dataclass(frozen=True)
class Session:
    """A login of a browser.

    Attributes:
        csrf: What a form of this session must send along.
    """

    user: User
    csrf: str


class Accounts:
    """The users of a host."""

    def __init__(self, database: Database) -> None:
        self.db = database

    def add(self, name: str, now: datetime, *, organiser: bool = False, password: str | None = None) -> User:
        """A new user.

        Raises:
            Refusal: if the name is taken or has other characters than letters, digits, - and _.
        """
        if not _NAME.fullmatch(name):
            raise Refusal(f"'{name[:60]}' is no user name", expected="1 to 40 letters, digits, - and _")
        stored = _hashed(password) if password is not None else ""
        try:
            with self.db.write() as db:
                done = db.execute(
                    "INSERT INTO users (name, key, password, organiser, created) VALUES (?, ?, ?, ?, ?)",
                    (name, fold(name), stored, organiser, now.isoformat()),
                )
        except sqlite3.IntegrityError:
            raise Conflict(f"there is a user '{name}' already", remedy="choose another name") from None
        return User(int(done.lastrowid or 0), name, organiser)

    def find(self, name: str) -> User:
        """The user of a name.

        Raises:
            Unknown: if there is none.
        """
        row = self.db.one("SELECT * FROM users WHERE key = ?", fold(name))
        if row is None:
            raise Unknown(f"there is no user '{name[:60]}'")
        return _user(row)

    def everybody(self) -> list[User]:
        """All users, by name."""
        return [_user(row) for row in self.db.all("SELECT * FROM users ORDER BY key")]

    def issue(self, user: User, now: datetime) -> str:
        """A new token, which only its owner will ever have: it cannot be shown again."""
        token = new_token()
        with self.db.write() as db:
            db.execute(
                "INSERT INTO tokens (user, hash, hint, created) VALUES (?, ?, ?, ?)",
                (user.id, hash_of(token), token[:10], now.isoformat()),
            )
        return token

    def tokens(self, user: User) -> list[dict[str, object]]:
        """Of each token that is valid its number, first characters and date."""
        rows = self.db.all("SELECT * FROM tokens WHERE user = ? AND revoked IS NULL ORDER BY id", user.id)
        return [{"id": row["id"], "hint": row["hint"], "created": row["created"]} for row in rows]

    def revoke(self, user: User, now: datetime, token: int | None = None) -> int:
        """End one token, or all of a user; returns how many."""
        with self.db.write() as db:
            done = db.execute(
                "UPDATE tokens SET revoked = ?1 WHERE user = ?2 AND revoked IS NULL AND (?3 IS NULL OR id = ?3)",
                (now.isoformat(), user.id, token),
            )
        return done.rowcount

    def of_token(self, token: str) -> User | None:
        """Whose valid token this is."""
        row = self.db.one(
            "SELECT users.* FROM tokens JOIN users ON users.id = tokens.user WHERE hash = ? AND revoked IS NULL",
            hash_of(token),
        )
        return _user(row) if row else None

    def of_key(self, name: str, key: str) -> User | None:
        """The user of a name and key, as older clients send them: the key is a token."""
        user = self.of_token(key)
        return user if user and fold(user.name) == fold(name) else None

    def set_password(self, user: User, password: str) -> None:
        """A new password; ends all sessions.

        Raises:
            Refusal: if it is too short or too long.
        """
        stored = _hashed(password)
        with self.db.write() as db:
            db.execute("UPDATE users SET password = ? WHERE id = ?", (stored, user.id))
            db.execute("DELETE FROM sessions WHERE user = ?", (user.id,))

    def log_in(self, name: str, password: str, now: datetime) -> tuple[str, Session]:
        """A session, and the cookie that stands for it. Takes as long for a name that does not exist.

        A token of the user's serves as a password too: who was added by an organiser has no other.

        Raises:
            Unauthorised: if name and password do not belong together.
        """
        row = self.db.one("SELECT * FROM users WHERE key = ?", fold(name))
        right = _verified(row["password"] if row and row["password"] else _nobody(), password)
        owner = self.of_token(password)
        if not (row and ((row["password"] and right) or (owner is not None and owner.id == row["id"]))):
            raise Unauthorised("name or password is wrong")
        cookie, csrf = new_token(), secrets.token_urlsafe(32)
        with self.db.write() as db:
            db.execute("DELETE FROM sessions WHERE expires < ?", (now.isoformat(),))
            db.execute(
                "INSERT INTO sessions (hash, user, csrf, expires) VALUES (?, ?, ?, ?)",
                (hash_of(cookie), row["id"], csrf, (now + SESSION).isoformat()),
            )
        return cookie, Session(_user(row), csrf)

    def session(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie, while it lasts."""
        row = self.db.one(
            "SELECT users.*, csrf FROM sessions JOIN users ON users.id = user WHERE hash = ? AND expires > ?",
            hash_of(cookie), now.isoformat(),
        )  # fmt: skip
        return Session(_user(row), row["csrf"]) if row else None

    def log_out(self, cookie: str) -> None:
        """End a session."""
        with self.db.write() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", (hash_of(cookie),))


def same_secret(a: str, b: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(a.encode(errors="replace"), b.encode(errors="replace"))


def _user(row: Row) -> User:
    return User(row["id"], row["name"], bool(row["organiser"]))


@lru_cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()  # argon2id, with the library's parameters of today


@lru_cache
def _nobody() -> str:
    return _hasher().hash("the password of nobody")


def _hashed(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Refusal(
            f"the password has {len(password)} characters", expected=f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
        )
    return _hasher().hash(password)


def _verified(stored: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored, password[: LONGEST_PASSWORD + 1])
    except (VerificationError, InvalidHashError):
        return False
