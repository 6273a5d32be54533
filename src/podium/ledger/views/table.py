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
        """With what is too wide said in short, then cut in the middle."""
        cells = [cell if columns_of(cell) <= width else cut(shorter(cell), width) for cell in self.cells]
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
        width: Of the terminal; changes and names that do not fit are cut in the middle. None: nothing is cut.
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
    """The change gives way first, then the name."""
    over = sum(c.width for c in columns) + 2 * (len(columns) - 1) - width
    fitted = []
    for head, least in (("change", CHANGE), ("attempt", NAME)):
        for n, column in enumerate(columns):
            if column.head == head and over > 0:
                narrow = column.narrowed(max(min(least, column.width), column.width - over))
                over -= column.width - narrow.width
                fitted.append((n, narrow))
    return [dict(fitted).get(n, column) for n, column in enumerate(columns)]


def shorter(change: str) -> str:
    """`optim.lr 0.1 -> 0.2` as `lr 0.1→0.2`."""
    return re.sub(r"(?<![\w.])(?:[a-z]\w*\.)+(\w+) ", r"\1 ", change).replace(" -> ", "→")


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
