"""Settings that would change nothing are refused: an attempt made of one would be judged on noise alone."""

from __future__ import annotations

from podium.config import difference, flatten
from podium.data.plan import Aim, ema_decay, plan
from podium.errors import ConfigError
from podium.recipe import ModelConfig, PseudoConfig, Recipe, TrainConfig
from podium.training.tasks import Task

OF_STEPS = ("optim", "schedule", "sampling", "loss", "train")
"""Sections about training step by step, which frozen features are not."""

READ = ("seed", "target", "precision", "epochs", "time", "batch_size", "devices")
"""Keys of [train] that frozen features read, or that a preset has by the machine and the number of images."""


def check_read(recipe: Recipe, task: Task) -> None:
    """Refuse settings away from their defaults that the task or the learner of this recipe does not read.

    Raises:
        ConfigError: naming the first.
    """
    if task.kind != "values" and recipe.train.target != TrainConfig().target:
        raise _unread("train.target", recipe.train.target, "regressions", TrainConfig().target)
    heads = recipe.model.head.values() if isinstance(recipe.model.head, dict) else [recipe.model.head]
    if recipe.model.bins != (default := ModelConfig().bins) and not {"distribution", "cumulative"} & set(heads):
        raise _unread("model.bins", recipe.model.bins, "the heads distribution and cumulative", default)
    if not task.dense and recipe.pseudo.sure != PseudoConfig().sure:
        raise _unread("pseudo.sure", recipe.pseudo.sure, "masks, whose pixels it is about", PseudoConfig().sure)
    if recipe.model.arch == "features":
        _check_of_steps(recipe, task)


def _check_of_steps(recipe: Recipe, task: Task) -> None:
    """Refuse what only a training step by step reads, unless a preset for this kind of target has it so."""
    aim = Aim.of(task.competition)
    presets = [p.recipe for gpu in (True, False) for p in plan([(64, 64)], 100, gpu=gpu, aim=aim).values()]
    usual = [dict(flatten(r.tree())) for r in (Recipe(loss=aim.loss), *presets)]
    averages = (None, *map(ema_decay, (0, 4e3, 1e4, 2e4)))
    for key, (default, value) in difference(recipe, Recipe(loss=aim.loss)).items():
        section, _, name = key.partition(".")
        if section not in OF_STEPS or (section == "train" and name in READ) or value in [u.get(key) for u in usual]:
            continue
        if (key == "train.ema" and value in averages) or default == {}:  # what is in it comes by itself
            continue
        raise _unread(key, value, "networks that are trained step by step, not frozen features", default)
    if recipe.phases:
        raise _unread("phases", [p.tree() for p in recipe.phases], "networks that are trained step by step", [])


def _unread(key: str, value: object, readers: str, default: object) -> ConfigError:
    return ConfigError(
        f"it is {value!r}, and only read by {readers}: it would change nothing",
        where=key,
        remedy=f"leave it out (its default: {default!r})" if default is not None else "leave it out",
    )
