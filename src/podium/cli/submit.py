"""Commands about the board: submit, standings."""

from __future__ import annotations

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table


@app.command()
def submit(
    file: str = typer.Argument(None, help="A file, or a prediction's number or name (default: the newest)."),
    message: str = typer.Option("", "-m", "--message", help="What is new about it."),
    again: bool = typer.Option(False, "--again", help="Submit a file that was submitted before."),
    as_json: bool = JSON,
) -> None:
    """Check a submission, hand it in, show its public score."""
    from dataclasses import asdict

    from podium.workspace import Workspace

    space = Workspace.open()
    with space.lock():
        receipt = space.submit(message, file, again=again)
    if as_json:
        emit(asdict(receipt))
    else:
        used = f"{receipt.used_today} of {receipt.daily_limit} submissions today"
        print(f"submission {receipt.id}: public {space.metric.name} {receipt.public:.5f}; {used}")
    next_command("podium standings")


@app.command()
def standings(
    reveal: bool = typer.Option(False, "--reveal", help="Show private scores too (the end of the competition)."),
    as_json: bool = JSON,
) -> None:
    """My submissions: CV, public and (revealed) private score."""
    from podium.workspace import Workspace

    space = Workspace.open()
    rows = space.standings(reveal=reveal)
    if as_json:
        emit({"metric": space.metric.name, "submissions": rows})
        return
    if not rows:
        print("no submission yet")
        next_command("podium predict")
        return
    heads = {"rank": "rank", "id": "id", "attempt": "attempt", "message": "message", "cv": "CV", "public": "public"}
    rows = [row | {"final": "final" if row["final"] else ""} for row in rows]
    table(rows, heads | ({"private": "private"} if reveal else {}) | {"final": "", "at": "when"})
    if not reveal:
        next_command("podium try NAME key=value --why '…'", "podium standings --reveal (ends the suspense)")
