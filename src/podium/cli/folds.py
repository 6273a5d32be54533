"""The command about folds."""

from __future__ import annotations

from pathlib import Path

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table


@app.command()
def folds(
    file: Path = typer.Option(None, "--check", metavar="FILE", help="A list of folds (id, fold): a teammate's too."),
    as_json: bool = JSON,
) -> None:
    """Show what is in each fold, and whether the folds leak.

    Exits with 1 if what belongs together is in several folds.
    """
    from podium.workspace import Workspace

    space = Workspace.open()
    with space.lock():
        found = space.folds(file)
    if as_json:
        emit(found.tree())
    else:
        table(found.rows, found.columns)
        print("\n".join(found.told()))
    found.believe(file or space.root / "folds.csv")
    next_command("podium prepare" if found.about.get("planned") else "podium baseline")
