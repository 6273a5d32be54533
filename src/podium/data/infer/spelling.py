"""How tables spell ids and classes: a class joined to an id (a.jpg_Fish), a column named after a class (prob_cat)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from podium.data.patterns import IMAGE_SUFFIXES

MOST_CLASSES = 200
_JOINS = "_-|: "


@dataclass(frozen=True)
class Combined:
    """Ids with a class joined to them.

    Attributes:
        spelling: For instance {id}.jpg_{class}.
        classes: The classes, in the order of `in_order`.
        parts: The (id, class) of each value; None for one that is not spelled like that.
    """

    spelling: str
    classes: tuple[str, ...]
    parts: tuple[tuple[str, str] | None, ...]


def combined_ids(values: Sequence[str], known: Collection[str]) -> Combined | None:
    """What values are that begin with a known id, if nine of ten do and the rest is one of a few classes."""
    some = [v for v in values[:300] if v]
    votes = Counter(way for v in some if (way := _split(v, known)) is not None)
    if not votes:
        return None
    (ending, join), n = votes.most_common(1)[0]
    if n * 10 < 9 * len(some):
        return None
    parts = [_parts(v, ending, join, known) for v in values]
    named = [p for p in parts if p is not None]
    classes, ids = {c for _, c in named}, {id for id, _ in named}
    if not 2 <= len(classes) <= MOST_CLASSES or len(ids) == len(named) or len(classes) * 2 > len(named):
        return None
    return Combined(f"{{id}}{ending}{join}{{class}}", tuple(in_order(classes)), tuple(parts))


def _split(value: str, known: Collection[str]) -> tuple[str, str] | None:
    """(ending, joining character) of the longest known id that a value begins with."""
    for at in range(len(value) - 2, 0, -1):
        if value[at] not in _JOINS:
            continue
        head = value[:at]
        if head in known:
            return "", value[at]
        path = PurePath(head)
        if path.suffix.lower() in IMAGE_SUFFIXES and head[: -len(path.suffix)] in known:
            return path.suffix, value[at]
    return None


def _parts(value: str, ending: str, join: str, known: Collection[str]) -> tuple[str, str] | None:
    mark = f"{ending}{join}"
    cuts = [m.start() for m in re.finditer(re.escape(mark), value)]
    found = [(value[:at], value[at + len(mark) :]) for at in cuts if 0 < at < len(value) - len(mark)]
    return next((p for p in reversed(found) if p[0] in known), found[-1] if found else None)


def in_order(classes: Collection[str]) -> list[str]:
    """Classes in the order of their numbers, if they are numbers, else of the alphabet."""
    numbers = all(re.fullmatch(r"-?\d+(\.0)?", c) for c in classes)
    return sorted(classes, key=lambda c: (float(c) if numbers else 0.0, c))


def class_names(spelt: Sequence[str]) -> list[str]:
    """What classes are called in [classes]: as they are spelt, or class1 for 1."""
    return [f"class{c}" if re.fullmatch(r"-?\d+(\.0)?", c) else c for c in spelt]


def columns_of(names: Sequence[str], columns: Sequence[str]) -> list[str] | None:
    """The column that each name stands for: called like it, but for case, marks and what all columns share."""
    before = _beginning(columns)
    after = _beginning([c[::-1] for c in columns])[::-1]
    bare = [c[len(before) : len(c) - len(after)] if len(columns) > 1 else c for c in columns]
    for spelt in (columns, bare):
        for plain in (str, _plain):
            by_name = {plain(s): c for s, c in zip(spelt, columns, strict=True)}
            if len(by_name) == len(columns) and all(plain(n) in by_name for n in names):
                return [by_name[plain(n)] for n in names]
    shared = _beginning(names) if len(names) > 1 else ""
    if shared:  # class1, class2 beside prob_1, prob_2
        return columns_of([n.removeprefix(shared) for n in names], columns)
    return None


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    low, high = min(names), max(names)
    return low[: next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def is_number(text: str) -> bool:
    """Whether a field holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
