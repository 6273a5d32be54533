"""What could be tried next in a ledger, as the names of its attempts tell what was."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from podium.climb.catalog import CAREFUL, COMBINE, JOIN, Catalog
from podium.climb.guards import Fit, Place, fit
from podium.climb.policy import MOST, RUNS, Option, Outcome, near_misses
from podium.config import difference, inline_toml
from podium.recipe import Recipe, prediction_only


@dataclass(frozen=True)
class Move:
    """An option and how it is made.

    Attributes:
        option: What the policy chooses by.
        changes: The catalogue's changes in it.
        settings: ``key=value``, to be made to the champion.
        why: For the attempt.
        careful: It is raced in careful mode.
        resumes: The attempt that goes on so, where nothing new is made.
        length: Of a fold run, in what the budget is counted in, as a multiple of the champion's; 0: nothing is trained.
    """

    option: Option
    changes: tuple[str, ...]
    settings: tuple[str, ...] = ()
    why: str = ""
    source: str = ""
    careful: bool = False
    resumes: int | None = None
    length: float = 1.0


def changes_of(name: str, catalog: Catalog) -> tuple[str, ...]:
    """The catalogue's changes in an attempt, by its name; none if it is not of the catalogue."""
    parts = name.removeprefix(f"{CAREFUL}{JOIN}").split(JOIN)
    return tuple(parts) if all(part in catalog.changes for part in parts) else ()


def kind_of(name: str, catalog: Catalog, retried: Collection[str] = ()) -> str:
    """The kind of an attempt of the catalogue."""
    changes = changes_of(name, catalog)
    if len(changes) > 1:
        return COMBINE
    return CAREFUL if name in retried or changes[0] != name else catalog.changes[name].kind


@dataclass(frozen=True)
class State:
    """A ledger, seen from the catalogue.

    Attributes:
        champion: The attempt that stands.
        attempts: All of them, by number.
        retried: Names of attempts that went on in careful mode.
        left_out: Names of attempts that failed.
        seen: {change: (yes, no)} of other ledgers.
        hourly: Whether time is what is spent; else fold runs.
        known: {(champion's number, change): how it fits}, filled here and kept from one state to the next.
    """

    catalog: Catalog
    place: Place
    champion: Any
    attempts: Sequence[Any]
    retried: Collection[str] = ()
    left_out: Collection[str] = ()
    seen: Mapping[str, tuple[float, float]] | None = None
    hourly: bool = False
    known: dict[tuple[int, str], Fit] = field(default_factory=dict)

    @cached_property
    def names(self) -> set[str]:
        """Names that cannot be given again."""
        return {a.name for a in self.attempts} | set(self.left_out)

    @cached_property
    def accepted(self) -> set[str]:
        """The changes that the champion has come by, over all its ancestors."""
        by_id, found, now = {a.id: a for a in self.attempts}, set[str](), self.champion
        while now is not None:
            found |= set(changes_of(now.name, self.catalog))
            now = by_id.get(now.parent)
        return found

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """The verdicts that stand, of attempts of the catalogue."""
        found = []
        for a in self.attempts:
            changes, v = changes_of(a.name, self.catalog), a.verdict
            if changes and v is not None and v.final:
                gain = v.gain / v.noise_floor if v.noise_floor else float("nan")
                kind = kind_of(a.name, self.catalog, self.retried)
                found.append(Outcome(a.name, kind, changes, v.verdict, gain, a.parent))
        return found

    @cached_property
    def likeliest(self) -> list[Any]:
        """Changes made to the champion that got no YES and may have gained all the same, the largest gain first."""
        found = [
            a
            for a in self.attempts
            if a.parent == self.champion.id and a.name not in self.left_out and changes_of(a.name, self.catalog)
            if a.verdict is not None and a.verdict.final and a.verdict.verdict != "YES" and a.verdict.gain > 0
        ]
        return sorted(found, key=lambda a: (-a.verdict.gain, a.id))

    def fits(self) -> dict[str, Fit]:
        """Every change of the catalogue that was not tried yet, with its settings or why it is out of the question."""
        tried = {o.changes[0] for o in self.outcomes if len(o.changes) == 1}
        return {name: self._fit(name) for name in self.catalog.changes if name not in self.names and name not in tried}

    def _fit(self, name: str) -> Fit:
        key = self.champion.id, name
        if key not in self.known:
            self.known[key] = fit(self.catalog.changes[name], self.champion.recipe, self.place, self.accepted)
        return self.known[key]

    def moves(self) -> list[Move]:
        """All that could be tried now."""
        new = [self._new(name, found) for name, found in self.fits().items() if found.recipe]
        near = near_misses(self.outcomes, self.accepted)
        return [*new, *self._careful(near), *self._together(near)]

    def length(self, changes: Iterable[str]) -> float:
        """Of a fold run with these changes, in what the budget is counted in, as a multiple of the champion's."""
        return prod(self.catalog.changes[name].time for name in changes) if self.hourly else 1.0

    def _new(self, name: str, found: Fit) -> Move:
        change, free = self.catalog.changes[name], _is_free(found.settings)
        yes, no = (self.seen or {}).get(name, (0.0, 0.0))
        length = 0.0 if free else self.length([name])
        option = Option(name, change.kind, RUNS["prediction"] if free else RUNS["new"] * length, yes, no)
        return Move(option, (name,), found.settings, change.why, change.source, length=length)

    def _careful(self, near: Sequence[Outcome]) -> list[Move]:
        """Each near miss once more: it goes on if its parent still stands, else it is made to the new champion."""
        moves = []
        for miss in near:
            name, change = miss.changes[0], self.catalog.changes[miss.changes[0]]
            again = f"{CAREFUL}{JOIN}{name}"
            if again in self.names or miss.name in self.retried or miss.name == again:
                continue
            why, length = f"{change.why}; a near miss before, now in careful mode", self.length([name])
            cost = RUNS["careful"] * length
            if miss.parent == self.champion.id:
                attempt = next(a for a in self.attempts if a.name == miss.name)
                if not prediction_only(
                    difference(attempt.recipe, self.champion.recipe)
                ):  # those have seen all there is
                    option = Option(name, CAREFUL, cost)
                    moves.append(Move(option, miss.changes, (), why, change.source, True, attempt.id, length))
                continue
            found = self._fit(name)
            if found.recipe:
                free = _is_free(found.settings)
                option = Option(again, CAREFUL, RUNS["prediction"] if free else cost)
                settled = 0.0 if free else length
                moves.append(Move(option, miss.changes, found.settings, why, change.source, True, None, settled))
        return moves

    def _together(self, near: Sequence[Outcome]) -> list[Move]:
        """The best near misses that were in no such attempt yet, as one."""
        several = (changes_of(a.name, self.catalog) for a in self.attempts)
        used = {change for changes in several if len(changes) > 1 for change in changes}
        recipe: Recipe = self.champion.recipe
        names: list[str] = []
        keys: set[str] = set()
        for name in (miss.changes[0] for miss in near):
            change = self.catalog.changes[name]
            if name in used or len(names) == MOST or keys & change.set.keys():
                continue
            found = fit(change, recipe, self.place, self.accepted)
            if found.recipe:
                recipe, names = found.recipe, [*names, name]
                keys |= change.set.keys()
        joined = JOIN.join(names)
        if len(names) < 2 or joined in self.names:
            return []
        settings = tuple(_difference(recipe, self.champion.recipe))
        free = _is_free(settings)
        length = 0.0 if free else self.length(names)
        option = Option(joined, COMBINE, RUNS["prediction"] if free else RUNS["combine"] * length)
        why = " and ".join(names) + " together: each was a near miss"
        return [Move(option, tuple(names), settings, why, length=length)]


def _is_free(settings: Iterable[str]) -> bool:
    """Whether these ``key=value`` settings only predict in another way: no training."""
    return prediction_only(setting.partition("=")[0] for setting in settings)


def _difference(recipe: Recipe, parent: Recipe) -> list[str]:
    """``key=value`` settings that lead from a parent to a recipe."""
    new, old = recipe.tree(), parent.tree()
    settings = []
    for section in type(recipe).model_fields:
        if section == "phases":
            if new.get(section) != old.get(section):
                settings.append(f"{section}={inline_toml(new[section])}")
            continue
        settings += [
            f"{section}.{key}={inline_toml(new[section].get(key, 'none'))}"
            for key in new[section].keys() | old[section].keys()
            if new[section].get(key) != old[section].get(key)
        ]
    return sorted(settings)
