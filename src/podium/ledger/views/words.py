"""How the views write numbers and cut text."""

from __future__ import annotations

import re

from rich.cells import cell_len

_NARROW = re.compile(r"[ -~─-╿●○★…→±Δ]*")
"""What takes a column a character, and is most of what is printed."""


def columns_of(text: str) -> int:
    """How many columns of a terminal it takes."""
    return len(text) if _NARROW.fullmatch(text) else cell_len(text)


def signed(value: float, decimals: int) -> str:
    """+0.0012; a zero has no sign."""
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def printable(text: str) -> str:
    """In one line, without what could steer a terminal: a reason may hold anything."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def cut(text: str, width: int) -> str:
    """At most so many columns: what is too long loses its middle, since a change's end says what it changes to."""
    if columns_of(text) <= width:
        return text
    tail = (width - 1) // 2
    return _first(text, width - 1 - tail) + "…" + _first(text[::-1], tail)[::-1] if width > 1 else "…"[:width]


def _first(text: str, width: int) -> str:
    while cell_len(text) > width:
        text = text[: -max(1, (cell_len(text) - width) // 2)]
    return text
