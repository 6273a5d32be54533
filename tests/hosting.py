"""A small host for tests: competitions drawn in milliseconds, users with tokens, a clock that can be set, a server."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from drawing import tiny_competition
from podium.config import emit_toml, merge
from podium.data.competition import Competition
from podium.formats import rle
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter
from podium.host.server.host import CONFIG, Host
from podium.host.server.making import install
from podium.host.server.serving import server
from podium.host.server.spec import HostConfig, Rules
from podium.host.server.submissions import hand_in
from podium.host.server.uploads import Arrival, start_upload
from podium.host.solution import write_solution

NOON = datetime(2031, 5, 1, 12, tzinfo=UTC)
KAGGLE = Path(sys.executable).with_name("kaggle")
SERVICE = "/api/v1/competitions.CompetitionApiService/"


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now

    def forward(self, **delta):
        self.now += timedelta(**delta)


class House:
    """A host in a folder, with the truth about its one competition, and files to submit."""

    slug = "cars"

    def __init__(self, folder, clock=None, rules=None, test_groups=4, shape=(24, 32), **settings):
        self.folder, self.clock, self.shape = Path(folder), clock or Clock(), shape
        self.folder.mkdir(parents=True, exist_ok=True)
        config = HostConfig(**{"graders": 1, "spare_mb": 0, "requests_a_minute": 100_000} | settings)
        (self.folder / CONFIG).write_text(emit_toml(config.tree(), {}))
        self.host = Host(self.folder, self.clock)
        self.fmt = SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg")
        self._competition(
            Rules(start=NOON - timedelta(days=3), end=NOON + timedelta(days=30), **(rules or {})), test_groups
        )
        self.users, self.tokens = {}, {}

    def _competition(self, rules, test_groups):
        tiny = tiny_competition(self.folder / "source", n_groups=3, test_groups=test_groups, table=None)
        rng, self.ids = np.random.default_rng(1), tiny.test
        self.truth = {id: rng.random(self.shape) < 0.4 for id in self.ids}
        self.usage = ["Public" if n % 3 else "Private" for n in range(len(self.ids))]
        write_solution(
            self.folder / "solution.csv",
            self.fmt,
            ids=self.ids,
            shapes=[self.shape] * len(self.ids),
            truth=[(rle.runs_of(self.truth[id]),) for id in self.ids],
            usage=self.usage,
        )
        spec = Competition.from_tree(
            {
                "name": self.slug,
                "data": {
                    "train_images": "train/*.jpg",
                    "train_masks": "train_masks/{id}_mask.gif",
                    "test_images": "test/*.jpg",
                    "sample_submission": "sample_submission.csv",
                },
                "submission": self.fmt.tree(),
            }
        )
        self.made = install(self.host, self.slug, spec, rules, tiny.folder, self.folder / "solution.csv")

    @property
    def hosted(self):
        return self.host.competitions.get(self.slug)

    def rules(self, **changes):
        return self.host.competitions.change_rules(self.slug, changes)

    def user(self, name, **more):
        if name not in self.users:
            self.users[name] = self.host.accounts.add(name, self.clock(), **more)
            self.tokens[name] = self.host.accounts.issue(self.users[name], self.clock())
        return self.users[name]

    def csv(self, wrong=0.1, seed=0, name=None):
        """A submission with a share of its pixels wrong."""
        path = self.folder / (name or f"s{wrong}-{seed}.csv")
        rng = np.random.default_rng(seed)
        with SubmissionWriter(path, self.fmt) as writer:
            for id in self.ids:
                writer.write(id, rle.encode(self.truth[id] ^ (rng.random(self.shape) < wrong)))
        return path

    def submit(self, name, wrong=0.1, seed=0, message=""):
        """Hand in without a network."""
        return self.send(name, self.csv(wrong, seed).read_bytes(), message)

    def send(self, name, data, message="", file_name="sub.csv"):
        user = self.user(name)
        token = start_upload(self.host, self.hosted, user, file_name, len(data))
        self.put(token, data)
        return hand_in(self.host, self.hosted, user, token, message)

    def put(self, token, data):
        arrival = Arrival(self.host, token)
        try:
            arrival.write(data)
            arrival.finish()
        finally:
            arrival.abandon()

    def grade(self, marker=None):
        """Grade what is queued, in this process."""
        from podium.host.server.graders import record
        from podium.host.server.marking import Marker

        marker = marker or Marker(isolated=True)
        while True:
            with self.host.db.write() as db:
                row = db.execute(
                    "UPDATE submissions SET status = 'grading' WHERE id = (SELECT min(id) FROM submissions "
                    "WHERE status = 'queued') RETURNING *"
                ).fetchone()
            if row is None:
                return
            record(self.host, row, marker.mark(self.hosted.folder, self.host.blobs / row["blob"], row["file_name"]))


@contextlib.contextmanager
def serving(host):
    """The host served on a free port of this machine; yields the port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    running = server(host, port=port)
    running.config.log_config = None
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        for _ in range(200):
            if running.started:
                break
            time.sleep(0.02)
        yield port
    finally:
        running.should_exit = True
        thread.join()


def client(port, token=None, **more):
    """An HTTP client of a user."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False, **more)


def raw(port, data, wait=30.0):
    """The answer to bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as s:
        s.sendall(data)
        answer = b""
        try:
            while chunk := s.recv(65536):
                answer += chunk
                if b"\r\n\r\n" in answer and b"connection: keep-alive" not in answer.lower() and len(chunk) < 100:
                    break
        except TimeoutError:
            pass
    return answer


def call(http, method, **body):
    return http.post(SERVICE + method, json=body)


def uploaded(http, data, name="sub.csv", message=""):
    """Hand in over REST; the answer to the last step that was made."""
    asked = http.post("/api/competitions/cars/uploads", json={"file_name": name, "size": len(data)})
    if asked.status_code != 201:
        return asked
    token = asked.json()["token"]
    sent = http.put(f"/api/uploads/{token}", content=data)
    if sent.status_code != 201:
        return sent
    return http.post("/api/competitions/cars/submissions", json={"token": token, "message": message})


def wait_graded(house, seconds=60):
    """Wait until nothing is queued."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        waiting = house.host.db.one("SELECT count(*) AS n FROM submissions WHERE status IN ('queued', 'grading')")
        if not waiting["n"]:
            return
        time.sleep(0.05)
    raise AssertionError("still not graded")


class Kaggle:
    """The official command of one user, that can reach nothing but the port.

    The only ways out are proxies on loopback: any other address, the real service's too, ends at our server, which
    refuses it, or (https) at a port where nobody listens.
    """

    def __init__(self, port, folder, token=None, username=None, key=None, command=(str(KAGGLE),), path=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.command = folder, [*command, "competitions"]
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
        self.env = keep | {
            "HOME": str(folder),
            "KAGGLE_CONFIG_DIR": str(folder / ".kaggle"),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "HTTP_PROXY": f"http://127.0.0.1:{port}",
            "http_proxy": f"http://127.0.0.1:{port}",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
            "NO_PROXY": "",
            "no_proxy": "",
        }
        if path:
            self.env["PYTHONPATH"] = str(path)
        if token:
            self.env["KAGGLE_API_TOKEN"] = token
        if username:
            self.env |= {"KAGGLE_USERNAME": username, "KAGGLE_KEY": key}

    def __call__(self, *args, code=0):
        done = subprocess.run(
            [*self.command, *args],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said


__all__ = ["NOON", "Clock", "House", "Kaggle", "call", "client", "merge", "raw", "serving", "uploaded", "wait_graded"]
