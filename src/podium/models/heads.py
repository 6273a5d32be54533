"""What turns the features of an encoder into the numbers of a classification or regression."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.errors import ModelError, nearest
from podium.recipe import ModelConfig

SPREAD = 4.0
"""Bins of a regression cover this many standard deviations of the (standardised) targets, both ways."""

INPUT_FEATURES = 32
"""Features that metadata become before they are put beside those of the image."""


class Pool(nn.Module):
    """Feature maps (N, C, H, W) to vectors: average, maximum, generalised mean, or average and maximum (N, 2C).

    Source of ``gem``: Radenović et al. 2017 (arXiv 1711.02512), eq. 3, one exponent that is learnt, 3 at first.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.times = 2 if kind == "concat" else 1
        if kind == "gem":
            self.p = nn.Parameter(torch.tensor(3.0))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C) or, for ``concat``, (N, 2C)."""
        if self.kind == "gem":
            return generalised_mean(maps, self.p)
        parts = {"avg": ("avg",), "max": ("max",), "concat": ("avg", "max")}[self.kind]
        return torch.cat([maps.mean((2, 3)) if part == "avg" else maps.amax((2, 3)) for part in parts], dim=1)


def generalised_mean(maps: Tensor, p: Tensor | float, *, least: float = 1e-6) -> Tensor:
    """(mean over H and W of x^p)^(1/p) in fp32, of what is above 0: (N, C, H, W) -> (N, C)."""
    with torch.autocast(maps.device.type, enabled=False):
        return maps.float().clamp(min=least).pow(p).mean((2, 3)).pow(1 / p)


class LinearHead(nn.Linear):
    """One output a class, or a target."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(features, outputs)
        nn.init.normal_(self.weight, std=features**-0.5)
        nn.init.zeros_(self.bias)


class OrdinalHead(nn.Module):
    """Ordered classes: one score and the thresholds between them; log-probabilities of the classes, (N, classes).

    P(y <= k) = sigmoid(b_k - score) with rising b, P(y = k) the difference: what cross-entropy takes as logits, since a
    softmax leaves normalised log-probabilities as they are.

    Source: McCullagh 1980, Regression models for ordinal data, sec. 2 (the proportional-odds model).
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        if classes < 3:
            raise ModelError(
                f"an ordinal head needs an order: at least 3 classes, not {classes}",
                where="model.head",
                remedy="set model.head=linear",
            )
        self.score = LinearHead(features, 1)
        edges = torch.logit(torch.arange(1, classes) / classes)  # equal probabilities at a score of 0
        self.first = nn.Parameter(edges[:1].clone())
        self.steps = nn.Parameter(torch.log(torch.expm1(edges.diff())))  # softplus keeps them above 0

    @property
    def thresholds(self) -> Tensor:
        """b_1 < … < b_(classes - 1)."""
        return torch.cat([self.first, self.first + F.softplus(self.steps).cumsum(0)])

    def forward(self, features: Tensor) -> Tensor:
        """Log-probabilities, (N, classes)."""
        with torch.autocast(features.device.type, enabled=False):
            above = self.score(features.float()) - self.thresholds  # (N, classes - 1): logits of y > k
            # log(sigmoid(a) - sigmoid(b)) = logsigmoid(a) + logsigmoid(-b) + log(1 - e^(b - a)), for a > b
            first, last = F.logsigmoid(-above[:, :1]), F.logsigmoid(above[:, -1:])
            gap = above[:, :-1] - above[:, 1:]
            middle = F.logsigmoid(above[:, :-1]) + F.logsigmoid(-above[:, 1:]) + torch.log(-torch.expm1(-gap))
            return torch.cat([first, middle, last], dim=1)


class BinsHead(nn.Module):
    """Targets as the mean of what is said of bins at -4 … 4 standard deviations: (N, targets).

    ``distribution``: a softmax over the bins of each target, the value its expectation. ``cumulative``: for each
    threshold the probability that the target exceeds it, the value their sum.

    Source: Rothe et al. 2015, DEX, eq. 3 (expectation); Niu et al. 2016, Ordinal regression with multiple output CNN
    (thresholds).
    """

    centres: Tensor

    def __init__(self, features: int, targets: int, bins: int, kind: str) -> None:
        super().__init__()
        self.kind, self.targets = kind, targets
        self.linear = LinearHead(features, targets * bins)
        self.register_buffer("centres", torch.linspace(-SPREAD, SPREAD, bins), persistent=False)
        self.step = 2 * SPREAD / bins
        if kind == "cumulative":  # probabilities at first as a standard normal target has them
            with torch.no_grad():
                self.linear.bias.copy_(-1.702 * self.centres.repeat(targets))
        else:
            with torch.no_grad():
                self.linear.bias.copy_((-0.5 * self.centres**2).repeat(targets))

    def bins(self, features: Tensor) -> Tensor:
        """Logits of the bins, (N, targets, bins)."""
        return self.linear(features).float().unflatten(1, (self.targets, -1))

    def forward(self, features: Tensor) -> Tensor:
        """Values in units of the standardised targets, (N, targets)."""
        logits = self.bins(features)
        if self.kind == "distribution":
            return (logits.softmax(2) * self.centres).sum(2)
        return (logits.sigmoid().sum(2) - logits.shape[2] / 2) * self.step


class Inputs(nn.Sequential):
    """Metadata, (N, inputs), standardised, to features (N, INPUT_FEATURES)."""

    def __init__(self, inputs: int) -> None:
        super().__init__(
            nn.Linear(inputs, INPUT_FEATURES), nn.ReLU(), nn.Linear(INPUT_FEATURES, INPUT_FEATURES), nn.ReLU()
        )


class Heads(nn.ModuleList):
    """A head for each of several targets, their outputs beside each other: (N, features) -> (N, outputs)."""

    def forward(self, features: Tensor) -> Tensor:
        """Logits or values, (N, outputs)."""
        return torch.cat([head(features) for head in self], dim=1)


def create_head(config: ModelConfig, features: int, outputs: int) -> nn.Module:
    """The head that `model.head` names, from (N, features) to (N, outputs); of several targets see `create_heads`."""
    return _one_head(config.head if isinstance(config.head, str) else "linear", config, features, outputs)


def create_heads(config: ModelConfig, features: int, parts: Mapping[str, int]) -> Heads:
    """A head for each target, {name: outputs}, of the kind that `model.head` names for all or for each.

    Raises:
        ModelError: if it names a target that there is not.
    """
    asked = config.head if isinstance(config.head, dict) else dict.fromkeys(parts, config.head)
    if odd := next((name for name in asked if name not in parts), None):
        raise ModelError(f"there is no target '{odd}'", where="model.head", remedy=nearest(odd, list(parts)))
    return Heads(_one_head(asked.get(name, "linear"), config, features, n) for name, n in parts.items())


def _one_head(kind: str, config: ModelConfig, features: int, outputs: int) -> nn.Module:
    if kind == "linear":
        return LinearHead(features, outputs)
    if kind == "ordinal":
        return OrdinalHead(features, outputs)
    return BinsHead(features, outputs, config.bins, kind)


HEADS_OF = {
    "planes": ("linear",),
    "labels": ("linear", "ordinal"),
    "values": ("linear", "distribution", "cumulative"),
}
"""The heads that suit each kind of target."""


def check_head(head: str | Mapping[str, str], kind: str, *, several: bool = False) -> None:
    """Whether `model.head` suits the target's kind (planes, labels, values).

    Args:
        several: Whether there are several targets, each of one class, so that each may have a head of its own.

    Raises:
        ModelError: naming those that do.
    """
    if not isinstance(head, str):
        if not several:
            what = 'there is one target; heads by name are for labels = "each"'
            raise ModelError(what, where="model.head", expected="one of: " + ", ".join(HEADS_OF[kind]))
        for one in head.values():
            check_head(one, kind)
    elif head not in HEADS_OF[kind]:
        what = {"planes": "several labels", "labels": "classes", "values": "numbers"}[kind]
        raise ModelError(
            f"the head '{head}' does not predict {what}",
            where="model.head",
            expected="one of: " + ", ".join(HEADS_OF[kind]),
            remedy="set model.head=linear",
        )
