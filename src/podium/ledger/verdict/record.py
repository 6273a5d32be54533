"""`verdict.toml`: the verdict of an attempt as it is kept."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field

from podium.config import Config
from podium.ledger.verdict.decide import Decision
from podium.ledger.verdict.sentence import UNKNOWN


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

    def __str__(self) -> str:
        return self.sentence

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """A decision as it is kept; what is unknown is left out."""
        d = decision
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
        )

    @classmethod
    def undecided(cls, gain: float, folds: int) -> Self:
        """The verdict while the noise floor is unknown."""
        plural = "s" if folds != 1 else ""
        return cls(
            verdict="UNSURE",
            gain=gain,
            folds=folds,
            sentence=f"UNSURE after {folds} fold{plural}: {gain:+.4f}; {UNKNOWN}",
        )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
