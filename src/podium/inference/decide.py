"""What stored probabilities say by a recipe's settings, as in a submission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.metrics import Metric
from podium.recipe import Recipe
from podium.training.tasks import MaskTask, create_task

Array = NDArray[Any]


def decider(competition: Competition, metric: Metric) -> Callable[[Recipe, Array, tuple[int, int]], Array]:
    """From a recipe, probabilities (H, W, outputs) at its input size and an original (height, width) to what they say.

    See `MaskTask.decided`.
    """

    def decide(recipe: Recipe, probs: Array, shape: tuple[int, int]) -> Array:
        task = create_task(competition, metric, recipe)
        assert isinstance(task, MaskTask)
        return task.decided(probs, shape, Preprocess.of(recipe.input))

    return decide
