"""The command about architectures."""

from __future__ import annotations

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table

COLUMNS = {
    "name": "model.arch",
    "parameters": "parameters",
    "gflops": "GFLOP an image",
    "weights_mb": "weights, MB",
    "image_mb": "image, MB",
    "stride": "pads to",
    "pretrained": "pretrained",
    "summary": "what it is",
}


@app.command()
def models(
    name: str = typer.Argument("", metavar="[NAME]", help="Only those whose name has this in it: unet, smp."),
    size: int = typer.Option(None, min=1, metavar="SIDE", help="Side of the images; else as the workspace trains."),
    recipe: str = typer.Option("baseline", metavar="NAME", help="The workspace's recipe to take the size of."),
    encoders: bool = typer.Option(False, "--encoders", help="List the names that model.encoder takes instead."),
    as_json: bool = JSON,
) -> None:
    """List the architectures, and what each costs.

    In a workspace those that fit its task, at the size its trainings have; elsewhere all, at 256x256. Memory while
    training in fp32 is that of the weights (with gradients and Adam's averages) once, and of an image times the batch.
    """
    if encoders:
        _encoders(name, as_json)
        return
    from podium.errors import ConfigError
    from podium.models.footprint import survey

    try:
        from podium.workspace import Workspace

        space = Workspace.open()
    except ConfigError:
        shape, outputs = [size or 256] * 2, 1
        rows = survey(shape, contains=name)
    else:
        from podium.training.survey import survey_workspace

        given = space.recipe(recipe)
        if size:
            given = given.with_overrides([f"input.train_crop={size}"])
        rows, shape, outputs = survey_workspace(
            space.competition, space.metric, space.root / "data", given, contains=name
        )
    if as_json:
        emit({"height": shape[0], "width": shape[1], "outputs": outputs, "models": rows})
        return
    for row in rows:
        row |= {key: round(row[key]) for key in ("gflops", "weights_mb", "image_mb") if key in row}
    print(f"{shape[1]}x{shape[0]} pixels, 3 channels, {outputs} outputs")
    table(rows, COLUMNS)
    next_command("podium try NAME model.arch=ARCH --why '…'")


def _encoders(contains: str, as_json: bool) -> None:
    """Print the names of encoders with this in them, a line for each kind of architecture."""
    from podium.models.encoder_names import encoders_containing

    found = encoders_containing(contains)
    if as_json:
        emit(found)
        return
    for arch, names in found.items():
        print(f"{arch}: {', '.join(names) or 'none'}")
    next_command("podium try NAME model.arch=ARCH model.encoder=ENCODER --why '…'")
