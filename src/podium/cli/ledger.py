"""Commands that read the ledger back: attempts, show, revisit, reproduce."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, numbers

if TYPE_CHECKING:
    from podium.ledger.views import Ledger


@app.command()
def attempts(
    wide: bool = typer.Option(False, "--wide", help="Cut nothing, however long a change is."),
    talk: bool = typer.Option(False, "--talk", help="Print the short list of a slide: 'More augmentations => YES'."),
    markdown: bool = typer.Option(False, "--markdown", help="Print a Markdown table."),
    csv: bool = typer.Option(False, "--csv", help="Print CSV, every number in full."),
    latex: bool = typer.Option(False, "--latex", help="Print a LaTeX ablation table."),
    rebuild: bool = typer.Option(False, "--rebuild", help="Make the index anew from the attempts' folders."),
    as_json: bool = JSON,
) -> None:
    """List the attempts as a tree: change, gain over the parent, verdict; and what they add up to.

    Straight down run the champions (★ the one that stands), beside each what was tried on it. ΔCV is the gain to
    expect, shrunk for luck, with its standard error; + is better.
    """
    from podium.data.place import find_workspace
    from podium.ledger.views.exports import to_csv, to_latex, to_markdown
    from podium.ledger.views.reading import read_ledger
    from podium.ledger.views.talk import talk as lines_of_talk
    from podium.ledger.views.totals import Totals

    ledger, damaged = read_ledger(find_workspace(), rebuild=rebuild)
    if as_json:
        emit(ledger.tree() | {"totals": Totals.of(ledger).tree(), "damaged": damaged})
        return
    for line in damaged:
        print(f"left out: {line}", file=sys.stderr if markdown or csv or latex else sys.stdout)
    if markdown or csv or latex:
        print((to_markdown if markdown else to_csv if csv else to_latex)(ledger), end="")
    elif talk:
        print("\n".join(lines_of_talk(ledger)) or "no verdict yet")
    else:
        _print_table(ledger, wide)


@app.command()
def show(
    attempt: str = typer.Argument(..., help="Number or name."),
    pictures: bool = typer.Option(True, help="Draw learning curves and the samples that gained and lost most."),
    as_json: bool = JSON,
) -> None:
    """Show one attempt beside its parent: change, why, verdict, folds, learning curves, samples.

    Pictures go to reports/attempts/: ID-curves.png and .svg, and ID-gains.jpg with image, truth and both predictions.
    """
    from podium.ledger.views.pictures import Pictures
    from podium.readback import draw_pictures, read_details, read_gains
    from podium.workspace import Workspace

    space = Workspace.open()
    details = read_details(space, attempt)
    if not as_json:
        print(details.text() + "\n")
    gains = read_gains(details)
    drawn = draw_pictures(space, details, gains) if pictures else Pictures()
    if as_json:
        emit(details.tree() | {"samples": gains.tree() if gains else None} | drawn.tree())
        return
    for line in [*([gains.told()] if gains and gains.samples else []), *drawn.told()]:
        print(line)
    next_command(*([f"podium resume {details.attempt.id}"] if details.unfinished else []), "podium attempts")


@app.command()
def revisit(as_json: bool = JSON) -> None:
    """List the attempts whose NO was close, for when ideas run out: in careful mode they might have been a YES."""
    from podium.data.place import find_workspace
    from podium.ledger.views.near import near_the_line, told
    from podium.ledger.views.reading import read_ledger

    ledger, damaged = read_ledger(find_workspace())
    near = near_the_line(ledger)
    if as_json:
        emit({"attempts": [one.tree() for one in near], "damaged": damaged})
        return
    print("\n".join([*(f"left out: {line}" for line in damaged), *told(near, ledger.decimals)]))
    together = ["podium combine " + " ".join(str(one.entry.id) for one in near[:2])] if len(near) > 1 else []
    next_command(*([near[0].again()] if near else ["podium try NAME key=value --why '…'"]), *together)


@app.command()
def reproduce(
    attempt: str = typer.Argument(..., help="Number or name."),
    folds: str = typer.Option(None, "--folds", metavar="0,2", help="Only these folds (default: all it has)."),
    as_json: bool = JSON,
) -> None:
    """Train an attempt once more with its recipe, seeds and files, and compare: are the scores the same?

    Nothing of the attempt is changed.
    """
    from podium.reproduce import reproduce as again
    from podium.workspace import Workspace

    space, only = Workspace.open(), numbers(folds)
    with space.lock():
        found, runs = again(space, attempt, only or [])
    if as_json:
        emit({"id": found.id, "name": found.name, "fold_runs": [run.tree() for run in runs]})
        return
    floor = found.verdict.noise_floor if found.verdict else None
    print("\n".join([f"attempt {found.id} {found.name}", *(run.told(floor) for run in runs)]))
    next_command(f"podium show {found.id}", "podium attempts")


def _print_table(ledger: Ledger, wide: bool) -> None:
    from shutil import get_terminal_size

    from podium.ledger.views.table import table
    from podium.ledger.views.totals import Totals

    if not ledger.entries:
        print("no attempt yet")
        next_command("podium baseline")
        return
    cut = sys.stdout.isatty() and not wide
    print("\n".join(table(ledger, get_terminal_size().columns if cut else None)))
    print("\n" + "\n".join(filter(None, [ledger.told(), *Totals.of(ledger).told()])))
    next_command("podium show ID", "podium try NAME key=value --why '…'")
