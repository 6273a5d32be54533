"""The tree and the table in one, for a terminal of any width."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from podium.ledger.views.entries import Entry, Ledger
from podium.ledger.views.tree import branches
from podium.ledger.views.words import columns_of, cut, printable, signed
from podium.progress import duration

NAME, CHANGE = 16, 12
"""Columns that a name and a change keep where there is little room."""


@dataclass(frozen=True)
class Column:
    """One column: its heading, its cells, and on which side they stand."""

    head: str
    cells: list[str]
    right: bool = False

    @cached_property
    def widths(self) -> list[int]:
        """Of the heading and the cells."""
        return [*map(columns_of, [self.head, *self.cells])]

    @property
    def width(self) -> int:
        """Of the widest cell."""
        return max(self.widths)

    def narrowed(self, width: int) -> Column:
        """With what is too wide said in short, then only the first settings, then cut in the middle."""
        cells = [cell if columns_of(cell) <= width else first_of(shorter(cell), width) for cell in self.cells]
        return Column(cut(self.head, width), cells, self.right)

    def padded(self) -> list[str]:
        """The heading and the cells, all equally wide."""
        width, cells = self.width, zip([self.head, *self.cells], self.widths, strict=True)
        if self.right:
            return [" " * (width - n) + cell for cell, n in cells]
        return [cell + " " * (width - n) for cell, n in cells]


def table(ledger: Ledger, width: int | None = None) -> list[str]:
    """A line for each attempt, below a heading.

    Args:
        width: Of the terminal; changes and names that do not fit are shortened, and where that is not enough the time
            and the number of folds are left out. None: nothing is cut.
    """
    tree = branches(ledger)
    entries = [entry for _, entry in tree]
    columns = [
        Column("id", [str(entry.id) for entry in entries], right=True),
        Column("attempt", [f"{marks} {entry.name}" for marks, entry in tree]),
        Column("change", [printable(entry.change) for entry in entries]),
        Column("ΔCV ± SE", [delta(entry, ledger) for entry in entries], right=True),
        Column("verdict", [entry.standing() for entry in entries]),
        Column("folds", [folds(entry) for entry in entries]),
        Column("time", [duration(entry.seconds) if entry.fold_runs else "" for entry in entries], right=True),
        Column("public", ["" if e.public is None else f"{e.public:.4f}" for e in entries], right=True),
    ]
    columns = [c for c in columns if any(c.cells)]
    columns = columns if width is None else _fitted(columns, width)
    return [line.rstrip() for line in map("  ".join, zip(*(c.padded() for c in columns), strict=True))]


def _fitted(columns: list[Column], width: int) -> list[Column]:
    """The change gives way first, then the name; then whole columns, those that are missed least first."""
    for head in ("time", "folds", "public", "change"):
        if _needs(columns) > width:
            columns = [column for column in columns if column.head != head]
    for head, least in (("change", 2 * CHANGE), ("attempt", NAME), ("change", CHANGE)):
        over = sum(c.width for c in columns) + 2 * (len(columns) - 1) - width
        if over > 0:
            columns = [c.narrowed(max(min(least, c.width), c.width - over)) if c.head == head else c for c in columns]
    return columns


def _needs(columns: list[Column]) -> int:
    """The width that they take at the least."""
    least = {"change": CHANGE, "attempt": NAME}
    return sum(min(c.width, least.get(c.head, c.width)) + 2 for c in columns) - 2


def shorter(change: str) -> str:
    """`optim.lr 0.1 -> 0.2` as `lr 0.1→0.2`."""
    return re.sub(r"(?<![\w.])(?:[a-z]\w*\.)+(\w+) ", r"\1 ", change).replace(" -> ", "→")


def first_of(change: str, width: int) -> str:
    """As many whole settings of a change as fit, and how many more there are: `lr 0.1→0.2, +3 more`."""
    settings = _settings(change)
    for n in range(len(settings), 0, -1):
        told = ", ".join(settings[:n]) + (f", +{len(settings) - n} more" if n < len(settings) else "")
        if columns_of(told) <= width:
            return told
    more = f" +{len(settings) - 1}" if len(settings) > 1 else ""
    return cut(settings[0], width - len(more)) + more if width >= CHANGE else cut(change, width)


def _settings(change: str) -> list[str]:
    """A change's settings, apart; the commas of a list or a table part nothing."""
    if not any(bracket in change for bracket in "[{("):  # most; ten thousand are to be listed in a second
        return change.split(", ")
    parts, depth, begun = list[str](), 0, 0
    for at, sign in enumerate(change):
        depth += (sign in "[{(") - (sign in "]})")
        if not depth and change.startswith(", ", at):
            parts.append(change[begun:at])
            begun = at + 2
    return [*parts, change[begun:]]


def delta(entry: Entry, ledger: Ledger) -> str:
    """+0.0012 ± 0.0004; of a beginning its score; nothing before the first fold."""
    if entry.parent is None:
        return "" if entry.cv is None else f"CV {entry.cv:.{max(4, ledger.decimals)}f}"
    if entry.gain is None:
        return ""
    error = "" if entry.se is None else f" ± {entry.se:.{ledger.decimals}f}"
    return signed(entry.gain, ledger.decimals) + error


def folds(entry: Entry) -> str:
    """3, or 3 (6) with second seeds."""
    several = f" ({entry.fold_runs})" if entry.fold_runs != entry.folds else ""
    return f"{entry.folds}{several}" if entry.fold_runs else ""
