"""Attempts as a tree: the line of champions runs straight down, what was tried on each hangs beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from podium.ledger.views.entries import Entry, Ledger

CHAMPION, LINE, ROOT = "★", "●", "○"
"""The champion; those that it stands on; an attempt whose parent is not here, or another beginning."""
TEE, ELBOW, BAR, GAP = "├─", "└─", "│  ", "   "
DEEPEST = 6
"""Levels that are drawn; deeper ones are told from their marks no more."""


def branches(ledger: Ledger) -> list[tuple[str, Entry]]:
    """Every attempt once, children under their parents, with the marks that go before its name."""
    return list(_walk(ledger))


def _walk(ledger: Ledger) -> Iterator[tuple[str, Entry]]:
    children: dict[int | None, list[Entry]] = defaultdict(list)
    for entry in ledger.entries:
        children[entry.parent].append(entry)
    line = _line(ledger)
    seen: set[int] = set()
    for mark, entry in _trunk(ledger, line, children, seen):
        seen.add(entry.id)
        yield mark, entry
    for entry in ledger.entries:
        lost = entry.parent is None or entry.parent not in ledger.by_id
        if lost and entry.id not in seen:
            yield from _root(entry, children, seen)
    for entry in ledger.entries:  # parents in a circle: somebody's hand was in the files
        if entry.id not in seen:
            yield from _root(entry, children, seen)


def _line(ledger: Ledger) -> list[Entry]:
    """From the first champion to the one that stands, each the next one's parent."""
    line: dict[int, Entry] = {}
    entry = ledger.champion
    while entry is not None and entry.id not in line:
        line[entry.id] = entry
        entry = None if entry.parent is None else ledger.by_id.get(entry.parent)
    return list(line.values())[::-1]


def _trunk(
    ledger: Ledger, line: list[Entry], children: dict[int | None, list[Entry]], seen: set[int]
) -> Iterator[tuple[str, Entry]]:
    seen.update(entry.id for entry in line)
    for n, entry in enumerate(line):
        yield (CHAMPION if entry is ledger.champion else LINE), entry
        yield from _below(entry, children, seen, last_is_last=n == len(line) - 1)


def _root(entry: Entry, children: dict[int | None, list[Entry]], seen: set[int]) -> Iterator[tuple[str, Entry]]:
    seen.add(entry.id)
    yield ROOT, entry
    yield from _below(entry, children, seen, last_is_last=True)


def _below(
    entry: Entry, children: dict[int | None, list[Entry]], seen: set[int], *, last_is_last: bool
) -> Iterator[tuple[str, Entry]]:
    """What hangs on an attempt; depth first, without recursion: a ledger may be deep."""

    def waiting(of: Entry, before: tuple[str, ...], closed: bool) -> list[tuple[tuple[str, ...], bool, Entry]]:
        kids = [kid for kid in children[of.id] if kid.id not in seen]
        seen.update(kid.id for kid in kids)
        return [(before, closed and kid is kids[-1], kid) for kid in reversed(kids)]

    stack = waiting(entry, (), last_is_last)
    while stack:
        before, last, kid = stack.pop()
        cut = before if len(before) <= DEEPEST else (*before[: DEEPEST - 1], "…  ")
        yield "".join(cut) + (ELBOW if last else TEE), kid
        stack += waiting(kid, (*before, GAP if last else BAR), True)
