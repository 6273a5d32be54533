"""The command about the machine: what it can do, and what slows training down on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table

if TYPE_CHECKING:
    from podium.training.doctor import Checkup


@app.command()
def doctor(
    settings: list[str] = typer.Argument(None, metavar="[recipe=NAME] [KEY=VALUE]", help="Recipe and changes."),
    seconds: float = typer.Option(1.0, min=0.05, max=60, help="What each measurement takes, about."),
    as_json: bool = JSON,
) -> None:
    """Measure this machine: how fast training is, what bounds it, what to change, and how long a recipe will take.

    In a workspace with its data and a recipe, prepared first if need be; elsewhere with a UNet at 256x256. Nothing
    that is trained is kept.
    """
    from podium.config import overrides_with_recipe
    from podium.data.place import SPEC
    from podium.training.doctor import examine

    here = Path.cwd()
    if settings or any((folder / SPEC).is_file() for folder in (here, *here.parents)):
        found = _in_workspace(*overrides_with_recipe(settings or []), seconds)
    else:
        found = examine(here, seconds)
    if as_json:
        emit(found.tree())
        return
    print(f"timed on {found.network}")
    table(found.rows(), {"what": "what", "figure": "figure", "note": "note"})
    for line in found.told():
        print(line)
    if found.measured is None:
        next_command("podium new DIR --from DATA", "podium doctor, in a workspace")
    else:
        next_command(" ".join(["podium baseline", *(settings or [])]))


def _in_workspace(name: str, changes: list[str], seconds: float) -> Checkup:
    from podium.training.check import check_recipe
    from podium.training.doctor import examine_recipe
    from podium.training.fold_run import FoldData
    from podium.training.tasks import create_task
    from podium.workspace import Workspace

    space = Workspace.open()
    recipe = space.recipe(name).with_overrides(changes)
    check_recipe(recipe, create_task(space.competition, space.metric, recipe))
    with space.lock():
        ready = space.prepare(recipe)
        data = FoldData(space.competition, ready.stores, ready.folds, space.metric, ready.samples, ready.opened)
        return examine_recipe(space.root, data, recipe, seconds)
