"""Folds: which sample validates in which part, with groups kept together, stored once in `folds.csv`."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blake3 import blake3

from podium.errors import DataError
from podium.files import write_atomic
from podium.formats import tables

HEADER = ("id", "group", "fold")


@dataclass(frozen=True)
class Folds:
    """The assignment of samples to folds 0..k-1.

    Attributes:
        fold: {id: fold}.
        group: {id: group}.
        k: Number of folds.
    """

    fold: dict[str, int]
    group: dict[str, str]
    k: int

    def validation(self, fold: int) -> list[str]:
        """Ids that validate in ``fold``, sorted."""
        return sorted(id for id, f in self.fold.items() if f == fold)

    def training(self, fold: int) -> list[str]:
        """Ids that train when ``fold`` validates, sorted."""
        return sorted(id for id, f in self.fold.items() if f != fold)

    def sizes(self) -> list[int]:
        """Number of samples in each fold."""
        counts = Counter(self.fold.values())
        return [counts[f] for f in range(self.k)]

    def only(self, ids: Iterable[str]) -> Folds:
        """The folds of some of the samples."""
        keep = sorted(ids)
        return Folds({id: self.fold[id] for id in keep}, {id: self.group[id] for id in keep}, self.k)

    def digest(self) -> str:
        """Equal folds, equal digest, whatever the order of the rows."""
        return str(blake3(repr(sorted(self.fold.items())).encode()).hexdigest(length=8))


def make_folds(groups: Mapping[str, str], k: int, seed: int = 0) -> Folds:
    """Assign whole groups to folds so that fold sizes differ by no more than the largest group.

    Groups go, largest first and in seeded order among equals, to the smallest fold so far. The result does not
    depend on the order of ``groups``.

    Args:
        groups: {id: group}.

    Raises:
        DataError: if there are fewer groups than folds.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for id in sorted(groups):
        members[groups[id]].append(id)
    if len(members) < k:
        raise DataError(
            f"{len(members)} groups cannot fill {k} folds",
            where="competition.toml",
            remedy=f"set folds.k = {max(2, len(members))} or less, or correct data.group",
        )
    names = sorted(members)
    order = np.random.default_rng(seed).permutation(len(names))
    queue = sorted((names[i] for i in order), key=lambda g: -len(members[g]))
    sizes = [0] * k
    fold: dict[str, int] = {}
    for name in queue:
        smallest = sizes.index(min(sizes))
        sizes[smallest] += len(members[name])
        fold |= dict.fromkeys(members[name], smallest)
    return Folds({id: fold[id] for id in sorted(fold)}, {id: groups[id] for id in sorted(groups)}, k)


def write_folds(path: Path, folds: Folds) -> None:
    """Write `folds.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((id, folds.group[id], fold) for id, fold in folds.fold.items())
    write_atomic(path, text.getvalue())


def read_folds(path: Path, groups: Mapping[str, str], k: int) -> Folds:
    """Read `folds.csv` and check it against the samples at hand.

    A sample without a row goes to the fold of its group, or else to the smallest fold; `folds.csv` then holds it.
    Rows of samples that are not at hand are kept, since they may come back.

    Raises:
        DataError: if a fold is not a number of 0..k-1, or a group is torn between folds.
    """
    table = tables.read_csv(path)
    ids = tables.unique_ids(table, "id", path)
    assigned: dict[str, int] = {}
    for line, (id, text) in enumerate(zip(ids, tables.column(table, "fold", path).to_list(), strict=True), 2):
        if not (text or "").isdecimal() or int(text) >= k:
            raise DataError(
                f"line {line}: fold '{text}' of '{id}'",
                where=path,
                expected=f"a number from 0 to {k - 1} (folds.k = {k} in competition.toml)",
                remedy="set folds.k back, or delete folds.csv to split anew (no older attempt can be compared then)",
            )
        assigned[id] = int(text)
    check_leaks({id: assigned[id] for id in groups if id in assigned}, groups, path)
    named = table["group"].to_list() if "group" in table.columns else ids
    everyone = dict(zip(ids, named, strict=True)) | dict(groups)
    if groups.keys() - assigned.keys():
        _extend(assigned, groups, k)
        everyone = {id: everyone[id] for id in sorted(everyone)}
        write_folds(path, Folds({id: assigned[id] for id in everyone}, everyone, k))
    return Folds({id: assigned[id] for id in sorted(groups)}, {id: groups[id] for id in sorted(groups)}, k)


def _extend(assigned: dict[str, int], groups: Mapping[str, str], k: int) -> None:
    """Give samples without a fold that of their group, or else the smallest."""
    home = {groups[id]: fold for id, fold in assigned.items() if id in groups}
    sizes = Counter(assigned.values())
    for id in sorted(groups.keys() - assigned.keys()):
        fold = home.setdefault(groups[id], min(range(k), key=lambda f: (sizes[f], f)))
        assigned[id] = fold
        sizes[fold] += 1


def check_leaks(fold: Mapping[str, int], groups: Mapping[str, str], path: Path) -> None:
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
                remedy="correct the rows, or delete folds.csv to split anew",
            )


def hold_out_groups(groups: Mapping[str, str], share: float, seed: int = 0) -> set[str]:
    """Ids of whole groups, about ``share`` of the samples, to be hidden as a test set.

    Raises:
        DataError: if that would leave nothing on one side.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for id in sorted(groups):
        members[groups[id]].append(id)
    names: Sequence[str] = sorted(members)
    want, held = share * len(groups), set[str]()
    for i in np.random.default_rng([seed, 1]).permutation(len(names)):
        size = len(members[names[i]])
        if abs(len(held) + size - want) <= abs(len(held) - want):  # a huge group that overshoots stays in train
            held |= set(members[names[i]])
    if not held or len(held) == len(groups):
        raise DataError(
            f"cannot hold out {share:.0%} of {len(names)} groups", expected="a share that leaves groups on both sides"
        )
    return held
