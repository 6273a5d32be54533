"""Threads that grade: no error of a competition, the disk or a process ends them, and old answers are dropped."""

from __future__ import annotations

import contextlib
import sys
import threading
import time

import pytest

from hosting import client, serving
from podium.errors import BusyError, DataError
from podium.host.server import graders
from podium.host.server.graders import SCRATCH, Graders, Worker, record
from podium.host.server.marking import Marker
from podium.host.server.standings import standings
from podium.host.server.submissions import rescore

GOOD = {"public": 0.9, "private": 0.8, "metric": "dice"}


class Instant:
    """A worker that answers at once, without a process; what it is given first may be errors to raise."""

    first: list

    def __init__(self, host):
        pass

    def grade(self, row, stop):
        answer = self.first.pop(0) if self.first else GOOD
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        pass


@pytest.fixture
def instant(monkeypatch):
    monkeypatch.setattr(graders, "Worker", Instant)
    monkeypatch.setattr(graders, "PAUSE_SECONDS", 0.05)
    Instant.first = []
    return Instant


@contextlib.contextmanager
def grading(house):
    running = Graders(house.host)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def waits(house, status, count=1, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rows = [r["status"] for r in house.host.db.all("SELECT status FROM submissions")]
        if rows.count(status) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(rows)


ERRORS = [
    OSError(12, "no memory for a process"), BusyError("a long backup"), ValueError("half a line"), DataError("torn"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_an_error_of_grading_ends_no_thread(house, instant, error):
    house.submit("alice")
    instant.first = [error]
    with grading(house):
        waits(house, "scored")


def test_an_error_of_recording_leaves_it_queued(house, instant, monkeypatch):
    house.submit("alice")
    real, failures = graders.record, [BusyError("a long backup")]

    def fails_once(*given):
        if failures:
            raise failures.pop()
        return real(*given)

    monkeypatch.setattr(graders, "record", fails_once)
    with grading(house):
        waits(house, "scored")


def test_what_cannot_go_back_at_once_goes_back_later(house, instant, monkeypatch):
    house.submit("alice")
    instant.first = [OSError("no room")]
    write, tries = house.host.db.write, []

    def full_for_two(self, row):
        tries.append(row["id"])
        if len(tries) > 2:
            monkeypatch.setattr(house.host.db, "write", write)
            return real(self, row)
        monkeypatch.setattr(house.host.db, "write", full)
        return real(self, row)

    def full(**_):
        raise OSError(28, "no space left")

    real = Graders._give_back
    monkeypatch.setattr(Graders, "_give_back", full_for_two)
    with grading(house):
        waits(house, "scored")
    assert len(tries) == 3


def test_halves_of_characters_in_a_reason_are_kept(house, instant):
    house.submit("alice")
    instant.first = [{"error": "'\ud800' is no number", "detail": ""}]
    with grading(house):
        waits(house, "failed")


def test_rules_that_cannot_be_read_stop_nothing_but_their_competition(house, instant, caplog):
    path = house.hosted.folder / "rules.toml"
    good = path.read_text()
    house.submit("alice")
    path.write_text(good.replace("daily_limit = 5", "daily_limit = fifty"))
    with serving(house.host) as port, client(port) as http:
        assert http.get("/").status_code == 200
        assert http.get("/api/competitions").json() == []
        assert not [r for r in house.host.db.all("SELECT * FROM submissions") if r["status"] == "scored"]
        path.write_text(good)
        waits(house, "scored")
        assert len(http.get("/api/competitions").json()) == 1
    assert len([r for r in caplog.records if "cars is left out" in r.getMessage()]) <= 2  # not with every page


def test_an_answer_from_before_a_rescore_is_dropped(house):
    house.submit("alice")
    grader = Graders(house.host)
    old = grader._claim()
    assert rescore(house.host, house.hosted) == 1
    assert not record(house.host, old, GOOD)
    new = grader._claim()
    assert new["id"] == old["id"]
    assert not record(house.host, old, GOOD)
    assert grader._give_back(old)
    assert house.host.db.one("SELECT status FROM submissions")["status"] == "grading"
    assert record(house.host, new, GOOD | {"public": 0.5})
    assert house.host.db.one("SELECT public FROM submissions")["public"] == 0.5


HALF = """
import sys
print('{"ready": true}', flush=True)
sys.stdin.readline()
print('{"public": 0.', end="", flush=True)
"""


def test_half_an_answer_is_a_death_and_nothing_stays_on_the_disk(house, monkeypatch, tmp_path):
    """A process that unpacked something and was killed while it answered."""
    (tmp_path / "half.py").write_text(HALF + "import tempfile; open(tempfile.mkstemp()[1], 'w').write('x' * 1000)")
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path / 'half.py'}\n")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").chmod(0o755)
    house.submit("alice")
    worker = Worker(house.host)
    answer = worker.grade(house.host.db.one("SELECT * FROM submissions"), threading.Event())
    assert answer["detail"] == "died twice"
    worker.close()
    assert list((house.folder / SCRATCH).iterdir()) == []


def test_what_a_killed_server_left_unpacked_is_swept(house, instant):
    left = house.folder / SCRATCH / "tmpx" / "submission.csv"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x" * 1000)
    with grading(house):
        assert not left.exists()


def test_under_the_ladder_what_failed_when_graded_anew_is_shown_no_more(house):
    house.rules(ladder_step=0.01)
    grader = Graders(house.host)
    house.submit("alice")
    record(house.host, grader._claim(), GOOD)
    rescore(house.host, house.hosted)
    record(house.host, grader._claim(), {"error": "a torn solution", "detail": ""})
    assert house.host.db.one("SELECT shown FROM submissions")["shown"] is None
    rescore(house.host, house.hosted)
    house.clock.forward(days=60)
    assert standings(house.host, house.hosted, None, private=True) == []
    record(house.host, grader._claim(), GOOD)
    assert len(standings(house.host, house.hosted, None, private=True)) == 1


METRIC = """
def mine(counts):
    return {score}
mine.kind = "overlap"
"""


def test_an_edited_metric_scores_what_is_graded_anew(house):
    folder = house.hosted.folder
    (folder / "mine.py").write_text(METRIC.format(score=0.25))
    spec = folder / "competition.toml"
    spec.write_text(spec.read_text().replace('metric = "dice"', 'metric = "mine.py:mine:max"'))
    house.submit("alice")
    marker = Marker(isolated=True)
    house.grade(marker)
    (folder / "mine.py").write_text(METRIC.format(score=0.75))  # as long, and within the same second
    rescore(house.host, house.hosted)
    house.grade(marker)
    assert [row["public"] for row in house.host.db.all("SELECT public FROM grades ORDER BY id")] == [0.25, 0.75]
