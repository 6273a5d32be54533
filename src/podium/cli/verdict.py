"""The command `verdict`: how often the rule that judges attempts is right."""

from __future__ import annotations

import typer

from podium.cli import app
from podium.cli.output import JSON, emit


@app.command()
def verdict(
    simulate: bool = typer.Option(False, "--simulate", help="Try the rule on competitions where the truth is known."),
    attempts: int = typer.Option(1000, "--attempts", min=100, max=1_000_000, help="Attempts of each scenario."),
    scenario: str = typer.Option(None, "--scenario", metavar="NAME", help="Only this one, for instance no-op."),
    markdown: bool = typer.Option(False, "--markdown", help="Print the page docs/verdict-calibration.md."),
    as_json: bool = JSON,
) -> None:
    """Show how often YES, NO and UNSURE are right, in simulation; exits with 1 if a bound does not hold."""
    from podium.ledger.simulate.page import page, text
    from podium.ledger.simulate.report import measure_all

    if not simulate:
        raise typer.BadParameter("say what is to be done: podium verdict --simulate", param_hint="--simulate")
    rows = list(measure_all(attempts, scenario))
    only = f" --scenario {scenario}" if scenario else ""
    if as_json:
        emit([row.tree() for row in rows])
    elif markdown:
        print(page(rows, f"podium verdict --simulate --attempts {attempts}{only} --markdown"))
    else:
        print(text(rows))
    raise typer.Exit(0 if all(row.holds for row in rows) else 1)
