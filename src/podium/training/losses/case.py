"""What a loss is given: logits, target and weights of one batch, and what several losses want to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Kind = Literal["planes", "labels", "values"]
KINDS: tuple[Kind, ...] = ("planes", "labels", "values")
IN_WORDS: dict[Kind, str] = {
    "planes": "masks or labels that are there or not (sigmoid)",
    "labels": "one class of several (softmax)",
    "values": "numbers (regression)",
}

IGNORED = 255
"""The label that does not count, where there are no more than 255 classes; a negative one never counts."""


@dataclass(frozen=True)
class Case:
    """One batch in fp32.

    Attributes:
        kind: What the target is.
        logits: (N, C, *S): any number of trailing dimensions, none for a classifier.
        target: planes: (N, C, *S) in [0, 1]. labels: class ids (N, *S), or soft ones (N, C, *S) that sum to 1.
            values: (N, C). No label here is outside 0..C-1, and no value NaN: `make_case` gave those weight 0.
        weight: How much each element of the target counts, 0 = not at all; (N, C, *S), for labels (N, *S).
            None = all alike.
        samples: How much each sample counts, (N,); None = all alike.
    """

    kind: Kind
    logits: Tensor
    target: Tensor
    weight: Tensor | None = None
    samples: Tensor | None = None

    @property
    def classes(self) -> int:
        """Channels of the logits."""
        return self.logits.shape[1]

    @property
    def soft(self) -> bool:
        """Whether labels come as probabilities of the classes."""
        return self.kind == "labels" and self.target.ndim == self.logits.ndim

    @cached_property
    def log_probs(self) -> Tensor:
        """Logarithms of the classes' probabilities, (N, C, *S); labels only."""
        return F.log_softmax(self.logits, 1)

    @cached_property
    def probs(self) -> Tensor:
        """Probabilities, (N, C, *S): softmax for labels, else sigmoid."""
        return self.log_probs.exp() if self.kind == "labels" else self.logits.sigmoid()

    @cached_property
    def planes(self) -> Tensor:
        """The target as one plane a class, (N, C, *S)."""
        if self.kind != "labels" or self.soft:
            return self.target
        return torch.zeros_like(self.logits).scatter_(1, self.target.unsqueeze(1), 1.0)

    @cached_property
    def plane_weight(self) -> Tensor | None:
        """The weight, shaped so that it multiplies planes."""
        return self.weight.unsqueeze(1) if self.weight is not None and self.kind == "labels" else self.weight

    @cached_property
    def entropy(self) -> Tensor:
        """Cross-entropy of each element of the target: planes (N, C, *S), labels (N, *S); in [0, inf)."""
        if self.kind == "planes":
            return F.binary_cross_entropy_with_logits(self.logits, self.target, reduction="none")
        if self.soft:
            return -(self.target * self.log_probs).sum(1)
        return -self.log_probs.gather(1, self.target.unsqueeze(1)).squeeze(1)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over what counts of weight x value, for each sample: (N, ...) -> (N,); 0 where nothing counts.

        Weights of 0 and 1 choose; others scale, and are not divided out again.
        """
        flat = values.flatten(1) if values.ndim > 1 else values.unsqueeze(1)
        if self.weight is None:
            return flat.mean(1)
        weight = self.weight.reshape(flat.shape)
        return (flat * weight).sum(1) / (weight > 0).sum(1).clamp(min=1)


def make_case(
    kind: Kind, logits: Tensor, target: Tensor, weight: Tensor | None = None, samples: Tensor | None = None
) -> Case:
    """A `Case` of tensors as the training loop has them, any float or integer type.

    Raises:
        ValueError: if the shapes do not belong together.
    """
    logits = logits.float()
    soft = kind == "labels" and target.ndim == logits.ndim
    if kind == "labels" and not soft:
        expected, counted = (logits.shape[0], *logits.shape[2:]), None
    else:
        expected, counted = tuple(logits.shape), None
    if tuple(target.shape) != tuple(expected):
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} need {kind} of shape {tuple(expected)}, not {tuple(target.shape)}"
        )
    if kind == "labels" and not soft:
        target = target.long()
        counted = (target >= 0) & (target != IGNORED) if logits.shape[1] <= IGNORED else target >= 0
        target = torch.where(counted, target, 0)
    else:
        target = target.float()
    if kind == "values":
        counted = ~target.isnan()
        target = target.nan_to_num()
    if weight is not None:
        shape = (target.shape[0], *target.shape[2:]) if soft else target.shape
        weight = weight.float().expand(shape)
    if counted is not None:
        weight = counted.float() if weight is None else weight * counted
    return Case(kind, logits, target, weight, None if samples is None else samples.float())
