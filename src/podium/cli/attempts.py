"""Commands about training and the ledger: baseline, try, resume, attempts, show."""

from __future__ import annotations

from typing import Any

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table

SETTINGS = typer.Argument(None, metavar="[KEY=VALUE]", help="Settings, for instance optim.lr=3e-4.")


@app.command()
def baseline(
    settings: list[str] = typer.Argument(None, metavar="[recipe=NAME] [KEY=VALUE]", help="Recipe and changes."),
    as_json: bool = JSON,
) -> None:
    """Train the first champion on every fold.

    A run that was stopped goes on where it was.
    """
    from podium.config import overrides_with_recipe
    from podium.workspace import Workspace

    space = Workspace.open()
    name, changes = overrides_with_recipe(settings or [])
    with space.lock():
        attempt = space.baseline(name, changes)
    _report(space, attempt, as_json)
    train = attempt.recipe.train
    twice = f"train.time={2 * train.seconds:g}s" if train.seconds else f"train.epochs={2 * train.epochs}"
    facts = [run.facts for run in attempt.runs]
    late = [int(f.get("best_epoch", 0)) > 0.8 * int(f.get("epochs", 0)) for f in facts]
    why = "it was still improving" if late and sum(late) > len(late) / 2 else "does it need more time?"
    next_command(f"podium try longer {twice} --why '{why}'", "podium predict")


@app.command("try")
def try_(
    name: str = typer.Argument(..., help="A short name: lower-case letters, digits, - and _."),
    settings: list[str] = SETTINGS,
    why: str = typer.Option(..., "--why", help="Why it should work; kept with the attempt."),
    parent: str = typer.Option(None, metavar="ATTEMPT", help="The attempt to change (default: the champion)."),
    as_json: bool = JSON,
) -> None:
    """Try one change against the champion, on the same folds."""
    from podium.workspace import Workspace

    space = Workspace.open()
    with space.lock():
        attempt = space.attempt(name, settings or [], why=why, parent=parent)
    _report(space, attempt, as_json)
    next_command("podium attempts", f"podium predict {attempt.id}")


@app.command()
def resume(
    attempt: str = typer.Argument(None, help="Number or name (default: the newest unfinished)."),
    as_json: bool = JSON,
) -> None:
    """Go on with an attempt that was stopped."""
    from podium.workspace import Workspace

    space = Workspace.open()
    with space.lock():
        done = space.resume(attempt)
    _report(space, done, as_json)
    next_command("podium attempts")


@app.command()
def attempts(
    rebuild: bool = typer.Option(False, "--rebuild", help="Make the index anew from the attempts' folders."),
    as_json: bool = JSON,
) -> None:
    """List the attempts: change, CV score, verdict."""
    from podium.workspace import Workspace

    space = Workspace.open()
    rows, damaged = space.list_attempts(rebuild=rebuild)
    if as_json:
        emit({"attempts": rows, "damaged": damaged})
        return
    heads = {"id": "id", "name": "name", "parent": "parent", "change": "change", "folds": "folds"}
    heads |= {"cv": f"CV {space.metric.name}", "gain": "gain", "verdict": "verdict", "time": "time", "state": "state"}
    table(rows, heads)
    for line in damaged:
        print(f"left out: {line}")
    next_command("podium show ID", "podium try NAME key=value --why '…'")


@app.command()
def show(
    attempt: str = typer.Argument(..., help="Number or name."),
    as_json: bool = JSON,
) -> None:
    """Show one attempt: its change, why, and a line a fold."""
    from podium.workspace import Workspace

    space = Workspace.open()
    _report(space, space.attempts.get(attempt), as_json)


def _report(space: Any, attempt: Any, as_json: bool) -> None:
    """An attempt as a few lines, or as JSON."""
    from podium.progress import duration

    folds = [
        {"fold": r.fold, "seed": r.seed, "score": r.score, **{k: r.facts.get(k) for k in ("best_epoch", "seconds")}}
        for r in attempt.runs
    ]
    if as_json:
        verdict = attempt.verdict.tree() if attempt.verdict else None
        change = {k: {"from": a, "to": b} for k, (a, b) in attempt.change.items()}
        head = {"id": attempt.id, "name": attempt.name, "parent": attempt.parent, "change": change, "why": attempt.why}
        emit(head | {"cv": attempt.cv, "metric": space.metric.name, "folds": folds, "verdict": verdict})
        return
    print(f"attempt {attempt.id} {attempt.name}" + (f": {attempt.change_text()}" if attempt.change else ""))
    print(f"why: {attempt.why}")
    folds = [row | {"time": duration(row["seconds"] or 0)} for row in folds]
    table(
        folds, {"fold": "fold", "seed": "seed", "score": space.metric.name, "best_epoch": "best epoch", "time": "time"}
    )
    cv = "-" if attempt.cv is None else f"{attempt.cv:.5f}"
    print(
        f"CV {space.metric.name}: {cv} over {len(attempt.trained_folds())} folds, trained {duration(attempt.seconds)}"
    )
    if attempt.verdict:
        print(attempt.verdict)
