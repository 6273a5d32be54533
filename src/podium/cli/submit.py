"""Commands about the board: submit, standings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table

if TYPE_CHECKING:
    from podium.ledger.standings import Standings


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
        score = "not published" if receipt.public is None else f"{receipt.public:.5f}"
        print(f"submission {receipt.id}: public {space.metric.name} {score}; {used}")
    next_command("podium standings")


@app.command()
def standings(
    around: str = typer.Option("", "--around", metavar="TEAM", help="The teams around one: 'me', or a name."),
    reveal: bool = typer.Option(False, "--reveal", help="Show private scores too (the end of the competition)."),
    as_json: bool = JSON,
) -> None:
    """The board, my submissions, how far CV and public score agree, and which to pick.

    ΔCV and ΔLB are gains over the first submission; + is better. Draws reports/standings.svg.
    """
    from podium.standing import draw
    from podium.workspace import Workspace

    space = Workspace.open()
    found = space.standings(reveal=reveal, leaderboard=True)
    picture = draw(found, space.root)
    if as_json:
        emit(found.tree() | {"picture": str(picture) if picture else None})
        return
    print(found.head())
    if space.competition.board.kind != "local" or around:
        _print_board(found, around)
    if not found.rows:
        print("no submission yet")
        next_command("podium predict")
        return
    heads = {"rank": "rank", "id": "id", "attempt": "attempt", "message": "message", "cv": "CV", "public": "public"}
    heads |= {"private": "private"} if reveal else {}
    heads |= {"d_cv": "ΔCV", "d_lb": "ΔLB"} if len(found.paired) > 2 else {}
    rows = [row | {"final": "final" if row["final"] else ""} for row in found]
    table(rows, heads | {"final": "", "at": "when"})
    for line in found.told():
        print(line)
    if picture:
        print(picture.relative_to(space.root))
    if not reveal:
        next_command("podium try NAME key=value --why '…'", "podium standings --reveal (ends the suspense)")


def _print_board(found: Standings, around: str) -> None:
    lines = [
        {"rank": s.rank, "team": s.team, "score": s.score, "me": "<- you" if s.mine else ""}
        for s in found.around(around)
    ]
    table(lines, {"rank": "rank", "team": "team", "score": found.metric, "me": ""})
    print(f"{sum(s.rank is not None for s in found.board)} teams\n")
