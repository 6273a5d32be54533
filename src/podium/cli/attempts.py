"""Commands that train, or choose what to train on: baseline, try, resume, combine, champion, adopt."""

from __future__ import annotations

from typing import Any

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, numbers, table

SETTINGS = typer.Argument(None, metavar="[KEY=VALUE]", help="Settings, for instance optim.lr=3e-4.")


CAREFUL = typer.Option(False, "--careful", help="Give up later: for when ideas are scarcer than hours.")
FOLDS = typer.Option(None, "--folds", metavar="0,2", help="Train these folds only ('all': no such limit).")
SEEDS = typer.Option(None, "--seeds", min=1, max=20, help="Most trainings of one fold (default: 2).")


@app.command()
def baseline(
    settings: list[str] = typer.Argument(None, metavar="[recipe=NAME] [KEY=VALUE]", help="Recipe and changes."),
    seeds: int = typer.Option(2, "--seeds", min=1, max=20, help="Trainings of each fold; 1: no noise floor."),
    as_json: bool = JSON,
) -> None:
    """Train the first champion on every fold, and again with another seed: the noise floor.

    A run that was stopped goes on where it was.
    """
    from podium.config import overrides_with_recipe
    from podium.ledger.noise_floor import told
    from podium.workspace import Workspace

    space = Workspace.open()
    name, changes = overrides_with_recipe(settings or [])
    with space.lock():
        attempt = space.baseline(name, changes, seeds=seeds)
    report(space, attempt, as_json)
    if not as_json:
        print(told(attempt, space.metric))
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
    link: str = typer.Option("", "--link", metavar="URL", help="Where the idea is from."),
    parent: str = typer.Option(None, metavar="ATTEMPT", help="The attempt to change (default: the champion)."),
    careful: bool = CAREFUL,
    folds: str = FOLDS,
    seeds: int = SEEDS,
    as_json: bool = JSON,
) -> None:
    """Try one change against the champion, fold by fold, until it is YES or NO.

    On YES every fold is trained and the attempt is the new champion.
    """
    from podium.workspace import Workspace

    if not why.strip():
        raise typer.BadParameter("it is empty; a word or two say later what the attempt was for", param_hint="--why")
    space, only = Workspace.open(), numbers(folds)
    with space.lock():
        attempt = space.attempt(
            name, settings or [], why=why, parent=parent, link=link, careful=careful, folds=only or [], seeds=seeds
        )
    _after(space, attempt, as_json)


@app.command()
def resume(
    attempt: str = typer.Argument(None, help="Number or name (default: the newest unfinished)."),
    careful: bool = typer.Option(None, "--careful/--not-careful", help="Give up later, or not, from now on."),
    folds: str = FOLDS,
    seeds: int = SEEDS,
    complete: bool = typer.Option(False, "--complete", help="Train every fold whatever the verdict: for a blend."),
    as_json: bool = JSON,
) -> None:
    """Go on with an attempt that was stopped."""
    from podium.workspace import Workspace

    space = Workspace.open()
    given: dict[str, Any] = {"careful": careful, "folds": numbers(folds), "seeds": seeds, "complete": complete}
    with space.lock():
        done = space.resume(attempt, **{key: value for key, value in given.items() if value is not None})
    _after(space, done, as_json)


@app.command()
def combine(
    attempts: list[str] = typer.Argument(..., metavar="A B", help="Numbers or names of two or more attempts."),
    name: str = typer.Option(None, "--name", help="Of the new attempt (default: a-and-b)."),
    why: str = typer.Option("", "--why", help="Why together; kept with the attempt."),
    careful: bool = CAREFUL,
    as_json: bool = JSON,
) -> None:
    """Try the changes of several attempts together, on the champion."""
    from podium.workspace import Workspace

    space = Workspace.open()
    with space.lock():
        attempt = space.combine(*attempts, name=name, why=why, careful=careful)
    _after(space, attempt, as_json)


@app.command()
def champion(
    attempt: str | None = typer.Argument(
        None, help="Number or name of the attempt to crown (default: show the champion)."
    ),
    why: str = typer.Option("", "--why", help="Why the verdict is overruled; kept with the attempt."),
    as_json: bool = JSON,
) -> None:
    """Show the champion; or make an attempt the champion whatever its verdict says."""
    from podium.workspace import Workspace

    space = Workspace.open()
    if attempt is None:
        report(space, space.champion(), as_json)
        return
    with space.lock():
        crowned = space.crown(attempt, why)
    report(space, crowned, as_json)
    next_command("podium attempts", "podium predict")


@app.command()
def adopt(
    path: str = typer.Argument(..., metavar="PATH", help="A file of podium share; or OTHER/attempts/0003-name."),
    as_json: bool = JSON,
) -> None:
    """Take attempts over from a teammate, or from another workspace with the same data and folds; judge them here."""
    from podium.workspace import Workspace

    space = Workspace.open()
    with space.lock():
        attempt = space.adopt(path)
    _after(space, attempt, as_json)


def _after(space: Any, attempt: Any, as_json: bool) -> None:
    """An attempt after its race, and what to do next."""
    report(space, attempt, as_json)
    verdict = attempt.verdict.verdict if attempt.verdict else None
    if verdict == "YES" and not attempt.crown:
        why = "it was adopted, or its parent is not"
        print(f"It is not the champion ({why}). To make it so: podium champion {attempt.id} --why …")
    if attempt.crown:
        next_command("podium predict", "podium attempts", "podium try NAME key=value --why '…'")
    elif attempt.verdict is None or not attempt.verdict.final:
        next_command(f"podium resume {attempt.id}", "podium attempts")
    else:
        next_command("podium try NAME key=value --why '…'", "podium attempts")


def report(space: Any, attempt: Any, as_json: bool) -> None:
    """An attempt as a few lines, or as JSON."""
    from podium.progress import duration
    from podium.readback import parent_of

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
    heads = {"fold": "fold", "seed": "seed", "score": space.metric.name}
    heads |= {"best_epoch": "best epoch"} if any(row["best_epoch"] for row in folds) else {}
    table(folds, heads | {"time": "time"})
    print(attempt.told(space.metric.name, parent_of(attempt)))
    if attempt.verdict:
        print(attempt.verdict)
