"""Attempts whose NO was close: what to look at again when ideas run out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podium.ledger.verdict import CAREFUL, RULE
from podium.ledger.views.entries import Entry, Ledger
from podium.ledger.views.words import printable, signed

Z_CAREFUL = 1.2816
"""Of a chance of 10 % (`CAREFUL.beta`), one-sided."""


@dataclass(frozen=True)
class Near:
    """An attempt near the line.

    Attributes:
        reach: The gain that it may still have, in noise floors: the upper end of what the careful mode believes.
            At `RULE.d_min` and above that mode would not have given up yet.
    """

    entry: Entry
    reach: float

    def tree(self) -> dict[str, Any]:
        """For a program."""
        return self.entry.tree() | {"reach": self.reach, "again": self.again()}

    def again(self) -> str:
        """The command that goes on with it, more patiently."""
        return f"podium resume {self.entry.id} --careful"

    def told(self, decimals: int) -> str:
        """In a line."""
        e = self.entry
        gain, error = signed(e.raw_gain or 0.0, decimals), f"{e.se or 0.0:.{decimals}f}"
        verdict = f"{e.verdict} after {e.fold_runs} fold run{'s' * (e.fold_runs != 1)}"
        return f"{e.id} {e.name}: {printable(e.change)}: {gain} ± {error}, {verdict}   {self.again()}"


def near_the_line(ledger: Ledger) -> list[Near]:
    """The NO and final UNSURE that careful mode would still go on with, the most promising first.

    Left out: those whose change the champion's line has by now, those judged carefully already (their line is the
    careful one), and those without a noise floor.
    """
    line = _changes_of(ledger)
    found = []
    for entry in ledger.entries:
        if not entry.judged or entry.verdict == "YES" or entry.crowned or entry.change in line:
            continue
        if entry.raw_gain is None or not entry.se or not entry.noise_floor:
            continue
        reach = (entry.raw_gain + Z_CAREFUL * entry.se) / entry.noise_floor
        if entry.raw_gain > 0 and reach >= CAREFUL.d_min and entry.fold_runs < RULE.seeds * ledger.k:
            found.append(Near(entry, reach))
    return sorted(found, key=lambda near: -near.reach)


def told(near: Sequence[Near], decimals: int) -> list[str]:
    """For people, a line each."""
    if not near:
        return ["no attempt is near the line: what got a NO is not worth another look"]
    head = f"{len(near)} near the line: gave up early, and may have gained all the same (the best first)"
    return [head, *(n.told(decimals) for n in near)]


def _changes_of(ledger: Ledger) -> set[str]:
    """What the champion and those it stands on changed, in words."""
    found, now = set[str](), ledger.champion
    while now is not None and now.change not in found:
        found.add(now.change)
        now = None if now.parent is None else ledger.by_id.get(now.parent)
    return found
