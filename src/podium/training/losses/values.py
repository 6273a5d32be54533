"""Losses of regression: mse, mae, huber, quantile. A target that is NaN does not count."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from podium.errors import TrainingError
from podium.training.losses.case import Case
from podium.training.losses.registry import register_loss

Quantile = Annotated[float, Field(gt=0, lt=1)]


@register_loss("mse", kinds=("values",))
def mse(case: Case) -> Tensor:
    """Squared error, (y - t)², the mean over the targets; its minimum is the mean."""
    return case.mean((case.logits - case.target).square())


@register_loss("mae", kinds=("values",))
def mae(case: Case) -> Tensor:
    """Absolute error, |y - t|, the mean over the targets; its minimum is the median."""
    return case.mean((case.logits - case.target).abs())


@register_loss("huber", kinds=("values",))
def huber(case: Case, *, delta: Annotated[float, Field(gt=0)] = 1.0) -> Tensor:
    """Squared error near the target and absolute error far from it, the mean over the targets.

    e²/2 where |e| < δ, else δ (|e| - δ/2). The targets are standardised, so `delta` is in standard deviations.

    Source: Huber 1964, Robust estimation of a location parameter.
    """
    return case.mean(F.huber_loss(case.logits, case.target, reduction="none", delta=delta))


@register_loss("pinball", kinds=("values",))
@register_loss("quantile", kinds=("values",))
def quantile(case: Case, *, q: Quantile | list[Quantile] = 0.5) -> Tensor:
    """Pinball loss, the mean over the targets; its minimum is the quantile `q` (pinball and quantile are the same).

    max(q (t - y), (q - 1) (t - y)); `q` is one number, or one for each target.

    Source: Koenker & Bassett 1978, Regression quantiles, eq. 2.2.
    """
    levels = [q] if isinstance(q, float) else q
    if len(levels) not in (1, case.classes):
        raise TrainingError(
            f"{len(levels)} quantiles for {case.classes} targets",
            where="loss.options",
            expected="one, or one for each target",
        )
    level = torch.tensor(levels, device=case.logits.device)
    error = case.target - case.logits
    return case.mean(torch.maximum(level * error, (level - 1) * error))
