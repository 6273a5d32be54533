"""The mean of several predictions of the same: of probabilities, of logits, geometric, of powers, of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from podium.recipe import PredictConfig
from podium.training.tasks import MaskTask, TableTask

Array = NDArray[Any]

FLOOR = 1e-6
"""The least probability that a logarithm is taken of."""


class Mean:
    """Where predictions are added up, and back: `predict.mean`.

    probs: their arithmetic mean. logits: of what the network gives. geometric: the exponential of the mean logarithm.
    power: the root of the mean power. Classes of which one is true sum to 1 again. rank: see `ranked`.
    """

    def __init__(self, config: PredictConfig) -> None:
        self.how, self.power = config.mean, config.power or 2.0

    def of(self, task: MaskTask | TableTask, logits: Tensor) -> Tensor:
        """fp32 logits in the space where the mean is taken."""
        if self.how == "logits":
            return logits
        probs = task.probs(logits)
        if self.how == "geometric":
            return probs.clamp(min=FLOOR).log()
        return probs**self.power if self.how == "power" else probs

    def back(self, task: MaskTask | TableTask, mean: Tensor) -> Tensor:
        """A mean as probabilities, or as the numbers of a regression."""
        if self.how == "logits":
            return task.probs(mean)
        if self.how not in ("geometric", "power"):
            return mean
        probs = mean.exp() if self.how == "geometric" else mean ** (1 / self.power)
        if task.kind != "labels":
            return probs
        parts = [p.outputs for p in task.competition.parts] or [slice(None)]
        return torch.cat([probs[:, of] / probs[:, of].sum(1, keepdim=True) for of in parts], 1)


def ranked(members: Array) -> Array:
    """The mean rank of each sample among all, as a number between 0 and 1: what AUC reads, whatever the scales.

    Args:
        members: (N, members, outputs), of N samples.

    Returns:
        float32 (N, outputs).
    """
    n, count, outputs = members.shape
    flat = members.reshape(n, -1)
    ranks = np.stack([_ranks(flat[:, k]) for k in range(flat.shape[1])], axis=1) if n else flat
    return np.asarray(ranks.reshape(n, count, outputs).mean(1), np.float32)


def _ranks(values: Array) -> Array:
    """Shares of the values that are smaller, equal ones counted half."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return ((np.cumsum(counts) - counts / 2) / len(values))[which]


def as_uint8(probs: Tensor) -> Tensor:
    """Probabilities as uint8, 255 = 1."""
    return (probs * 255).round().clamp(0, 255).to(torch.uint8)
