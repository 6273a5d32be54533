"""What a column of a table holds: flags, numbers, names of classes, lists of labels, text; or run-length masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from podium.data.infer.spelling import MOST_CLASSES, is_number
from podium.data.targets import SIGNS

SEPARATORS = ("|", ";", ",", " ")
UNKNOWN = frozenset({"", "na", "n/a", "#n/a", "nan", "none", "null", "-", "--", "?", "unknown", "missing"})
"""What tables write where a number is not known."""
_UNSURE = {"-1", "-1.0", "", "0", "0.0", "1", "1.0"}
"""What columns of uncertain labels hold."""


def tells(column: pl.Series) -> bool:
    """Whether a column could be a target or an input: it varies, is filled, and is not a name for each row."""
    values = known_values([v for v in column.to_list() if v])
    distinct = len(set(values))
    return (
        len(values) * 2 > len(column)
        and distinct > 1
        and (distinct < len(values) or all(is_number(v) for v in values))
        and not _are_masks(values)
    )


def _are_masks(values: Sequence[str]) -> bool:
    """Whether half of the values are run-length masks of more than a pair, which no labels are."""
    some = [v.split() for v in values[:300]]
    long = [n for n in some if len(n) > 2 and len(n) % 2 == 0 and all(t.isdecimal() for t in n)]
    starts = [[int(t) for t in n[::2]] for n in long]
    ascending = [s for s in starts if all(a < b for a, b in pairwise(s)) and s[-1] > MOST_CLASSES]
    return len(ascending) * 2 > len(some)


def kind_of(column: pl.Series) -> str:
    values = set(known_values(list(set(column.to_list()) - {""})))
    if {v.lower() for v in values} <= {"0", "1", "0.0", "1.0", "true", "false"} or values == SIGNS:
        return "flag"
    if all(is_number(v) for v in values):
        return "number"
    few = len(values) <= MOST_CLASSES and len(values) * 2 <= max(len(column), 8)
    return "class" if few or _list_of_few(values) else "text"


def known_values(values: Sequence[str]) -> list[str]:
    """Values without NA, nan, none and the like, if all others are numbers; else all: a class may be called none."""
    known = [v for v in values if v.strip().lower() not in UNKNOWN]
    return known if all(is_number(v) for v in known) else list(values)


def first_few(values: Sequence[str]) -> bool:
    """Whether values are 0, 1, 2 … or 1, 2, 3 …, at most ten, and none of them is rare, as high counts are."""
    counts = Counter(values)
    if not 3 <= len(counts) <= 10 or not all(v.isdecimal() for v in counts):
        return False
    first = min(map(int, counts))
    whole = {str(first + i) for i in range(len(counts))}
    return first in (0, 1) and counts.keys() == whole and min(counts.values()) * 4 * len(counts) >= len(values)


def uncertain(table: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """Columns of 1 and 0 with -1 for what is uncertain, or nothing for what is not told, as CheXpert's are."""
    values = {c: set(table[c].to_list()) for c in columns}
    found = [c for c, v in values.items() if v <= _UNSURE and v & {"1", "1.0"} and (v & {"0", "0.0", ""} or v == SIGNS)]
    return found if len(found) > 1 and any(values[c] & {"-1", "-1.0"} for c in found) else []


def other_flags(table: pl.DataFrame, targets: Sequence[str]) -> dict[str, int]:
    """{-1 or "": 0} for what columns of 0 and 1 have beside these, where it is more than a gap here and there."""
    fields = Counter(v for c in targets if set(table[c].to_list()) != SIGNS for v in table[c].to_list())
    minus = sorted(fields.keys() & {"-1", "-1.0"})
    empty = [""] if fields[""] and (minus or fields[""] * 5 > fields.total()) else []
    return dict.fromkeys([*empty, *minus], 0)


def _list_of_few(values: set[str]) -> bool:
    return any(is_list(list(values), s) for s in SEPARATORS)


def is_list(values: Sequence[str], separator: str) -> bool:
    """Whether values are lists of a few recurring labels: 'cat dog', 'dog', 'bird cat'."""
    if any(is_number(v) and separator in (",",) for v in values) or not any(separator in v for v in values):
        return False
    parts = Counter(p.strip() for v in set(values) for p in v.split(separator) if p.strip())
    repeated = sum(n > 1 for n in parts.values()) * 2 >= len(parts)  # in other company, or alone
    return (
        repeated
        and len(parts) <= MOST_CLASSES
        and any(len(v.split(separator)) == 1 for v in values) | (len(parts) < len(set(values)))
    )
