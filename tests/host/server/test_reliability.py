"""What survives: kills at random moments, backups while serving, graders that die, hang or call home."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from hosting import House, client, serving, wait_graded
from podium.errors import DataError, StorageError
from podium.host.server import backup
from podium.host.server.backup import back_up, restore
from podium.host.server.host import Host
from podium.host.server.quota import limits
from podium.host.server.submissions import submissions
from podium.host.server.teams import team_of

ROUNDS = int(os.environ.get("PODIUM_KILL_ROUNDS", "2"))
"""Kills of the server; more of them by PODIUM_KILL_ROUNDS=100."""

CLIENTS = 20

SERVE = """
import sys; from pathlib import Path; from datetime import datetime, UTC
from podium.host.server.host import Host; from podium.host.server.serving import serve
serve(Host(Path(sys.argv[1]), lambda: datetime(2031, 5, 1, 12, tzinfo=UTC)), port=int(sys.argv[2]))
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def started(house, port):
    command = [sys.executable, "-c", SERVE, str(house.folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError("the server ended")
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/host", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return process
    raise AssertionError("the server did not start")


class Submitter(threading.Thread):
    """Hands in one file after another until told to stop; keeps what was accepted, by content."""

    sent: ClassVar = Counter()

    def __init__(self, house, port, name, accepted, stop):
        super().__init__()
        self.data = house.csv(0.1).read_bytes()
        self.house, self.port, self.name_, self.accepted, self.halt = house, port, name, accepted, stop

    def run(self):
        with client(self.port, self.house.tokens[self.name_]) as http:
            while not self.halt.is_set():
                try:
                    self.once(http)
                except (httpx.TransportError, KeyError):
                    time.sleep(0.05)

    def once(self, http):
        self.sent[self.name_] += 1
        data = self.data + b"\n" * self.sent[self.name_]  # another file each time
        asked = http.post("/api/competitions/cars/uploads", json={"file_name": "a.csv", "size": len(data)})
        token = asked.json()["token"]
        http.put(f"/api/uploads/{token}", content=data)
        made = http.post("/api/competitions/cars/submissions", json={"token": token, "message": ""})
        if made.status_code == 201:
            self.accepted.append((self.name_, made.json()["id"]))


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_and_grade_nothing_twice(tmp_path):
    house = House(tmp_path / "house", rules={"daily_limit": 10_000, "submissions_an_hour": 100_000}, graders=1)
    names = [f"user{n:02d}" for n in range(CLIENTS)]
    for name in names:
        house.user(name)
    accepted, port, dice = [], free_port(), random.Random(1)
    for _ in range(ROUNDS):
        process, stop = started(house, port), threading.Event()
        threads = [Submitter(house, port, name, accepted, stop) for name in names]
        [t.start() for t in threads]
        before, end = len(accepted), time.monotonic() + 60
        while len(accepted) == before and time.monotonic() < end:
            time.sleep(0.005)
        assert len(accepted) > before, "nobody could submit"
        time.sleep(dice.uniform(0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        stop.set()
        [t.join() for t in threads]
    process = started(house, port)
    wait_graded(house, 900)
    process.terminate()
    process.wait()
    rows = {row["id"]: row for row in house.host.db.all("SELECT * FROM submissions")}
    assert len(accepted) >= ROUNDS
    assert not [number for _, number in accepted if number not in rows]
    assert all(row["status"] == "scored" for row in rows.values())
    twice = house.host.db.all("SELECT submission FROM grades GROUP BY submission HAVING count(*) > 1")
    assert twice == []
    for name in names:
        mine = team_of(house.host, "cars", house.users[name])
        if mine:
            own = submissions(house.host, house.hosted, mine.id)
            assert limits(house.host, house.hosted, mine.id).total == len(own)
            assert {n for who, n in accepted if who == name} <= {s.id for s in own}
    print(f"{ROUNDS} kills, {len(rows)} submissions, {len(accepted)} of them were told to be accepted")


@pytest.mark.slow
def test_a_backup_while_serving_is_whole(tmp_path):
    house = House(tmp_path / "house", rules={"daily_limit": 10_000, "submissions_an_hour": 100_000})
    house.user("alice")
    accepted, stop = [], threading.Event()
    with serving(house.host) as port:
        thread = Submitter(house, port, "alice", accepted, stop)
        thread.start()
        while len(accepted) < 3:
            time.sleep(0.02)
        done = back_up(house.host, tmp_path / "backup")
        before = len(accepted)
        while len(accepted) < before + 3:
            time.sleep(0.02)
        stop.set()
        thread.join()
    assert 3 <= done.submissions <= before + 1
    made = restore(tmp_path / "backup", tmp_path / "new")
    assert made.submissions == done.submissions
    again = Host(tmp_path / "new", house.clock)
    assert again.accounts.of_token(house.tokens["alice"]) is not None
    with serving(again) as port, client(port, house.tokens["alice"]) as http:
        listed = http.get("/api/competitions/cars/submissions").json()
        assert {s["id"] for s in listed} == set(range(1, made.submissions + 1))
        for _ in range(400):
            if not again.db.one("SELECT 1 FROM submissions WHERE status IN ('queued', 'grading')"):
                break
            time.sleep(0.05)
        assert http.get("/api/competitions/cars/board").json()[0]["name"] == "alice"
    with pytest.raises(StorageError):
        restore(tmp_path / "backup", tmp_path / "new")
    blob = again.db.one("SELECT blob FROM submissions")[
        "blob"
    ]  # a later upload's file, which no row names, may be there
    (tmp_path / "backup" / "uploads" / blob).unlink()
    with pytest.raises(DataError):
        restore(tmp_path / "backup", tmp_path / "newer")
    assert not (tmp_path / "newer").exists()


def test_a_backup_has_what_was_there_then_and_shares_no_file_that_is_edited(tmp_path, monkeypatch):
    house = House(tmp_path / "house")
    house.submit("alice")
    folder, given_up = house.hosted.folder, house.host.blobs / ("0" * 64)
    given_up.write_bytes(b"x")
    share, copied = backup.share_file, tmp_path / "backup"

    def vanishing(source, target):
        given_up.unlink(missing_ok=True)  # an upload that is given up after the folder was listed
        share(source, target)

    monkeypatch.setattr(backup, "share_file", vanishing)
    assert back_up(house.host, copied).submissions == 1
    assert {p.name for p in (copied / "uploads").iterdir()} == {row["blob"] for row in house.host.db.all(BLOBS)}
    before = (folder / "solution.csv").read_bytes()
    for name in ("solution.csv", "rules.toml", "description.md", "competition.toml"):
        with open(folder / name, "ab") as f:  # as editors do that write in place
            f.write(b"# corrected")
    inside = copied / "competitions" / "cars"
    assert (inside / "solution.csv").read_bytes() == before
    assert not [p for p in inside.glob("*.*") if p.read_bytes().endswith(b"# corrected")]
    assert os.path.samefile(folder / "bundle.zip", inside / "bundle.zip")
    (house.host.blobs / house.host.db.one(BLOBS)["blob"]).unlink()
    with pytest.raises(DataError, match="the files of 1 submissions are not there"):
        back_up(house.host, tmp_path / "other")
    assert not (tmp_path / "other").exists()


BLOBS = "SELECT blob FROM submissions"

OWN = """
import os, socket, time
import numpy as np

def mine(counts):
    {body}
    return 0.5
mine.kind = "overlap"
"""


def house_with_metric(tmp_path, body, **settings):
    house = House(tmp_path / "house", **settings)
    (house.hosted.folder / "mine.py").write_text(OWN.format(body=body))
    spec = house.hosted.folder / "competition.toml"
    spec.write_text(spec.read_text().replace('metric = "dice"', 'metric = "mine.py:mine:max"'))
    return house


def outcome(house):
    row = house.host.db.one("SELECT * FROM submissions ORDER BY id DESC")
    return row["status"], row["error"], house.host.db.one("SELECT error FROM grades ORDER BY id DESC")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "settings", "status", "told", "detail"),
    [
        (
            "socket.create_connection(('127.0.0.1', 80), 1)",
            {},
            "failed",
            "the organisers can see why",
            "Operation not permitted",
        ),
        ("time.sleep(60)", {"grade_seconds": 5}, "failed", "takes longer than 5 s", ""),
        ("x = np.ones(10**9)", {"grade_memory_mb": 1024}, "failed", "more memory than this host allows", "MemoryError"),
        ("os._exit(3)", {}, "failed", "stopped a grading process", "died twice"),
        ("raise ValueError('label of car3_01 is 5')", {}, "failed", "the organisers can see why", "label of car3_01"),
        ("print('hello')", {}, "scored", "", ""),
    ],
    ids=["network", "time", "memory", "death", "an error that tells", "it prints"],
)
def test_an_own_metric_is_kept_within_bounds(tmp_path, body, settings, status, told, detail):
    house = house_with_metric(tmp_path, body, **settings)
    house.submit("alice")
    with serving(house.host):
        wait_graded(house, 60)
        found, error, kept = outcome(house)
        assert (found, told in error, detail in kept["error"]) == (status, True, True), (found, error, kept["error"])
        assert "car3_01" not in error
        (house.hosted.folder / "mine.py").write_text(OWN.format(body="pass"))  # and the next is graded
        house.submit("alice", seed=1)
        wait_graded(house, 60)
        assert outcome(house)[0] == "scored"


def test_a_process_without_network_cannot_get_it_back():
    code = """
import socket, subprocess, sys
from podium.host.server import seccomp
assert seccomp.cut_network()
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    try:
        socket.socket(family)
    except PermissionError:
        continue
    sys.exit("a socket")
child = "import socket; socket.socket()"
assert subprocess.run([sys.executable, "-c", child], stderr=subprocess.DEVNULL).returncode
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_line_of_a_gigabyte_fails_and_does_no_harm(tmp_path):
    house = House(tmp_path / "house", upload_mb=2048, grade_memory_mb=2048)
    user = house.user("alice")
    from podium.host.server.submissions import hand_in
    from podium.host.server.uploads import Arrival, start_upload

    piece, pieces = b"1 1 " * (1 << 18), 1024
    size = len(piece) * pieces + 30
    token = start_upload(house.host, house.hosted, user, "a.csv", size)
    arrival = Arrival(house.host, token)
    arrival.write(b"img,rle_mask\ncar3_01.jpg,".ljust(30))
    for _ in range(pieces):
        arrival.write(piece)
    arrival.finish()
    hand_in(house.host, house.hosted, user, token, "")
    with serving(house.host):
        wait_graded(house, 120)
    status, error, _ = outcome(house)
    assert status == "failed"
    assert 0 < len(error) < 10_100
    Path(house.host.blobs / house.host.db.one("SELECT blob FROM submissions")["blob"]).unlink()


@pytest.mark.slow
def test_random_requests_find_no_fault_of_the_server(tmp_path):
    """schemathesis over the OpenAPI description, as a user and as an organiser."""
    house = House(tmp_path / "house", rules={"daily_limit": 10_000})
    house.user("olga", organiser=True)
    house.submit("alice")
    house.grade()
    command = Path(sys.executable).with_name("schemathesis")
    with serving(house.host) as port:
        for who in ("alice", "olga"):
            done = subprocess.run(
                [
                    str(command), "run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "not_a_server_error",
                    "--max-examples", "8", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color",
                    "--exclude-path-regex", "events|/me/tokens/",
                    "-H", f"Authorization: Bearer {house.tokens[who]}",
                ],
                capture_output=True, text=True, cwd=tmp_path,
                env=os.environ | {"NO_PROXY": "127.0.0.1"},
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
            assert "not_a_server_error" not in done.stdout
