"""Whether a recipe can be trained at all: every name known, every value fitting. Takes milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch

from podium.data.competition import Competition
from podium.errors import ConfigError
from podium.metrics import Metric
from podium.models import create_model
from podium.recipe import Recipe
from podium.training.device import create_fabric
from podium.training.losses import create_loss
from podium.training.optim import create_optimizer
from podium.training.schedule import create_schedule


def check_recipe(recipe: Recipe) -> None:
    """Make everything that a training of this recipe makes, without memory for weights.

    Raises:
        ModelError: for an architecture that is unknown or does not read a key that is set.
        ConfigError: for an unknown loss, optimiser, schedule, or a precision this machine cannot compute.
    """
    with torch.device("meta"):
        model = create_model(recipe.model)
    create_loss(recipe.loss)
    create_schedule(recipe.schedule, 100)
    create_optimizer(recipe.optim, model)
    create_fabric(recipe.train.precision)


def check_trainable(competition: Competition, metric: Metric, where: Path) -> None:
    """Whether the competition is one that podium can train for.

    Raises:
        ConfigError: for another task than one class of masks, or a metric that is no mean over images.
    """
    if not competition.binary:
        raise ConfigError(
            "training is for masks of one class so far; "
            f"this is {competition.task} of {len(competition.classes)} classes",
            where=where,
            remedy="podium look, podium prepare and podium folds work; or make it one class of masks",
        )
    if metric.kind != "overlap" or not metric.mean_over_samples:
        raise ConfigError(
            f"'{metric.name}' cannot judge a training yet",
            where=where,
            expected="a metric that is a mean over images: dice, iou or tgs_iou",
            remedy="set metric in competition.toml",
        )
