"""Losses of binary segmentation, each one value per sample, and their weighted sum.

Everything is computed in fp32, whatever autocast says, and stays finite for empty masks and extreme logits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor
from torch.nn import functional as F

from podium.errors import ConfigError, nearest
from podium.recipe import LossConfig

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]
LOSSES: dict[str, LossFunction] = {}


def register_loss(name: str) -> Callable[[Callable[[Tensor, Tensor, Tensor], Tensor]], LossFunction]:
    """Decorate a loss of flat fp32 (N, P) logits, target and weight to add it to `LOSSES`.

    What is registered takes logits (N, 1, H, W) of any float type, a target in {0, 1} of the same shape and a mask of
    the pixels that count (1 or 0; None = all), and returns one value per sample, shape (N,). A sample in which no
    pixel counts has loss 0.
    """

    def register(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> LossFunction:
        @wraps(function)
        def loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
            if logits.shape != target.shape:
                raise ValueError(f"logits have shape {tuple(logits.shape)}, the target {tuple(target.shape)}")
            flat = logits.float().flatten(1)
            valid = torch.ones_like(flat) if weight is None else weight.expand_as(logits).float().flatten(1)
            return function(flat, target.float().flatten(1), valid)

        LOSSES[name] = loss
        return loss

    return register


@register_loss("bce")
def bce(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy, the mean over the pixels that count; in [0, inf).

    -[t log p + (1 - t) log(1 - p)] with p = sigmoid(logit), by log-sum-exp.
    """
    return _mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), weight)


@register_loss("dice")
def dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """One minus the soft Dice coefficient; in [0, 1].

    1 - (2 Σpt + 1) / (Σp + Σt + 1): the 1 makes an empty mask, predicted empty, a loss of 0.

    Source: Milletari et al. 2016 (arXiv 1606.04797), sec. 3, without the squares; smoothing as in Carvana's winners.
    """
    overlap, probs, truth = _areas(logits, target, weight)
    return 1 - (2 * overlap + 1) / (probs + truth + 1)


@register_loss("jaccard")
def jaccard(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Minus the logarithm of the soft Jaccard index; in [0, log(1 + pixels)].

    -log((Σpt + 1) / (Σp + Σt - Σpt + 1)). The paper adds no 1 (its code 1e-15), which makes a missed object cost as
    much as the rounding allows; the 1 bounds it.

    Source: Iglovikov & Shvets 2018 (arXiv 1801.05746), eq. 3 and 5.
    """
    overlap, probs, truth = _areas(logits, target, weight)
    return torch.log(probs + truth - overlap + 1) - torch.log(overlap + 1)


@register_loss("focal")
def focal(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Focal loss with γ = 2 and no class balance, the mean over the pixels that count; in [0, inf).

    -(1 - p_t)² log p_t, where p_t is the probability given to the truth; never above the cross-entropy.

    Source: Lin et al. 2017 (arXiv 1708.02002), eq. 4.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(entropy * torch.expm1(-entropy).square(), weight)


@register_loss("lovasz")
def lovasz(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Lovász hinge, the convex surrogate of the Jaccard loss, per image; in [0, 1 + max|logit|].

    Hinge errors 1 - logit · (2t - 1), sorted downwards, weighted by the increments of 1 - IoU along that order. An
    empty mask costs its one largest error. Pixels count where the weight is above 0.

    Source: Berman et al. 2018 (arXiv 1705.08790), eq. 9, 12 and alg. 1.
    """
    counts = weight > 0
    truth = target * counts
    errors = (1 - logits * (2 * target - 1)).masked_fill(~counts, -1)  # behind every pixel that costs something
    errors, order = errors.sort(dim=1, descending=True)
    return (F.relu(errors) * _jaccard_increments(truth.gather(1, order))).sum(1)


def _jaccard_increments(truth: Tensor) -> Tensor:
    """How much 1 - IoU grows when the first k pixels of each row are wrong, against the first k - 1."""
    total = truth.sum(1, keepdim=True)
    hits = truth.cumsum(1)
    wrong = torch.arange(1, truth.shape[1] + 1, device=truth.device) - hits
    loss = 1 - (total - hits) / (total + wrong).clamp(min=1)
    return torch.cat([loss[:, :1], loss.diff(dim=1)], dim=1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1e-7)


def _areas(logits: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Soft areas of the overlap, the prediction and the truth, each (N,)."""
    probs = logits.sigmoid() * weight
    return (probs * target).sum(1), probs.sum(1), (target * weight).sum(1)


class Loss:
    """The weighted sum of losses that a recipe asks for, averaged over the batch."""

    def __init__(self, terms: dict[str, float]) -> None:
        self.terms = terms

    def __call__(
        self, logits: Tensor, target: Tensor, weight: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch.

        Args:
            logits: (N, 1, H, W), any float type.
            target: Same shape, in {0, 1}.
            weight: Same shape (or one that expands to it), 1 where a pixel counts and 0 where not; None = all count.

        Returns:
            The scalar to differentiate, and the unweighted mean of each term: scalars on the same device, detached,
            left there so that reading them is the caller's choice of when to wait.
        """
        means = {name: LOSSES[name](logits, target, weight).mean() for name in self.terms}
        total = torch.stack([share * means[name] for name, share in self.terms.items()]).sum()
        return total, {name: mean.detach() for name, mean in means.items()}


def create_loss(config: LossConfig) -> Loss:
    """The loss of a recipe.

    Raises:
        ConfigError: for a name that `LOSSES` lacks, or a weight that is not above 0.
    """
    for name, share in config.terms.items():
        where = f"loss.terms.{name}"
        if name not in LOSSES:
            expected = "one of: " + ", ".join(LOSSES)
            raise ConfigError(
                f"unknown loss '{name}'", where=where, expected=expected, remedy=nearest(name, list(LOSSES))
            )
        if share <= 0:
            raise ConfigError(f"the weight is {share}", where=where, expected="above 0", remedy="leave the loss out")
    return Loss(dict(config.terms))
