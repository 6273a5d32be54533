"""What every architecture would cost in a workspace: at the size, channels and outputs that its trainings have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.data.samples import list_samples
from podium.formats.images import image_size
from podium.metrics import Metric
from podium.models.footprint import survey
from podium.recipe import Recipe
from podium.training.tasks import create_task


def survey_workspace(
    competition: Competition, metric: Metric, data: Path, recipe: Recipe, *, contains: str = ""
) -> tuple[list[dict[str, Any]], list[int], int]:
    """(rows of `podium.models.footprint.survey`, [height, width], outputs) for a recipe in a workspace.

    The size is that of a training batch: the crop, or the pre-processed first image with its padding.

    Args:
        data: The workspace's data folder.
        contains: Only names with this in them.
    """
    task, size = create_task(competition, metric, recipe), training_size(competition, data, recipe)
    rows = survey(size, classes=task.outputs, dense=task.dense, inputs=task.width, contains=contains)
    return rows, size, task.outputs


def training_size(competition: Competition, data: Path, recipe: Recipe) -> list[int]:
    """[height, width] of what the network sees in training."""
    prepare, crop = Preprocess.of(recipe.input), recipe.input.train_crop
    if crop or recipe.input.size:
        shape = prepare.spatial.size or (crop or 0, crop or 0)
    else:
        shape = prepare.spatial.shape(image_size(list_samples(competition, data).train[0].image))
    canvas = prepare.canvas(shape, crop)
    return [canvas.height, canvas.width]
