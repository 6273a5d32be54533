"""A host under load: many submissions queued at once while many watch the board.

    python -m benchmarks.host_load [--submissions 200 --viewers 50 --graders 2]

The server runs in a process of its own. While it grades, viewers keep the live feed open and visitors ask for the home
page and the board; their times are those of a whole answer over loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from hosting import House, client

SERVE = """
import sys; from pathlib import Path; from datetime import datetime, UTC
from podium.host.server.host import Host; from podium.host.server.serving import serve
serve(Host(Path(sys.argv[1]), lambda: datetime(2031, 5, 1, 12, tzinfo=UTC)), port=int(sys.argv[2]))
"""


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--graders", type=int, default=2)
    parser.add_argument("--port", type=int, default=8799)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rules = {"daily_limit": 1000, "submissions_an_hour": 10_000}
        house = House(Path(folder) / "house", rules=rules, graders=given.graders)
        for n in range(20):
            house.user(f"user{n:02d}")
        command = [sys.executable, "-c", SERVE, str(house.folder), str(given.port)]
        log = open(Path(folder) / "log", "w")  # noqa: SIM115 - for as long as the server runs
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(given.port)
            run(house, given)
        finally:
            server.terminate()
            server.wait()


def wait_for(port: int) -> None:
    """Until the server answers."""
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/host", trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def run(house: House, given: argparse.Namespace) -> None:
    """Queue, watch, ask; print."""
    done, counts = threading.Event(), [0] * given.viewers
    viewers = [threading.Thread(target=watch, args=(given.port, done, counts, n)) for n in range(given.viewers)]
    [t.start() for t in viewers]
    data = house.csv(0.1).read_bytes()
    order: list[int] = []
    begun = time.perf_counter()
    for n in range(given.submissions):
        name = f"user{n % 20:02d}"
        order.append(house.send(name, data + b"\n" * (1 + n // 20), file_name="a.csv").id)
    queued = time.perf_counter() - begun
    times: dict[str, list[float]] = {"/": [], "/c/cars": [], "/api/competitions/cars/board": []}
    with client(given.port) as http:
        while True:
            for path, taken in times.items():
                start = time.perf_counter()
                answer = http.get(path)
                taken.append(time.perf_counter() - start)
                assert answer.status_code == 200, (path, answer.status_code)
            left = house.host.db.one("SELECT count(*) AS n FROM submissions WHERE status IN ('queued', 'grading')")
            if not left["n"]:
                break
    graded = time.perf_counter() - begun
    done.set()
    rows = house.host.db.all("SELECT id, status, team FROM submissions ORDER BY graded, id")
    assert sorted(r["id"] for r in rows) == sorted(order)
    assert {r["status"] for r in rows} == {"scored"}
    for team in {r["team"] for r in rows}:
        own = [r["id"] for r in rows if r["team"] == team]
        assert own == sorted(own), "order was not kept"
    [t.join(30) for t in viewers]
    print(f"{given.submissions} submissions queued in {queued:.1f} s, all graded after {graded:.1f} s")
    print(f"{given.viewers} viewers got {min(counts)} to {max(counts)} events; load {os.getloadavg()[0]:.1f}")
    for path, taken in times.items():
        cuts = statistics.quantiles(taken, n=20)
        print(f"GET {path}: {len(taken)} answers, median {1e3 * cuts[9]:.1f} ms, p95 {1e3 * cuts[18]:.1f} ms")


def watch(port: int, done: threading.Event, counts: list[int], n: int) -> None:
    """Keep the feed open and count events."""
    with contextlib.suppress(httpx.RemoteProtocolError):  # the server ends
        with client(port) as http, http.stream("GET", "/api/competitions/cars/events") as answer:
            for line in answer.iter_lines():
                counts[n] += line.startswith("event:")
                if done.is_set():
                    return


if __name__ == "__main__":
    main()
