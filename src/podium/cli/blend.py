"""The command `blend`: attempts, and predictions from elsewhere, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command

if TYPE_CHECKING:
    from podium.ensemble.blend import Blend


@app.command()
def blend(
    members: list[str] = typer.Argument(
        ...,
        metavar="MEMBER... [KEY=VALUE]...",
        help="Attempts by number or name, folders or files of predictions; settings of [predict] (and pseudo.).",
    ),
    weights: str = typer.Option("hill-climb", "--weights", help="hill-climb, fit, equal, stack; of tables boost, too."),
    fast: bool = typer.Option(False, "--fast", help="Fit weights on some of the pixels that members disagree on."),
    name: str = typer.Option("blend", "--name", help="What the submission's folder is called."),
    score_only: bool = typer.Option(False, "--score-only", help="Leave the test set alone."),
    pseudo: bool = typer.Option(False, "--pseudo", help="Write pseudo-labels of the test set to pseudo/, too."),
    as_json: bool = JSON,
) -> None:
    """Blend attempts into one submission; weights are fitted on out-of-fold predictions, and the score stays honest.

    Each fold is scored with weights fitted on the others; the test set gets those fitted on all. A folder from
    elsewhere has oof/ and test/ with a PNG, NPY or NPZ file for each id, or oof.csv and test.csv; and folds.csv.
    """
    from podium.workspace import Workspace

    space = Workspace.open()
    settings = [given for given in members if "=" in given and not given.startswith("pseudo.")]
    labels = [given.removeprefix("pseudo.") for given in members if given.startswith("pseudo.")]
    chosen = [given for given in members if "=" not in given]
    with space.lock():
        only, wanted = score_only, labels if pseudo else None
        done = space.blend(chosen, weights, settings, fast=fast, name=name, score_only=only, pseudo=wanted)
    if as_json:
        emit(done.tree() | {"file": done.file, "rows": done.rows, "empty": done.empty, "pseudo": done.pseudo})
    else:
        _tell(done, space.metric.name)
    next_command(*(['podium submit -m "a blend"'] if done.file else []), "podium attempts")


def _tell(done: Blend, metric: str) -> None:
    from podium.ensemble.told import told

    print("\n".join(told(done, metric)))
