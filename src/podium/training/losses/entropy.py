"""Cross-entropies of single pixels (or samples): bce, ce, focal, ohem, boundary_bce."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from podium.errors import TrainingError
from podium.training.losses.case import Case
from podium.training.losses.registry import register_loss

Share = Annotated[float, Field(ge=0, le=1)]
Weights = list[Annotated[float, Field(ge=0)]]


@register_loss("bce")
def bce(case: Case, *, smoothing: Share = 0.0, pos_weight: Weights | None = None) -> Tensor:
    """Binary cross-entropy, the mean over the pixels that count; in [0, inf).

    -[w t log p + (1 - t) log(1 - p)] with p = sigmoid(logit), by log-sum-exp; the truth t drawn to 1/2 by `smoothing`:
    t (1 - smoothing) + smoothing / 2; w = `pos_weight`, one number a class (or one for all).

    Source: Szegedy et al. 2015 (arXiv 1512.00567), sec. 7, for the smoothing.
    """
    if not smoothing and pos_weight is None:
        return case.mean(case.entropy)
    target = case.target * (1 - smoothing) + smoothing / 2
    weight = None if pos_weight is None else _per_class(pos_weight, case)
    return case.mean(F.binary_cross_entropy_with_logits(case.logits, target, pos_weight=weight, reduction="none"))


@register_loss("ce", kinds=("labels",))
def ce(case: Case, *, smoothing: Share = 0.0, class_weights: Weights | None = None) -> Tensor:
    """Cross-entropy of the classes, the mean over the pixels that count; in [0, inf).

    -Σ_c t_c log p_c with p = softmax(logits) and t = 1 for the true class, drawn to 1/C by `smoothing`. `class_weights`
    (one number a class) multiply a pixel's loss by that of its class, rescaled so that their mean over the batch is 1.

    Source: Szegedy et al. 2015 (arXiv 1512.00567), sec. 7, for the smoothing.
    """
    values = case.entropy
    if smoothing:
        values = (1 - smoothing) * values - smoothing * case.log_probs.mean(1)
    if class_weights is None:
        return case.mean(values)
    weight = _per_class(class_weights, case)
    weight = (case.planes * weight).sum(1)
    counted = torch.ones_like(weight) if case.weight is None else (case.weight > 0).float()
    return case.mean(values * weight * counted.sum() / (weight * counted).sum().clamp(min=1e-7))


@register_loss("focal", kinds=("planes", "labels"), only={"alpha": "planes"})
def focal(case: Case, *, gamma: Annotated[float, Field(ge=0, le=10)] = 2.0, alpha: Share | None = None) -> Tensor:
    """Focal loss, the mean over the pixels that count; in [0, inf), never above the cross-entropy.

    -a (1 - p_t)^γ log p_t, where p_t is the probability given to the truth; a = `alpha` for foreground and 1 - alpha
    for background, 1 if unset.

    Source: Lin et al. 2017 (arXiv 1708.02002), eq. 4 and 5.
    """
    entropy = case.entropy
    # 1 - p_t; kept off 0, where a power below 1 has no slope
    values = entropy * (-torch.expm1(-entropy)).clamp(min=1e-12) ** gamma
    if alpha is not None:
        values = values * (alpha * case.target + (1 - alpha) * (1 - case.target))
    return case.mean(values)


@register_loss("ohem", kinds=("planes", "labels"))
def ohem(case: Case, *, share: Annotated[float, Field(gt=0, le=1)] = 0.25, pooled: bool = True) -> Tensor:
    """Cross-entropy of the hardest pixels alone: the mean over the top `share` of those that count; in [0, inf).

    `pooled`: the hardest of the whole batch; otherwise those of each image. The number is rounded up.

    Source: Shrivastava et al. 2016 (arXiv 1604.03540); top share of pixels as Wu et al. 2016 (arXiv 1605.06885).
    """
    values = case.entropy if case.weight is None else case.entropy * case.weight
    rows = values.reshape(1, -1) if pooled else values.reshape(len(values), -1)
    ranked = rows.topk(math.ceil(share * rows.shape[1]), dim=1).values
    if case.weight is None:
        means = ranked.mean(1)
    else:
        counted = (share * (case.weight > 0).reshape(rows.shape).sum(1, keepdim=True)).ceil()
        hard = torch.arange(ranked.shape[1], device=rows.device) < counted
        means = (ranked * hard).sum(1) / counted[:, 0].clamp(min=1)
    return means.expand(len(values))


@register_loss("boundary_bce")
def boundary_bce(
    case: Case,
    *,
    factor: Annotated[float, Field(ge=1, le=100)] = 3.0,
    kernel: Annotated[int, Field(ge=3)] | None = None,
) -> Tensor:
    """Binary cross-entropy with `factor` times the weight near the edges of the mask; in [0, inf).

    Near an edge the mask, averaged over `kernel` x `kernel` pixels, lies in [.01, .99]. The weights are rescaled to
    keep their sum over the batch. Unset, the kernel goes by the height: 11, 21, 21, 41, 51 at 128, 256, 512, 1024,
    1280, and in between in proportion.

    Source: the Carvana winners' code (github.com/asanakoy/kaggle_carvana_segmentation), streams 3 and 4.
    """
    if case.logits.ndim != 4:
        raise TrainingError(
            f"logits of shape {tuple(case.logits.shape)}",
            where="loss.terms.boundary_bce",
            expected="masks: (N, C, H, W)",
        )
    side = kernel or boundary_kernel(case.logits.shape[-2])
    weight = 1 + (factor - 1) * near_boundary(case.target, side)
    counted = torch.ones_like(weight) if case.weight is None else (case.weight > 0).float()
    scale = counted.sum() / (weight * counted).sum().clamp(min=1e-7)
    return case.mean(case.entropy * weight * scale)


def boundary_kernel(height: int) -> int:
    """Side of the averaging window for masks of this height, odd."""
    side = float(np.interp(height, [0, 128, 256, 512, 1024, 1280], [3, 11, 21, 21, 41, 51]))
    return 2 * int(side // 2) + 1


def near_boundary(mask: Tensor, side: int) -> Tensor:
    """1 where the mean of (N, C, H, W) over the window lies in [.01, .99], else 0; the frame is no boundary."""
    half = side // 2
    mean = F.avg_pool2d(mask, (2 * half + 1, 1), 1, (half, 0), count_include_pad=False)
    mean = F.avg_pool2d(mean, (1, 2 * half + 1), 1, (0, half), count_include_pad=False)
    return ((mean >= 0.01) & (mean <= 0.99)).float()


def _per_class(weights: Weights, case: Case) -> Tensor:
    """Weights as a tensor that multiplies planes."""
    if len(weights) not in (1, case.classes):
        raise TrainingError(
            f"{len(weights)} weights for {case.classes} classes",
            where="loss.options",
            expected="one for each class, in order",
        )
    return torch.tensor(weights, device=case.logits.device).view(-1, *[1] * (case.logits.ndim - 2))
