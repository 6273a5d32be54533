"""What a climb has come to: the claim, what was tried, kind by kind, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from podium.climb.driver import Climb
from podium.climb.journal import Journal
from podium.climb.moves import changes_of, kind_of
from podium.ledger.decimals import digits

FALSE_YES = 0.03
"""Of an attempt that does nothing: docs/verdict-calibration.md."""


@dataclass(frozen=True)
class Row:
    """One attempt of the climb."""

    id: int
    name: str
    kind: str
    change: str
    verdict: str
    gain: float | None
    se: float | None
    fold_runs: int

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Report:
    """A climb, ended or not.

    Attributes:
        champion: (id, name, what it has that the baseline has not: the accepted attempts in order).
        proposed: (id, name, shrunk gain over the champion) of what to submit, if that is not the champion.
        promised: Sum of the shrunk gains that the verdicts stored, on the way to what is proposed.
        untried: Changes that could have been tried.
        guarded: {change: why it was out of the question}.
        saved: Fold runs fewer than training every fold of every attempt; the last check counts on neither side.
    """

    journal: Journal
    metric: str
    k: int
    champion: tuple[int, str, tuple[str, ...]]
    proposed: tuple[int, str, float] | None
    rows: tuple[Row, ...]
    promised: float
    noise_floor: float
    spent: int
    saved: int
    untried: tuple[str, ...]
    guarded: dict[str, str]

    @classmethod
    def of(cls, climb: Climb, metric: str) -> Report:
        """Read it off the ledger."""
        ledger, journal, state = climb.ledger, climb.journal, climb.state()
        ours = [a for a in state.attempts if _belongs(a, climb)]
        rows = tuple(_row(a, climb) for a in ours)
        by_id = {a.id: a for a in state.attempts}
        lineage, proposed = _lineage(state.champion, by_id), by_id.get(journal.proposed, state.champion)
        gained = [a for a in _lineage(proposed, by_id) if _belongs(a, climb) and a.verdict]
        floors = [a.verdict.noise_floor for a in ours if a.verdict and a.verdict.noise_floor]
        trained = [row.fold_runs for row in rows if row.fold_runs]
        fits = state.fits()
        return cls(
            journal,
            metric,
            ledger.k,
            (state.champion.id, state.champion.name, tuple(a.name for a in lineage if a.parent is not None)),
            None if proposed.id == state.champion.id else (proposed.id, proposed.name, proposed.verdict.gain),
            rows,
            sum(a.verdict.gain for a in gained),
            floors[-1] if floors else 0.0,
            climb.spent(),
            ledger.k * len(trained) - sum(trained),
            tuple(name for name, found in fits.items() if found.recipe),
            {name: found.reason for name, found in fits.items() if not found.recipe} | journal.left_out,
        )

    def by_kind(self) -> list[dict[str, Any]]:
        """A row a kind: attempts, YES, NO, UNSURE, fold runs."""
        kinds: dict[str, dict[str, Any]] = {}
        for row in self.rows:
            of = kinds.setdefault(
                row.kind, {"kind": row.kind, "attempts": 0, "YES": 0, "NO": 0, "UNSURE": 0, "runs": 0}
            )
            of["attempts"] += 1
            of["runs"] += row.fold_runs
            if row.verdict in of:
                of[row.verdict] += 1
        return sorted(kinds.values(), key=lambda of: (-of["YES"], -of["attempts"], of["kind"]))

    def told(self) -> list[str]:
        """The claim and the cost, in a few lines."""
        number, name, way = self.champion
        yes = sum(row.verdict == "YES" for row in self.rows)
        shown = digits(self.noise_floor, self.promised or 1.0)
        lines = [f"champion: {number} {name}" + (f" ({' + '.join(way)})" if len(way) > 1 else "")]
        if self.champion[0] == self.journal.stood:
            lines.append("no change was accepted: what stood before stands")
        if self.proposed is not None:
            id, name, gain = self.proposed
            lines.append(f"to submit: {id} {name}; no YES, but likeliest to help ({gain:+.{shown}f}, part of it luck)")
        lines += self._claimed(shown)
        tried, runs = len(self.rows), sum(row.fold_runs for row in self.rows)
        lines.append(
            f"{tried} attempts, {yes} accepted, in {runs} fold runs: {self.saved} fewer than every fold of each"
        )
        if tried:
            lines.append(f"expected false YES: about {FALSE_YES * tried:.1f}, by chance alone")
        return lines

    def _claimed(self, shown: int) -> list[str]:
        claim = self.journal.claim
        if claim is None:
            if not self.promised:
                return []
            return [f"the verdicts promise {self.promised:+.{shown}f} {self.metric}; not yet checked with new seeds"]
        what = "champion" if self.proposed is None else self.proposed[1]
        folds = f"{claim.folds} fold{'s' * (claim.folds != 1)}"
        between = "" if claim.low is None else f" (90 % interval {claim.low:+.{shown}f} to {claim.high:+.{shown}f})"
        lines = [
            f"both trained anew with other seeds, on {folds}: {claim.gain:+.{shown}f} {self.metric} "
            f"over the baseline{between}",
            f"  baseline {claim.baseline_score:.{shown + 1}f}, {what} {claim.champion_score:.{shown + 1}f}; "
            f"the verdicts on the way promised {self.promised:+.{shown}f}",
        ]
        if claim.low is not None and claim.low <= 0:
            lines.append("  these new trainings alone do not prove a gain: the interval reaches 0")
        return lines

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        claim = self.journal.claim
        return {
            "champion": {"id": self.champion[0], "name": self.champion[1], "accepted": list(self.champion[2])},
            "proposed": None
            if self.proposed is None
            else dict(zip(("id", "name", "gain"), self.proposed, strict=True)),
            "claim": claim.tree() if claim else None,
            "promised": self.promised,
            "attempts": [row.tree() for row in self.rows],
            "kinds": self.by_kind(),
            "fold_runs": self.spent,
            "saved": self.saved,
            "seconds": self.journal.seconds,
            "untried": list(self.untried),
            "guarded": self.guarded,
            "done": self.journal.done,
        }

    def markdown(self) -> str:
        """The page `reports/climb.md`."""
        parts = ["# Climb", "", *(f"- {line.strip()}" for line in self.told()), "", "## By kind", ""]
        heads = ["kind", "attempts", "YES", "NO", "UNSURE", "fold runs"]
        parts += _markdown(heads, [list(of.values()) for of in self.by_kind()])
        parts += ["", "## Attempts", ""]
        parts += _markdown(
            ["id", "name", "kind", "change", "verdict", "gain", "fold runs"],
            [[r.id, r.name, r.kind, f"`{r.change}`", r.verdict, _gain(r), r.fold_runs] for r in self.rows],
        )
        parts += ["", "Gains are shrunk, ± the standard error of the raw gain; + is better.", "", "## Not tried", ""]
        parts += [f"- {name}: could be next" for name in self.untried]
        parts += [f"- {name}: {why}" for name, why in self.guarded.items()]
        return "\n".join(parts) + "\n"


def _belongs(attempt: Any, climb: Climb) -> bool:
    """Whether an attempt was made by this climb, or went on in it."""
    of_catalogue = bool(changes_of(attempt.name, climb.catalog))
    return of_catalogue and (attempt.id >= climb.journal.first or attempt.name in climb.journal.retried)


def _row(attempt: Any, climb: Climb) -> Row:
    v, name, journal = attempt.verdict, attempt.name, climb.journal
    trained = climb.ledger.fold_runs(attempt.id)  # none in the check either, if it only predicts in another way
    checked = min(trained, journal.claim.folds) if journal.claim and attempt.id == journal.proposed else 0
    return Row(
        attempt.id,
        name,
        kind_of(name, climb.catalog, journal.retried),
        attempt.change_text(),
        "-" if v is None else v.verdict,
        None if v is None else v.gain,
        None if v is None else v.se,
        trained - checked,
    )


def _lineage(champion: Any, by_id: dict[int, Any]) -> list[Any]:
    """From the baseline to the champion."""
    found, now = [], champion
    while now is not None:
        found.append(now)
        now = by_id.get(now.parent)
    return found[::-1]


def _gain(row: Row) -> str:
    if row.gain is None:
        return "-"
    shown = digits(row.se or 0.0, row.gain)
    return f"{row.gain:+.{shown}f}" + (f" ± {row.se:.{shown}f}" if row.se is not None else "")


def _markdown(heads: list[str], rows: Iterable[list[Any]]) -> list[str]:
    return [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
        for line in [heads, ["---"] * len(heads), *rows]
    ]
