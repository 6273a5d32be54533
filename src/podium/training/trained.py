"""Networks that were trained, taken up again from their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from podium.data.competition import Competition
from podium.metrics import Metric
from podium.recipe import Recipe
from podium.training import checkpoint
from podium.training.device import count_devices, to_device
from podium.training.fabric import Fabric
from podium.training.tasks import MaskTask, TableTask, create_task


def load_trained(
    files: Sequence[Path], competition: Competition, metric: Metric, recipe: Recipe, fabric: Fabric
) -> tuple[list[nn.Module], list[MaskTask | TableTask]]:
    """The network of each checkpoint, on the device, and its task, fitted as it was.

    Args:
        recipe: Of the attempt; what is left to the machine is settled by this one.

    Raises:
        ModelError: if a checkpoint is missing or damaged, or is not of this recipe.
    """
    if recipe.train.devices == "auto":  # the share of a batch that one of them predicts at once
        recipe = recipe.with_overrides({"train": {"devices": count_devices("auto")}})
    models, tasks = [], []
    for file in files:
        task = create_task(competition, metric, recipe)
        task.load_state(checkpoint.load(file).get("task", {}))
        model = task.create_model(load=False)
        checkpoint.load_weights(file, model)
        models.append(to_device(model, fabric))
        tasks.append(task)
    return models, tasks
