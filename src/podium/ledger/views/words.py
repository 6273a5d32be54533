"""How the views write numbers and cut text."""

from __future__ import annotations

from rich.cells import cell_len


def signed(value: float, decimals: int) -> str:
    """+0.0012; a zero has no sign."""
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def printable(text: str) -> str:
    """In one line, without what could steer a terminal: a reason may hold anything."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def cut(text: str, width: int) -> str:
    """At most so many columns: what is too long loses its middle, since a change's end says what it changes to."""
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 2
    return _first(text, width - 1 - tail) + "…" + _first(text[::-1], tail)[::-1] if width > 1 else "…"[:width]


def _first(text: str, width: int) -> str:
    while cell_len(text) > width:
        text = text[: -max(1, (cell_len(text) - width) // 2)]
    return text


def padded(text: str, width: int, *, right: bool = False) -> str:
    """With blanks to so many columns."""
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks
