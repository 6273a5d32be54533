"""The metrics by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from podium.errors import ConfigError, nearest
from podium.metrics.overlap import Counts, Floats, dice, iou, tgs_iou


@dataclass(frozen=True)
class Metric:
    """A score of predictions.

    Attributes:
        name: As `competition.toml` spells it.
        greater_is_better: The direction.
        per_sample: One score a sample, float64 of shape (N,), from the counts of N samples.
        description: One line for people.
    """

    name: str
    greater_is_better: bool
    per_sample: Callable[[Counts], Floats]
    description: str

    def aggregate(self, values: Floats) -> float:
        """The score of a set of samples: the mean of theirs; NaN for none."""
        return float(np.mean(values)) if len(values) else float("nan")

    def better(self, a: float, b: float) -> bool:
        """Whether a score of ``a`` is strictly better than one of ``b``."""
        return a > b if self.greater_is_better else a < b


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("dice", True, dice, "Dice coefficient, mean over the samples; two empty masks score 1"),
        Metric("iou", True, iou, "intersection over union, mean over the samples; two empty masks score 1"),
        Metric(
            "tgs_iou", True, tgs_iou, "share of the IoU thresholds .50:.05:.95 passed (TGS Salt), mean over samples"
        ),
    )
}
"""Every metric by name; add to it to make another one known."""


def get_metric(name: str, where: str = "metric") -> Metric:
    """The metric of that name; ``where`` says what names it.

    Raises:
        ConfigError: listing the names, if there is none.
    """
    if name not in METRICS:
        names = sorted(METRICS)
        raise ConfigError(
            f"no metric is called '{name}'",
            where=where,
            expected="one of: " + ", ".join(names),
            remedy=nearest(name, names),
        )
    return METRICS[name]
