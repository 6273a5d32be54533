"""What stored probabilities say by a recipe's settings, as in a submission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.metrics import Metric
from podium.recipe import Recipe
from podium.training.presence import Classifier, Said
from podium.training.tasks import MaskTask, create_task

Array = NDArray[Any]
Shape = tuple[int, int]


def decider(competition: Competition, metric: Metric, root: Path) -> Callable[[Recipe, str, Array, Shape], Array]:
    """What probabilities (H, W, outputs) of a training sample's id say at its original (height, width), by a recipe.

    See `MaskTask.decided`.

    Args:
        root: The workspace's folder.
    """
    known: dict[str, Said] = {}

    def decide(recipe: Recipe, id: str, probs: Array, shape: Shape) -> Array:
        task, by = create_task(competition, metric, recipe), recipe.predict.empty_by
        assert isinstance(task, MaskTask)
        if by is not None:
            if by not in known:
                known[by] = Classifier.of(recipe, task, root).out_of_fold()
            task.presence = known[by]
        return task.decided(task.seen(id, probs), shape, Preprocess.of(recipe.input))

    return decide
