"""How far local validation and the leaderboard agree, what shifted between them, and which submissions to pick.

Pure functions over arrays. Scores are those of the metric; ``up`` says whether a higher one is better, and everything
is turned so that more is better. Source: VERDICT, "Local validation and the leaderboard".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from podium.ledger.agreement_expected import Expected

Floats = npt.NDArray[np.float64]

FEWEST = 5
"""Pairs for a correlation, and submissions for fitted weights."""
LEVEL = 3.0
"""Standard deviations of the mean of LB - CV that are a level shift."""
OPPOSITE = 2.0
"""A gain in CV of so many standard deviations that turns into a loss on the board,"""
FAR = 3.7
"""if the two lie so many apart: of twenty submissions one does by chance in 200 competitions."""


@dataclass(frozen=True)
class Correlation:
    """Pearson's r of (ΔCV, ΔLB), with the 95 % interval of Fisher's transform; NaN below five pairs."""

    r: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if self.n < FEWEST:
            return f"too few pairs for a correlation ({self.n}; {FEWEST} or more)"
        if math.isnan(self.r):
            return "no correlation: one of the two does not vary"
        return f"r = {self.r:.2f} ({self.low:.2f} to {self.high:.2f}) over {self.n} pairs"


@dataclass(frozen=True)
class Warned:
    """A shift that the scores show.

    Attributes:
        kind: level: harmless to ranking. ranking: serious.
        measured: The statistic.
        bound: What it exceeds.
    """

    kind: Literal["level", "ranking", "input"]
    measured: float
    bound: float
    said: str


@dataclass(frozen=True)
class Agreement:
    """CV against LB over some submissions.

    Attributes:
        cv, lb: Δ against the first submission, positive is better, the first one (0, 0) included.
        offset: Mean of LB - CV of the scores themselves, positive where the board is kinder.
        correlation: Over the pairs without the first.
        expected: None while the noise is not known: then there is no band and no warning.
    """

    cv: Floats
    lb: Floats
    offset: float
    correlation: Correlation
    expected: Expected | None
    warnings: tuple[Warned, ...]
    shift_variance: float


def agreement(cv: Sequence[float], lb: Sequence[float], *, up: bool, expected: Expected | None) -> Agreement:
    """CV against LB of submissions in their order; those without either are to be left out before.

    Args:
        cv, lb: Scores of each, one or more.
        expected: The noise; None if it is not known.
    """
    sign = 1.0 if up else -1.0
    x, y = sign * np.asarray(cv, np.float64), sign * np.asarray(lb, np.float64)
    dx, dy = (x - x[0], y - y[0]) if len(x) else (x, y)
    offset = float((y - x).mean()) if len(x) else 0.0
    warnings = [] if expected is None or not len(x) else [_level(x, y, expected), _ranking(dx, dy, expected)]
    spare = _shift_variance(dx, dy, expected)
    found = tuple(w for w in warnings if w)
    return Agreement(dx, dy, offset, correlation(dx[1:], dy[1:]), expected, found, spare)


def correlation(x: Floats, y: Floats) -> Correlation:
    """Pearson's r with Fisher's interval; NaN below five pairs or where one of the two does not vary."""
    n = len(x)
    if n < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(math.nan, math.nan, math.nan, n)
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    z, half = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12)), 1.959964 / math.sqrt(n - 3)
    return Correlation(r, math.tanh(z - half), math.tanh(z + half), n)


def residuals(cv: Floats, lb: Floats) -> Floats:
    """ΔLB - ΔCV about their mean: what is left when a shift of the level is taken out."""
    gap = lb - cv
    return np.asarray(gap - gap.mean(), np.float64)


def _level(x: Floats, y: Floats, expected: Expected) -> Warned | None:
    gap, sd = float((y - x).mean()), expected.level_sd
    if abs(gap) <= LEVEL * sd:
        return None
    told = f"the board scores {abs(gap):.4g} {'higher' if gap > 0 else 'lower'} than validation, where chance allows "
    told += f"{LEVEL * sd:.2g}: harmless to the ranking of your attempts, but CV does not foretell your place"
    return Warned("level", abs(gap), LEVEL * sd, told)


def _ranking(dx: Floats, dy: Floats, expected: Expected) -> Warned | None:
    """More scatter than noise explains, or a clear gain that turned into a clear loss."""
    if len(dx) < 2:
        return None
    statistic, bound = expected.scatter(dy - dx)
    if statistic > bound:
        told = "gains in validation are not those on the board: they scatter "
        told += f"{math.sqrt(statistic / (len(dx) - 1)):.1f} times as much as noise explains. Find out why before you "
        told += "trust either: other folds (by time, place, source), or a test set unlike the training set"
        return Warned("ranking", statistic, bound, told)
    noise = expected.noise(len(dx))
    sd = np.sqrt(np.diag(noise) + noise[0, 0] - 2 * noise[0])  # of each difference from the first
    clear = (np.abs(dx) > OPPOSITE * sd) & (dx * dy < 0) & (np.abs(dy - dx) > FAR * sd)
    if clear.any():
        k = int(np.flatnonzero(clear)[0])
        told = f"a gain of {dx[k]:+.4g} in validation was {dy[k]:+.4g} on the board, which noise hardly explains"
        return Warned("ranking", abs(float(dx[k])), OPPOSITE * float(sd[k]), told)
    return None


def _shift_variance(dx: Floats, dy: Floats, expected: Expected | None) -> float:
    """What scatter is left that noise does not explain: max(0, mean residual² - expected variance)."""
    if expected is None or len(dx) < 2:
        return 0.0
    measured = float((residuals(dx, dy) ** 2).sum() / (len(dx) - 1))
    return max(0.0, measured - expected.residual(len(dx)))


def input_shift(low: float, high: float, auc: float, bound: float = 0.60, *, by: str = "") -> Warned | None:
    """The warning of a train/test classifier's AUC and its interval.

    Args:
        by: Whose features it looks at; of an encoder there are pictures.
    """
    if low <= bound:
        return None
    told = f"a classifier{f' on the features of {by}' if by else ''} tells test from training images with AUC "
    told += f"{auc:.2f} ({low:.2f} to {high:.2f}; 0.5: not at all): validation may not foretell the board; "
    told += "reports/shift.html shows by which images" if by else "podium look shows by what"
    return Warned("input", low, bound, told)


# ---------------------------------------------------------------------- final picks


@dataclass(frozen=True)
class Pick:
    """A submission to be one of the final ones.

    Attributes:
        index: Its place in the lists given.
        score: What is expected of it, in the metric, more is better.
        why: In words.
    """

    index: int
    score: float
    why: str


def picks(
    cv: Sequence[float],
    lb: Sequence[float],
    *,
    up: bool,
    expected: Expected | None,
    count: int = 2,
    alike: npt.NDArray[np.float64] | None = None,
) -> list[Pick]:
    """The final submissions: CV and LB weighed by what each is worth; among equals the least alike.

    score = w_cv CV + w_lb (LB - offset), w_cv = 1 / (var_cv + shift²), w_lb = 1 / var_lb. Below five submissions, or
    while the noise is not known: the best CV and the best LB.

    Args:
        cv, lb: Scores of each submission.
        count: How many count at the end.
        alike: Correlation of the predictions of each two, shape (N, N); None if it is not known.
    """
    sign = 1.0 if up else -1.0
    x, y = sign * np.asarray(cv, np.float64), sign * np.asarray(lb, np.float64)
    if not len(x):
        return []
    if len(x) < FEWEST or expected is None:
        return _few(x, y, count, expected is None)
    found = agreement(cv, lb, up=up, expected=expected)
    var_cv, var_lb = expected.var_cv / 2 + found.shift_variance, max(expected.var_lb / 2, 1e-300)
    w = (1 / var_cv) / (1 / var_cv + 1 / var_lb) if var_cv > 0 else 1.0
    score = w * x + (1 - w) * (y - found.offset)
    se = math.sqrt(1 / (1 / var_cv + 1 / var_lb)) if var_cv > 0 else 0.0
    told = f"CV counts {100 * w:.0f} %, the board {100 * (1 - w):.0f} %"
    order = [int(i) for i in np.argsort(-score, kind="stable")]
    chosen = [Pick(order[0], float(score[order[0]]), f"the best of both: {told}")]
    while len(chosen) < min(count, len(order)):
        chosen.append(_next(chosen, order, score, se, alike, told))
    return chosen


def _next(
    chosen: list[Pick], order: list[int], score: Floats, se: float, alike: npt.NDArray[np.float64] | None, told: str
) -> Pick:
    taken = {p.index for p in chosen}
    left = [i for i in order if i not in taken]
    if alike is None:
        return Pick(left[0], float(score[left[0]]), f"the next best: {told}")
    equals = [i for i in left if score[left[0]] - score[i] <= se]
    best = min(equals, key=lambda i: (max(float(alike[i, k]) for k in taken), -score[i]))
    how = max(float(alike[best, k]) for k in taken)
    why = "the next best" if best == left[0] else "as good as the next best, and the least alike"
    return Pick(best, float(score[best]), f"{why} (correlation {how:.3f} with what is picked): {told}")


def _few(x: Floats, y: Floats, count: int, unknown: bool) -> list[Pick]:
    reason = "the noise is not known" if unknown else f"fewer than {FEWEST} submissions"
    chosen: list[Pick] = []
    both = [("CV", x), ("public score", y)]
    for turn in range(2 * len(x)):
        name, values = both[turn % 2]
        left = [i for i in np.argsort(-values, kind="stable") if i not in {p.index for p in chosen}]
        if len(chosen) == count or not left:
            break
        place = "the best" if turn < 2 else "the next best"
        chosen.append(Pick(int(left[0]), float(values[left[0]]), f"{place} {name} ({reason})"))
    return chosen


def with_offset(pick: Pick, up: bool) -> Pick:
    """A pick with its score as the metric has it."""
    return replace(pick, score=pick.score if up else -pick.score)
