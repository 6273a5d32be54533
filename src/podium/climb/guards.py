"""Whether a change of the catalogue makes sense here: for this task, on this machine, to this recipe."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from podium.climb.catalog import ChangeConfig, Target
from podium.climb.relative import Unfit, settings_of, value_at
from podium.data.competition import Task
from podium.errors import PodiumError
from podium.recipe import Recipe


@dataclass(frozen=True)
class Place:
    """What changes are made to, besides the recipe.

    Attributes:
        target: What the targets are to a loss.
        gpu: Whether there is one.
        colour: Whether the images have colours.
        check: Raises a `PodiumError` for a recipe that cannot be trained here; quick, and writes nothing.
    """

    task: Task
    target: Target
    gpu: bool
    colour: bool
    check: Callable[[Recipe], None]


@dataclass(frozen=True)
class Fit:
    """A change as it would be made to one recipe.

    Attributes:
        settings: ``key=value`` for `Workspace.attempt`; empty if it cannot be made.
        recipe: What comes of it; None if it cannot be made.
        reason: Why it cannot be made.
    """

    settings: tuple[str, ...] = ()
    recipe: Recipe | None = None
    reason: str = ""


def fit(change: ChangeConfig, recipe: Recipe, place: Place, accepted: Container[str] = ()) -> Fit:
    """A change applied to a recipe, or why it is out of the question.

    Args:
        accepted: Names of the changes that the recipe has come by.
    """
    reason = _guarded(change, recipe, place, accepted)
    if reason:
        return Fit(reason=reason)
    try:
        settings = settings_of(change.set, recipe)
        changed = recipe.with_overrides(settings)
        if changed == recipe:
            return Fit(reason="the champion has it already")
        place.check(changed)
    except Unfit as error:
        return Fit(reason=str(error))
    except PodiumError as error:
        return Fit(reason=f"it does not fit the champion: {error.found}")
    return Fit(tuple(settings), changed)


def _guarded(change: ChangeConfig, recipe: Recipe, place: Place, accepted: Container[str]) -> str:
    if change.tasks and place.task not in change.tasks:
        return f"it is for {' and '.join(change.tasks)}"
    if change.targets and place.target not in change.targets:
        return f"it is for targets that are {' or '.join(change.targets)}, and here they are {place.target}"
    if change.gpu and not place.gpu:
        return "it takes too long without a GPU"
    if change.colour and not place.colour:
        return "the images are grey"
    if change.after is not None and change.after not in accepted:
        return f"it comes after a YES for '{change.after}'"
    for key, wanted in change.when.items():
        value = value_at(recipe, key)
        if not _matches(value, wanted):
            return (
                f"it is for {key} = {wanted.replace('|', ' or ')}, which is {'unset' if value is None else value} here"
            )
    return ""


def _matches(value: Any, wanted: str) -> bool:
    patterns = wanted.split("|")
    if value is None or value == []:
        return "unset" in patterns
    return any(fnmatchcase(str(value), pattern) for pattern in patterns)
