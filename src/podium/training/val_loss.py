"""The loss over the validation fold, for the choice of checkpoint by it (`train.checkpoint = "loss"`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from podium.data.augment.sheet import alone
from podium.data.loader import TrainLoader
from podium.recipe import Recipe, SamplingConfig
from podium.training.evaluate import evaluating
from podium.training.fabric import Fabric
from podium.training.feed import Feed
from podium.training.tasks import Task

MakeLoader = Callable[[Sequence[int], Recipe], TrainLoader]


class ValidationLoss:
    """The recipe's loss over samples as training sees them, but without augmentation: the same crops every time.

    Args:
        make: Makes the loader of some rows for a recipe.
        rows: The validation samples; each counts once and alike.
    """

    def __init__(
        self, fabric: Fabric, model: nn.Module, task: Task, make: MakeLoader, rows: Sequence[int], recipe: Recipe
    ) -> None:
        self.fabric, self.model, self.task = fabric, model, task
        size = min(recipe.train.val_batch, len(rows))
        whole = len(rows) - len(rows) % size
        self.feeds = []
        for some in (rows[:whole], rows[whole:]):
            if len(some):
                train = recipe.train.model_copy(update={"batch_size": min(size, len(some))})
                still = {"augment": alone(recipe.augment, ""), "sampling": SamplingConfig(), "train": train}
                loader = make(some, recipe.model_copy(update=still))
                self.feeds.append(Feed(loader, fabric.device, recipe.input.normalize))

    @torch.inference_mode()
    def __call__(self) -> float:
        """The mean over the samples."""
        total, seen = torch.zeros((), device=self.fabric.device), 0
        with evaluating([self.model]), self.fabric.autocast():
            for feed in self.feeds:
                for batch in feed.epoch(0, 0):
                    inputs = self.task.inputs(batch, self.fabric.device)
                    loss, _ = self.task.loss(self.model(batch.images, *inputs), batch)
                    total += loss * len(batch.rows)
                    seen += len(batch.rows)
        return float(total) / seen
