"""Whether a recipe can be trained at all: every name known, every value fitting. Takes milliseconds."""

from __future__ import annotations

import torch

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
