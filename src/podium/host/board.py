"""Boards: where submissions go and scores come from. The local one grades against a workspace's hidden labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

from podium.errors import BoardError, SubmissionError
from podium.formats.submission import SubmissionFormat
from podium.host.grading import Classes, Sees, grade
from podium.host.solution import Solution, read_solution, truth_format
from podium.host.store import DATABASE, BoardStore, Entry, day_of
from podium.metrics import Metric

SOLUTION = "solution.csv"


@dataclass(frozen=True)
class Receipt:
    """What a board says of a submission.

    Attributes:
        id: The board's number of it.
        at: When it was submitted, in UTC.
        sha256: Of the file's bytes.
        message: The submitter's note.
        attempt: The attempt behind it, or "".
        file: The name of the file.
        public: Public score.
        private: Private score; None while it is hidden.
        used_today: Submissions of that UTC day so far, this one included.
        daily_limit: Submissions a day.
    """

    id: int
    at: datetime
    sha256: str
    message: str
    attempt: str
    file: str
    public: float
    private: float | None
    used_today: int
    daily_limit: int


class Board(Protocol):
    """Where submissions go."""

    def submit(self, file: Path, message: str, attempt: str = "", *, again: bool = False) -> Receipt:
        """Hand in a file and wait for its public score."""

    def submissions(self) -> list[Receipt]:
        """All that was scored, the oldest first."""


class LocalBoard:
    """The board of one workspace, graded on this machine.

    Args:
        folder: Holds the hidden labels (`solution.csv`) and the submissions (`board.db`).
        fmt: How submissions are written.
        metric: What is scored.
        daily_limit: Submissions a UTC day.
        clock: The time, with its zone.
        classes: What the targets' classes are.
    """

    team = "local"

    def __init__(
        self,
        folder: Path,
        fmt: SubmissionFormat,
        metric: Metric,
        daily_limit: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        classes: Classes = Classes(),
    ) -> None:
        self.folder, self.fmt, self.metric, self.daily_limit, self.clock = folder, fmt, metric, daily_limit, clock
        self.classes = classes

    def submit(
        self, file: Path, message: str, attempt: str = "", *, again: bool = False, seen: Sees | None = None
    ) -> Receipt:
        """Grade a submission and record it.

        A file that is not in order is kept in the record with the reason and takes nothing from the quota.

        Args:
            seen: Is told what the samples have, while the file is read.

        Raises:
            SubmissionError: listing what is not in order.
            BoardError: if this very file was submitted before (unless ``again``), if the day's quota is used up, or
                if the workspace has no hidden labels.
        """
        solution = self.solution
        now = self.clock().astimezone(UTC).isoformat(timespec="seconds")
        entry = Entry(self.team, now, _sha256(file), file.name, message, attempt)
        self.store.admit(entry, self.daily_limit, again=again)
        try:
            grades = grade(file, solution, self.metric, self.fmt, self.classes, seen)
        except SubmissionError as error:
            self.store.add(replace(entry, status="rejected", error=str(error)), self.daily_limit)
            raise
        scored = replace(entry, public=grades.public, private=grades.private)
        number = self.store.add(scored, self.daily_limit, again=again).id
        return next(r for r in self._receipts(reveal=False) if r.id == number)

    def submissions(self) -> list[Receipt]:
        """All that was scored, the oldest first; private scores are hidden."""
        return self._receipts(reveal=False)

    def standings(self, reveal: bool = False) -> list[Receipt]:
        """All that was scored, the best first.

        Args:
            reveal: Show the private scores and order by them; otherwise they are None.
        """
        sign = -1 if self.metric.greater_is_better else 1
        receipts = self._receipts(reveal)  # the oldest first, and so among equals
        return sorted(receipts, key=lambda r: sign * (r.public if r.private is None else r.private))

    @cached_property
    def store(self) -> BoardStore:
        """The record of submissions."""
        return BoardStore(self.folder / DATABASE)

    @cached_property
    def solution(self) -> Solution:
        """The hidden labels."""
        path = self.folder / SOLUTION
        if not path.is_file():
            raise BoardError(
                "this workspace has no hidden labels to score against",
                where=path,
                remedy="make one that has: podium new DIR --from DATA --hold-out 0.2",
            )
        return read_solution(path, truth_format(self.fmt, self.classes.names))

    def _receipts(self, reveal: bool) -> list[Receipt]:
        used: Counter[str] = Counter()
        receipts = []
        for entry in self.store.list(self.team):
            if entry.status == "scored":
                used[day_of(entry.submitted_at)] += 1
                receipts.append(self._receipt(entry, used[day_of(entry.submitted_at)], reveal))
        return receipts

    def _receipt(self, entry: Entry, used: int, reveal: bool) -> Receipt:
        return Receipt(
            id=entry.id,
            at=datetime.fromisoformat(entry.submitted_at),
            sha256=entry.sha256,
            message=entry.message,
            attempt=entry.attempt,
            file=entry.file_name,
            public=float("nan") if entry.public is None else entry.public,
            private=entry.private if reveal else None,
            used_today=used,
            daily_limit=self.daily_limit,
        )


def _sha256(file: Path) -> str:
    try:
        with open(file, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as error:
        cause = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise SubmissionError(cause, where=file) from None
