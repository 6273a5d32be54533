"""Which strategy suits the data, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from podium.data.competition import FoldsConfig
from podium.data.folds.assignment import FoldInput
from podium.data.folds.traits import kind_of
from podium.errors import DataError
from podium.progress import counted

SPEC = "competition.toml"
VALIDATION = {"val", "valid", "validation", "validate", "dev"}
"""How an official validation part is called."""


@dataclass(frozen=True)
class Choice:
    """How to split, and why so.

    Attributes:
        strategy: Any of `folds.strategy` but "auto".
        by: What the folds have in equal parts, or are ordered by: class, labels, target, area, empty, id, or the
            column that `folds.by` names; empty if nothing.
        why: In words.
    """

    strategy: str
    by: str
    why: str

    def __str__(self) -> str:
        return f"{self.why}: {self.strategy}" + (f" by {self.by}" if self.by else "")


def choose(input: FoldInput, config: FoldsConfig) -> Choice:
    """The strategy that `folds.strategy` names, with what it goes by; for "auto" the one that suits the data.

    Raises:
        DataError: if the data lacks what the strategy needs.
    """
    if config.strategy == "auto":
        return _suited(input, config)
    units = input.units()
    n, grouped = len(set(units.values())), len(set(units.values())) < len(units)
    why = (f"{n} groups, " if grouped else "") + "as folds.strategy says"
    if config.strategy in ("grouped", "stratified-grouped") and not grouped:
        raise _lacks(
            config, "no two samples are in one group", "set data.group or data.group_csv, or leave out 'grouped'"
        )
    if config.strategy in ("stratified", "stratified-grouped"):
        return Choice(config.strategy, _stratum(input, config), why)
    if config.strategy == "binned":
        by = config.by or ("target" if kind_of(input.labels) in ("number", "numbers") else "area")
        return Choice("binned", _there(input, config, by), why)
    if config.strategy == "rank":
        return Choice("rank", _there(input, config, config.by or "area"), why)
    if config.strategy == "time":
        return Choice("time", _there(input, config, config.by or "id"), why)
    if config.strategy == "official" and not input.split:
        remedy = "set data.val_images, data.val_list or data.split_csv, or another folds.strategy"
        raise _lacks(config, "the data has no official split", remedy)
    return Choice(config.strategy, "", why)


def _suited(input: FoldInput, config: FoldsConfig) -> Choice:
    units = input.units()
    n, grouped = len(set(units.values())), len(set(units.values())) < len(units)
    official, note = official_parts(input, config.k), ""
    if official:
        if torn := _torn(units, dict(zip(input.ids, input.split, strict=True))):
            note = f"the official split tears {torn} of {counted(n, 'group')}, "
        elif len(official) == config.k and not {p.lower() for p in official} & VALIDATION:
            return Choice("official", "", f"the official split has {config.k} parts and tears no group")
        else:
            note = 'an official validation part (folds.strategy = "official" keeps it as fold 0), '
    kind, by = kind_of(input.labels), _auto_stratum(input, config)
    have = counted(n, "group") if grouped else "no groups"
    what = {
        "class": f", {len(set(input.labels))} classes",
        "labels": ", masks differ in their classes" if input.area else ", several labels a sample",
        "target": f", {'several numbers' if kind == 'numbers' else 'a number'} a sample",
        "area": f", masks differ in area{_empties(input)}",
    }.get(by, f", folds.by = {by}" if by else ", nothing else to go by")
    if by in ("class", "labels"):
        strategy = "stratified-grouped" if grouped else "stratified"
    elif by:
        strategy = "stratified-grouped" if grouped else "binned"
    else:
        strategy = "grouped" if grouped else "random"
    return Choice(strategy, by, note + have + what)


def _empties(input: FoldInput) -> str:
    known = [a for a in input.area if a == a]
    empty = sum(a == 0 for a in known) / max(len(known), 1)
    return f", {empty:.0%} are empty" if empty >= 0.005 else ""


def _auto_stratum(input: FoldInput, config: FoldsConfig) -> str:
    if config.by:
        return _there(input, config, config.by)
    kind = kind_of(input.labels)
    if kind in ("class", "labels"):
        return kind if len(set(input.labels)) > 1 else ""
    if kind:
        return "target"
    return "area" if len({a for a in input.area if a == a}) > 1 else ""


def _stratum(input: FoldInput, config: FoldsConfig) -> str:
    if config.by == "empty" or (config.by is None and not input.labels):
        if not input.area:
            raise _lacks(config, "there is neither a label nor a mask", 'set folds.strategy = "random" or "grouped"')
        return "empty"
    by = _there(input, config, config.by or "target")
    kind = kind_of(input.labels)
    return kind if by == "target" and kind in ("class", "labels") else by


def _there(input: FoldInput, config: FoldsConfig, by: str) -> str:
    """``by`` if the data has it."""
    has = {"target": input.labels, "area": input.area, "empty": input.area, "id": input.ids}.get(by, input.order)
    if not has:
        raise _lacks(config, f"there is no '{by}' to split by", "correct folds.by")
    return by


def _lacks(config: FoldsConfig, found: str, remedy: str) -> DataError:
    return DataError(found, where=f"{SPEC}: folds.strategy = '{config.strategy}'", remedy=remedy)


def official_parts(input: FoldInput, k: int) -> list[str]:
    """The official parts that can be folds: k of them, or one for validation and the rest; none otherwise."""
    parts = sorted(set(input.split), key=words)
    held = [p for p in parts if p.lower() in VALIDATION]
    if len(held) == 1 and len(parts) > 1:
        return [held[0], *(p for p in parts if p != held[0])] if len(parts) == k else [held[0]]
    return parts if len(parts) == k else []


def _torn(units: Mapping[str, str], part: Mapping[str, str]) -> int:
    """How many units lie in several parts."""
    return sum(n > 1 for n in Counter(unit for unit, _ in {(units[id], part[id]) for id in part}).values())


def words(text: str) -> list[tuple[bool, int, str]]:
    """What to sort a text by, so that numbers in it count as numbers."""
    parts = re.findall(r"\d+|\D+", text)
    return [(not w.isdecimal(), int(w) if w.isdecimal() else 0, w) for w in parts]
