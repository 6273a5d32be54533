"""What masks may hold, as `[data]`, `[classes]` and `[colours]` of competition.toml say it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from podium.formats.colours import Colour

VOID = re.compile(r"unlabel|void|ignore|don.?t.?care|^(unknown|unclassified|undefined|not_?labell?ed)$", re.IGNORECASE)


def voids(names: Collection[str]) -> set[str]:
    """The names that say that something is not labelled; none, if that left no two classes."""
    found = {name for name in names if VOID.search(name)}
    return found if len(names) - len(found) > 1 else set()


@dataclass(frozen=True)
class MaskKind:
    """What masks hold.

    Attributes:
        values: As `data.mask_values` says it.
        why: What was seen.
        classes: {name: value} of a class map; else empty.
        classes_why: Where their names come from.
        ignore: Values, or names of colours, that are no class.
        ignore_why: What told so.
        colours: {name: colour}, where colours stand for classes.
        colours_why: Where they come from.
    """

    values: str
    why: str
    classes: dict[str, int] = field(default_factory=dict)
    classes_why: str = ""
    ignore: list[int | str] = field(default_factory=list)
    ignore_why: str = ""
    colours: dict[str, Colour] = field(default_factory=dict)
    colours_why: str = ""


def short(values: Sequence[int]) -> str:
    """The first of many values."""
    text = ", ".join(map(str, values[:14]))
    return text + (", …" if len(values) > 14 else "")
