"""The formulas of a verdict over arrays: any leading axes, the last one is folds (or groups). Source: VERDICT.

The functions of this package call them for one attempt, the simulator for thousands at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

YES, UNSURE, SMALL, WORSE, LUCK = 1, 0, -1, -2, -3
"""Outcomes; the negative ones are a NO."""


@dataclass(frozen=True)
class Rule:
    """When a verdict is reached.

    Attributes:
        alpha: Chance of a YES that may be luck; YES at evidence 1 / alpha.
        beta: Chance of missing a gain of ``d_min`` that is accepted to stop early.
        d_min: A gain worth having, in noise floors.
        tau: The size of gain expected of a good idea, in noise floors.
        seeds: Most seeds of the attempt on one fold.
    """

    alpha: float = 0.10
    beta: float = 0.30
    d_min: float = 1.5
    tau: float = 2.0
    seeds: int = 2


RULE = Rule()
CAREFUL = Rule(beta=0.10)
"""Stops later: for when ideas are scarcer than GPU hours."""


def replicate_terms(values: Floats) -> tuple[Floats, int]:
    """What n seeds of one recipe on one fold say of the run noise: (numerator, degrees of freedom = denominator).

    The numerator is the scatter of the runs' means, less the part that finite groups explain. A single group cannot
    tell the two apart: then nothing is taken off.

    Args:
        values: Group values of each seed, shape (…, n, G).
    """
    n, groups = values.shape[-2:]
    of_run = values.mean(-1)
    mean = of_run.mean(-1, keepdims=True)
    scatter = ((of_run - mean) ** 2).sum(-1)
    if groups == 1:
        return scatter, n - 1
    rest = values - of_run[..., None] - values.mean(-2, keepdims=True) + mean[..., None]
    mean_square = (rest**2).sum((-1, -2)) / ((n - 1) * (groups - 1))
    return scatter - (n - 1) * mean_square / groups, n - 1


def closed_terms(d: Floats, v: Floats, c: Floats) -> tuple[Floats, Floats, float]:
    """What the folds of a closed attempt say of the run noise: (numerator, denominator, degrees of freedom).

    Half the degrees of freedom, since siblings share a parent.

    Args:
        d, v, c: Gain, variance and run weight of each fold, shape (…, m).
    """
    m = d.shape[-1]
    numerator = ((d - d.mean(-1, keepdims=True)) ** 2).sum(-1) - (m - 1) * v.mean(-1)
    return numerator, (m - 1) * c.mean(-1), (m - 1) / 2


def fold_stats(difference: Floats) -> tuple[Floats, Floats]:
    """(gain, variance) of a fold from the paired difference of each group, shape (…, G); one group: NaN variance."""
    groups = difference.shape[-1]
    gain = difference.mean(-1)
    return gain, (difference.var(-1, ddof=1) / groups if groups > 1 else np.full_like(gain, np.nan))


def summary(d: Floats, v: Floats, c: Floats, s2: Any, df: Any) -> tuple[Floats, Floats, Floats, Floats]:
    """(gain, SE, noise floor, df) of an attempt over its m folds.

    Where no fold has two groups, the variance of a fold is taken from the scatter between folds, whose m - 1 degrees of
    freedom then count; with one such fold nothing is known, and SE and noise floor are NaN.

    Args:
        d, v, c: Shape (…, m).
        s2, df: Run noise, shape (…).
    """
    m = d.shape[-1]
    s2, df = np.asarray(s2, np.float64), np.asarray(df, np.float64)
    if m > 0 and np.isnan(v).any():
        between = d.var(-1, ddof=1) - s2 * c.mean(-1) if m > 1 else np.full(d.shape[:-1], np.nan)
        df = np.where(np.isnan(v).all(-1), np.minimum(df, m - 1), df)
        v = np.where(np.isnan(v), np.maximum(0.0, between)[..., None], v)
    se = np.sqrt((v + s2[..., None] * c).sum(-1)) / m
    return d.mean(-1), se, np.sqrt(s2 + v.mean(-1) / 2), df


def log_evidence(gain: Any, se: Any, tau: Any, df: Any, alpha: float) -> Floats:
    """ln of the e-value of a gain above nil: safe to look at after every fold run.

    A mixture over true gains, half-normal with scale ``tau``; ``se`` is widened for the ``df`` that the run noise is
    known with. Without any error a gain is certain: infinite, or minus infinity if there is none.
    """
    from scipy.special import log_ndtr, ndtri, stdtrit

    gain, se = np.asarray(gain, np.float64), np.asarray(se, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = se * np.where(np.isinf(df), 1.0, stdtrit(np.minimum(df, 1e6), 1 - alpha) / ndtri(1 - alpha))
        z, rho = gain / wide, (tau / wide) ** 2
        share = rho / (1 + rho)
        ln_e = np.log(2) - np.log1p(rho) / 2 + z**2 * share / 2 + log_ndtr(z * np.sqrt(share))
    return np.where(se > 0, ln_e, np.where(gain > 0, np.inf, -np.inf))


def outcome(gain: Any, se: Any, floor: Any, df: Any, complete: Any, rule: Rule) -> tuple[npt.NDArray[np.int8], Floats]:
    """(YES, UNSURE, SMALL, WORSE or LUCK; ln evidence) after a fold run.

    UNSURE where the error or the run noise is unknown (NaN, df 0).

    Args:
        gain, se, floor, df: Of `summary`.
        complete: Whether all folds are trained.
    """
    from scipy.special import ndtri

    gain, se, floor = np.asarray(gain, np.float64), np.asarray(se, np.float64), np.asarray(floor, np.float64)
    known = (np.asarray(df) > 0) & ~np.isnan(se)
    ln_e = np.where(known, log_evidence(gain, se, rule.tau * floor, df, rule.alpha), -np.inf)
    yes = known & (ln_e >= -np.log(rule.alpha))
    small = (gain + ndtri(1 - rule.beta) * se < rule.d_min * floor) | ((se == 0) & (gain <= 0))
    luck = np.asarray(complete) & (gain < 0.5 * se)
    why = np.where(gain + 1.645 * se < 0, WORSE, np.where(small, SMALL, LUCK))
    code = np.where(yes, YES, np.where(known & (small | luck), why, UNSURE))
    return code.astype(np.int8), ln_e


def shrunk(gain: Any, se: Any, floor: Any, rule: Rule) -> Floats:
    """The gain to expect of the next training: raw gains of accepted attempts overstate progress by a quarter."""
    tau2, se2 = (rule.tau * np.asarray(floor)) ** 2, np.asarray(se) ** 2
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(se2 > 0, gain * tau2 / (tau2 + se2), gain), np.float64)
