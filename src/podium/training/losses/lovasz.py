"""The Lovász losses: the Jaccard index, made differentiable by its convex extension."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from podium.training.losses.case import Case
from podium.training.losses.overlap import BOTH, Classes, chosen
from podium.training.losses.registry import register_loss


@register_loss("lovasz", kinds=BOTH, only={"background": "labels", "present": "labels"})
def lovasz(
    case: Case,
    *,
    pooled: bool = False,
    classes: Classes | None = None,
    background: bool = True,
    present: bool = True,
) -> Tensor:
    """Lovász extension of the Jaccard loss: hinge for planes, softmax for labels; in [0, 1 + max|logit|].

    Planes: hinge errors 1 - logit · (2t - 1); labels: |t_c - p_c| of each class c. Sorted downwards, weighted by the
    increments of 1 - IoU along that order, the mean over classes (`present`: those that the truth has). An empty mask
    costs its one largest error. `pooled`: over the pixels of the batch, not image by image. A soft truth is cut at .5.
    Pixels count where the weight is above 0.

    Source: Berman et al. 2018 (arXiv 1705.08790), eq. 9, 12 and alg. 1.
    """
    channels = chosen(case, classes, background)
    truth = (_rows(case.planes, channels, pooled) > 0.5).float()
    if case.kind == "labels":
        errors = (truth - _rows(case.probs, channels, pooled)).abs()
    else:
        errors = 1 - _rows(case.logits, channels, pooled) * (2 * truth - 1)
    weight = case.plane_weight
    if weight is not None:
        counts = _rows((weight > 0).expand_as(case.logits), channels, pooled)
        truth, errors = truth * counts, errors.masked_fill(~counts, -1)  # behind every pixel that costs something
    errors, order = errors.sort(dim=2, descending=True)
    values = (F.relu(errors) * _increments(truth.gather(2, order))).sum(2)
    if case.kind == "labels" and present:
        there = truth.any(2).float()
        means = (values * there).sum(1) / there.sum(1).clamp(min=1)
    else:
        means = values.mean(1)
    return means.expand(len(case.logits))


def _rows(planes: Tensor, channels: list[int], pooled: bool) -> Tensor:
    """(N, C, *S) as rows of pixels: (N, chosen, P), or (1, chosen, N P)."""
    if len(channels) < planes.shape[1]:
        planes = planes[:, channels]
    rows = planes.reshape(*planes.shape[:2], -1)
    return rows.transpose(0, 1).reshape(1, rows.shape[1], -1) if pooled else rows


def _increments(truth: Tensor) -> Tensor:
    """How much 1 - IoU grows when the first k pixels of each row are wrong, against the first k - 1."""
    total = truth.sum(-1, keepdim=True)
    hits = truth.cumsum(-1)
    wrong = torch.arange(1, truth.shape[-1] + 1, device=truth.device) - hits
    loss = 1 - (total - hits) / (total + wrong).clamp(min=1)
    return torch.cat([loss[..., :1], loss.diff(dim=-1)], dim=-1)
