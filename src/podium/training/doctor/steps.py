"""Training steps of a recipe's network, timed: in each precision that the device has, and alone or with their data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from podium.data.competition import Competition
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training.device import Normalize, create_fabric, forked_random, to_device
from podium.training.doctor.timing import side_by_side
from podium.training.feed import Fed
from podium.training.optim import create_optimizer, hold_still
from podium.training.tasks import Task, create_task


@dataclass(frozen=True)
class Speed:
    """Of one training step in one precision.

    Attributes:
        chosen: Whether the recipe trains in it.
    """

    precision: str
    seconds: float
    images_per_s: float
    chosen: bool


class Steps:
    """A fresh network, trained step by step; what it learns is thrown away."""

    def __init__(self, task: Task, recipe: Recipe, precision: str) -> None:
        self.task, self.recipe = task, recipe
        with forked_random():
            torch.manual_seed(0)
            self.fabric = create_fabric(precision)
            self.model: Any = to_device(task.create_model(load=False), self.fabric)
        optimizer = create_optimizer(recipe.optim, self.model)
        self.network, self.optimizer = self.fabric.setup(self.model, optimizer)
        self.network.train()
        hold_still(self.model)

    def step(self, batch: Fed) -> None:
        """One step, begun on a GPU, done on a CPU."""
        loss, _ = self.task.loss(self.network(batch.images, *self.task.inputs(batch, self.fabric.device)), batch)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def wait(self) -> None:
        """Until the device has done all that was begun."""
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize()

    def step_and_wait(self, batch: Fed) -> None:
        """One step, done."""
        self.step(batch)
        self.wait()


def precisions(cuda: bool) -> list[str]:
    """Those that `train.precision` may ask for on this device."""
    return ["fp32", "bf16", "fp16"] if cuda else ["fp32", "bf16"]


def precision_of(recipe: Recipe) -> str:
    """The one that a recipe trains in here."""
    return {"32-true": "fp32", "bf16-mixed": "bf16", "16-mixed": "fp16"}[
        str(create_fabric(recipe.train.precision)._precision.precision)
    ]


def speeds(task: Task, recipe: Recipe, batch: Fed, seconds: float) -> list[Speed]:
    """Of the recipe's steps on a batch that is on the device, in every precision."""
    mine, names = precision_of(recipe), precisions(batch.images.is_cuda)
    steps = [partial(Steps(task, recipe, name).step_and_wait, batch) for name in names]
    took = side_by_side(steps, seconds)
    return [Speed(name, s, len(batch.rows) / s, name == mine) for name, s in zip(names, took, strict=True)]


def by_threads(task: Task, recipe: Recipe, batch: Fed, seconds: float, cores: int) -> dict[int, float]:
    """Images a second of the recipe's steps, by the threads that torch computes with; empty on a GPU, or one core.

    Threads wait for one another by spinning (libgomp): where other programs want the same cores, two can be many times
    slower than one.
    """
    now = torch.get_num_threads()
    if batch.images.is_cuda or cores < 2:
        return {}
    steps, counts = Steps(task, recipe, recipe.train.precision), sorted({1, max(1, cores // 2), cores, now})

    def on(threads: int) -> None:
        torch.set_num_threads(threads)
        steps.step(batch)

    try:
        took = side_by_side([partial(on, n) for n in counts], seconds)
    finally:
        torch.set_num_threads(now)
    return {n: len(batch.rows) / s for n, s in zip(counts, took, strict=True)}


def standard(side: int = 256) -> tuple[Task, Recipe, Fed]:
    """What is timed outside of a workspace: podium's UNet at width 1 for one class, on noise."""
    spec = Competition.from_tree({"name": "noise", "data": {"train_images": "*.png", "train_masks": "{id}.png"}})
    batch_size = 16 if torch.cuda.is_available() else 2
    recipe = Recipe().with_overrides({"train": {"batch_size": batch_size}})
    task, rng = create_task(spec, get_metric("dice"), recipe), np.random.default_rng(0)
    device = create_fabric(recipe.train.precision).device
    images = rng.integers(0, 256, (batch_size, side, side, 3), np.uint8)
    masks = torch.from_numpy(rng.integers(0, 2, (batch_size, side, side), np.uint8)).to(device)
    return task, recipe, Fed(np.arange(batch_size), Normalize(recipe.input.normalize, device)(images), masks)
