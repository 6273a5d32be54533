"""The verdict after a fold run, and what to train next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from podium.ledger.verdict.compare import Comparison
from podium.ledger.verdict.formulas import LUCK, RULE, SMALL, WORSE, YES, Rule, outcome, shrunk
from podium.ledger.verdict.sentence import sentence

Reason = Literal[
    "better",
    "worse",
    "too small to matter",
    "could be luck",
    "too close to call",
    "noise floor unknown",
    "too few trainings",
    "one group a fold",
    "no fold",
]

_NO: dict[int, Reason] = {SMALL: "too small to matter", WORSE: "worse", LUCK: "could be luck"}


class FoldSeed(NamedTuple):
    """A fold run to train."""

    fold: int
    seed: int


@dataclass(frozen=True)
class Decision:
    """A verdict, with all that it rests on. Gains are positive when better, whatever the metric's direction.

    Attributes:
        next: The fold run that would tell most now; None when the verdict is final.
        remaining: On YES, the folds to train before the attempt is the champion.
        gain, se, noise_floor: As in `Comparison`; NaN if unknown.
        shrunk: The gain to expect: what is stored and counted; NaN if the noise floor is unknown.
        worth: The smallest gain that would be worth having.
        evidence: Odds of the data if the attempt helps against if it does nothing; YES at 10 (1 / alpha).
        folds: Number of folds compared.
        fold_runs: Trainings of the attempt that were compared; more than ``folds`` if there are second seeds.
        shared: Whether it only predicts in another way with its parent's trainings.
        sentence: What the user reads.
    """

    verdict: Literal["YES", "NO", "UNSURE"]
    reason: Reason
    next: FoldSeed | None
    remaining: tuple[int, ...]
    gain: float
    se: float
    noise_floor: float
    shrunk: float
    worth: float
    evidence: float
    folds: int
    fold_runs: int
    all_folds: int
    greater_is_better: bool
    shared: bool = False
    sentence: str = ""

    def __str__(self) -> str:
        return self.sentence


def fold_order(k: int, attempt: int) -> tuple[int, ...]:
    """The order in which an attempt trains the folds: random, and the same each time for the same attempt's id."""
    return tuple(int(f) for f in np.random.default_rng((k, attempt)).permutation(k))


def decide(comparison: Comparison, order: Sequence[int], rule: Rule = RULE) -> Decision:
    """YES, NO or UNSURE after the fold runs so far. Ask after each; the first YES or NO stands.

    Args:
        comparison: Made with the run noise, of all fold runs so far.
        order: All K folds, in the order in which they are trained (`fold_order`).
        rule: `RULE`, or `CAREFUL`.
    """
    c = comparison
    missing = tuple(f for f in order if f not in c.seeds)
    code, ln_e = outcome(c.gain, c.se, c.noise_floor, c.df, not missing, rule)
    verdict, reason = _words(int(code), c)
    done = Decision(
        verdict,
        reason,
        _next(c, order, rule) if verdict == "UNSURE" else None,
        missing if verdict == "YES" else (),
        c.gain,
        c.se,
        c.noise_floor,
        float(shrunk(c.gain, c.se, c.noise_floor, rule)),
        rule.d_min * c.noise_floor,
        float(np.exp(min(float(ln_e), 700.0))),
        c.m,
        c.fold_runs,
        len(order),
        c.greater_is_better,
        c.shared,
    )
    return replace(done, sentence=sentence(done))


def _words(code: int, c: Comparison) -> tuple[Literal["YES", "NO", "UNSURE"], Reason]:
    if code == YES:
        return "YES", "better"
    if code in _NO:
        return "NO", _NO[code]
    if not c.m:
        return "UNSURE", "no fold"
    if np.isnan(c.se) and c.shared:
        return "UNSURE", "too few trainings"
    if np.isnan(c.se):
        return "UNSURE", "one group a fold" if c.noise_known else "noise floor unknown"
    return "UNSURE", "too close to call"


def _next(c: Comparison, order: Sequence[int], rule: Rule) -> FoldSeed | None:
    """The next fold; after all of them the next seed, in the same order; None when each has its seeds."""
    fold = min(order, key=lambda f: len(c.seeds.get(f, ())))  # the first of those with the fewest
    used = c.seeds.get(fold, ())
    if c.shared:  # nothing of its own to train
        return None
    return FoldSeed(fold, max(used, default=-1) + 1) if len(used) < rule.seeds else None
