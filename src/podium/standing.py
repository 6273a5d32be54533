"""Where one stands: what the board says is put beside what the ledger knows."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from podium.boards.base import Board
from podium.config import read_toml
from podium.data.competition import Competition
from podium.data.leaks import ENCODER_SHIFT, SHIFT
from podium.data.samples import list_samples
from podium.errors import BoardError, PodiumError
from podium.files import write_atomic
from podium.ledger.agreement import Warned, input_shift
from podium.ledger.agreement_expected import Expected
from podium.ledger.agreement_noise import expected_noise, likeness_of
from podium.ledger.agreement_svg import to_svg
from podium.ledger.attempt import Attempt
from podium.ledger.attempts import Attempts
from podium.ledger.judge import Judge
from podium.ledger.receipts import Kept, receipts
from podium.ledger.standings import Standings, stand
from podium.ledger.submissions import Submissions
from podium.metrics import Metric

T = TypeVar("T")
PUBLIC = 0.3
"""Share of the test samples on the public board, where nobody tells it."""
MOST = 40
"""Attempts whose scores are read for the noise."""


@dataclass(frozen=True)
class Standing:
    """What reads the standings of one workspace."""

    root: Path
    competition: Competition
    metric: Metric
    attempts: Attempts
    submissions: Submissions
    board: Board

    def read(self, *, reveal: bool, leaderboard: bool) -> Standings:
        """See `Workspace.standings`."""
        given = [r for r in self.board.submissions(reveal=reveal) if r.public is not None]
        kept, notes = receipts(self.submissions), list[str]()
        cv = {one.folder: one.cv for one in self.attempts.index.entries(self.competition.folds.k)[0]}
        of_board = {k.receipt.id: k for k in kept if k.board == self.board.name}
        names = [r.attempt or _attempt(of_board.get(r.id)) for r in given]
        behind = self._behind([n for n in names if cv.get(n) is not None])
        more: dict[str, Any] = {"limits": self._asked(self.board.limits, notes)} if leaderboard else {}
        if leaderboard:
            more["deadline"] = self._asked(self.board.deadline, notes)
            more["board"] = tuple(self._asked(self.board.standings, notes) or ())
        return stand(
            given,
            kept,
            metric=self.metric.name,
            up=self.metric.greater_is_better,
            board_name=self.board.name,
            cv=cv,
            expected=self._expected(behind),
            final=self.competition.board.final_picks,
            input_warning=self._input_shift(),
            alike=self._alike(behind),
            notes=tuple(notes),
            **more,
        )

    def _behind(self, names: Sequence[str]) -> list[Attempt]:
        """The attempts behind the submissions, the first one first, each once."""
        found = []
        for name in list(dict.fromkeys(names))[:MOST]:
            try:
                found.append(self.attempts.get(name))
            except PodiumError:
                continue  # damaged: what it scored is in the receipt
        return found

    def _expected(self, behind: Sequence[Attempt]) -> Expected | None:
        if len(behind) < 2:
            return None
        test = list_samples(self.competition, self.root / "data").test
        share = self.competition.board.public_share or PUBLIC
        groups = round(share * len({s.group for s in test}))
        judge = Judge(self.attempts, self.metric, self.competition.folds.k)
        return expected_noise(behind, judge, self.metric, groups)

    def _alike(self, behind: Sequence[Attempt]) -> dict[tuple[str, str], float]:
        matrix = likeness_of(behind) if len(behind) > 1 else None
        if matrix is None:
            return {}
        places = list(enumerate(a.folder.name for a in behind))
        return {(a, b): float(matrix[i, j]) for (i, a), (j, b) in itertools.product(places, places)}

    def _input_shift(self) -> Warned | None:
        """Of what `podium look` measured, if it did, on cheap figures and by an encoder: the clearer of the two."""
        found = []
        for name in (SHIFT, ENCODER_SHIFT):
            path = self.root / "reports" / name
            known = read_toml(path) if path.is_file() else {}
            with contextlib.suppress(KeyError, TypeError, ValueError):  # of another podium; podium look writes it anew
                figures = (float(known[key]) for key in ("low", "high", "auc"))
                found.append(input_shift(*figures, by=str(known.get("by", ""))))
        return max((w for w in found if w), key=lambda w: w.measured, default=None)

    def _asked(self, what: Callable[[], T], notes: list[str]) -> T | None:
        """What the board answers; a line if it does not: what is known here is shown all the same."""
        try:
            return what()
        except BoardError as error:
            notes.append(f"the board does not tell: {error.found}")
            return None


def _attempt(kept: Kept | None) -> str:
    return kept.receipt.attempt if kept else ""


def draw(found: Standings, root: Path) -> Path | None:
    """Write `reports/standings.svg`; None where there are no two gains to draw."""
    if found.agreement is None or len(found.paired) < 2:
        return None
    path = root / "reports" / "standings.svg"
    picked = [found.paired[p.index] for p in found.picks]
    write_atomic(path, to_svg(found.agreement, found.paired, picked, found.metric))
    return path
