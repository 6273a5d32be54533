"""A host under load: many submissions handed in at once while many watch the board and others come to the pages.

    python -m benchmarks.host_load [--submissions 200 --viewers 50 --graders 2]

The server, those who submit, those who watch and the visitors are four processes; all of them and the graders share
the machine. Submissions come over HTTP, all at once. Viewers hold the live feed open and fetch the board's table anew
when it moved, as the page's script does. Visitors come at fixed times, whether the one before has an answer or not, and
wait from the moment they came: a server that stalls makes all of them wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from hosting import House

SERVE = """
import sys; from pathlib import Path; from datetime import datetime, UTC
from podium.host.server.host import Host; from podium.host.server.serving import serve
serve(Host(Path(sys.argv[1]), lambda: datetime(2031, 5, 1, 12, tzinfo=UTC)), port=int(sys.argv[2]))
"""

EVERY = {"/": 0.02, "/c/cars/leaderboard": 0.1, "/api/competitions/cars/board": 0.1}
"""Seconds from one visitor of a page to the next."""


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
        house = House(Path(folder) / "house", rules=rules, graders=given.graders, test_groups=100, shape=(64, 64))
        for n in range(20):
            house.user(f"user{n:02d}")
        command = [sys.executable, "-c", SERVE, str(house.folder), str(given.port)]
        log = open(Path(folder) / "log", "w")  # noqa: SIM115 - for as long as the server runs
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            asyncio.run(run(house, given))
        finally:
            server.terminate()
            server.wait()


async def run(house: House, given: argparse.Namespace) -> None:
    """Submit, watch, visit; print."""
    port, spawn = given.port, multiprocessing.get_context("spawn")
    await started(port)
    (told, counts), (handed, numbers) = spawn.Pipe(False), spawn.Pipe(False)
    data = house.csv(0.1).read_bytes()
    watching = spawn.Process(target=watch_all, args=(port, given.viewers, counts))
    submitting = spawn.Process(
        target=submit_all, args=(port, given.submissions, list(house.tokens.values()), data, numbers)
    )
    watching.start()
    await asyncio.to_thread(told.recv)  # all are there
    submitting.start()
    await asyncio.to_thread(handed.recv)  # it is ready, and begins
    begun, over = time.perf_counter(), asyncio.Event()
    visits = [asyncio.create_task(visit(port, path, gap, over)) for path, gap in EVERY.items()]
    order: list[int] = await asyncio.to_thread(handed.recv)
    queued = time.perf_counter() - begun
    while waiting(house):
        await asyncio.sleep(0.2)
    graded = time.perf_counter() - begun
    over.set()
    times = dict(zip(EVERY, await asyncio.gather(*visits), strict=True))
    check(house, order)
    await asyncio.sleep(1.5)  # what viewers do about the last events
    watching.terminate()
    seen: list[tuple[int, int]] = []
    while told.poll():
        seen = told.recv()
    print(
        f"{len(order)} submissions of {len(data) / 1e6:.1f} MB handed in at once were queued after {queued:.1f} s, all "
        f"graded after {graded:.1f} s"
    )
    events, drawn = zip(*seen, strict=True)
    print(f"{given.viewers} viewers got {min(events)} to {max(events)} events and {min(drawn)} to {max(drawn)} boards")
    for path, taken in times.items():
        cuts = statistics.quantiles(taken, n=100)
        print(
            f"GET {path}: {len(taken)} answers, median {1e3 * cuts[49]:.1f} ms, p95 {1e3 * cuts[94]:.1f} ms, "
            f"p99 {1e3 * cuts[98]:.1f} ms, slowest {1e3 * max(taken):.0f} ms"
        )
    print(f"load of the machine {os.getloadavg()[0]:.1f}")


def waiting(house: House) -> int:
    """Submissions that have no score yet."""
    row = house.host.db.one("SELECT count(*) AS n FROM submissions WHERE status IN ('queued', 'grading')")
    return int(row["n"]) if row else 0


def check(house: House, order: list[int]) -> None:
    """None is lost, and those of a team are graded in the order in which they came."""
    rows = house.host.db.all("SELECT id, status, team FROM submissions ORDER BY graded, id")
    assert sorted(r["id"] for r in rows) == sorted(order), "some were lost"
    assert {r["status"] for r in rows} == {"scored"}
    graded = [r["submission"] for r in house.host.db.all("SELECT submission FROM grades ORDER BY id")]
    assert len(graded) == len(set(graded)), "some were graded twice"
    team = {r["id"]: r["team"] for r in rows}
    for one in set(team.values()):
        own = [n for n in graded if team[n] == one]
        assert own == sorted(own), "order was not kept"


class Wire:
    """A connection that is kept."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port, self.head = port, f"Host: 127.0.0.1:{port}\r\n"
        self.head += f"Authorization: Bearer {token}\r\n" if token else ""
        self.reader: asyncio.StreamReader | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        """The body of a good answer."""
        headers, _ = await self.begin(method, path, body, kind)
        assert self.reader is not None
        return await self.reader.readexactly(int(headers["content-length"]))

    async def begin(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[dict[str, str], asyncio.StreamReader]:
        """Headers of a good answer, and what its body comes from."""
        if self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        length = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{self.head}{length}\r\n".encode() + body)
        await self.writer.drain()
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        assert first.split()[1] in ("200", "201"), (path, first)
        return {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines if line)}, self.reader


async def started(port: int) -> None:
    """Until the server answers."""
    for _ in range(600):
        try:
            await Wire(port).ask("GET", "/")
            return
        except OSError:
            await asyncio.sleep(0.1)
    raise SystemExit("the server did not start")


async def visit(port: int, path: str, gap: float, over: asyncio.Event) -> list[float]:
    """Seconds that each visitor of a page waited."""
    free: list[Wire] = []
    taken: list[float] = []

    async def one(at: float) -> None:
        wire = free.pop() if free else Wire(port)
        await wire.ask("GET", path)
        taken.append(time.perf_counter() - at)
        free.append(wire)

    coming, at = [], time.perf_counter()
    while not over.is_set():
        coming.append(asyncio.create_task(one(at)))
        at += gap
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
    await asyncio.gather(*coming)
    return taken


def submit_all(port: int, count: int, tokens: list[str], data: bytes, told: Any) -> None:
    """Hand in ``count`` different files at once; tells that it begins, and in the end the numbers."""

    async def one(n: int) -> int:
        wire, file = Wire(port, tokens[n % len(tokens)]), data + b"\n" * (1 + n // len(tokens))
        asked = json.dumps({"file_name": "a.csv", "size": len(file)}).encode()
        token = json.loads(await wire.ask("POST", "/api/competitions/cars/uploads", asked))["token"]
        await wire.ask("PUT", f"/api/uploads/{token}", file, "application/octet-stream")
        made = json.dumps({"token": token, "message": ""}).encode()
        return int(json.loads(await wire.ask("POST", "/api/competitions/cars/submissions", made))["id"])

    async def every() -> list[int]:
        return await asyncio.gather(*(one(n) for n in range(count)))

    told.send("ready")
    told.send(asyncio.run(every()))


def watch_all(port: int, count: int, told: Any) -> None:
    """Watch the board; tells again and again how many events each viewer got, and boards it fetched."""
    counts = [[0, 0] for _ in range(count)]

    async def one(mine: list[int], ready: asyncio.Semaphore) -> None:
        feed, pages = Wire(port), Wire(port)
        _, reader = await feed.begin("GET", "/api/competitions/cars/events")
        ready.release()
        drawing: asyncio.Task[None] | None = None
        while line := await reader.readline():
            mine[0] += line.startswith(b"event:")
            if line.startswith(b"event: board") and (drawing is None or drawing.done()):
                drawing = asyncio.create_task(draw(pages, mine))

    async def draw(pages: Wire, mine: list[int]) -> None:
        await asyncio.sleep(next(pauses))
        await pages.ask("GET", "/c/cars/leaderboard/rows")
        mine[1] += 1

    async def every() -> None:
        ready = asyncio.Semaphore(0)
        watching = [asyncio.create_task(one(mine, ready)) for mine in counts]
        for _ in watching:
            await ready.acquire()
        told.send("ready")
        while True:
            await asyncio.sleep(1)
            told.send(counts)

    pauses = _pauses()
    asyncio.run(every())


def _pauses() -> Iterator[float]:
    """How long the page's script waits for more events before it draws."""
    dice = random.Random(0)
    while True:
        yield dice.uniform(0.2, 1.0)


if __name__ == "__main__":
    main()
