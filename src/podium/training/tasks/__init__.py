"""Tasks: what a competition's targets are to a network, one class for each kind of competition."""

from __future__ import annotations

from podium.data.competition import Competition
from podium.metrics import Metric
from podium.recipe import Recipe
from podium.training.tasks.base import Task
from podium.training.tasks.masks import ClassMapTask, MaskTask, ObjectsTask, PlanesTask
from podium.training.tasks.tables import ClassesTask, EachTask, LabelsTask, NumbersTask, TableTask, Values

__all__ = [
    "ClassMapTask",
    "EachTask",
    "MaskTask",
    "NumbersTask",
    "ObjectsTask",
    "PlanesTask",
    "TableTask",
    "Task",
    "Values",
    "create_task",
]


def create_task(competition: Competition, metric: Metric, recipe: Recipe) -> MaskTask | TableTask:
    """The task of a competition, for one recipe. One of a table still has to be fitted, or given a checkpoint's state.

    Raises:
        ConfigError: if there are more overlapping classes than can be trained.
    """
    if competition.task == "regression":
        return NumbersTask(competition, metric, recipe)
    if competition.task == "classification":
        kinds: dict[str, type[ClassesTask | LabelsTask]] = {"one": ClassesTask, "many": LabelsTask, "each": EachTask}
        return kinds[competition.labels](competition, metric, recipe)
    if competition.task == "instances":
        return ObjectsTask(competition, metric, recipe)
    several = len(competition.classes) > 1 and competition.labels == "one"
    return (ClassMapTask if several else PlanesTask)(competition, metric, recipe)
