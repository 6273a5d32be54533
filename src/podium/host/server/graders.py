"""Grading: threads of the server that each keep a worker process busy, within limits of time and memory."""

from __future__ import annotations

import json
import logging
import os
import secrets
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.errors import PodiumError
from podium.host.server.competitions import Hosted
from podium.host.server.database import Row, marks
from podium.host.server.host import Host

log = logging.getLogger("podium.host")

TRIES = 2
"""Workers that may die over a submission before it counts as failed."""

START_SECONDS = 120

PAUSE_SECONDS = 5.0
"""Rest of a competition whose submission met an error that is none of its own: of its rules, of the disk, of memory."""

SCRATCH = "grading"
"""The folder of the host in which grading processes unpack, each in one of its own."""


class Graders:
    """Grades what is queued, in order; of one team one at a time.

    There must be one for a host: it takes up what a server that was killed had begun.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._stop, self._work = threading.Event(), threading.Condition()
        self._resting: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._run, name=f"grader-{n}") for n in range(host.config.graders)]
        self._silence = host.events.listen(self.notify)

    def start(self) -> None:
        """Begin, with what was left unfinished."""
        shutil.rmtree(self.host.folder / SCRATCH, ignore_errors=True)
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
        worker, owed = Worker(self.host), list[Row]()
        try:
            while not self._stop.is_set():
                owed = [row for row in owed if not self._give_back(row)]
                row = self._claim()
                if row is None:
                    with self._work:
                        self._work.wait(1.0)  # the command line may have queued something
                elif not self._grade(worker, row) and not self._give_back(row):
                    owed.append(row)
        finally:
            worker.close()

    def _grade(self, worker: Worker, row: Row) -> bool:
        """Whether a submission has its answer; if not, it has to go back into the queue."""
        slug = row["competition"]
        try:
            answer = worker.grade(row, self._stop)
            if answer is not None:
                record(self.host, row, answer)
                self._told.pop(slug, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, this thread has to grade the next one
            self._resting[slug] = time.monotonic() + PAUSE_SECONDS
            self._tell(slug, f"submission {row['id']} of {slug} cannot be graded now", error)
            return False
        return answer is not None

    def _tell(self, about: str, what: str, error: Exception) -> None:
        """Log an error: once, not every few seconds."""
        if self._told.get(about) != str(error):
            self._told[about] = str(error)
            log.error("%s: %s", what, error, exc_info=error)

    def _claim(self) -> Row | None:
        """A submission that is this thread's to grade, until somebody puts it back into the queue."""
        now = time.monotonic()
        resting = [slug for slug, until in list(self._resting.items()) if until > now]
        try:
            with self.host.db.write(lasting=False) as db:
                row: Row | None = db.execute(
                    f"""UPDATE submissions SET status = 'grading', claim = ? WHERE id = (
                         SELECT id FROM submissions s WHERE status = 'queued' AND NOT EXISTS (
                           SELECT 1 FROM submissions b WHERE b.team = s.team AND b.status = 'grading')
                         AND competition NOT IN ({marks(resting)})
                         ORDER BY id LIMIT 1) RETURNING *""",
                    (secrets.token_hex(8), *resting),
                ).fetchone()
        except Exception as error:  # noqa: BLE001 - a full disk, a long backup
            self._tell("", "the queue waits", error)
            return None
        self._told.pop("", None)
        return row

    def _give_back(self, row: Row) -> bool:
        """Put a submission back into the queue; False if that has to be tried again."""
        try:
            with self.host.db.write(lasting=False) as db:
                db.execute(
                    "UPDATE submissions SET status = 'queued' WHERE id = ? AND status = 'grading' AND claim = ?",
                    (row["id"], row["claim"]),
                )
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("submission %d waits to go back into the queue: %s", row["id"], error)
            return False
        return True


class Worker:
    """One grading process, started when it is needed, and anew after it died or took too long."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._process: subprocess.Popen[str] | None = None
        self._scratch: Path | None = None

    def grade(self, row: Row, stop: threading.Event) -> dict[str, Any] | None:
        """The answer about a submission; None if it was asked to stop.

        Raises:
            PodiumError: if its competition cannot be read, or no process starts.
            OSError: if there is no memory or room for a process.
        """
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
            answer = _parsed(line or "")
            if answer is not None:
                return answer
            self.close()
            if stop.is_set():
                return None
            if line is None:
                return {"error": f"grading it takes longer than {self.host.config.grade_seconds} s", "detail": ""}
        return {"error": "grading it stopped a grading process; the organisers can see why", "detail": "died twice"}

    def close(self) -> None:
        """End the process, and remove what it unpacked."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _ready(self, stop: threading.Event) -> subprocess.Popen[str] | None:
        if self._process is None or self._process.poll() is not None:
            self.close()
            limits = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
            limits["PODIUM_EXPANDED_MB"] = str(self.host.config.expanded_mb)
            limits["TMPDIR"] = str(self._make_scratch())
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

    def _make_scratch(self) -> Path:
        (self.host.folder / SCRATCH).mkdir(exist_ok=True)
        self._scratch = Path(tempfile.mkdtemp(dir=self.host.folder / SCRATCH))
        return self._scratch


def _parsed(line: str) -> dict[str, Any] | None:
    """An answer; None of half a line, as a process leaves that is killed while it writes."""
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return answer


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
    """Keep a submission's grade; False if it was cancelled, or given to another process, meanwhile."""
    hosted, now = host.competitions.get(row["competition"]), host.now()
    failed = "error" in answer
    public, private = (None, None) if failed else (answer["public"], answer["private"])
    with host.db.write(lasting=False) as db:  # lost in a power cut, it is graded again, with the same result
        done = db.execute(
            """UPDATE submissions SET status = ?, public = ?, private = ?, error = ?, graded = ?, counts = ?
               WHERE id = ? AND status = 'grading' AND claim = ?""",
            (
                "failed" if failed else "scored", public, private, _writable(answer.get("error", "")), now.isoformat(),
                not failed or hosted.rules.failed_count, row["id"], row["claim"],
            ),
        )  # fmt: skip
        if not done.rowcount:
            return False
        db.execute(
            "INSERT INTO grades (submission, metric, public, private, error, at) VALUES (?, ?, ?, ?, ?, ?)",
            (
                row["id"], answer.get("metric", hosted.spec.metric), public, private,
                _writable(answer.get("detail") or answer.get("error", "")), now.isoformat(),
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


def _writable(text: str) -> str:
    """A text as the database takes it: what quotes a file may have halves of characters."""
    return text.encode("utf-8", "replace").decode()


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
        if row["status"] == "cancelled":
            continue
        if row["public"] is None or row["status"] == "failed":
            db.execute("UPDATE submissions SET shown = NULL WHERE id = ?", (row["id"],))
            continue
        if best is None or hosted.sign * (row["public"] - best) > step:
            steps = row["public"] / step
            best = round(steps) * step if abs(steps) < 2**53 else row["public"]  # beyond, a step is less than a digit
        db.execute("UPDATE submissions SET shown = ? WHERE id = ?", (best, row["id"]))
