"""The commands about the test set: predict, export."""

from __future__ import annotations

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command


@app.command()
def predict(
    attempt: str = typer.Argument(None, help="Number or name (default: the champion)."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say how long it takes and how large the file is; no more."),
    time_limit: str = typer.Option(None, "--time-limit", metavar="TIME", help="Leave out views and models to fit: 4h."),
    all_seeds: bool = typer.Option(False, "--all-seeds", help="The trainings of all seeds predict, not the first's."),
    save_probs: bool = typer.Option(False, "--save-probs", help="Keep probabilities beside the file, for blends."),
    as_json: bool = JSON,
) -> None:
    """Predict the test images and write the submission file.

    The mean of the attempt's folds, at original size. What was stopped goes on where it was.
    """
    from dataclasses import asdict

    from podium.progress import seconds_of
    from podium.workspace import Workspace

    space = Workspace.open()
    limit = seconds_of(time_limit, "--time-limit") if time_limit else None
    options = {"all_seeds": all_seeds, "save_probs": save_probs, "time_limit": limit}
    with space.lock():
        if dry_run:
            plan = space.plan_prediction(attempt, **options)
            emit(asdict(plan) | {"left_out": plan.cut}) if as_json else print(*filter(None, (plan, plan.cut)), sep="\n")
            return next_command("podium predict" + f" {attempt}" * bool(attempt))
        done = space.predict(attempt, **options)
    if as_json:
        emit({"file": done.file, "attempt": done.attempt, "rows": done.rows, "empty": done.empty, "cv": done.cv})
    else:
        empty = "" if done.empty is None else f", {done.empty} empty"
        print(f"{done.file.relative_to(space.root)}: {done.rows} rows{empty}, attempt {done.attempt}")
    next_command('podium submit -m "what is new"')


@app.command()
def export(
    attempt: str = typer.Argument(None, help="Number or name (default: the champion)."),
    kind: str = typer.Option("onnx", "--format", help="onnx; torch (a program of torch.export); bundle (offline)."),
    folder: str = typer.Option(None, "--to", metavar="DIR", help="Folder to write (default: in exports/)."),
    each: bool = typer.Option(False, "--each", help="A file a model, not one of the mean of all."),
    all_seeds: bool = typer.Option(False, "--all-seeds", help="The trainings of all seeds, not the first's."),
    as_json: bool = JSON,
) -> None:
    """Write models for other programs, or a bundle that predicts without network.

    Graphs are compared with the networks on real images before they count.
    """
    from podium.workspace import Workspace

    space = Workspace.open()
    written = space.export(attempt, kind=kind, folder=folder, each=each, all_seeds=all_seeds)
    files = sorted(p for p in written.rglob("*") if p.is_file())
    if as_json:
        emit({"folder": written, "files": [str(p.relative_to(written)) for p in files]})
    else:
        shown = written.relative_to(space.root) if written.is_relative_to(space.root) else written
        print(f"{shown}: {len(files)} files")
    next_command(f"python {written}/predict.py DATA" if kind == "bundle" else "podium export --format bundle")
