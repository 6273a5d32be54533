"""Grading: threads of the server that each keep a worker process busy, within limits of time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.errors import PodiumError
from podium.host.server.competitions import Hosted
from podium.host.server.database import Row
from podium.host.server.host import Host

TRIES = 2
"""Workers that may die over a submission before it counts as failed."""

START_SECONDS = 120


class Graders:
    """Grades what is queued, in order; of one team one at a time.

    There must be one for a host: it takes up what a server that was killed had begun.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._stop, self._work = threading.Event(), threading.Condition()
        self._threads = [threading.Thread(target=self._run, name=f"grader-{n}") for n in range(host.config.graders)]
        self._silence = host.events.listen(self.notify)

    def start(self) -> None:
        """Begin, with what was left unfinished."""
        with self.host.db.write() as db:
            db.execute("UPDATE submissions SET status = 'queued' WHERE status = 'grading'")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the workers; a submission in their hands goes back into the queue."""
        self._silence()
        self._stop.set()
        self.notify()
        for thread in self._threads:
            thread.join()

    def notify(self) -> None:
        """There may be work."""
        with self._work:
            self._work.notify_all()

    def _run(self) -> None:
        worker = Worker(self.host)
        try:
            while not self._stop.is_set():
                row = self._claim()
                if row is None:
                    with self._work:
                        self._work.wait(1.0)  # the command line may have queued something
                    continue
                try:
                    answer = worker.grade(row, self._stop)
                except PodiumError as error:
                    answer = {"error": "it could not be graded; the organisers can see why", "detail": str(error)}
                if answer is None:
                    self._give_back(row)
                else:
                    record(self.host, row, answer)
        finally:
            worker.close()

    def _claim(self) -> Row | None:
        try:
            with self.host.db.write(lasting=False) as db:
                row: Row | None = db.execute(
                    """UPDATE submissions SET status = 'grading' WHERE id = (
                         SELECT id FROM submissions s WHERE status = 'queued' AND NOT EXISTS (
                           SELECT 1 FROM submissions b WHERE b.team = s.team AND b.status = 'grading')
                         ORDER BY id LIMIT 1) RETURNING *"""
                ).fetchone()
                return row
        except PodiumError:  # a full disk, a long backup: the queue waits
            return None

    def _give_back(self, row: Row) -> None:
        with contextlib.suppress(PodiumError), self.host.db.write(lasting=False) as db:
            db.execute("UPDATE submissions SET status = 'queued' WHERE id = ? AND status = 'grading'", (row["id"],))


class Worker:
    """One grading process, started when it is needed, and anew after it died or took too long."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._process: subprocess.Popen[str] | None = None

    def grade(self, row: Row, stop: threading.Event) -> dict[str, Any] | None:
        """The answer about a submission; None if it was asked to stop."""
        hosted = self.host.competitions.get(row["competition"])
        job = {"competition": str(hosted.folder), "file": str(self.host.blobs / row["blob"]), "name": row["file_name"]}
        for _ in range(TRIES):
            process = self._ready(stop)
            if process is None:
                return None
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(job) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                self.close()
                continue
            line = _line(process, self.host.config.grade_seconds, stop)
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            self.close()
            if stop.is_set():
                return None
            if line is None:
                return {"error": f"grading it takes longer than {self.host.config.grade_seconds} s", "detail": ""}
        return {"error": "grading it stopped a grading process; the organisers can see why", "detail": "died twice"}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ready(self, stop: threading.Event) -> subprocess.Popen[str] | None:
        if self._process is None or self._process.poll() is not None:
            self.close()
            limits = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
            limits["PODIUM_EXPANDED_MB"] = str(self.host.config.expanded_mb)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "podium.host.server.worker", str(self.host.config.grade_memory_mb)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **limits},
                cwd=Path("/"), start_new_session=True,
            )  # fmt: skip
            if not _line(self._process, START_SECONDS, stop):
                self.close()
                if stop.is_set():
                    return None
                raise PodiumError("a grading process did not start")
        return self._process


def _line(process: subprocess.Popen[str], seconds: float, stop: threading.Event) -> str | None:
    """The next line of an answer; "" if the process died or it was asked to stop, None if it took too long."""
    assert process.stdout is not None
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < end:
            if stop.is_set():
                return ""
            if selector.select(min(0.2, max(0.0, end - time.monotonic()))):
                return process.stdout.readline()
    return None


def record(host: Host, row: Row, answer: dict[str, Any]) -> bool:
    """Keep a submission's grade; False if it was cancelled, or graded, meanwhile."""
    hosted, now = host.competitions.get(row["competition"]), host.now()
    failed = "error" in answer
    public, private = (None, None) if failed else (answer["public"], answer["private"])
    with host.db.write(lasting=False) as db:  # lost in a power cut, it is graded again, with the same result
        done = db.execute(
            """UPDATE submissions SET status = ?, public = ?, private = ?, error = ?, graded = ?, counts = ?
               WHERE id = ? AND status = 'grading'""",
            (
                "failed" if failed else "scored", public, private, answer.get("error", ""), now.isoformat(),
                not failed or hosted.rules.failed_count, row["id"],
            ),
        )  # fmt: skip
        if not done.rowcount:
            return False
        db.execute(
            "INSERT INTO grades (submission, metric, public, private, error, at) VALUES (?, ?, ?, ?, ?, ?)",
            (
                row["id"], answer.get("metric", hosted.spec.metric), public, private,
                answer.get("detail") or answer.get("error", ""), now.isoformat(),
            ),
        )  # fmt: skip
        team = db.execute("SELECT team FROM submissions WHERE id = ?", (row["id"],)).fetchone()["team"]
        _show(db, hosted, team, now)
        status = "failed" if failed else "scored"
        host.events.add(db, now, hosted.slug, "submission", team, id=row["id"], status=status)
        if not row["late"]:
            host.events.add(db, now, hosted.slug, "board")
    host.events.wake()
    return True


def _show(db: Any, hosted: Hosted, team: int, now: datetime) -> None:
    """What the team is told of its public scores: all, or by the Ladder rule.

    Source: Blum & Hardt 2015, The Ladder (arXiv 1502.04585), algorithm 1: the best so far is repeated until a score
    beats it by the step; then the score is told, rounded to the step.
    """
    step = hosted.rules.ladder_step
    if not step:
        db.execute("UPDATE submissions SET shown = public WHERE team = ? AND status IN ('scored', 'failed')", (team,))
        return
    best: float | None = None
    rows = db.execute("SELECT id, public, status FROM submissions WHERE team = ? ORDER BY id", (team,)).fetchall()
    for row in rows:
        if row["public"] is None or row["status"] in ("failed", "cancelled"):
            continue
        if best is None or hosted.sign * (row["public"] - best) > step:
            best = round(row["public"] / step) * step
        db.execute("UPDATE submissions SET shown = ? WHERE id = ?", (best, row["id"]))
