"""What a climb may claim: what it proposes beside the baseline, from trainings that had no part in choosing it."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field

from podium.config import Config
from podium.ledger.verdict import Comparison

LEVEL = 0.90


class Claim(Config):
    """The gain of what is proposed over the baseline, both retrained; positive is better, whatever the metric."""

    gain: float = Field(description="mean over folds of the mean over groups of what is proposed - baseline")
    low: float | None = Field(None, description="lower end of its 90 % interval; unset: its error is unknown")
    high: float | None = Field(None, description="upper end")
    folds: int = Field(description="on how many folds both were retrained")
    champion_score: float = Field(description="mean score of the new trainings of what is proposed")
    baseline_score: float = Field(description="mean score of the baseline's")

    @classmethod
    def of(cls, comparison: Comparison, champion_score: float, baseline_score: float) -> Self:
        """From the comparison of the new trainings alone: a t interval with the run noise's degrees of freedom."""
        from scipy.special import stdtrit

        c, low, high = comparison, None, None
        if np.isfinite(c.se) and c.df > 0:
            half = float(stdtrit(min(c.df, 1e6), (1 + LEVEL) / 2)) * c.se
            low, high = c.gain - half, c.gain + half
        return cls(
            gain=c.gain,
            low=low,
            high=high,
            folds=c.m,
            champion_score=champion_score,
            baseline_score=baseline_score,
        )
