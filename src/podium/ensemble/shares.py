"""Weights of the members of a blend: whole shares of a whole number, so that mixtures of 8-bit probabilities are exact.

A mixture is sum(share * probability) / sum(shares), rounded half up; whoever computes it, in whatever order, gets the
same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.int64]
Floats = NDArray[np.float64]

PARTS = 1000
"""What weights that are no counts are rounded to thousandths of."""

STEPS = 60
"""Most members that a hill-climb adds, repetitions included."""

PATIENCE = 5
"""Steps without a gain after which a hill-climb stops."""

EVEN = 1e-12
"""Scores this near to each other are equal."""

Climb = Callable[[Shares], Sequence[float]]
"""The score (greater is better) of each mixture that has one share of one member more than the given."""


def equal(members: int) -> Shares:
    """A share each."""
    return np.ones(members, np.int64)


def whole(weights: Floats, parts: int = PARTS) -> Shares:
    """Weights (>= 0) as shares of ``parts`` in all: the largest remainders are rounded up, of equals the first."""
    w = np.maximum(np.asarray(weights, np.float64), 0)
    exact = w / w.sum() * parts if w.sum() > 0 else np.full(len(w), parts / len(w))
    found = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - found), kind="stable")
    found[order[: parts - found.sum()]] += 1
    return found


def hill_climb(climb: Climb, members: int, *, steps: int = STEPS, patience: int = PATIENCE) -> Shares:
    """Greedy selection with replacement: begin with the best member, add what helps most, keep the best mixture.

    So in its own sample the result is never worse than the best member. Of equals the first is taken.

    Source: Caruana et al. 2004, Ensemble selection from libraries of models (ICML).
    """
    shares, best, top, idle = np.zeros(members, np.int64), np.zeros(members, np.int64), -np.inf, 0
    for _ in range(steps):
        scores = np.asarray(climb(shares), np.float64)
        scores = np.where(np.isfinite(scores), scores, -np.inf)
        shares[int(np.flatnonzero(scores >= scores.max() - EVEN)[0])] += 1
        if not best.any() or scores.max() > top + EVEN:
            best, top, idle = shares.copy(), float(scores.max()), 0
        else:
            idle += 1
            if idle >= patience:
                break
    return np.asarray(best // np.gcd.reduce(best), np.int64)


def least_squares(gram: Floats, target: Floats) -> Floats:
    """The weights w >= 0 with sum 1 whose mixture is nearest to the truth: the least of w'Gw - 2 w'b.

    Args:
        gram: G, sums of products of the members' predictions, (M, M).
        target: b, sums of their products with the truth, (M,).

    Source: Breiman 1996, Stacked regressions (Machine Learning 24): weights that are not negative generalise. Solved by
    projected gradients with the projection of Duchi et al. 2008 (ICML).
    """
    members = len(target)
    scale = max(float(np.trace(gram)), 1e-300)
    g, b = gram / scale, target / scale
    step = 1 / max(float(np.linalg.eigvalsh(g)[-1]), 1e-12)
    w = momentum = np.full(members, 1 / members)
    t = 1.0
    for _ in range(20_000):  # accelerated: members that are much alike make it slow otherwise
        new = _onto_simplex(momentum - step * (g @ momentum - b))
        after = (1 + np.sqrt(1 + 4 * t * t)) / 2
        momentum = new + (t - 1) / after * (new - w)
        moved, w, t = float(np.abs(new - w).max()), new, after
        if moved < 1e-10:
            break
    return np.asarray(w)


def _onto_simplex(v: Floats) -> Floats:
    """The nearest point whose parts are >= 0 and sum to 1."""
    u = np.sort(v)[::-1]
    over = np.cumsum(u) - 1
    k = int(np.flatnonzero(u - over / np.arange(1, len(v) + 1) > 0)[-1])
    return np.asarray(np.maximum(v - over[k] / (k + 1), 0), np.float64)
