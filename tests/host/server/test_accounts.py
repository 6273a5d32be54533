"""Users, tokens, passwords, sessions; medals; throttles; the database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from argon2 import PasswordHasher, Type
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import StorageError
from podium.host.server.database import Database
from podium.host.server.medals import bands, medal
from podium.host.server.refusals import Conflict, Refusal, TooMany, Unauthorised
from podium.host.server.serving import redact
from podium.host.server.throttle import Throttle
from podium.host.server.tokens import sign, signed

PASSWORD = "correct horse battery"


def test_a_token_is_long_random_stored_hashed_and_revocable(house):
    alice = house.user("alice")
    tokens = {house.host.accounts.issue(alice, house.clock()) for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(t.removeprefix("podium_")) * 6 >= 128 for t in tokens)
    house.host.db.one("SELECT 1")
    stored = (house.folder / "host.db").read_bytes() + (house.folder / "host.db-wal").read_bytes()
    assert not [t for t in tokens if t.encode() in stored]
    one = tokens.pop()
    assert house.host.accounts.of_token(one) == alice
    assert house.host.accounts.of_key("Alice", one) == alice
    assert house.host.accounts.of_key("bob", one) is None
    assert house.host.accounts.revoke(alice, house.clock()) == 21
    assert house.host.accounts.of_token(one) is None


def test_passwords_cost_what_the_library_takes_for_good_today(cheap_passwords):
    made, default = cheap_passwords(), PasswordHasher()
    assert made.type is Type.ID
    assert (made.time_cost, made.memory_cost) == (default.time_cost, default.memory_cost)
    assert made.memory_cost >= 19 * 1024  # OWASP's least


def test_a_password_is_stored_as_argon2id_and_opens_a_session(house):
    accounts = house.host.accounts
    alice = house.user("alice", password=PASSWORD)
    assert house.host.db.one("SELECT password FROM users")["password"].startswith("$argon2id$")
    cookie, session = accounts.log_in("ALICE", PASSWORD, house.clock())
    assert accounts.session(cookie, house.clock()) == session
    assert session.user == alice
    for name, password in (("alice", "wrong wrong wrong"), ("nobody", PASSWORD), ("alice", "")):
        with pytest.raises(Unauthorised, match="name or password is wrong"):
            accounts.log_in(name, password, house.clock())
    house.clock.forward(days=15)
    assert accounts.session(cookie, house.clock()) is None
    cookie, _ = accounts.log_in("alice", PASSWORD, house.clock())
    accounts.set_password(alice, "another good one")
    assert accounts.session(cookie, house.clock()) is None


def test_somebody_without_a_password_cannot_log_in_with_an_empty_one(house):
    house.user("alice")
    with pytest.raises(Unauthorised):
        house.host.accounts.log_in("alice", "", house.clock())


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 41, "-a", "é", "a\n", "=cmd"])
def test_names_that_are_no_names(house, name):
    with pytest.raises(Refusal):
        house.host.accounts.add(name, house.clock())


def test_a_name_is_taken_in_any_case_and_a_password_has_a_length(house):
    house.user("alice")
    with pytest.raises(Conflict):
        house.host.accounts.add("ALICE", house.clock())
    with pytest.raises(Refusal, match="the password has 5 characters"):
        house.host.accounts.add("bob", house.clock(), password="short")


def test_medals_by_kaggles_bands():
    assert bands(10) == (1, 2, 4)
    assert bands(99) == (10, 20, 40)
    assert bands(100) == (10, 20, 40)
    assert bands(249) == (10, 50, 100)
    assert bands(250) == (10, 50, 100)
    assert bands(500) == (11, 50, 100)
    assert bands(1000) == (12, 50, 100)
    assert bands(3000) == (16, 150, 300)
    assert [medal(place, 10) for place in (1, 2, 3, 4, 5)] == ["gold", "silver", "bronze", "bronze", ""]


@given(st.integers(1, 10_000))
def test_medals_are_nested_for_any_number_of_teams(teams):
    gold, silver, bronze = bands(teams)
    assert 1 <= gold <= silver <= bronze


def test_a_throttle_lets_so_many_through_and_fills_up_again():
    now = [0.0]
    throttle = Throttle(3, 60, lambda: now[0])
    for _ in range(3):
        throttle.take("a")
    throttle.take("b")
    with pytest.raises(TooMany, match="wait 20 s"):
        throttle.take("a")
    now[0] = 20.1
    throttle.take("a")
    with pytest.raises(TooMany):
        throttle.allow("a")


def test_a_signed_text_cannot_be_changed_and_expires(house):
    now = house.clock()
    house.clock.forward(hours=1)
    token = sign(b"k" * 32, {"f": "a"}, house.clock())
    assert signed(b"k" * 32, token, now)["f"] == "a"
    assert signed(b"k" * 32, token, house.clock()) is None
    assert signed(b"j" * 32, token, now) is None
    body, _, mac = token.partition(".")
    for wrong in (body, f"{body}.", f"{body[:-2]}xx.{mac}", "é.ü", "", "."):
        assert signed(b"k" * 32, wrong, now) is None


def test_logs_have_no_secrets():
    token = "podium_" + "a" * 43
    line = f'"PUT /api/v1/uploads/{token} HTTP/1.1" Authorization: Bearer {token} GET /api/v1/downloads/abc.def/x.csv'
    assert token not in redact(line)
    assert "abc.def" not in redact(line)


def test_the_database_of_a_newer_version_and_a_damaged_one_are_not_touched(tmp_path):
    Database(tmp_path / "a.db").close()
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="made by a newer podium"):
        Database(tmp_path / "a.db")
    (tmp_path / "b.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="damaged"):
        Database(tmp_path / "b.db")


def test_what_fails_within_a_transaction_leaves_nothing(house):
    def fail():
        with house.host.db.write() as db:
            db.execute("INSERT INTO users (name, key, created) VALUES ('x', 'x', '')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert house.host.accounts.everybody() == []


def test_without_a_terminal_a_password_is_a_line_that_is_piped_in(house):
    house.user("alice")
    command = [sys.executable, "-m", "podium", "host", "user", "password", "alice", "--host", str(house.folder)]
    set_ = subprocess.run(command, input=PASSWORD + "\n", capture_output=True, text=True)
    assert (set_.returncode, set_.stdout.splitlines()[0]) == (0, "alice can log in"), set_.stderr
    assert house.host.accounts.log_in("alice", PASSWORD, house.clock())[1].user.name == "alice"
    nothing = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert nothing.returncode == 1
    assert nothing.stderr.startswith("error: no password is given")
    assert "a line on standard input" in nothing.stderr
    assert house.host.accounts.log_in("alice", PASSWORD, house.clock()), "it is still the one before"
