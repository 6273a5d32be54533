"""One thing to know about the data, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from podium.formats.submission_file import quoted

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

BAD = "podium prepare --exclude-bad"
EXAMPLES = 6
NAMED = 5
"""Ids named in the text; the page shows as many pictures as `EXAMPLES`."""


@dataclass(frozen=True)
class Finding:
    """One thing to know about the data.

    Attributes:
        name: A short stable title.
        count: Of samples, unless ``what`` says otherwise.
        what: What it means, as one sentence.
        remedy: The command or the line of configuration that deals with it.
        ids: All the samples it is about.
        examples: {id: caption} of the pictures to show.
        detail: Lines of figures.
        part: Whose ids they are.
        exclude: {id: reason} of the samples that `podium look --apply` leaves out.
    """

    name: str
    severity: Severity
    count: int
    what: str
    remedy: str
    ids: tuple[str, ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)
    detail: tuple[str, ...] = ()
    part: Literal["train", "test"] = "train"
    exclude: Mapping[str, str] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {
            "ids": list(self.ids),
            "detail": list(self.detail),
            "examples": dict(self.examples),
            "exclude": dict(self.exclude),
        }

    @property
    def action(self) -> str:
        """What to call the remedy: a note asks for nothing."""
        return "setting" if self.severity == "note" else "to do"

    def named(self) -> str:
        """The first few ids."""
        more = f" … {len(self.ids) - NAMED} more" if len(self.ids) > NAMED else ""
        return ", ".join(self.ids[:NAMED]) + more


def counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def percent(value: float) -> str:
    """Two significant digits or whole: 0.0098%, 3.5%, 28%; 100% only where nothing is missing."""
    if 99.5 <= value < 100:
        return f"{np.floor(value * 100) / 100:.2f}%"
    return f"{value:.0f}%" if value >= 9.95 or value == 0 else f"{value:.1f}%" if value >= 0.095 else f"{value:.2g}%"


def number(value: float) -> str:
    """Whole numbers whole (1,199,000; but 1199, as a year is written), others with six digits."""
    if value != round(value) or abs(value) >= 1e15:
        return f"{value:g}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"


def spread(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def share_of(part: pl.DataFrame, whole: pl.DataFrame) -> str:
    return f"{len(part)} of {len(whole)} ({percent(100 * len(part) / len(whole))})"


def shown_ids(frame: pl.DataFrame) -> dict[str, str]:
    return dict.fromkeys(frame["id"].to_list()[:EXAMPLES], "")


def exclude_line(id: str, reason: str) -> str:
    return f"line in exclude.csv (header: id,reason,by): {quoted(id)},{quoted(reason)},me"


def by_hand(frame: pl.DataFrame, reason: str) -> str:
    return "for each that is wrong, a " + exclude_line(frame["id"][0], reason)


def told(clusters: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{len(c)} times: {', '.join(c[:4])}{' …' if len(c) > 4 else ''}" for c in clusters[:8])
