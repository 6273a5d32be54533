"""What happens at the same moment: mergers and submissions, picks and the end, slow uploads and everybody else."""

from __future__ import annotations

import os
import select
import socket
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from hosting import House, client, serving, uploaded
from podium.host.server import guard
from podium.host.server import serving as serve
from podium.host.server import submissions as subs
from podium.host.server.offers import answer, propose_merge
from podium.host.server.quota import limits
from podium.host.server.refusals import Forbidden, Refusal
from podium.host.server.standings import standings
from podium.host.server.teams import team_of
from podium.host.server.uploads import start_upload


def ready(house, name, seeds):
    """Uploads that only have to be handed in."""
    tokens = []
    for seed in seeds:
        data = house.csv(0.1, seed).read_bytes()
        tokens.append(start_upload(house.host, house.hosted, house.user(name), "a.csv", len(data)))
        house.put(tokens[-1], data)
    return tokens


@pytest.mark.parametrize("after", range(0, 7, 2))
def test_a_merger_while_both_teams_submit(house, after):
    """Whenever it comes: all belongs to the one team, whose quota then holds for both."""
    house.rules(daily_limit=6)
    tokens = {"alice": ready(house, "alice", range(6)), "bob": ready(house, "bob", range(10, 16))}
    alice, bob = house.users["alice"], house.users["bob"]
    offer = propose_merge(house.host, house.hosted, alice, team_of(house.host, "cars", bob).id)
    told, merged, refused, gate = [], [], [], threading.Barrier(3)

    def hand_in(name):
        gate.wait()
        for token in tokens[name]:
            try:
                told.append(subs.hand_in(house.host, house.hosted, house.users[name], token, "").id)
            except Refusal as error:
                refused.append(error.found)

    def merge():
        gate.wait()
        while len(told) < after:
            time.sleep(0.0005)
        try:
            merged.append(answer(house.host, house.hosted, bob, offer.id, True))
        except Refusal as error:
            refused.append(error.found)

    threads = [threading.Thread(target=hand_in, args=(n,)) for n in tokens] + [threading.Thread(target=merge)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    rows = house.host.db.all("SELECT * FROM submissions")
    assert sorted(r["id"] for r in rows) == sorted(told)
    if not merged:  # it came too late
        assert len(rows) == 12
        assert [("submissions together" in r) for r in refused] == [True]
        return
    assert all("the quota is used up: 6 of 6" in r for r in refused)
    team = merged[0].id
    assert {m.id for m in merged[0].members} == {alice.id, bob.id}
    assert {r["team"] for r in rows} == {team}
    assert len(rows) == 6 == limits(house.host, house.hosted, team).today
    assert house.host.db.one("SELECT count(*) AS n FROM uploads WHERE submission IS NULL")["n"] == 6


def waiting_for_the_database(house, work):
    """Do ``work`` while another process writes: it is asked for before the end, and its turn comes after it."""
    told = []

    def attempt():
        try:
            told.append(work())
        except Refusal as error:
            told.append(error)

    other = sqlite3.connect(house.host.db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=attempt)
    thread.start()
    time.sleep(0.2)
    assert not told
    house.clock.now = house.hosted.rules.end
    other.execute("COMMIT")
    other.close()
    thread.join()
    return told[0]


def test_a_pick_whose_turn_comes_after_the_end_is_refused_and_the_board_does_not_move(house):
    house.rules(final_picks=1)
    good, bad = house.submit("alice", 0.05), house.submit("alice", 0.4, seed=1)
    house.submit("bob", 0.2, seed=2)
    house.grade()
    alice = house.users["alice"]
    subs.pick(house.host, house.hosted, alice, [good.id])
    told = waiting_for_the_database(house, lambda: subs.pick(house.host, house.hosted, alice, [bad.id]))
    assert isinstance(told, Forbidden)
    assert [r.name for r in standings(house.host, house.hosted, None, private=True)] == ["alice", "bob"]


def test_a_submission_whose_turn_comes_after_the_end_is_late(house):
    house.rules(end="2031-05-01T13:00:00Z")
    (token,) = ready(house, "alice", [1])
    alice = house.users["alice"]
    made = waiting_for_the_database(house, lambda: subs.hand_in(house.host, house.hosted, alice, token, ""))
    assert made.late
    house.grade()
    assert standings(house.host, house.hosted, None) == []


def test_picks_up_to_the_end_leave_the_last_one_that_was_taken(house):
    house.rules(final_picks=1)
    for seed in range(4):
        house.submit("alice", 0.1 * (seed + 1), seed=seed)
    house.grade()
    taken, stop = [], threading.Event()
    alice, lock = house.users["alice"], threading.Lock()

    def pick(number):
        while not stop.is_set():
            with lock:  # so that the order of answers is that of the picks
                try:
                    taken.append(subs.pick(house.host, house.hosted, alice, [number])[0].id)
                except Forbidden:
                    return

    threads = [threading.Thread(target=pick, args=(n,)) for n in (1, 2, 3, 4)]
    [t.start() for t in threads]
    time.sleep(0.2)
    house.clock.now = house.hosted.rules.end
    [t.join(20) for t in threads]
    stop.set()
    rows = house.host.db.all("SELECT id FROM submissions WHERE picked = 1")
    assert [r["id"] for r in rows] == [taken[-1]]
    assert standings(house.host, house.hosted, None, private=True)[0].score == pytest.approx(
        house.host.db.one("SELECT private FROM submissions WHERE id = ?", taken[-1])["private"]
    )


# slow ones


def dripping(port, tokens, size):
    """Connections that each have begun to send an upload."""
    found = []
    for token in tokens:
        s = socket.create_connection(("127.0.0.1", port), timeout=30)
        s.sendall(f"PUT /api/uploads/{token} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
        found.append(s)
    return found


def test_uploads_that_drip_hold_up_nobody_and_leave_nothing(tmp_path, monkeypatch):
    house = House(tmp_path / "house")
    size, names = 2000, ["alice", "bob", "carol"]
    for name in (*names, "eve"):
        house.user(name)
    tokens = [
        start_upload(house.host, house.hosted, house.users[n], "a.csv", size) for n in names for _ in range(20)
    ]  # more than there are threads
    with serving(house.host) as port, client(port) as visitor, client(port, house.tokens["eve"]) as eve:
        slow = dripping(port, tokens, size)
        [s.sendall(b"x") for s in slow]
        assert visitor.get("/").status_code == 200  # pages come, and others submit
        [s.sendall(b"x") for s in slow]
        assert uploaded(eve, house.csv(0.1).read_bytes()).status_code == 201
        assert select.select(slow, [], [], 0)[0] == []  # while all of them are still taken
        monkeypatch.setattr(guard, "IDLE_SECONDS", 0.2)
        [s.sendall(b"x") for s in slow]
        answers = [s.recv(1000) for s in slow]
        assert all(a.startswith(b"HTTP/1.1 408") for a in answers), answers[0]
        assert all(b"connection: close" in a.lower() for a in answers)
        [s.close() for s in slow]
        assert not list(house.host.blobs.glob(".*.tmp"))
        assert house.host.db.one("SELECT count(sha256) AS n FROM uploads WHERE submission IS NULL")["n"] == 0
        monkeypatch.undo()
        assert visitor.put(f"/api/uploads/{tokens[0]}", content=b"x" * size).status_code == 201  # it may come again
    mine = team_of(house.host, "cars", house.users["alice"])
    assert limits(house.host, house.hosted, mine.id).total == 0


def test_an_upload_that_never_stalls_is_given_up_all_the_same_if_it_is_too_slow(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 1.0)
    house = House(tmp_path / "house")
    token = start_upload(house.host, house.hosted, house.user("alice"), "a.csv", 2000)
    with serving(house.host) as port:
        (slow,) = dripping(port, [token], 2000)
        while not select.select([slow], [], [], 0.05)[0]:
            slow.sendall(b"x")
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
        slow.close()


def test_one_upload_has_few_connections(tmp_path, monkeypatch):
    house = House(tmp_path / "house")
    token = start_upload(house.host, house.hosted, house.user("alice"), "a.csv", 10**6)
    with serving(house.host) as port, client(port) as http:
        stalled = dripping(port, [token] * 3, 10**6)
        while len(list(house.host.blobs.glob(".*.tmp"))) < 3:
            time.sleep(0.02)
        assert http.put(f"/api/uploads/{token}", content=b"x" * 10**6).status_code == 429
        monkeypatch.setattr(guard, "IDLE_SECONDS", 0.2)
        [s.sendall(b"x") for s in stalled]
        assert all(s.recv(100).startswith(b"HTTP/1.1 408") for s in stalled)
        [s.close() for s in stalled]
        monkeypatch.undo()
        assert http.put(f"/api/uploads/{token}", content=b"x" * 10**6).status_code == 201
    assert [p.name for p in house.host.blobs.iterdir()] == [house.host.db.one("SELECT hash FROM uploads")["hash"]]


def test_the_time_that_an_upload_has_grows_with_its_size():
    made = guard.Guard(None, [], 3600)
    assert made._seconds(0) == guard.BODY_SECONDS
    assert made._seconds(80 * 2**20) == 3600
    assert made._seconds(2**20) == guard.BODY_SECONDS + 128
    assert made._seconds(None) == 3600


def test_a_connection_without_a_request_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.5)
    house = House(tmp_path / "house")
    with serving(house.host) as port:
        silent, slow = (socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2))
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localh")
        assert silent.recv(10) == slow.recv(10) == b""
        silent.close(), slow.close()
        with client(port) as http:
            assert http.get("/").status_code == 200


def test_threads_that_ended_leave_no_connection_open(house):
    db = house.host.db

    def opened():
        return len([f for f in Path("/proc/self/fd").iterdir() if os.path.realpath(f) == str(db.path)])

    before = opened()
    for _ in range(30):
        thread = threading.Thread(target=db.one, args=("SELECT 1",))
        thread.start()
        thread.join()
    assert opened() < before + 5  # SQLite itself keeps a closed one or two to use them again
    assert db.one("SELECT 1")[0] == 1  # those of threads that live are kept


def test_of_two_changes_of_the_rules_none_is_lost(house, monkeypatch):
    """Each reads, waits, and writes; a thread of the server and, with its own record of the files, the command line."""
    from podium.host.server import competitions

    real, other = competitions.write_atomic, competitions.Competitions(house.host.competitions.folder)

    def slow(path, text):
        time.sleep(0.1)
        real(path, text)

    monkeypatch.setattr(competitions, "write_atomic", slow)
    changes = [(house.host.competitions, {"daily_limit": 7}), (house.host.competitions, {"team_size": 3})]
    changes.append((other, {"final_picks": 4}))
    threads = [threading.Thread(target=c.change_rules, args=("cars", change)) for c, change in changes]
    [t.start() for t in threads]
    [t.join() for t in threads]
    rules = house.hosted.rules
    assert (rules.daily_limit, rules.team_size, rules.final_picks) == (7, 3, 4)
