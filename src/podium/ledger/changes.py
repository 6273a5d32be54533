"""A change: what an attempt does differently from its parent, in settings and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from podium.config import parse_value
from podium.errors import LedgerError
from podium.recipe import Recipe

Change = dict[str, tuple[Any, Any]]
"""{dotted key: (parent's value, new value)}; None: not set."""

SAMPLES = "data.samples"
"""The key under which a change of the training samples (exclude.csv, new data) is told: their number."""


def change_text(change: Change, parent: int | None) -> str:
    """A change in words: `model.width 1.0 -> 2.0`."""
    if not change:
        return "-" if parent is None else "nothing"
    return ", ".join(f"{k} {_show(a)} -> {_show(b)}" for k, (a, b) in change.items())


def _show(value: Any) -> str:
    """As a recipe spells it, but text without quotes and tables without what is empty."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_show(v)}" for k, v in value.items() if v != {}) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_show, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "unset" if value is None else str(value)


def changed_recipe(parent: Recipe, changes: list[str], *, other_data: bool = False) -> Recipe:
    """The parent's recipe with ``key=value`` changes.

    Args:
        other_data: The samples are not those of the parent, which is a change by itself.

    Raises:
        LedgerError: if nothing changes.
        ConfigError: for an unknown key or a wrong value.
    """
    recipe = parent.with_overrides(changes)
    if recipe == parent and not other_data:
        shown = ", ".join(f"{k} is {parse_value(v)!r} already" for k, _, v in (c.partition("=") for c in changes))
        raise LedgerError(
            f"this changes nothing{': ' + shown if shown else ''}",
            expected="at least one key=value that differs from the parent",
            remedy="for instance: podium try wider model.width=2 --why '…'",
        )
    return recipe


def combined(base: Recipe, attempts: Sequence[tuple[str, Change, Recipe]]) -> Recipe:
    """A recipe with several attempts' changes together.

    Args:
        attempts: Each one's name, change and recipe.

    Raises:
        LedgerError: if two of them set one key to different values, or nothing is left to change.
    """
    values: Change = {}
    of: dict[str, str] = {}
    paths = _paths(base)
    for name, change, recipe in attempts:
        paths |= _paths(recipe)
        for key, (before, value) in change.items():
            if key in values and values[key][1] != value:
                raise LedgerError(
                    f"'{of[key]}' and '{name}' both change {key}: to {_show(values[key][1])} and to {_show(value)}",
                    expected="changes that do not contradict each other",
                    remedy=f"decide: podium try NAME {key}=… --why '…'",
                )
            values[key], of[key] = (before, value), name
    recipe = _with_values(base, {key: value for key, (_, value) in values.items()}, paths)
    if recipe == base:
        raise LedgerError(
            "the champion has these changes already",
            expected="at least one that it has not",
            remedy="look at the changes: podium attempts",
        )
    return recipe


def parent_recipe(recipe: Recipe, change: Change) -> Recipe:
    """The recipe that ``change`` led away from, if its keys have no dots of their own where nothing is set now."""
    paths = {key: tuple(key.split(".")) for key in change} | _paths(recipe)
    return _with_values(recipe, {key: before for key, (before, _) in change.items()}, paths)


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """{dotted key: value} of what a recipe sets."""
    tree = recipe.tree()
    return {key: reduce(getitem, path, tree) for key, path in _paths(recipe).items()}


def _paths(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """{dotted key: its parts} of what a recipe sets; what is in a table of free names may have dots in its name."""

    def walk(tree: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for key, value in tree.items():
            if isinstance(value, dict) and value:
                yield from walk(value, (*path, key))
            else:
                yield (*path, key)

    return {".".join(path): path for path in walk(recipe.tree(), ())}


def _with_values(recipe: Recipe, values: dict[str, Any], paths: dict[str, tuple[str, ...]]) -> Recipe:
    """A recipe with dotted keys set, in their order; None takes one away."""
    tree = recipe.tree()
    for key, value in values.items():
        if key == SAMPLES or key not in paths:
            continue
        *path, last = paths[key]
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return Recipe.from_tree(tree)
