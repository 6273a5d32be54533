"""What the ledger adds up to: verdicts, how many of the YES may be luck, hours spent and saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from podium.ledger.decimals import two_digits
from podium.ledger.views.entries import Entry, Ledger
from podium.progress import counted, duration

FALSE_YES = 0.03
"""Of 100 changes that do nothing, 2 to 4 get a YES. Source: VERDICT.md; `podium verdict --simulate` measures it."""

WORTH = 1.5
"""Noise floors of a gain worth having, `RULE.d_min`, whose module takes long to import."""


@dataclass(frozen=True)
class Totals:
    """Sums over a ledger.

    Attributes:
        judged: Attempts with a verdict that stands; ``yes``, ``no`` and ``unsure`` of them.
        overruled: Made the champion by a person, against their verdict.
        open: Attempts that are not finished, baselines too.
        expected_false: YES that luck would have given, had no change done anything.
        seconds, fold_runs: Of all that was trained; what was only predicted anew counts as no fold run.
        whole_seconds: What each judged attempt's training on every fold once would have taken.
        judged_seconds: What the judged attempts did take.
        worth: The gain worth having, as the usual noise floor has it, if a NO has a gain that needs the explanation.
    """

    attempts: int
    judged: int
    yes: int
    no: int
    unsure: int
    overruled: int
    open: int
    expected_false: float
    seconds: float
    fold_runs: int
    whole_seconds: float
    judged_seconds: float
    worth: float | None = None

    @classmethod
    def of(cls, ledger: Ledger) -> Totals:
        """Of every attempt."""
        judged = [entry for entry in ledger.entries if entry.judged]
        trained = [entry for entry in judged if entry.trained]
        verdicts = [entry.verdict for entry in judged]
        return cls(
            attempts=len(ledger.entries),
            judged=len(judged),
            yes=verdicts.count("YES"),
            no=verdicts.count("NO"),
            unsure=verdicts.count("UNSURE"),
            overruled=sum(entry.overruled for entry in ledger.entries),
            open=sum(not entry.finished for entry in ledger.entries),
            expected_false=FALSE_YES * len(judged),
            seconds=sum(entry.seconds for entry in ledger.entries),
            fold_runs=sum(entry.trained for entry in ledger.entries),
            whole_seconds=sum(entry.seconds / entry.trained * ledger.k for entry in trained),
            judged_seconds=sum(entry.seconds for entry in trained),
            worth=_worth(ledger),
        )

    @property
    def saved_seconds(self) -> float:
        """Against training every fold of each judged attempt; negative if second seeds took more than that."""
        return self.whole_seconds - self.judged_seconds

    def tree(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self) | {"saved_seconds": self.saved_seconds}

    def told(self) -> list[str]:
        """For people, a line each."""
        lines = [self._verdicts(), self._no(), self._luck(), self._time()]
        return [line for line in lines if line]

    def _verdicts(self) -> str:
        parts = [f"{self.yes} YES, {self.no} NO, {self.unsure} UNSURE of {self.judged} judged"] if self.judged else []
        parts += [f"{counted(self.overruled, 'verdict')} overruled"] if self.overruled else []
        parts += [f"{self.open} unfinished"] if self.open else []
        return "; ".join(parts)

    def _no(self) -> str:
        if self.worth is None:
            return ""
        floors = f"{WORTH:g} noise floors, mostly about {two_digits(self.worth)}"
        return f"a NO with a gain may help a little; a gain worth having ({floors}) is unlikely"

    def _luck(self) -> str:
        if not self.judged:
            return ""
        return (
            f"{self.yes} accepted, where luck alone would give about {self.expected_false:.1f} "
            "(of changes that do nothing, 3 in 100 get a YES)"
        )

    def _time(self) -> str:
        if not self.fold_runs:
            return ""
        spent = f"trained {duration(self.seconds)} in {counted(self.fold_runs, 'fold run')}"
        if not self.whole_seconds:
            return spent
        whole, saved = duration(self.whole_seconds), self.saved_seconds
        word = "saved" if saved >= 0 else "more, for second seeds"
        told = f"{spent}, {duration(self.judged_seconds)} of it for verdicts"
        against = f"on every fold of each attempt that would have been {whole}"
        return f"{told}; {against}: {duration(abs(saved))} {word} ({abs(saved) / self.whole_seconds:.0%})"


def _worth(ledger: Ledger) -> float | None:
    """`Totals.worth`: the median of the attempts with such a NO."""
    floors = [e.noise_floor for e in ledger.entries if e.judged and e.verdict == "NO" and e.noise_floor and _gains(e)]
    return WORTH * median(floors) if floors else None


def _gains(entry: Entry) -> bool:
    return entry.gain is not None and entry.gain > 0
