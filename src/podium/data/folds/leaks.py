"""Whether folds leak: what belongs together on both sides of a split; and what each fold has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from podium.data.folds.assignment import FoldInput
from podium.data.folds.traits import Column, described
from podium.errors import DataError
from podium.progress import counted

MOST_SHOWN = 10
"""Classes in a table."""


def check_leaks(
    fold: Mapping[str, int],
    groups: Mapping[str, str],
    path: Path | str,
    remedy: str = "correct the rows, or delete folds.csv to split anew",
) -> None:
    """Refuse folds that tear a group.

    Raises:
        DataError: naming the group and two of its samples.
    """
    first: dict[str, str] = {}
    for id in sorted(fold):
        other = first.setdefault(groups[id], id)
        if fold[other] != fold[id]:
            raise DataError(
                f"group '{groups[id]}' is torn: '{other}' is in fold {fold[other]}, '{id}' in fold {fold[id]}",
                where=path,
                expected="all samples of a group in one fold; otherwise local validation is too good to be true",
                remedy=remedy,
            )


@dataclass(frozen=True)
class Check:
    """What is in each fold, and what is wrong.

    Attributes:
        rows: One a fold: fold, samples, groups, and the share or mean of each of ``columns``.
        columns: {key: heading} of the rows.
        leaks: One line for each kind of thing that is torn; then local validation cannot be believed.
        notes: Ids that are missing or unknown, unequal sizes.
        shares: Whether there are classes, labels or empty masks to be shared.
        deviation: The furthest that a fold's share of a class (or of empty masks) is from the share in all samples.
        about: How the folds were made, where that is known.
    """

    rows: list[dict[str, Any]]
    columns: dict[str, str]
    leaks: list[str]
    notes: list[str]
    shares: bool
    deviation: float
    about: dict[str, Any] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def told(self) -> list[str]:
        """How the folds were made, how alike they are and what is to be noted."""
        lines, about = [], self.about
        if about:
            by = f" by {about['by']}" if about.get("by") else ""
            head = "these folds would be made" if about.get("planned") else "made"
            lines.append(f"{head}: {about.get('why', '?')}: {about.get('strategy', '?')}{by}")
        if about.get("edited"):
            lines.append("folds.csv was edited since")
        if self.shares:
            lines.append(
                f"shares in a fold are within {100 * self.deviation:.1f} percentage points of those of all samples"
            )
        return [*lines, *(f"note: {note}" for note in self.notes), *([] if self.leaks else ["no leak found"])]

    def believe(self, path: Path) -> None:
        """Refuse folds that leak.

        Raises:
            DataError: with all findings.
        """
        if self.leaks:
            raise DataError(
                "the folds leak:\n" + "\n".join(f"    {leak}" for leak in self.leaks),
                where=path,
                expected="what belongs together in one fold; otherwise local validation is too good to be true",
                remedy="correct the rows; or split anew: delete the file and run podium prepare",
            )


def check(fold: Mapping[str, int], input: FoldInput, k: int) -> Check:
    """Look at an assignment of samples to folds, whoever made it.

    Args:
        fold: {id: fold}; it may lack samples, and have others.
        input: The samples as they are.
    """
    have = [id for id in input.ids if id in fold]
    leaks = _leaks(fold, input)
    notes = []
    if missing := [id for id in input.ids if id not in fold]:
        notes.append(f"{counted(len(missing), 'sample')} without a fold: {_named(missing)}")
    if extra := sorted(fold.keys() - set(input.ids)):
        notes.append(f"{counted(len(extra), 'id')} that no training sample has: {_named(extra)}")
    units = input.units()
    sizes = Counter(fold[id] for id in have)
    largest = max(Counter(units[id] for id in have).values(), default=0)
    least, most = min(sizes[f] for f in range(k)), max(sizes[f] for f in range(k))
    if not least:
        notes.append(f"folds without a sample: {', '.join(str(f) for f in range(k) if not sizes[f])}")
    if most - least > max(largest, 1):
        notes.append(f"sizes from {least} to {most} differ by more than the largest group, {largest}")
    every = described(input)
    rows, deviation = _table(fold, input, units, k, every)
    columns = ("fold", "samples", "groups", *(c.name for c in every[:MOST_SHOWN]))
    return Check(rows, {c: c for c in columns}, leaks, notes, any(c.share for c in every), deviation)


def _leaks(fold: Mapping[str, int], input: FoldInput) -> list[str]:
    found = []
    for what, keys in (("groups", input.groups), ("clusters of (nearly) identical images", input.alike)):
        members: dict[str, list[str]] = defaultdict(list)
        for id, key in zip(input.ids, keys, strict=False):  # there may be no clusters
            if id in fold:
                members[key].append(id)
        torn = {key: ids for key, ids in members.items() if len({fold[id] for id in ids}) > 1}
        if torn:
            key, ids = min(torn.items())
            other = next(id for id in ids if fold[id] != fold[ids[0]])
            where = f"'{ids[0]}' is in fold {fold[ids[0]]}, '{other}' in fold {fold[other]}"
            found.append(f"{len(torn)} torn {what} ({sum(map(len, torn.values()))} samples): {where}")
    return found


def _table(
    fold: Mapping[str, int], input: FoldInput, units: Mapping[str, str], k: int, every: Sequence[Column]
) -> tuple[list[dict[str, Any]], float]:
    part = np.array([fold.get(id, -1) for id in input.ids])
    deviation, rows = 0.0, []
    for f in range(k):
        groups = {units[id] for id, p in zip(input.ids, part.tolist(), strict=True) if p == f}
        row: dict[str, Any] = {"fold": f, "samples": int((part == f).sum()), "groups": len(groups)}
        for column in every:
            inside = column.values[(part == f) & np.isfinite(column.values)]
            row[column.name] = round(float(inside.mean()), 6) if len(inside) else None
            if column.share and len(inside):
                deviation = max(deviation, abs(float(inside.mean() - np.nanmean(column.values))))
        rows.append(row)
    return rows, deviation


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (" …" if len(ids) > 5 else "")
