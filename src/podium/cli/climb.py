"""The command `climb`: works through a catalogue of changes by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table


@app.command()
def climb(
    hours: float = typer.Option(None, "--hours", min=0.001, help="Budget in hours; or give --fold-runs."),
    fold_runs: int = typer.Option(None, "--fold-runs", min=1, help="Budget in trainings of one fold."),
    catalog: Path = typer.Option(None, "--catalog", metavar="FILE", help="Your own catalogue (default: podium's)."),
    learn: list[Path] = typer.Option(
        None,
        "--learn",
        metavar="DIR",
        help="Another workspace, whose verdicts say what tends to help; may be repeated.",
    ),
    seed: int = typer.Option(None, "--seed", min=0, help="Of the choices (default: 0)."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only list what would be tried, and why the rest is not."),
    as_json: bool = JSON,
) -> None:
    """Try a catalogue of changes, one after another, until the budget is spent.

    Each is raced to its verdict, and what is accepted stays. At the end it says what to submit, and trains that and
    the baseline anew, so that the gain is told honestly. A climb that was stopped goes on where it was.
    """
    from podium.climb.here import open_climb
    from podium.climb.report import Report
    from podium.files import write_atomic
    from podium.workspace import Workspace

    space = Workspace.open()
    with space.lock():
        given: dict[str, Any] = {"fold_runs": fold_runs, "hours": hours, "catalog": catalog, "seed": seed}
        climbing = open_climb(space, **given, learn=learn or (), write=not dry_run)
        if dry_run:
            _list(climbing, as_json)
            return
        climbing.run()
        report = Report.of(climbing, space.metric.name)
        path = space.root / "reports" / "climb.md"
        write_atomic(path, report.markdown())
    if as_json:
        emit(report.tree())
        return
    attempts = {"id": "id", "name": "name", "kind": "kind", "verdict": "verdict", "gain": "gain", "fold_runs": "runs"}
    table([row.tree() for row in report.rows], attempts)
    print()
    kinds = {"kind": "kind", "attempts": "attempts", "YES": "YES", "NO": "NO", "UNSURE": "UNSURE", "runs": "fold runs"}
    table(report.by_kind(), kinds)
    print()
    print("\n".join(report.told()))
    print(f"the report is in {path}")
    following = "podium predict" if report.proposed is None else f"podium predict {report.proposed[0]}"
    next_command(following, "podium attempts", "podium climb --fold-runs N")


def _list(climbing: Any, as_json: bool) -> None:
    """What would be tried, the likeliest first, and what would not."""
    from podium.climb.policy import chance

    state = climbing.state()
    rates = {kind: yes / (yes + no) for kind, (yes, no) in climbing.rates(state).items()}
    rows = [
        {
            "name": move.option.name,
            "kind": move.option.kind,
            "chance": round(chance(move.option, rates[move.option.kind]), 3),
            "settings": " ".join(move.settings) or "in careful mode",
            "why": move.why,
            "source": move.source,
        }
        for move in state.moves()
    ]
    rows.sort(key=lambda row: (-row["chance"], row["name"]))
    guarded = {name: found.reason for name, found in state.fits().items() if not found.recipe}
    if as_json:
        emit({"options": rows, "guarded": guarded})
        return
    told = [row | {"chance": f"{100 * row['chance']:.0f} %"} for row in rows]
    table(told, {"name": "change", "kind": "kind", "chance": "chance", "settings": "settings"})
    print()
    table([{"name": n, "why": why} for n, why in guarded.items()], {"name": "not here", "why": "why"})
    next_command("podium climb --fold-runs 60", "podium climb --hours 8")
