"""Losses of overlapping areas: dice, jaccard, tversky; soft, by class, per image or pooled over the batch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from podium.errors import TrainingError
from podium.training.losses.case import Case, Kind
from podium.training.losses.registry import register_loss

Smooth = Annotated[float, Field(gt=0, le=1e6)]
Classes = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
BOTH: tuple[Kind, ...] = ("planes", "labels")


@register_loss("dice", kinds=BOTH, only={"background": "labels"})
def dice(
    case: Case,
    *,
    smooth: Smooth = 1.0,
    log: bool = False,
    pooled: bool = False,
    squared: bool = False,
    classes: Classes | None = None,
    background: bool = True,
    present: bool = False,
) -> Tensor:
    """One minus the soft Dice coefficient; in [0, 1].

    1 - (2 Σpt + s) / (Σp + Σt + s), the mean over classes; with `smooth` s = 1 an empty mask, predicted empty, costs 0.
    `log`: -log of the coefficient instead. `pooled`: areas summed over the batch, not image by image. `squared`: Σp² in
    place of Σp. `classes`: only these channels; `background = false`: not channel 0; `present`: only classes that the
    truth has.

    Source: Milletari et al. 2016 (arXiv 1606.04797), sec. 3 (squared); smoothing as in Carvana's winners.
    """
    overlap, probs, truth = areas(case, pooled, squared)
    score = (2 * overlap + smooth) / (probs + truth + smooth)
    return _of_classes(case, -score.log() if log else 1 - score, truth, chosen(case, classes, background), present)


@register_loss("jaccard", kinds=BOTH, only={"background": "labels"})
def jaccard(
    case: Case,
    *,
    smooth: Smooth = 1.0,
    log: bool = True,
    pooled: bool = False,
    classes: Classes | None = None,
    background: bool = True,
    present: bool = False,
) -> Tensor:
    """Minus the logarithm of the soft Jaccard index; in [0, log(1 + pixels / smooth)].

    -log((Σpt + s) / (Σp + Σt - Σpt + s)), the mean over classes. The paper adds no s (its code 1e-15), which makes a
    missed object cost as much as the rounding allows; `smooth` s = 1 bounds it. `log = false`: 1 - the index. The other
    options are those of dice.

    Source: Iglovikov & Shvets 2018 (arXiv 1801.05746), eq. 3 and 5.
    """
    overlap, probs, truth = areas(case, pooled)
    hit, union = overlap + smooth, probs + truth - overlap + smooth
    values = union.log() - hit.log() if log else 1 - hit / union
    return _of_classes(case, values, truth, chosen(case, classes, background), present)


@register_loss("tversky", kinds=BOTH, only={"background": "labels"})
def tversky(
    case: Case,
    *,
    alpha: Annotated[float, Field(ge=0, le=10)] = 0.3,
    beta: Annotated[float, Field(ge=0, le=10)] = 0.7,
    gamma: Annotated[float, Field(gt=0, le=10)] = 1.0,
    smooth: Smooth = 1.0,
    pooled: bool = False,
    classes: Classes | None = None,
    background: bool = True,
    present: bool = False,
) -> Tensor:
    """Dice with prices of its own for false alarms (`alpha`) and misses (`beta`); in [0, 1].

    (1 - (Σpt + s) / (Σpt + α Σp(1-t) + β Σ(1-p)t + s))^γ, the mean over classes; α = β = .5 is Dice, 1 and 1 Jaccard.

    Source: Salehi et al. 2017 (arXiv 1706.05721), eq. 4; γ: Abraham & Khan 2018 (arXiv 1810.07842), who write 1/γ.
    """
    overlap, probs, truth = areas(case, pooled)
    score = (overlap + smooth) / (overlap + alpha * (probs - overlap) + beta * (truth - overlap) + smooth)
    values = 1 - score if gamma == 1 else (1 - score).clamp(min=1e-7) ** gamma
    return _of_classes(case, values, truth, chosen(case, classes, background), present)


def areas(case: Case, pooled: bool, squared: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Soft areas of overlap, prediction and truth, each (N, C), or (1, C) summed over the batch."""
    probs, target, weight = case.probs, case.planes, case.plane_weight
    shown, truth = (probs.square(), target.square()) if squared else (probs, target)
    overlap = probs * target
    if weight is not None:
        overlap, shown, truth = overlap * weight, shown * weight, truth * weight
    sums = [x.flatten(2).sum(2) if x.ndim > 2 else x for x in (overlap, shown, truth)]
    if pooled:
        by_sample = 1 if case.samples is None else case.samples.unsqueeze(1)
        sums = [(x * by_sample).sum(0, keepdim=True) for x in sums]
    return sums[0], sums[1], sums[2]


def chosen(case: Case, classes: list[int] | None, background: bool) -> list[int]:
    """The channels that a loss is about."""
    first = 0 if background or case.kind != "labels" else 1
    found = classes if classes is not None else list(range(first, case.classes))
    if not found or max(found) >= case.classes:
        raise TrainingError(
            f"classes = {found}, and the network has {case.classes}", where="loss.options", expected="channels, from 0"
        )
    return found


def _of_classes(case: Case, values: Tensor, truth: Tensor, classes: list[int], present: bool) -> Tensor:
    """Mean over the chosen classes, (1 or N, C) -> (N,); 0 where only present ones count and there is none."""
    if len(classes) < case.classes:
        values, truth = values[:, classes], truth[:, classes]
    if present:
        there = (truth > 0).float()
        means = (values * there).sum(1) / there.sum(1).clamp(min=1)
    else:
        means = values.mean(1)
    return means.expand(len(case.logits))
