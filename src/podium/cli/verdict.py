"""The command `verdict`: how often the rule that judges attempts is right."""

from __future__ import annotations

from pathlib import Path

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command


@app.command()
def verdict(
    settings: list[str] = typer.Argument(None, metavar="[recipe=NAME] [KEY=VALUE]", help="Of --collect: the recipe."),
    simulate: bool = typer.Option(False, "--simulate", help="Try the rule on competitions where the truth is known."),
    attempts: int = typer.Option(1000, "--attempts", min=100, max=1_000_000, help="Attempts of each scenario."),
    scenario: str = typer.Option(None, "--scenario", metavar="NAME", help="Only this one, for instance no-op."),
    collect: Path = typer.Option(None, "--collect", metavar="FILE", help="Train A/A and planted attempts for FILE."),
    ledgers: int = typer.Option(20, "--ledgers", min=1, max=1000, help="Baselines to collect attempts against."),
    per_ledger: int = typer.Option(10, "--per-ledger", min=1, max=500, help="A/A attempts against each baseline."),
    jobs: int = typer.Option(1, "--jobs", min=1, max=256, help="Ledgers to collect at the same time."),
    replay: list[Path] = typer.Option(None, "--replay", metavar="FILE", help="Try the rule on collected trainings."),
    markdown: bool = typer.Option(False, "--markdown", help="Print the page in docs/ that holds the tables."),
    as_json: bool = JSON,
) -> None:
    """Show how often YES, NO and UNSURE are right, in simulation or on real trainings; exits with 1 if a bound breaks.

    --simulate needs nothing. --collect trains in a workspace: the same recipe again and again, and some attempts with a
    true effect; stopped, it goes on with the same command. --replay FILE then races them all through the rule.
    """
    if simulate + bool(collect) + bool(replay) != 1:
        said = "say what is to be done: podium verdict --simulate, --collect FILE, or --replay FILE"
        raise typer.BadParameter(said, param_hint="--simulate")
    if settings and not collect:
        raise typer.BadParameter("only --collect trains a recipe", param_hint=settings[0])
    if collect:
        from podium.collecting import collect_trainings

        collect_trainings(collect, settings or [], ledgers, per_ledger, jobs)
        next_command(f"podium verdict --replay {collect}")
    elif replay:
        _replay(replay, markdown, as_json)
    else:
        _simulate(attempts, scenario, markdown, as_json)


def _simulate(attempts: int, scenario: str | None, markdown: bool, as_json: bool) -> None:
    from podium.ledger.simulate.page import page, text
    from podium.ledger.simulate.report import measure_all

    rows = list(measure_all(attempts, scenario))
    only = f" --scenario {scenario}" if scenario else ""
    if as_json:
        emit([row.tree() for row in rows])
    elif markdown:
        print(page(rows, f"podium verdict --simulate --attempts {attempts}{only} --markdown"))
    else:
        print(text(rows))
    raise typer.Exit(0 if all(row.holds for row in rows) else 1)


def _replay(files: list[Path], markdown: bool, as_json: bool) -> None:
    from podium.ledger.simulate.replay_page import holds, page, text
    from podium.ledger.simulate.replay_report import replay
    from podium.ledger.simulate.trainings import Trainings

    found = [replay(Trainings.load(file)) for file in files]
    if as_json:
        emit([each.tree() for each in found])
    elif markdown:
        print(page(found, "podium verdict " + " ".join(f"--replay {file}" for file in files) + " --markdown"), end="")
    else:
        print(text(found))
    raise typer.Exit(0 if holds(found) else 1)
