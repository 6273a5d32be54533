"""What is done to predicted values before they are an answer: probabilities made less sure, numbers made ratings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EDGE = 1e-7
"""Probabilities are kept this far from 0 and 1, where logits have no end."""


def tempered(probs: NDArray[Any], temperature: float, *, exclusive: bool) -> Floats:
    """Probabilities whose logits are divided by ``temperature``: above 1 less sure. Their order stays.

    Args:
        probs: (N, C).
        exclusive: Of classes that exclude one another (softmax), else of labels each by itself (sigmoid).

    Source: Guo et al. 2017, On calibration of modern neural networks (arXiv 1706.04599), section 4.2.
    """
    p = np.asarray(probs, np.float64)
    if temperature == 1:
        return p
    if exclusive:
        logs = np.log(np.maximum(p, EDGE)) / temperature
        powers = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return _sigmoid(_logit(p) / temperature)


def shifted(probs: NDArray[Any], threshold: float | Sequence[float]) -> Floats:
    """Probabilities of labels with their logits shifted so that ``threshold`` comes to be one half.

    The order within a label stays; so a metric that ranks sees no difference, and one that cuts at one half cuts there.

    Args:
        probs: (N, C).
        threshold: One for all labels, or one of each.

    Source: the prior correction of Saerens et al. 2002 (Neural Computation 14), for odds of t : 1 - t.
    """
    p, t = np.asarray(probs, np.float64), np.asarray(threshold, np.float64)
    if (t == 0.5).all():
        return p
    return np.where(p == t, 0.5, _sigmoid(_logit(p) - _logit(t)))


def rated(values: NDArray[Any], cuts: Sequence[float], lowest: int = 0) -> Floats:
    """Numbers as ratings: ``lowest`` below the first cut, one more from each cut on."""
    places = np.searchsorted(np.asarray(cuts), np.asarray(values, np.float64), side="right")
    return places.astype(np.float64) + lowest


def _logit(p: Floats) -> Floats:
    kept = np.clip(p, EDGE, 1 - EDGE)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
