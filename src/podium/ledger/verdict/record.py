"""`verdict.toml`: the verdict of an attempt as it is kept."""

from __future__ import annotations

import math
from typing import Literal, Self, cast

import numpy as np
from pydantic import Field

from podium.config import Config
from podium.ledger.verdict.compare import Comparison
from podium.ledger.verdict.decide import Decision, Reason
from podium.ledger.verdict.formulas import Rule, closed_terms
from podium.ledger.verdict.noise import Terms
from podium.ledger.verdict.sentence import in_words


class Verdict(Config):
    """`verdict.toml`. Gains are positive when better, whatever the metric's direction."""

    verdict: Literal["YES", "NO", "UNSURE"] = Field(description="The verdict.")
    gain: float = Field(description="The gain that counts: the shrunk one; the raw one while no noise floor is known.")
    folds: int = Field(description="On how many folds both were compared.")
    sentence: str = Field(description="The verdict in words.")
    reason: str | None = Field(None, description="Why, in short.")
    raw_gain: float | None = Field(None, description="Mean over folds of (attempt - parent).")
    se: float | None = Field(None, description="Standard error of the raw gain.")
    noise_floor: float | None = Field(None, description="How far one fold's score moves with nothing but the seed.")
    evidence: float | None = Field(None, description="Odds that it helps against that it does nothing.")
    fold_runs: int | None = Field(None, description="Trainings of the attempt that were compared.")
    final: bool = Field(True, description="Whether it stands; else more is to be trained.")
    left_out: int = Field(0, description="Samples that only one side has; they are not compared.")
    gains: list[float] = Field([], description="Of each fold compared: the mean gain over its groups.")
    variances: list[float] = Field([], description="Of each fold: the variance of that gain; empty if unknown.")
    weights: list[float] = Field([], description="Of each fold: 1 / trainings of the attempt + 1 / of its parent.")
    shared: bool = Field(False, description="Whether it only predicts in another way with its parent's trainings.")

    def __str__(self) -> str:
        return self.sentence

    @classmethod
    def of(cls, decision: Decision, comparison: Comparison | None = None, *, left_out: int = 0) -> Self:
        """A decision as it is kept; what is unknown is left out."""
        d, c = decision, comparison
        gain = next((g for g in (d.shrunk, d.gain) if math.isfinite(g)), 0.0)
        return cls(
            verdict=d.verdict,
            gain=gain,
            folds=d.folds,
            sentence=d.sentence,
            reason=d.reason,
            raw_gain=_known(d.gain),
            se=_known(d.se),
            noise_floor=_known(d.noise_floor),
            evidence=d.evidence if math.isfinite(d.se) else None,
            fold_runs=d.fold_runs,
            final=d.next is None,
            left_out=left_out,
            gains=[] if c is None else c.gains.tolist(),
            variances=[] if c is None or np.isnan(c.variances).any() else c.variances.tolist(),
            weights=[] if c is None else c.weights.tolist(),
            shared=c is not None and c.shared,
        )

    @classmethod
    def incomparable(cls, folds: int, why: str) -> Self:
        """The verdict where the metric cannot be compared: the parent stays."""
        return cls(verdict="UNSURE", gain=0.0, folds=folds, reason="no comparison", sentence=f"UNSURE: {why}")

    def in_words(self, rule: Rule) -> str:
        """What its numbers mean, for somebody who has never heard of e-values; nothing where it says it all."""
        if self.raw_gain is None or self.se is None or self.noise_floor is None:
            return ""
        kept = Decision(
            self.verdict,
            cast("Reason", self.reason),
            next=None,
            remaining=(),
            gain=self.raw_gain,
            se=self.se,
            noise_floor=self.noise_floor,
            shrunk=self.gain,
            worth=rule.d_min * self.noise_floor,
            evidence=math.nan if self.evidence is None else self.evidence,
            folds=self.folds,
            fold_runs=self.fold_runs or self.folds,
            all_folds=self.folds,
            greater_is_better=True,
            shared=self.shared,
        )
        return in_words(kept, 1 / rule.alpha, rule.d_min)

    def noise_terms(self) -> Terms | None:
        """What its folds say of the run noise; None if nothing."""
        if self.shared or not self.final or len(self.gains) < 2 or not self.variances or not any(self.weights):
            return None
        top, bottom, df = closed_terms(*(np.array(x) for x in (self.gains, self.variances, self.weights)))
        return Terms(float(top), float(bottom), df)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
