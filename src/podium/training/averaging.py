"""Averages of weights over the training: exponential (EMA) and from a moment on (SWA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from podium.recipe import TrainConfig

Weights = dict[str, Tensor]


class Average:
    """An average of a model's weights and running statistics, of every step.

    EMA: a <- d a + (1 - d) w with d = min(decay, (1 + t) / (10 + t)) at the t-th step, so that the first weights,
    which know nothing, fade at once. SWA: the plain mean of the weights since the share ``since`` of the training.
    Batch norm's running statistics are averaged as the weights are: each is a mean over batches itself.

    Source: Tarvainen & Valpola 2017 (arXiv 1703.01780); the warm-up is TensorFlow's ExponentialMovingAverage.
    Izmailov et al. 2018 (arXiv 1803.05407).

    Args:
        decay: Of the EMA; None: SWA.
        since: Share of the training after which the SWA begins.
    """

    def __init__(self, model: nn.Module, decay: float | None, since: float = 0.0) -> None:
        self.decay, self.since, self.steps = decay, since, 0
        self._live = dict(model.state_dict())
        self._mean = {name: value.detach().clone() for name, value in self._live.items()}
        self._floats = [name for name, value in self._live.items() if value.is_floating_point()]

    @torch.no_grad()
    def update(self, done: float) -> None:
        """Take in the weights after a step; ``done`` is the share of the training that was over before it."""
        if self.decay is None and done < self.since:
            return
        self.steps += 1
        t = self.steps - 1
        weight = 1 / self.steps if self.decay is None else 1 - min(self.decay, (1 + t) / (10 + t))
        means = [self._mean[name] for name in self._floats]
        torch._foreach_lerp_(means, [self._live[name] for name in self._floats], weight)

    def weights(self) -> Weights:
        """The average as a state dict; counters are the model's own. The model's weights before the first step."""
        if not self.steps:
            return dict(self._live)
        return {name: self._mean[name] if name in self._floats else value for name, value in self._live.items()}

    @contextmanager
    @torch.no_grad()
    def in_place(self) -> Iterator[None]:
        """Within the block the model has the average's weights; its own, untouched, after it."""
        found = self.weights()
        own = {name: self._live[name].clone() for name in self._floats}
        try:
            for name in self._floats:
                self._live[name].copy_(found[name])
            yield
        finally:
            for name in self._floats:
                self._live[name].copy_(own[name])

    def state(self) -> dict[str, Any]:
        """What a resumed training goes on from."""
        return {"steps": self.steps, "mean": {name: self._mean[name] for name in self._floats}}

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.steps = int(state["steps"])
        for name in self._floats:
            self._mean[name].copy_(state["mean"][name])


def create_average(config: TrainConfig, model: nn.Module) -> Average | None:
    """The average that `[train]` asks for, of a model on its device; None if it asks for none."""
    if config.ema is None and config.swa is None:
        return None
    return Average(model, config.ema, config.swa or 0.0)
