"""What to try next. Pure functions: the same seed and the same verdicts, the same choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

STRENGTH = 4.0
"""A change's own record elsewhere weighs against its kind's rate as if that were of so many attempts."""

RUNS = {"new": 2.0, "combine": 2.5, "careful": 4.0, "prediction": 0.1}
"""Fold runs that an attempt takes, about: docs/verdict-calibration.md, with those that complete the folds of a YES.
What only predicts in another way trains nothing."""

NEAR = 0.25
"""A near miss has a shrunk gain of so many noise floors at least."""

MOST = 3
"""Near misses that are put together at once."""

Rates = dict[str, tuple[float, float]]
"""{kind: (yes, no)} of a Beta distribution over its chance of a YES."""


@dataclass(frozen=True)
class Option:
    """Something that may be tried next.

    Attributes:
        name: The attempt's name.
        cost: Expected, in fold runs of the champion.
        yes, no: What came of this very change elsewhere.
    """

    name: str
    kind: str
    cost: float = RUNS["new"]
    yes: float = 0.0
    no: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        changes: Names of the catalogue's changes that it makes.
        gain: Shrunk, in noise floors; NaN where that is unknown.
        parent: Number of the attempt that it was compared with.
    """

    name: str
    kind: str
    changes: tuple[str, ...]
    verdict: Literal["YES", "NO", "UNSURE"]
    gain: float = float("nan")
    parent: int = 0


def updated(prior: Mapping[str, tuple[float, float]], outcomes: Iterable[tuple[str, str]]) -> Rates:
    """Success rates of the kinds after some verdicts; an UNSURE counts half a NO.

    Args:
        prior: {kind: (yes, no)}.
        outcomes: (kind, verdict) of each attempt.
    """
    rates = dict(prior)
    for kind, verdict in outcomes:
        yes, no = rates[kind]
        rates[kind] = (yes + (verdict == "YES"), no + {"YES": 0.0, "NO": 1.0, "UNSURE": 0.5}[verdict])
    return rates


def chance(option: Option, rate: float) -> float:
    """Of a YES, where that of its kind is ``rate``."""
    return (STRENGTH * rate + option.yes) / (STRENGTH + option.yes + option.no)


def choose(options: Sequence[Option], rates: Rates, rng: np.random.Generator) -> Option:
    """Draw each kind's success rate, and take the option with the most YES to be expected for its cost.

    Among equals chance decides. Source: Thompson 1933; Chapelle & Li 2011, alg. 2.
    """
    drawn = {kind: float(rng.beta(*rates[kind])) for kind in sorted({o.kind for o in options})}
    shuffled = [options[i] for i in rng.permutation(len(options))]
    best: Option = max(shuffled, key=lambda o: chance(o, drawn[o.kind]) / o.cost)
    return best


def near_misses(outcomes: Sequence[Outcome], accepted: Iterable[str]) -> list[Outcome]:
    """Attempts of one change that the champion lacks and that may have gained all the same, the best first.

    A change that was accepted in another branch is one, too. One that was tried again counts as it ended.

    Args:
        accepted: The changes that the champion has.
    """
    has = set(accepted)
    last = {o.changes: o for o in outcomes if len(o.changes) == 1}
    near = [o for o in last.values() if o.gain >= NEAR and not has & set(o.changes)]
    return sorted(near, key=lambda o: (-o.gain, o.name))
