"""The official, unmodified kaggle command against a host: two teams, from the list of competitions to the board."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from hosting import House, Kaggle, client, serving, wait_graded

pytestmark = pytest.mark.slow


class Relay:
    """A TCP relay to a port that can hold back or cut what comes from there after some bytes."""

    def __init__(self, port, after, cut):
        self.port, self.after, self.cut, self.armed = port, after, cut, True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own = self.listener.getsockname()[1]
        self.seen = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()
            threading.Thread(target=self._down, args=(far, near), daemon=True).start()

    def _up(self, near, far):
        with far:
            while data := _received(near):
                self.seen += data
                far.sendall(data)

    def _down(self, far, near):
        passed = 0
        with near:
            while data := _received(far):
                passed += len(data)
                if self.armed and passed > self.after:
                    self.armed = False
                    if self.cut:
                        near.shutdown(socket.SHUT_RDWR)
                        return
                    time.sleep(3600)
                try:
                    near.sendall(data)
                except OSError:
                    return

    def close(self):
        self.listener.close()


def _received(s):
    try:
        return s.recv(1 << 16)
    except OSError:
        return b""


CLIENTS = {"2.2.4": "0.1.37", "2.2.5": "0.1.38"}
"""Versions of the kaggle command that have to work, each with that of its kagglesdk."""


@pytest.fixture(scope="module", params=CLIENTS)
def kaggle(request, tmp_path_factory):
    """Makes commands of one version: the one installed here, or one fetched as it is published, into a folder apart."""
    version, more = request.param, {}
    if importlib.metadata.version("kaggle") != version:
        folder = tmp_path_factory.mktemp("kaggle")
        wanted = [f"kaggle=={version}", f"kagglesdk=={CLIENTS[version]}"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *wanted],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            pytest.fail(f"kaggle {version} cannot be installed, so nothing is known about it: {done.stderr[-1000:]}")
        more = {"command": (sys.executable, str(folder / "bin" / "kaggle")), "path": folder}

    def make(port, folder, **who):
        made = Kaggle(port, folder, **who, **more)
        said = subprocess.run([*made.command[:-1], "--version"], env=made.env, capture_output=True, text=True).stdout
        assert version in said, said
        made.version = version
        return made

    return make


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_teams_through_a_competition(tmp_path, kaggle):
    house = House(tmp_path / "house", rules={"daily_limit": 2})
    for name in ("alice", "bob"):
        house.user(name)
    with serving(house.host) as port:
        alice = kaggle(port, tmp_path / "alice", token=house.tokens["alice"])
        bob = kaggle(port, tmp_path / "bob", username="bob", key=house.tokens["bob"])
        newer = alice.version != "2.2.4"  # which has no `submission REF` and prints no number

        assert re.search(r"^cars +2031-05-31 12:00:00 +Community +Kudos +0 +False", alice("list"), re.M)
        files = alice("files", "cars", "--page-size", "200")
        assert "sample_submission.csv" in files
        assert "test/car3_01.jpg" in files

        bob("download", "cars", "-f", "sample_submission.csv", "-q")
        bob("download", "cars", "-q")
        with zipfile.ZipFile(bob.folder / "cars.zip") as z:
            assert z.read("sample_submission.csv") == (bob.folder / "sample_submission.csv").read_bytes()
            assert {i.date_time for i in z.infolist()} == {(2020, 1, 1, 0, 0, 0)}

        said = alice("submit", "cars", "-f", str(house.csv(0.2)), "-m", "first, of alice")
        assert ("Submission ref: 1" in said) == newer
        assert "1 submissions remaining today." in said
        assert "Successfully submitted to cars" in said
        bob("submit", "cars", "-f", str(house.csv(0.1)), "-m", "first, of bob")
        bad = tmp_path / "bad.csv"
        bad.write_text("img,rle_mask\ncar3_01.jpg,1 99999\n")
        bob("submit", "cars", "-f", str(bad), "-m", "bad")
        wait_graded(house)

        mine = alice("submissions", "cars")
        assert "SubmissionStatus.COMPLETE" in mine
        assert "first, of alice" in mine
        assert "of bob" not in mine
        if newer:
            told = bob("submission", "3")
            assert re.search(r"Status: +ERROR", told)
            assert "11 missing id" in told
            assert str(house.folder) not in told
            assert "no submission 3 of yours" in alice("submission", "3", code=1)
        else:
            assert "SubmissionStatus.ERROR" in bob("submissions", "cars")
        assert "Remaining today: 1" in bob("submission-limits", "cars")  # the bad file used nothing

        board = alice("leaderboard", "cars", "--show").splitlines()
        assert [line.split()[1] for line in board if re.match(r" +\d", line)] == ["bob", "alice"]
        alice("leaderboard", "cars", "--download", "-q")
        with zipfile.ZipFile(alice.folder / "cars.zip") as z:
            assert z.read(z.namelist()[0]).decode().splitlines()[1].split(",")[:3] == ["1", "2", "bob"]
        assert re.search(r"0\.\d{5}", alice("team-submissions", "2"))

        alice("submit", "cars", "-f", str(house.csv(0.15)), "-m", "second")
        refused = alice("submit", "cars", "-f", str(house.csv(0.05)), "-m", "third", code=1)
        assert "the quota is used up: 2 of 2 submissions on 2031-05-01 (UTC)" in refused
        uploads = house.host.db.one("SELECT count(*) AS n FROM uploads")["n"]
        assert uploads == 4  # nothing of the third was begun

        house.rules(paused=True)
        refused = bob("submit", "cars", "-f", str(house.csv(0.05)), "-m", "third", code=1)
        assert (
            refused.strip() == "cars is paused: nothing can be submitted for now"
        )  # and no word of kaggle.com's rules
        house.rules(paused=False)

        house.host.accounts.revoke(house.users["alice"], house.clock())
        assert "Authentication required" in alice("list", code=1)


def test_private_scores_come_with_the_end_only(tmp_path, kaggle):
    house = House(tmp_path / "house")
    house.submit("alice", 0.2)
    house.grade()
    with serving(house.host) as port:
        alice = kaggle(port, tmp_path / "alice", token=house.tokens["alice"])
        before = alice("submissions", "cars", "-v")
        house.clock.forward(days=31)
        after = alice("submissions", "cars", "-v")
        row = house.host.db.one("SELECT private FROM submissions")
        assert f"{row['private']:.5f}" not in before
        assert f"{row['private']:.5f}" in after


def test_a_download_that_is_cut_goes_on(tmp_path, kaggle):
    house = House(tmp_path / "house")
    big = house.hosted.folder / "data" / "big.bin"
    big.write_bytes(bytes(range(256)) * 40_000)  # 10 MB
    house.user("alice")
    with serving(house.host) as port:
        cutting = Relay(port, after=4_000_000, cut=True)
        alice = kaggle(cutting.own, tmp_path / "alice", token=house.tokens["alice"])
        said = alice("download", "cars", "-f", "big.bin")
        assert "Resuming from" in said
        assert b"If-Range" in cutting.seen
        assert digest(alice.folder / "big.bin") == digest(big)
        cutting.close()

        stalling = Relay(port, after=6_000_000, cut=False)
        bob = kaggle(stalling.own, tmp_path / "bob", token=house.tokens["alice"])
        target = bob.folder / "big.bin"
        process = subprocess.Popen(
            [*bob.command, "download", "cars", "-f", "big.bin", "-q"], cwd=bob.folder, env=bob.env
        )
        for _ in range(400):
            if target.exists() and target.stat().st_size > 3_000_000:
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
        assert 3_000_000 < target.stat().st_size < big.stat().st_size
        said = bob("download", "cars", "-f", "big.bin")
        assert "Resuming from" in said
        assert digest(target) == digest(big)
        stalling.close()


def test_the_real_service_cannot_be_reached_from_these_tests(tmp_path):
    house = House(tmp_path / "house")
    house.user("alice")
    with serving(house.host) as port:
        away = Kaggle(port, tmp_path / "away", token=house.tokens["alice"])
        away.env["KAGGLE_API_ENVIRONMENT"] = "PROD"
        said = away("list", code=1)
        assert "proxy" in said.lower() or "Authentication required" in said
        with client(port) as http:  # and as a proxy for others the host does not serve
            answer = http.get("/api/competitions", headers={"host": "api.kaggle.com"})
            assert answer.status_code == 421
