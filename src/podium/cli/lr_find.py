"""The command about learning rates."""

from __future__ import annotations

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command


@app.command("lr-find")
def lr_find(
    settings: list[str] = typer.Argument(None, metavar="[recipe=NAME] [KEY=VALUE]", help="Recipe and changes."),
    low: float = typer.Option(1e-7, min=1e-12, max=1, help="Learning rate of the first step."),
    high: float = typer.Option(
        1.0, min=1e-9, max=10, help="Learning rate of the last step, unless it diverges before."
    ),
    steps: int = typer.Option(100, min=20, max=10_000, help="Training steps, each at a higher rate."),
    as_json: bool = JSON,
) -> None:
    """Find a learning rate: train the first fold for some steps at growing rates.

    Draws the loss over the rate, here and in reports/lr-find.svg. The network is thrown away afterwards.
    """
    from podium.config import overrides_with_recipe
    from podium.errors import ConfigError
    from podium.files import write_atomic
    from podium.training.check import check_recipe
    from podium.training.fold_run import FoldData
    from podium.training.lr_plot import to_svg, to_text
    from podium.training.lr_run import find_lr
    from podium.training.tasks import create_task
    from podium.workspace import Workspace

    if high <= low:
        raise ConfigError(f"--high is {high:g} and --low is {low:g}", expected="a higher --high")
    space = Workspace.open()
    name, changes = overrides_with_recipe(settings or [])
    recipe = space.recipe(name).with_overrides(changes)
    check_recipe(recipe, create_task(space.competition, space.metric, recipe))
    with space.lock():
        prepared = space.prepare(recipe)
        data = FoldData(space.competition, prepared.stores, prepared.folds, space.metric, prepared.samples)
        test = find_lr(data, recipe, low=low, high=high, steps=steps)
    path = space.root / "reports" / "lr-find.svg"
    told = f"{space.competition.name}, recipe {name}, {recipe.optim.name}: loss of {len(test.rates)} steps"
    write_atomic(path, to_svg(test, told))
    if as_json:
        numbers = {"rates": test.rates.tolist(), "losses": test.losses.tolist()}
        emit({"suggestion": test.suggestion, "steepest": test.steepest, "tenth": test.tenth, **numbers})
        return
    print(to_text(test))
    print(f"the loss falls fastest at {test.steepest:.1e}; a tenth of where it is lowest: {test.tenth:.1e}")
    print(f"suggestion: optim.lr = {test.suggestion:g} (the recipe has {recipe.optim.lr:g}); the picture is in {path}")
    lr = f"optim.lr={test.suggestion:g}"
    begun = bool(space.attempts.names())
    given = " ".join([*([f"recipe={name}"] if name != "baseline" else []), *changes])
    next_command(
        f"podium try lr {lr} --why 'lr-find suggests it'"
        if begun
        else f"podium baseline {given} {lr}".replace("  ", " ")
    )
