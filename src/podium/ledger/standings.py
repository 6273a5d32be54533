"""Where one stands: one's submissions with CV and public score, how far the two agree, and which to pick."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from podium.boards.base import Limits, Receipt, Standing
from podium.errors import BoardError
from podium.ledger.agreement import Agreement, Pick, Warned, agreement, picks
from podium.ledger.agreement_expected import Expected
from podium.ledger.agreement_svg import to_svg
from podium.ledger.receipts import Kept

TOP = 10
"""Teams that are shown."""
FOREVER = 2090
"""A deadline from then on is none."""
AROUND = 3
"""Teams above and below that `--around` shows."""


@dataclass(frozen=True)
class Standings:
    """What `podium standings` shows.

    Iterated over it gives the submissions as rows, the best first: rank, id, at, message, attempt, cv, public, private,
    d_cv, d_lb, final.

    Attributes:
        metric: The metric's name.
        up: Whether a higher score is better.
        rows: The submissions.
        agreement: CV against LB, of the submissions that have both, in the order they were handed in; None of none.
        paired: Their ids.
        picks: Which to choose, with reasons; the index is a place in ``paired``.
        warnings: Shifts of level, ranking and input.
        board: The leaderboard; empty if it was not asked for.
    """

    metric: str
    up: bool
    board_name: str
    rows: tuple[dict[str, Any], ...]
    agreement: Agreement | None
    paired: tuple[int, ...]
    picks: tuple[Pick, ...]
    warnings: tuple[Warned, ...]
    board: tuple[Standing, ...] = ()
    limits: Limits | None = None
    deadline: datetime | None = None
    notes: tuple[str, ...] = field(default=())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self.rows[place]

    def tree(self) -> dict[str, Any]:
        """As JSON has it."""
        found = self.agreement
        expected = found.expected if found else None
        return {
            "metric": self.metric,
            "board_name": self.board_name,
            "submissions": list(self.rows),
            "correlation": None if found is None else _finite(asdict(found.correlation)),
            "expected_sd": expected.sd if expected else None,
            "warnings": [asdict(w) for w in self.warnings],
            "picks": [asdict(p) | {"id": self.paired[p.index]} for p in self.picks],
            "board": [asdict(s) for s in self.board],
            "limits": asdict(self.limits) if self.limits else None,
            "deadline": self.deadline.isoformat() if self.deadline else None,
        }

    def head(self, now: datetime | None = None) -> str:
        """The board, what is left of today, and the days left, in a line."""
        parts = [self.board_name]
        if self.limits:
            parts.append(f"{self.limits.left} of {self.limits.left + self.limits.today} submissions left today (UTC)")
        if self.deadline and self.deadline.year < FOREVER:
            left = (self.deadline - (now or datetime.now(UTC))).total_seconds() / 86400
            parts.append(
                "it is over" if left < 0 else f"{left:.0f} days left" if left > 2 else f"{24 * left:.0f} hours left"
            )
        return "; ".join(parts)

    def around(self, team: str = "") -> list[Standing]:
        """Lines of the leaderboard: the first ten; or the first, and those around a team ("me": ours).

        Raises:
            BoardError: if there is no such team.
        """
        if not team:
            return list(self.board[:TOP])
        place = next((n for n, s in enumerate(self.board) if (s.mine if team == "me" else s.team == team)), None)
        if place is None:
            whose = "your team is" if team == "me" else f"'{team}' is"
            remedy = "set board.team in competition.toml to its name on the leaderboard"
            raise BoardError(f"{whose} not on the leaderboard", where=self.board_name, remedy=remedy)
        near = range(max(0, place - AROUND), min(len(self.board), place + AROUND + 1))
        return [self.board[n] for n in sorted({0, *near})]

    def told(self) -> list[str]:
        """What the scores say, in lines."""
        lines = []
        if self.agreement and len(self.paired) > 1:
            lines.append(f"CV and public score: {self.agreement.correlation}")
            expected = self.agreement.expected
            if expected is None:
                lines.append("expected band: not known; it needs a noise floor and two attempts behind the submissions")
            else:
                band = 1.96 * expected.sd
                lines.append(f"expected band: ΔCV and ΔLB of two submissions differ by up to ±{band:.2g} by chance")
                if all(w.kind != "ranking" for w in self.warnings):
                    lines.append(_seen(expected, len(self.paired)))
        lines += [f"warning, {w.kind} shift: {w.said}" for w in self.warnings]
        for n, pick in enumerate(self.picks, 1):
            lines.append(f"final pick {n}: submission {self.paired[pick.index]}, {pick.why}")
        return lines + list(self.notes)

    def _repr_html_(self) -> str:
        columns = ("rank", "id", "attempt", "message", "cv", "public", "private")
        cells = ("".join(f"<td>{html.escape(_cell(row[c]))}</td>" for c in columns) for row in self.rows)
        head = "".join(f"<th>{c}</th>" for c in columns)
        told = "".join(f"<p>{html.escape(line)}</p>" for line in (self.head(), *self.told()))
        plot = ""
        if self.agreement is not None and len(self.paired) > 1:
            plot = to_svg(self.agreement, self.paired, [self.paired[p.index] for p in self.picks], self.metric)
        table = f"<table><tr>{head}</tr>{''.join(f'<tr>{c}</tr>' for c in cells)}</table>"
        return f'<div style="overflow-x:auto">{table}</div>{told}{plot}'


def stand(
    given: Sequence[Receipt],
    kept: Sequence[Kept],
    *,
    metric: str,
    up: bool,
    board_name: str,
    cv: Mapping[str, float | None],
    expected: Expected | None,
    final: int = 2,
    input_warning: Warned | None = None,
    alike: Mapping[tuple[str, str], float] | None = None,
    **more: Any,
) -> Standings:
    """Put together what the board says and what is known here.

    Args:
        given: The board's submissions, the oldest first.
        kept: Receipts of this workspace, for attempts and CV of what the board knows by number.
        cv: {attempt's folder name: CV score}.
        expected: The noise.
        final: How many submissions count at the end.
        alike: {(attempt, attempt): correlation of their predictions}.
        more: ``board``, ``limits``, ``deadline``, ``notes``.
    """
    of_id = {k.receipt.id: k for k in kept if k.board == board_name}
    rows = [_row(r, of_id.get(r.id), cv) for r in given if r.status == "complete" and r.public is not None]
    pairs = [row for row in rows if row["cv"] is not None]
    found = None
    if pairs:
        xs, ys = [row["cv"] for row in pairs], [row["public"] for row in pairs]
        noise = expected.of([row["attempt"] for row in pairs]) if expected else None
        found = agreement(xs, ys, up=up, expected=noise)
        for row, dx, dy in zip(pairs, found.cv.tolist(), found.lb.tolist(), strict=True):
            row |= {"d_cv": dx, "d_lb": dy}
    chosen = _picks(pairs, up, expected, final, alike or {})
    ids = tuple(row["id"] for row in pairs)
    for row in rows:
        row["final"] = any(ids[p.index] == row["id"] for p in chosen)
    if not pairs:  # nothing but the public score is known
        best = sorted(rows, key=lambda row: row["public"], reverse=up)[:final]
        for row in best:
            row["final"] = True
    ranked = sorted(rows, key=lambda r: r["public"] if r["private"] is None else r["private"], reverse=up)
    warnings = (*(found.warnings if found else ()), *([input_warning] if input_warning else []))
    numbered = tuple({"rank": n} | row for n, row in enumerate(ranked, 1))
    return Standings(metric, up, board_name, numbered, found, ids, tuple(chosen), warnings, **more)


def _row(receipt: Receipt, known: Kept | None, cv: Mapping[str, float | None]) -> dict[str, Any]:
    attempt = receipt.attempt or (known.receipt.attempt if known else "")
    of_attempt = cv.get(attempt)
    score = of_attempt if of_attempt is not None else known.cv if known else None
    return asdict(receipt) | {"attempt": attempt, "cv": score, "d_cv": None, "d_lb": None, "final": False}


def _picks(
    pairs: Sequence[dict[str, Any]],
    up: bool,
    expected: Expected | None,
    final: int,
    alike: Mapping[tuple[str, str], float],
) -> list[Pick]:
    """Of the files that differ: a file that was handed in twice is picked once."""
    first = {row["sha256"] or str(row["id"]): n for n, row in reversed(list(enumerate(pairs)))}
    places = sorted(first.values())
    names = [pairs[n]["attempt"] for n in places]
    known = {name for pair in alike for name in pair}
    matrix = None
    if names and set(names) <= known:
        matrix = np.array([[1.0 if a == b else alike[a, b] for b in names] for a in names])
    xs, ys = [pairs[n]["cv"] for n in places], [pairs[n]["public"] for n in places]
    expected = expected.of(names) if expected else None
    found = picks(xs, ys, up=up, expected=expected, count=final, alike=matrix)
    return [Pick(places[p.index], p.score, p.why) for p in found]


def _seen(expected: Expected, n: int) -> str:
    """How much of a shift there may be that so few submissions do not show."""
    of = f"no ranking shift is seen; of {n} submissions one would be (in 95 of 100) that moves attempts by"
    return f"{of} ±{expected.seen(n):.2g} or more"


def _finite(tree: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in tree.items()}


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.5f}" if isinstance(value, float) else str(value)
