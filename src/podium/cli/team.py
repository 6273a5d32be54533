"""Commands of teams: share, team."""

from __future__ import annotations

from pathlib import Path

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command

BY = typer.Option("", "--by", metavar="NAME", help="Your name to teammates (default: PODIUM_NAME, or the user).")


@app.command()
def share(
    attempts: list[str] = typer.Argument(..., metavar="ID…", help="Numbers or names; what they stand on goes along."),
    output: Path = typer.Option(None, "-o", "--output", metavar="FILE", help="The archive (default: here, by name)."),
    by: str = BY,
    oof: bool = typer.Option(False, "--oof", help="With out-of-fold predictions, for blends."),
    predictions: bool = typer.Option(False, "--predictions", help="With the newest test predictions."),
    code: bool = typer.Option(False, "--code", help="With the Python files that recipes name."),
    as_json: bool = JSON,
) -> None:
    """Pack attempts into one checked file for a teammate: recipe, change, why, verdict, scores of each sample."""
    from podium.files import size_text
    from podium.workspace import Workspace

    space = Workspace.open()
    path, files, chain = space.teaming.share(attempts, output, who=by, oof=oof, predictions=predictions, code=code)
    if as_json:
        emit({"file": path, "bytes": path.stat().st_size, "files": files, "attempts": [a.folder.name for a in chain]})
    else:
        print(f"{path}: {', '.join(a.folder.name for a in chain)}; {files} files, {size_text(path.stat().st_size)}")
    next_command(f"podium adopt {path.name} (in a teammate's workspace)")


@app.command()
def team(by: str = BY, as_json: bool = JSON) -> None:
    """What the team knows: the verdicts of several people on the same change, put together.

    A random-effects mean (DerSimonian and Laird) with its standard error.
    """
    from podium.workspace import Workspace

    found = Workspace.open().teaming.team(by)
    if as_json:
        emit([change.tree() for change in found])
        return
    print("\n".join(map(str, found)) or "no verdict yet")
    next_command("podium share ID", "podium adopt FILE")
