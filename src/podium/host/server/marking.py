"""What a grading process does: a submission's scores, or the reason it has none, told without the host's secrets."""

from __future__ import annotations

import math
import shlex
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from podium.data.competition import Competition
from podium.errors import PodiumError, SubmissionError
from podium.files import locked
from podium.formats.preflight import brief
from podium.formats.submission import SubmissionFormat
from podium.host.grading import Classes, grade
from podium.host.server.competitions import SOLUTION, SPEC, TRUTH
from podium.host.server.incoming import opened
from podium.host.solution import Solution, truth_format
from podium.host.truth_store import mapped, open_runs, put_on_disk
from podium.metrics import Metric, get_metric

Answer = dict[str, Any]

LONGEST = 10_000
"""Characters of a reason: it is kept, and is on each page that lists the submission."""


class Marker:
    """Grades submissions, keeping solutions that were read.

    Args:
        isolated: Whether this process is cut off the network, without which no metric of an organiser's own is run.
    """

    def __init__(self, isolated: bool) -> None:
        self.isolated = isolated
        _warm_up()
        self._known: dict[Path, tuple[object, Competition, Metric, Solution]] = {}

    def mark(self, competition: Path, file: Path, name: str) -> Answer:
        """The answer about a file.

        Args:
            competition: The competition's folder.
            file: The submission.
            name: What its team calls it.

        Returns:
            {"public", "private"}, or {"error", "detail"}: the first is told to the team, the other to organisers.
        """
        try:
            spec, metric, solution = self._truth(competition)
        except (PodiumError, OSError) as error:
            return _ours(str(error))
        try:
            with opened(file, name, spec.submission.format == "png") as plain:
                found = grade(plain, solution, metric, spec.submission, Classes.of(spec))
        except SubmissionError as error:
            if ".py:" in spec.metric and "cannot score it" in error.found:  # in the words of the organiser's code
                return _ours(str(error))
            return {"error": _told(error, file, name), "detail": ""}
        except (PodiumError, OSError) as error:
            return _ours(str(error))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - an own metric may raise anything, with hidden labels in its text
            return _ours(traceback.format_exc())
        if not (math.isfinite(found.public) and math.isfinite(found.private)):
            return {"error": "its score is not a number", "detail": f"{found.public} {found.private}"}
        return {"public": found.public, "private": found.private, "metric": spec.metric}

    def forget(self) -> None:
        """Let go of all solutions."""
        self._known.clear()

    def _truth(self, folder: Path) -> tuple[Competition, Metric, Solution]:
        stamp = _stamp(folder)
        known = self._known.get(folder)
        if known is None or known[0] != stamp:
            spec = Competition.load(folder / SPEC)
            if ".py:" in spec.metric and not self.isolated:
                raise PodiumError("this machine cannot cut a metric of your own off the network")
            fmt = truth_format(spec.submission, Classes.of(spec).names)
            metric = get_metric(spec.metric, folder=folder, parts=spec.parts)
            known = self._known[folder] = stamp, spec, metric, _solution(folder, fmt)
        return known[1:]


def _stamp(folder: Path) -> object:
    """Another one after any change of what scores depend on: the spec, the solution, the code of an own metric."""
    code = sorted(folder.glob("*.py"))
    stats = [(path.name, path.stat()) for path in (folder / SPEC, folder / SOLUTION, *code)]
    return tuple((name, s.st_mtime_ns, s.st_size, s.st_ino) for name, s in stats)


def _solution(folder: Path, fmt: SubmissionFormat) -> Solution:
    """The hidden labels; of a solution that was corrected, one grading process puts them on the disk anew."""
    found = open_runs(folder / TRUTH, folder / SOLUTION)
    if found is None:
        with locked(folder / f".{TRUTH}.lock", wait=lambda: None):
            found = open_runs(folder / TRUTH, folder / SOLUTION) or put_on_disk(folder / SOLUTION, fmt, folder / TRUTH)
    return mapped(found)


def _warm_up() -> None:
    """Load the compiled loops, so that no submission waits for them."""
    from podium.formats import rle
    from podium.host import run_kernels

    one = rle.parse("1 1", 1)
    rle.overlap(one, one)
    longs, none = np.zeros(2, np.int64), np.zeros((0, 2), np.int64)
    empty = (longs[:0],) * 3
    text, spans = np.frombuffer(bytearray(192), np.uint8), np.zeros((0, 2), np.int32)
    spans.setflags(write=False)
    run_kernels.score_rows(text, *empty, longs, longs, spans, longs, longs, none)
    run_kernels.pair_table(one, longs[:1], one, longs[:1], np.zeros((1, 1), np.int64))


def _ours(detail: str) -> Answer:
    return {"error": "it could not be graded; the organisers can see why", "detail": brief(detail, LONGEST)}


def _told(error: SubmissionError, file: Path, name: str) -> str:
    """The reason by the name that the team gave the file, also in what it may type; no path or name of this machine."""
    text = str(error).replace(error.where, name) if error.where else str(error)
    return brief(
        text.replace(f"{file.name}.utf8", shlex.quote(f"{name}.utf8")).replace(file.name, shlex.quote(name)), LONGEST
    )
