"""Commands about data: new, look, prepare, demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command


@app.command()
def new(
    folder: Path = typer.Argument(..., metavar="DIR", help="The workspace to make."),
    source: str = typer.Option(
        ..., "--from", metavar="DATA", help="A folder or archive of data; kaggle:SLUG, host:URL/SLUG; masks:WORKSPACE."
    ),
    hold_out: float = typer.Option(
        None, min=0.01, max=0.9, metavar="SHARE", help="Share of labelled samples to hide as a test set."
    ),
    public: float = typer.Option(
        0.3, min=0.01, max=0.99, metavar="SHARE", help="Share of the hidden labels the public board scores."
    ),
    solution: Path = typer.Option(None, metavar="CSV", help="Hidden labels of the test images, for the local board."),
    copy: bool = typer.Option(False, help="Copy the data instead of linking to it."),
    seed: int = typer.Option(0, min=0, metavar="N", help="Seed of the hold-out."),
    settings: list[str] = typer.Argument(None, metavar="[KEY=VALUE]", help="Of competition.toml: metric=iou folds.k=3"),
) -> None:
    """Make a workspace from a folder of data.

    Infers the competition and says from what.
    """
    from podium.workspace import Workspace

    Workspace.new(
        folder,
        source,
        settings or [],
        hold_out=hold_out,
        public=public,
        solution=solution,
        copy=copy,
        seed=seed,
    )
    print(f"made {folder}: correct {folder / 'competition.toml'} where it is wrong")
    next_command(f"cd {folder} && podium look")


@app.command()
def look(
    augment: bool = typer.Option(
        False, "--augment", help="Draw augmented samples instead: reports/augment.html, augment.jpg."
    ),
    shift: bool = typer.Option(
        False, "--shift", help="See whether an encoder tells test from training images: reports/shift.html."
    ),
    apply: bool = typer.Option(False, "--apply", help="Take the suggestions: write them to exclude.csv, with reasons."),
    settings: list[str] = typer.Argument(
        None,
        metavar="[recipe=NAME] [KEY=VALUE]",
        help="With --augment: recipe and changes. With --shift: an attempt; or model.weights=FILE and its like.",
    ),
    as_json: bool = JSON,
) -> None:
    """Audit the data: what is in it, and what is wrong.

    Writes a page with pictures too: reports/data.html.
    """
    from podium.config import overrides_with_recipe
    from podium.workspace import Workspace

    if settings and not (augment or shift):
        raise typer.BadParameter(f"'{settings[0]}' changes nothing that is looked at; or do you mean: look --augment")
    space = Workspace.open()
    if shift:
        attempt = next((given for given in settings or [] if "=" not in given), None)
        with space.lock():
            seen = space.look_shift(attempt, [given for given in settings or [] if "=" in given])
        if as_json:
            emit({"auc": seen.auc, "low": seen.low, "high": seen.high, "by": seen.by, "shifted": seen.shifted})
        else:
            print(f"{seen.told()}\n{space.root / 'reports' / 'shift.html'}")
        next_command("podium standings" if space.submissions.all() else "podium look")
        return
    if augment:
        name, changes = overrides_with_recipe(settings or [])
        with space.lock():
            path, shown = space.look_augment(space.recipe(name).with_overrides(changes))
        if as_json:
            emit({"picture": str(path), "page": str(path.with_suffix(".html")), "augmentations": shown})
        else:
            print(f"samples and their variants, then each by itself: {', '.join(shown) or 'nothing is on'}")
            print(f"{path.with_suffix('.html')}\n{path}")
        next_command("podium try NAME augment.KEY=VALUE --why '…'" if space.attempts.names() else "podium baseline")
        return
    with space.lock():
        report = space.look(apply=apply)
    if as_json:
        emit(report.tree())
    else:
        print(report.text())
    bad = any(finding.remedy == "podium prepare --exclude-bad" for finding in report.findings)
    suggested = any(finding.exclude for finding in report.findings)
    if any(finding.name == "no folds" for finding in report.findings):  # prepare would stop at the same error
        next_command("podium look (once the error above is mended)")
        return
    next_command("podium look --apply" if suggested else "podium prepare --exclude-bad" if bad else "podium prepare")


@app.command()
def prepare(
    exclude_bad: bool = typer.Option(False, "--exclude-bad", help="Leave out samples that cannot be used."),
    settings: list[str] = typer.Argument(None, metavar="[recipe=NAME] [KEY=VALUE]", help="Recipe and changes."),
    as_json: bool = JSON,
) -> None:
    """Decode, pre-process, cache and split into folds.

    Reuses what no change has touched, and says why not otherwise.
    """
    from podium.config import overrides_with_recipe
    from podium.workspace import Workspace

    space = Workspace.open()
    name, changes = overrides_with_recipe(settings or [])
    with space.lock():
        prepared = space.prepare(space.recipe(name).with_overrides(changes), exclude_bad=exclude_bad)
    if as_json:
        stages = [{"stage": s.name, "reused": s.reused, "why": s.why} for s in prepared.stages]
        emit({"stages": stages, "excluded": prepared.excluded, "fold_sizes": prepared.folds.sizes()})
    else:
        print("\n".join(prepared.told()))
    if space.attempts.names():
        next_command("podium try NAME key=value --why '…'")
    else:
        next_command("podium baseline", "podium baseline recipe=smoke (to see that everything works)")


@app.command()
def demo(
    folder: Path = typer.Argument(Path("podium-demo"), metavar="[DIR]", help="Where to make it."),
) -> None:
    """The whole loop on a competition made on the spot.

    Takes less than three minutes on two free cores.
    """
    import os

    from podium.demo.lap import run_demo

    here = os.getcwd()

    def podium(words: Sequence[str]) -> None:
        try:
            app(list(words), prog_name="podium", standalone_mode=False)
        finally:
            os.chdir(here)  # -C changes it, as for a shell's command it may

    run_demo(folder, podium)
