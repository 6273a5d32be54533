"""No answer takes another way for another private score: so that how long it takes tells nothing."""

from __future__ import annotations

import re
import sqlite3

import pytest
from fastapi.testclient import TestClient

from hosting import SERVICE, House
from podium.formats import rle
from podium.formats.submission_file import SubmissionWriter
from podium.host.server import database
from podium.host.server.app import make_app
from podium.host.server.services import COOKIE

PASSWORD = "correct horse battery"
CALLS = ("ListSubmissions", "GetLeaderboard", "GetCompetition", "DownloadLeaderboard")
PAGES = (
    *("/", "/c/cars", "/c/cars/leaderboard", "/c/cars/leaderboard/rows", "/c/cars/attempts", "/c/cars/submissions"),
    *("/c/cars/team", "/c/cars/leaderboard?private=true"),
)
VOLATILE = r'podium_[\w-]+|(?<=name="csrf" value=")[^"]+|(?<=data-csrf=")[^"]+'
"""A hint of a token, and the secret of a session."""


class Watched(sqlite3.Connection):
    """A connection that notes each statement, and how many steps of SQLite's machine were made in all."""

    statements: list[str] = []  # noqa: RUF012 - of all connections together
    steps = 0

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.set_trace_callback(Watched.statements.append)
        self.set_progress_handler(self.step, 1)

    def step(self):
        Watched.steps += 1


def file_of(house, good_in_private):
    """A submission: the same to the public part, and as good or bad as can be in the private one."""
    path = house.folder / "alice.csv"
    with SubmissionWriter(path, house.fmt) as writer:
        for n, (id, usage) in enumerate(zip(house.ids, house.usage, strict=True)):
            mask = house.truth[id].copy()
            if usage == "Public":
                mask[n % 7] = ~mask[n % 7]
            elif not good_in_private:
                mask = ~mask
            writer.write(id, rle.encode(mask))
    return path.read_bytes()


def played(folder, good):
    """A host on which alice is good, or bad, in private; bob and carol are between, in public above and below her."""
    house = House(folder, test_groups=4)
    house.submit("bob", 0.02)
    house.send("alice", file_of(house, good))
    house.submit("carol", 0.3)
    house.user("eve")
    for name in ("alice", "eve"):
        house.host.accounts.set_password(house.users[name], PASSWORD)
    house.grade()
    return house


def walk(house):
    """(what was asked, the answer without what the file's bytes tell, statements, steps) of every way to ask."""
    row = house.host.db.one("SELECT * FROM submissions WHERE id = 2")
    found = []
    Watched.statements.clear()
    app = make_app(house.host)
    for who in ("alice", "eve", None):
        http = TestClient(app, base_url="http://127.0.0.1")
        if who:
            http.cookies.set(COOKIE, house.host.accounts.log_in(who, PASSWORD, house.clock())[0])
        token = {"authorization": f"Bearer {house.tokens[who]}"} if who else {}
        ways = [("GET", p) for p, m in http.get("/openapi.json").json()["paths"].items() if "get" in m]
        ways += [("PAGE", page) for page in PAGES] + [("CALL", name) for name in CALLS]
        for kind, path in ways:
            if path.endswith("/events"):
                continue
            Watched.statements.clear()
            before = Watched.steps
            where = path.replace("{slug}", "cars").replace("{number}", "2")
            body = {"competitionName": "cars", "sortBy": "SUBMISSION_SORT_BY_PRIVATE_SCORE"}
            answer = (
                http.post(SERVICE + path, json=body, headers=token)
                if kind == "CALL"
                else http.get(where, headers=token if kind == "GET" else {})
            )
            assert kind != "PAGE" or who is None or answer.url.path == where.partition("?")[0]  # no login page
            text = "" if path == "DownloadLeaderboard" else answer.text.replace(row["sha256"], "-")
            text = re.sub(VOLATILE, "-", text.replace(str(row["bytes"]), "-"))
            found.append(((who, where), answer.status_code, text, list(Watched.statements), Watched.steps - before))
    return found


@pytest.fixture
def watched(monkeypatch):
    plain = sqlite3.connect
    monkeypatch.setattr(database.sqlite3, "connect", lambda *a, **more: plain(*a, factory=Watched, **more))


def test_the_private_score_changes_neither_an_answer_nor_the_way_to_it(tmp_path, watched):
    houses = [played(tmp_path / name, name == "good") for name in ("good", "bad")]
    private = [house.host.db.one("SELECT public, private FROM submissions WHERE id = 2") for house in houses]
    assert private[0]["public"] == private[1]["public"]
    assert private[0]["private"] > 0.9
    assert private[1]["private"] < 0.1
    good, bad = map(walk, houses)
    assert len(good) == len(bad) > 60
    for a, b in zip(good, bad, strict=True):
        assert a[0] == b[0]
        assert a[1:3] == b[1:3], a[0]
        assert a[4] == b[4], a[0]
        assert [s.split(" WHERE")[0] for s in a[3]] == [s.split(" WHERE")[0] for s in b[3]], a[0]
    assert sum(step for *_, step in good) > 1000  # it was counted


def test_a_way_that_looks_at_private_scores_is_seen(tmp_path, watched):
    """The check itself: an order by private score takes other steps."""
    steps = []
    for name in ("good", "bad"):
        house = played(tmp_path / name, name == "good")
        before = Watched.steps
        house.host.db.all("SELECT id FROM submissions WHERE private > 0.5")
        steps.append(Watched.steps - before)
    assert steps[0] != steps[1]
