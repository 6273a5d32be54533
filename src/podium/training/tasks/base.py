"""What a competition's targets are to a network: logits, target, loss, probabilities, and what is measured of them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.data.competition import Competition
from podium.data.loader import Batch
from podium.metrics import Metric
from podium.models import create_model
from podium.models.heads import check_head
from podium.recipe import PredictConfig, Recipe
from podium.training.feed import Fed
from podium.training.losses import Kind, Loss, create_loss

Array = NDArray[Any]


class Task(ABC):
    """One kind of competition, as training sees it; made by `create_task`.

    Attributes:
        kind: What its target is, and so which losses fit.
        dense: Whether there are logits for each pixel, else for each sample.
        names: What the outputs of the network are, in order.
        width: Metadata numbers that the network gets beside the image.
        reads: Keys of [predict] that it reads beside `tta`.
        channels: Of the images.
    """

    kind: Kind
    dense: bool
    width: int = 0
    reads: tuple[str, ...] = ()

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe, names: list[str]) -> None:
        self.competition, self.metric, self.recipe, self.names = competition, metric, recipe, names
        self.channels = 3
        self._criterion: Loss | None = None
        self._auxiliary: tuple[float, ...] = ()

    @property
    def outputs(self) -> int:
        """Channels of the logits."""
        return len(self.names)

    def create_model(self, *, load: bool = True) -> nn.Module:
        """The recipe's network for this task, freshly initialised from torch's global seed.

        Args:
            load: Begin with the weights that the recipe names; False where a checkpoint follows.
        """
        other: dict[str, Any] = {"load": load, "normalize": self.recipe.input.normalize}
        if not self.dense:
            check_head(self.recipe.model.head, self.kind, several=bool(self.competition.parts))
            parts = {part.name: len(part.classes) for part in self.competition.parts}
            other |= {"dense": False, "inputs": self.width, "parts": parts}
        model = create_model(self.recipe.model, self.channels, self.outputs, **other)
        self._criterion = self.create_loss(model)
        return model

    def create_loss(self, model: nn.Module | None = None) -> Loss:
        """The recipe's loss for this task, of the outputs of a network.

        Raises:
            ConfigError: for a loss that does not fit the targets, listing those that do.
        """
        self._auxiliary = getattr(model, "auxiliary_weights", ())
        return create_loss(self.recipe.loss, self.kind, self._auxiliary)

    def use(self, recipe: Recipe) -> None:
        """Take up what a phase of the training changes: the loss, and what is ignored at the border."""
        self._criterion = create_loss(recipe.loss, self.kind, self._auxiliary)

    def with_predict(self, config: PredictConfig) -> Self:
        """This task, with all it has learnt, under another [predict]."""
        other = copy.copy(self)
        other.recipe = self.recipe.model_copy(update={"predict": config})
        return other

    def loss(self, logits: Tensor | tuple[Tensor, ...], batch: Batch | Fed) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and the mean of each of its terms.

        Args:
            logits: Of the network in training mode, auxiliary ones behind if it has them.
        """
        self._criterion = self._criterion or self.create_loss()
        target, weight = self.target(batch, (logits if isinstance(logits, Tensor) else logits[0]).device)
        return self._criterion(logits, target, weight)

    @property
    def each(self) -> Tensor:
        """The loss of each sample of the batch before, (N,)."""
        assert self._criterion is not None
        assert self._criterion.each is not None
        return self._criterion.each

    @abstractmethod
    def target(self, batch: Batch | Fed, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """The target of a batch, of this task's kind, and 1 where it counts (None: everywhere)."""

    def inputs(self, batch: Batch | Fed, device: torch.device) -> tuple[Tensor, ...]:
        """What the network gets beside the images: the batch's metadata, (N, width), if it has any."""
        return ()

    @abstractmethod
    def probs(self, logits: Tensor) -> Tensor:
        """Predictions of fp32 logits, same shape: probabilities, or the numbers of a regression."""

    def state(self) -> dict[str, Any]:
        """What is learnt from training samples beside weights (means, categories), as plain data."""
        return {"channels": self.channels}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.channels = int(state.get("channels", 3))
