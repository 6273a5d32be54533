"""Pseudo-labels: a blend's predictions of images without labels, where they are sure, as training samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from podium.config import Config
from podium.errors import DataError

Pixels = NDArray[np.uint8]


class PseudoConfig(Config):
    """Which predictions become training samples, and with what target."""

    confidence: float = Field(0.9, gt=0.5, le=1, description="mean sureness of a prediction that is taken")
    sure: float = Field(0.0, ge=0, lt=0.5, description="pixels nearer to 0.5 than this do not count")
    soft: bool = Field(False, description="targets are the probabilities, not their rounding")
    most: float = Field(1.0, gt=0, le=10, description="at most this many for each labelled sample, the surest first")
    weight: float = Field(1.0, gt=0, le=1, description="what they count beside labelled samples")


@dataclass(frozen=True)
class PseudoSample:
    """One sample with a made-up target.

    Attributes:
        target: uint8 (H, W) or (H, W, C), 255 = 1: 0 or 255, or probabilities if they are soft.
        counts: Where the target counts, bool of the same shape.
        confidence: Mean of max(p, 1 - p).
    """

    id: str
    target: Pixels
    counts: NDArray[np.bool_]
    confidence: float


def confidence(probs: Pixels) -> float:
    """Mean of max(p, 1 - p) over the pixels of a prediction (uint8, 255 = 1), in [0.5, 1]."""
    p = probs.astype(np.float32) / 255
    return float(np.maximum(p, 1 - p).mean())


def choose(sureness: Mapping[str, float], labelled: int, config: PseudoConfig) -> list[str]:
    """The ids that are taken, the surest first.

    Args:
        sureness: `confidence` of each prediction.
        labelled: How many labelled samples there are.

    Source: Lee 2013, Pseudo-Label (ICML workshop); the cut by confidence as FixMatch (arXiv 2001.07685), eq. 4.
    """
    sure = [id for id, value in sureness.items() if value >= config.confidence]
    ordered = sorted(sure, key=lambda id: (-sureness[id], id))
    return ordered[: int(config.most * labelled)]


def pseudo_sample(id: str, probs: Pixels, config: PseudoConfig) -> PseudoSample:
    """A prediction (uint8, 255 = 1) as a training sample."""
    p = probs.astype(np.float32) / 255
    hard = np.where(probs >= 128, 255, 0).astype(np.uint8)
    return PseudoSample(id, probs if config.soft else hard, np.abs(p - 0.5) >= config.sure, confidence(probs))


def without_validation(
    ids: Sequence[str],
    trained_on: Mapping[str, Collection[int]],
    group: Mapping[str, str],
    held: Collection[str],
    fold: int,
) -> list[str]:
    """The ids that may be added to the training of a fold: nothing that knows the fold's truth.

    Left out are samples of the validation fold, samples of its groups, and predictions by a model that was trained on
    the fold's samples and would so carry their labels over.

    Args:
        trained_on: {id: folds whose samples the models that predicted it were trained on}.
        group: {id: group}; an id without one is its own.
        held: Ids of the validation fold.

    Raises:
        DataError: if that leaves none of those that there are.
    """
    groups = {group.get(id, id) for id in held}
    left = [
        id for id in ids if id not in held and group.get(id, id) not in groups and fold not in trained_on.get(id, ())
    ]
    if ids and not left:
        raise DataError(
            f"none of {len(ids)} pseudo-labels may be used for fold {fold}",
            expected="predictions by models that were not trained on the fold's validation samples",
            remedy="predict with the model of this fold alone, not with the blend of all folds",
        )
    return left
