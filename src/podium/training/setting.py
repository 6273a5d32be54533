"""What a training works with, beside its recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from podium.data.loader import TrainLoader
from podium.metrics import Metric
from podium.recipe import Recipe
from podium.training.fabric import Fabric
from podium.training.ranks import Ranks
from podium.training.tasks import Task


@dataclass(frozen=True)
class Setting:
    """What a training works with, beside its recipe.

    Attributes:
        model: On the device already.
        loader: Makes the loader of a recipe: of the training's, and of what its phases make of that.
        validate: The current model's score on the validation fold by ``metric``, and its loss there or None.
        folder: Gets last.pt, history.csv and the checkpoints to choose from.
        seed: Seeds batches and augmentation (weights were seeded by who made the model).
        spent: Seconds of `train.time` that were gone before.
        validation: Seconds that a validation will take, if that was measured.
        label: How lines for the user begin.
        paced: Told images a second once the first steps have been taken.
        ranks: The processes that train together, this one among them.
    """

    fabric: Fabric
    model: nn.Module
    task: Task
    loader: Callable[[Recipe], TrainLoader]
    validate: Callable[[], tuple[float, float | None]]
    folder: Path
    seed: int
    metric: Metric
    spent: float = 0.0
    validation: float | None = None
    label: str = ""
    paced: Callable[[float], None] = lambda _: None
    ranks: Ranks = field(default_factory=Ranks)
