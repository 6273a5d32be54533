"""Whether a recipe can be trained at all: every name known, every value fitting. Takes milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from podium.config import difference
from podium.data.order import epoch_size
from podium.errors import ConfigError, DataError
from podium.metrics import METRICS, Kind, Metric, of_each
from podium.models import create_model
from podium.progress import counted
from podium.recipe import PredictConfig, Recipe
from podium.training.device import count_devices, create_fabric
from podium.training.losses import LOSSES, Loss, create_loss
from podium.training.optim import create_optimizer
from podium.training.phases import Course
from podium.training.tasks import ClassMapTask, MaskTask, ObjectsTask, TableTask, Task
from podium.training.unread import check_read


def check_recipe(recipe: Recipe, task: Task | None = None) -> nn.Module:
    """Make everything that a training of this recipe makes, without memory for weights.

    Args:
        task: What is to be learnt; masks of one class, if not given.

    Returns:
        The network, on the meta device.

    Raises:
        ModelError: for an architecture that is unknown, does not fit the task, or does not read a key that is set.
        ConfigError: for an unknown loss or one that does not fit the task, an unknown optimiser or schedule, or a
            precision this machine cannot compute, or more devices than it has or a batch has samples.
    """
    if task is None:
        with torch.device("meta"):
            model = create_model(recipe.model, load=False)
    else:
        with torch.device("meta"):
            model = task.create_model(load=False)
        _check_table(recipe, task)
        _check_rules(recipe, task)
        check_predict(recipe, task)
        check_read(recipe, task)
    course = Course(recipe)
    for stage in course.stages:
        create_optimizer(stage.recipe.optim, model)
        auxiliary = tuple(getattr(model, "auxiliary_weights", ()))
        loss = create_loss(stage.recipe.loss, task.kind if task else "planes", auxiliary)
        if task:
            _try(loss, task)
    if recipe.train.checkpoint == "snapshots":
        _check_cycles(course)
    create_fabric(recipe.train.precision)
    check_shares(recipe, count_devices(recipe.train.devices))
    return model


def _try(loss: Loss, task: Task) -> None:
    """Compute each of podium's own losses once, of nothing: options that do not fit the classes are found now.

    Raises:
        TrainingError: for such an option.
    """
    known = Loss([term for term in loss.terms if term.name in LOSSES], task.kind)
    if not known.terms:
        return
    shape = (32, 32) if task.dense else ()
    for outputs in [part.outputs for part in task.competition.parts] or [slice(0, task.outputs)]:
        logits = torch.zeros(2, outputs.stop - outputs.start, *shape)
        target = torch.zeros(2, *shape, dtype=torch.long) if task.kind == "labels" else torch.zeros_like(logits)
        known.of_outputs(outputs, task.outputs)(logits, target)


def _check_cycles(course: Course) -> None:
    """Refuse snapshots that are not those of the cycles: they are taken where an epoch ends."""
    for stage in course.stages:
        cycles, epochs = stage.recipe.schedule.cycles or 1, stage.schedule_end - stage.schedule_start
        if cycles > epochs:
            raise ConfigError(
                f"'schedule.cycles' is {cycles}, in {counted(epochs, 'epoch')}",
                expected='with train.checkpoint = "snapshots" no more cycles than epochs: one is taken after each',
                remedy=f"schedule.cycles={max(2, epochs // 3)}, or more train.epochs",
            )
    if len(course.cycle_ends()) < 2:
        name = course.stages[0].recipe.schedule.name
        raise ConfigError(
            f"'train.checkpoint' is 'snapshots', and the schedule ({name}) has no cycle that ends before the training",
            expected="a schedule of several cycles, each at least an epoch",
            remedy="schedule.name=cosine schedule.cycles=4; or train.checkpoint=last",
        )


def check_shares(recipe: Recipe, devices: int, samples: int | None = None) -> None:
    """Whether every device gets something of each batch.

    Args:
        samples: That are trained on, where that is known.

    Raises:
        ConfigError: if not.
    """
    for _, stage in recipe.stages():
        size = stage.train.batch_size
        if size != "auto" and size < devices:
            raise ConfigError(
                f"'train.batch_size' is {size}, and 'train.devices' {devices}",
                expected="a sample of each batch for each device",
                remedy=f"train.batch_size={devices}, or train.devices={size}",
            )
        if samples is not None and (n := epoch_size(samples, stage.sampling)) < devices:
            raise ConfigError(
                f"an epoch has {counted(n, 'sample')}, and 'train.devices' is {devices}",
                expected="a sample of each batch for each device",
                remedy=f"train.devices={max(1, n)}",
            )


def check_trainable(task: Task, where: Path) -> None:
    """Whether the competition's metric can judge its task.

    Raises:
        ConfigError: listing the metrics that can.
    """
    if not _fits(task, task.metric):
        raise ConfigError(
            f"the metric '{task.metric.name}' cannot judge {described(task)}",
            where=where,
            expected="one of: " + ", ".join(sorted(name for name, m in METRICS.items() if _fits(task, _of(task, m)))),
            remedy="set metric in competition.toml",
        )
    if task.dense and task.competition.data.views:
        raise ConfigError(
            "masks of samples with several images cannot be trained",
            where=where,
            expected="one image a mask",
            remedy="name one of the views in data.train_images, and leave data.views out",
        )


def _of(task: Task, metric: Metric) -> Metric:
    """The metric as it is of several targets, where there are."""
    parts = task.competition.parts
    return of_each(metric, parts) if parts and metric.kind == "table" else metric


def described(task: Task) -> str:
    """The task in words."""
    c = task.competition
    if c.task in ("segmentation", "classification"):
        each = f", one for each of {', '.join(c.data.targets)}"
        told = {"one": "", "many": ", several at once", "each": each}[c.labels]
        return f"{c.task} of {len(task.names)} class{'es' * (len(task.names) != 1)}{told}"
    return c.task


def _kinds(task: Task) -> tuple[Kind, ...]:
    """What a metric may read of this task."""
    if isinstance(task, ObjectsTask):
        return ("instances", "overlap", "boundary")
    if isinstance(task, MaskTask):
        return ("overlap", "boundary", "confusion") if _one_each(task) else ("overlap", "boundary")
    return ("table",)


def _one_each(task: MaskTask) -> bool:
    return isinstance(task, ClassMapTask) or task.outputs == 1


def _fits(task: Task, metric: Metric) -> bool:
    """Whether the metric can read what the task predicts; a table's is tried on values made up."""
    if metric.kind not in _kinds(task):
        return False
    if not isinstance(task, TableTask):
        return True
    targets = _made_up(task, metric)
    outputs = np.random.default_rng(0).uniform(0.2, 0.8, (len(targets), task.outputs))
    shift = 1.0 if metric.whole_numbers else 0.25
    predicted = targets + shift if task.kind == "values" else outputs
    try:
        metric.score(task.truth(targets), task.predicted(predicted))
    except DataError:
        return False
    return True


def _made_up(task: TableTask, metric: Metric) -> NDArray[np.float64]:
    """Targets as `Sample.values` has them, of a few samples: each class is there; numbers are whole where they must."""
    n, classes = max(6, 2 * task.outputs), task.competition.classes
    if task.kind == "values":
        steps = np.arange(1.0, n + 1)[:, None] * np.arange(1.0, task.outputs + 1)
        return np.asarray(steps if metric.whole_numbers else steps + 0.3, np.float64)
    if parts := task.competition.parts:
        flags = [np.eye(len(part.classes))[np.arange(n) % len(part.classes)] for part in parts]
        return np.concatenate(flags, axis=1)
    if task.kind == "labels":
        return np.array([[classes[task.names[i % task.outputs]]] for i in range(n)], np.float64)
    return np.asarray((np.arange(n)[:, None] + np.arange(task.outputs)) % 2, np.float64)


def _check_rules(recipe: Recipe, task: Task) -> None:
    """Refuse what the competition's rules forbid."""
    if recipe.model.pretrained and not task.competition.rules.pretrained:
        raise ConfigError(
            "the competition's rules forbid published weights (rules.pretrained is false)",
            where="model.pretrained",
            expected="false",
        )


def check_predict(recipe: Recipe, task: Task) -> None:
    """Refuse what says nothing for the task, and lists that are not of its classes."""
    config, keys = recipe.predict, (*task.reads, *network_keys(task))
    for key in (k for k in difference(config, PredictConfig()) if k not in keys):
        raise ConfigError(
            f"it does nothing for {described(task)}",
            where=f"predict.{key}",
            expected="of [predict] only " + ", ".join(keys),
            remedy="leave it as it is by default",
        )
    _check_mean(recipe, task)
    one = isinstance(task, ObjectsTask)
    for key in ("threshold", "min_area", "empty_area", "empty_below"):
        value = getattr(config, key)
        if isinstance(value, list) and (one or len(value) != task.outputs):
            each = f"or a list of {task.outputs}: {', '.join(task.names)}"
            raise ConfigError(
                f"a list of {len(value)}",
                where=f"predict.{key}",
                expected="one number" if one else f"one number, {each}",
            )


def network_keys(task: Task) -> tuple[str, ...]:
    """The keys of [predict] that probabilities depend on, of a task."""
    if task.kind == "values":
        return ("tta",)
    return ("tta", "mean", "power", *(("tile", "overlap") if task.dense else ()))


def _check_mean(recipe: Recipe, task: Task) -> None:
    """Refuse ranks of what has none: pixels, and samples that several processes predict."""
    if recipe.predict.mean != "rank":
        return
    if task.dense:
        raise ConfigError(
            "ranks are of samples among each other, and these predictions are of pixels",
            where="predict.mean",
            expected="probs, logits, geometric or power",
        )
    if count_devices(recipe.train.devices) > 1:
        raise ConfigError(
            "ranks are of all samples together, and several devices predict",
            where="predict.mean",
            remedy="train.devices=1; or another predict.mean",
        )


def _check_table(recipe: Recipe, task: Task) -> None:
    """Refuse what needs a mask where there is none."""
    if task.dense:
        return
    if recipe.augment.copy_paste:
        raise ConfigError(
            "there are no masks to say what to paste",
            where="augment.copy_paste",
            expected="0",
            remedy="mixup, cutmix and mosaic mix the targets of a table, too",
        )
    if recipe.augment.colour_where != "all":
        raise ConfigError(
            f"colours are to change in the {recipe.augment.colour_where} only, and there are no masks",
            where="augment.colour_where",
            expected="all",
        )
