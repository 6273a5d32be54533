"""Writers that are killed at any moment: what was finished is listed, what was not is not counted."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from ledger_writer import write_on

from podium.ledger.attempts import Attempts
from podium.ledger.index import Index

SPAWN = multiprocessing.get_context("forkserver")  # imports once, then a writer starts in milliseconds
SPAWN.set_forkserver_preload(["pytest", "polars", "podium.recipe", "podium.ledger.attempts"])


class Writer:
    """A process that writes attempts, fold runs, verdicts and crowns, and says after each what it has finished."""

    def __init__(self, folder: Path) -> None:
        self.said, theirs = SPAWN.Pipe(duplex=False)
        self.process = SPAWN.Process(target=write_on, args=(folder, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def kill_after(self, seconds: float, lines: int) -> list[str]:
        """Let it finish so many things and go on a while, kill it, and give what it said."""
        said = [self.said.recv() for _ in range(lines)]
        time.sleep(seconds)
        assert self.process.pid
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        with contextlib.suppress(EOFError, OSError):  # the end, or half a message
            while True:
                said.append(self.said.recv())
        return said


def look(folder: Path, promised: set[str]) -> None:
    """What was promised is in the folders, and the index says what they say."""
    attempts = Attempts(folder / "attempts")
    read, damaged = attempts.scan()
    assert damaged == []
    found = set()
    for attempt in read:
        found.add(f"attempt {attempt.id}")
        found |= {f"run {attempt.id} {run.fold}" for run in attempt.runs}
        found |= {f"verdict {attempt.id}"} if attempt.verdict else set()
        found |= {f"crown {attempt.id}"} if attempt.crown else set()
        for run in attempt.runs:
            assert run.scores().height == 4
    assert promised <= found
    rows, wrong = attempts.index.entries(3)
    assert wrong == []
    again, _ = Index(folder / "fresh.db", attempts.folder).entries(3, anew=True)
    assert rows == again
    assert [row.id for row in rows] == [attempt.id for attempt in read]


def killed(folder: Path, times: int) -> None:
    """Kill writers of one ledger again and again."""
    chance, promised = random.Random(0), set()
    for _ in range(times):
        promised |= set(Writer(folder).kill_after(chance.uniform(0, 0.12), chance.randint(1, 5)))
        look(folder, promised)
    assert sum(line.startswith("crown") for line in promised) > 0
    assert len(promised) >= times


def test_nothing_finished_is_lost_and_nothing_half_written_is_counted(tmp_path):
    killed(tmp_path, 5)


@pytest.mark.slow
def test_a_hundred_kills(tmp_path):
    killed(tmp_path, 100)
