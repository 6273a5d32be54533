"""What is known of an attempt against its parent. Pure functions over scores.

Retraining the very same recipe with another seed moves a whole fold's score. Until that noise floor is measured, no
difference can be told from luck, and every verdict is honestly UNSURE.
"""

from __future__ import annotations

from typing import Literal, Self

import polars as pl

from podium.config import Config


class Verdict(Config):
    """`verdict.toml`.

    Attributes:
        gain: Mean over folds of (attempt - parent), positive = better whatever the metric's direction.
        folds: On how many folds both were compared.
    """

    verdict: Literal["YES", "NO", "UNSURE"]
    gain: float
    folds: int
    sentence: str

    def __str__(self) -> str:
        return self.sentence

    @classmethod
    def undecided(cls, gain: float, folds: int) -> Self:
        """The verdict while the noise floor is unknown."""
        plural = "s" if folds != 1 else ""
        sentence = (
            f"UNSURE after {folds} fold{plural}: {gain:+.4f}; the noise floor is unknown: "
            "how far the score moves when nothing but the seed changes has not been measured yet"
        )
        return cls(verdict="UNSURE", gain=gain, folds=folds, sentence=sentence)


def mean_gain(attempt: pl.DataFrame, parent: pl.DataFrame, *, greater_is_better: bool = True) -> tuple[float, int]:
    """The mean over shared folds of the mean over groups of the paired difference, and the number of folds.

    Args:
        attempt, parent: Tables with columns id, group, fold, score.

    Source: VERDICT, D = mean_k mean_g D_kg.
    """
    pairs = attempt.join(parent.select("id", "fold", base="score"), on=["id", "fold"], how="inner")
    if pairs.is_empty():
        return 0.0, 0
    groups = pairs.group_by("fold", "group").agg(gain=(pl.col("score") - pl.col("base")).mean())
    folds = groups.group_by("fold").agg(pl.col("gain").mean())
    gain = float(folds["gain"].sum()) / len(folds)
    return (gain if greater_is_better else -gain), len(folds)
