"""What people do instead, on the same attempts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from podium.ledger.simulate.race import Field
from podium.ledger.simulate.worlds import Rng, World
from podium.ledger.verdict.formulas import Floats

Bools = npt.NDArray[np.bool_]

LEVEL = 0.05
"""Nominal chance of a false YES of the tests."""


def paired_t(field: Field, world: World, rng: Rng) -> Bools:
    """One training each, one fold, a paired t test over its images (one-sided): YES if significant.

    The scatter of images within groups is drawn from its chi-squared distribution, which is exact for `World`.
    """
    return paired_t_of(field.attempt[:, 0, 0] - field.parent[:, 0, 0], world, rng)


def paired_t_of(difference: Floats, world: World, rng: Rng) -> Bools:
    """`paired_t` from the paired difference of the groups' values (`weighed`), shape (lanes, G)."""
    sizes = np.array(world.sizes, np.float64)
    n = sizes.sum()
    mean = difference.mean(-1, keepdims=True)
    scatter = ((sizes.mean() * (difference - mean)) ** 2 / sizes).sum(-1)
    within = n - len(sizes)
    if within > 0:
        scatter = scatter + 2 * world.image**2 * rng.chisquare(within, len(difference))
    return np.asarray(mean[:, 0] / np.sqrt(scatter / (n - 1) / n) > stdtrit(n - 1, 1 - LEVEL), np.bool_)


def mean_cv(difference: Floats) -> Bools:
    """All folds: YES if the mean CV score is higher. Difference of each fold, shape (lanes, K)."""
    return np.asarray(difference.mean(-1) > 0, np.bool_)


def corrected_t(difference: Floats) -> Bools:
    """All folds, then the corrected resampled t test (one-sided). Source: Nadeau & Bengio 2003, eq. 8."""
    k = difference.shape[-1]
    error = np.sqrt(difference.var(-1, ddof=1) * (1 / k + 1 / (k - 1)))
    return np.asarray(difference.mean(-1) / error > stdtrit(k - 1, 1 - LEVEL), np.bool_)


def folds_of(field: Field) -> Floats:
    """The difference of each fold from one training each, shape (lanes, K)."""
    return np.asarray((field.attempt[:, :, 0] - field.parent[:, :, 0]).mean(-1), np.float64)
