"""`team/`: what teammates found, a file an archive that was taken over; the same changes of several put together."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.config import read_toml, write_toml
from podium.errors import LedgerError, PodiumError
from podium.ledger.attempt import Attempt
from podium.ledger.changes import Change
from podium.ledger.pool import Opinion, Pooled, pool

TEAM = "team"
"""The folder, in the workspace."""


@dataclass(frozen=True)
class Finding:
    """One change and what became of it somewhere.

    Attributes:
        key: The same for the same change: its keys and new values, whatever the parent had.
        told: The change in words.
    """

    key: str
    told: str
    opinion: Opinion


@dataclass(frozen=True)
class Tried:
    """A change that somebody tried, and what all say of it."""

    told: str
    names: tuple[str, ...]
    pooled: Pooled
    opinions: tuple[Opinion, ...]

    def __str__(self) -> str:
        return f"{self.names[0]} ({self.told}): {self.pooled}"

    def tree(self) -> dict[str, Any]:
        """As JSON has it."""
        low, high = self.pooled.interval
        known = math.isfinite(self.pooled.se)
        return {
            "change": self.told,
            "names": list(self.names),
            "gain": self.pooled.gain,
            "se": self.pooled.se if known else None,
            "interval": [low, high] if known else None,
            "between": self.pooled.between if known else None,
            "people": self.pooled.people,
            "verdicts": self.pooled.verdicts,
            "who": sorted({o.who for o in self.opinions}),
        }


def key_of(change: Change) -> str:
    """The same for the same change: {key: new value}, in order."""
    return json.dumps({k: new for k, (_, new) in sorted(change.items())}, sort_keys=True, default=str)


def finding_of(attempt: Attempt, who: str) -> Finding | None:
    """An attempt's change with its verdict; None for a baseline, and while there is no verdict."""
    verdict = attempt.verdict
    if attempt.parent is None or verdict is None or not attempt.change:
        return None
    gain = verdict.gain if verdict.raw_gain is None else verdict.raw_gain
    se = math.nan if verdict.se is None else verdict.se
    told = ", ".join(f"{k} = {new}" for k, (_, new) in sorted(attempt.change.items()))
    return Finding(key_of(attempt.change), told, Opinion(who, gain, se, verdict.verdict, attempt.name))


def write_findings(root: Path, who: str, made: str, findings: Iterable[Finding]) -> Path:
    """Keep a teammate's findings; those of the same archive, taken over again, replace themselves."""
    stem = re.sub(r"[^a-z0-9]+", "-", f"{who} {made}".lower()).strip("-")
    path = root / TEAM / f"{stem}.toml"
    entries = [
        {"key": f.key, "change": f.told, "name": f.opinion.name, "verdict": f.opinion.verdict, "gain": f.opinion.gain}
        | ({"se": f.opinion.se} if math.isfinite(f.opinion.se) else {})
        for f in findings
    ]
    write_toml(path, {"who": who, "made": made, "findings": entries})
    return path


def read_findings(root: Path) -> list[Finding]:
    """Those of all teammates; of one person's attempts that were shared twice, the later.

    Raises:
        LedgerError: naming a file that is damaged.
    """
    found: dict[tuple[str, str, str], tuple[str, Finding]] = {}
    for path in sorted((root / TEAM).glob("*.toml")):
        try:
            tree = read_toml(path)
            who, made = str(tree["who"]), str(tree["made"])
            for entry in tree["findings"]:
                opinion = Opinion(
                    who, float(entry["gain"]), float(entry.get("se", "nan")), str(entry["verdict"]), str(entry["name"])
                )
                one = Finding(str(entry["key"]), str(entry["change"]), opinion)
                place = (who, one.key, opinion.name)
                if place not in found or found[place][0] <= made:
                    found[place] = (made, one)
        except (KeyError, TypeError, ValueError, PodiumError) as error:
            raise LedgerError(
                f"damaged ({error})", where=path, remedy="remove it, and adopt the archive again"
            ) from None
    return [one for _, one in found.values()]


def pooled_changes(findings: Sequence[Finding]) -> list[Tried]:
    """Each change with what all say of it; those of most people first, then the greatest gains."""
    of_key: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        of_key[finding.key].append(finding)
    found = [
        Tried(
            same[0].told,
            tuple(dict.fromkeys(f.opinion.name for f in same)),
            pool([f.opinion for f in same]),
            tuple(f.opinion for f in same),
        )
        for same in of_key.values()
    ]
    return sorted(found, key=lambda c: (-c.pooled.people, -c.pooled.gain))
