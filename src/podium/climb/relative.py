"""The closed language in which the catalogue writes changes: values as TOML, and a few that depend on the parent.

| written | means |
|---|---|
| `"x2"`, `"x0.5"` | the parent's value times this; whole numbers stay whole, sides of images multiples of 8 |
| `">=15"`, `"<=0.1"` | at least, at most this |
| `"same"` | the parent's value, where the section begins anew (see `OWNERS`) |
| `"none"` | unset |

`train.length` stands for `train.time` where that is set, else for `train.epochs`; what is counted in epochs (phases,
milestones) moves along. Nothing is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from podium.config import inline_toml
from podium.recipe import Recipe

LENGTH = "train.length"
OWNERS = {
    "model.arch": (),
    "optim.name": ("lr", "weight_decay", "encoder_lr", "freeze", "reset"),
    "schedule.name": ("warmup",),
}
"""{key: keys of its section that stay when it changes}: the others belong to what was there, and begin anew."""

_RELATIVE = re.compile(r"(x|>=|<=)(\d+(?:\.\d+)?)")
_MULTIPLES = {"input.size": 8, "input.train_crop": 32}
"""Of sides in pixels: crops need no padding; whole images keep their aspect, and are padded."""


class Unfit(Exception):
    """Why a change says nothing to this recipe."""


def settings_of(change: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """A change of the catalogue as ``key=value`` settings for one recipe; empty if it has it all already.

    Raises:
        Unfit: saying why it cannot be made, for instance twice of what is unset.
    """
    values: dict[str, Any] = {}
    for key, value in change.items():
        if key in OWNERS and value != value_at(recipe, key):
            values |= _begun_anew(key, recipe)
    for key, value in change.items():
        if key == LENGTH:
            values |= _lengthened(recipe, _factor(value))
        elif value == "same":
            values.pop(key, None)
        else:
            values[key] = _resolved(key, value, value_at(recipe, key))
    return [f"{key}={inline_toml(value)}" for key, value in values.items() if not _is(value, value_at(recipe, key))]


def value_at(recipe: Recipe, key: str) -> Any:
    """The value of a dotted key; None where nothing is set."""
    found: Any = recipe.tree()
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def is_relative(value: Any) -> bool:
    """Whether a value depends on the parent's."""
    return isinstance(value, str) and (value == "same" or _RELATIVE.fullmatch(value) is not None)


def _is(value: Any, current: Any) -> bool:
    return current is None if value == "none" else bool(value == current)


def _begun_anew(owner: str, recipe: Recipe) -> dict[str, Any]:
    """The keys of a section that go back to their defaults when its owner changes."""
    section, _, name = owner.partition(".")
    now = getattr(recipe, section)
    plain = type(now)().tree()
    return {
        f"{section}.{key}": plain.get(key, "none")
        for key in type(now).model_fields
        if key not in (name, *OWNERS[owner]) and now.tree().get(key) != plain.get(key)
    }


def _factor(value: Any) -> float:
    match = _RELATIVE.fullmatch(str(value))
    if not match or match[1] != "x":
        raise Unfit(f'"{LENGTH}" is written "x2", not {value!r}')
    return float(match[2])


def _resolved(key: str, value: Any, current: Any) -> Any:
    match = _RELATIVE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return value
    sign, number = match[1], float(match[2])
    if current is None or isinstance(current, str | bool | dict):
        raise Unfit(f"{key} is {'unset' if current is None else current}, which has no multiple")
    if sign != "x":
        whole = int(number) if isinstance(current, int) and number.is_integer() else number
        return max(current, whole) if sign == ">=" else min(current, whole)
    return [_times(key, c, number) for c in current] if isinstance(current, list) else _times(key, current, number)


def _times(key: str, current: float, factor: float) -> float:
    if key in _MULTIPLES:
        return max(1, round(current * factor / _MULTIPLES[key])) * _MULTIPLES[key]
    if isinstance(current, int):
        return max(1, round(current * factor))
    return float(f"{current * factor:.6g}")


def _lengthened(recipe: Recipe, factor: float) -> dict[str, Any]:
    """A training ``factor`` times as long, and all that is counted in its epochs."""
    train, schedule = recipe.train, recipe.schedule
    if train.seconds is not None:
        return {"train.time": f"{train.seconds * factor:g}s"}
    values: dict[str, Any] = {"train.epochs": max(1, round(train.epochs * factor))}
    if schedule.milestones:
        values["schedule.milestones"] = [m if m < 1 else float(round(m * factor)) for m in schedule.milestones]
    if schedule.every is not None and schedule.every >= 1:
        values["schedule.every"] = max(1.0, schedule.every * factor)
    if any(phase.at >= 1 for phase in recipe.phases):
        phases = [phase.tree() for phase in recipe.phases]
        values["phases"] = [p | {"at": round(p["at"] * factor) if p["at"] >= 1 else p["at"]} for p in phases]
    return values
