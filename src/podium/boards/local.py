"""The board of one workspace, graded on this machine, as the other boards are seen."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from podium.boards.base import Known, Limits, Receipt, Standing, unheard
from podium.errors import BoardError
from podium.host.board import LocalBoard
from podium.host.board import Receipt as Graded
from podium.host.grading import Sees


class Local:
    """A `LocalBoard` behind the interface of boards.

    Args:
        ends: When the competition is over, if it ever is.
    """

    name = "local"

    def __init__(self, board: LocalBoard, ends: datetime | None = None) -> None:
        self.board, self.ends = board, ends

    def fetch(self, folder: Path) -> list[Path]:
        """Nothing: the data is here."""
        raise BoardError("this board is of this workspace: its data is here already", where=self.board.folder)

    def submit(
        self, file: Path, message: str, attempt: str = "", *, again: bool = False, known: Known = unheard,
        seen: Sees | None = None,
    ) -> Receipt:  # fmt: skip
        """Grade a submission; see `LocalBoard.submit`. There is no wait: the score comes with the number."""
        return _receipt(self.board.submit(file, message, attempt, again=again, seen=seen))

    def submissions(self, *, reveal: bool = False) -> list[Receipt]:
        """All that was scored, the oldest first."""
        shown = self.board.standings(reveal) if reveal else self.board.submissions()
        return sorted(map(_receipt, shown), key=lambda r: r.id)

    def limits(self) -> Limits:
        """How often one may still submit today, of the quota of a UTC day."""
        all_of = self.board.submissions()
        today = sum(r.at.astimezone(UTC).date() == self.board.clock().astimezone(UTC).date() for r in all_of)
        return Limits(today, max(0, self.board.daily_limit - today), len(all_of))

    def standings(self) -> list[Standing]:
        """One team: this one, with its best public score."""
        best = self.board.standings()[:1]
        return [Standing(1, self.board.team, r.public, r.at.isoformat(), mine=True) for r in best]

    def deadline(self) -> datetime | None:
        """Of `board.deadline`."""
        return self.ends


def _receipt(graded: Graded) -> Receipt:
    return Receipt(**asdict(graded))
