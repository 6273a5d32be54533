"""Weights: properties, and what is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from podium.ensemble.combine import Mean
from podium.ensemble.shares import PARTS, equal, hill_climb, least_squares, whole

weights = arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 10))


@given(weights)
def test_weights_become_shares_of_a_thousand(w: np.ndarray) -> None:
    found = whole(w)
    assert found.sum() == PARTS
    assert found.min() >= 0
    if w.sum() > 0:
        assert np.abs(found / PARTS - w / w.sum()).max() < 1 / PARTS


class Linear:
    """Members whose mixture scores minus the distance of their weighted mean from a point."""

    def __init__(self, points: np.ndarray, goal: np.ndarray) -> None:
        self.points, self.goal = points, goal

    def score(self, shares: np.ndarray) -> float:
        return -float(np.abs(shares @ self.points / shares.sum() - self.goal).sum())

    def __call__(self, shares: np.ndarray) -> list[float]:
        return [self.score(shares + more) for more in np.eye(len(self.points), dtype=np.int64)]


points = arrays(np.int64, st.tuples(st.integers(2, 6), st.just(3)), elements=st.integers(-50, 50), unique=True)


@given(points, arrays(np.int64, 3, elements=st.integers(-30, 30)))
def test_hill_climb_is_never_worse_than_the_best_member_in_its_sample(members: np.ndarray, goal: np.ndarray) -> None:
    climb = Linear(members, goal)
    found = hill_climb(climb, len(members))
    assert climb.score(found) >= max(climb.score(one) for one in np.eye(len(members), dtype=np.int64)) - 1e-9


def test_hill_climb_finds_two_that_make_up_for_each_other() -> None:
    climb = Linear(np.array([[10, 0, 0], [-10, 0, 0], [3, 9, 9]]), np.zeros(3))
    assert hill_climb(climb, 3).tolist() == [1, 1, 0]


def test_hill_climb_without_a_score_takes_the_first() -> None:
    assert hill_climb(lambda shares: [float("nan")] * 3, 3).tolist() == [1, 0, 0]


@settings(max_examples=15)
@given(arrays(np.float64, (40, 4), elements=st.floats(-3, 3)), arrays(np.float64, 40, elements=st.floats(-3, 3)))
def test_least_squares_beats_scipy_and_every_member(x: np.ndarray, y: np.ndarray) -> None:
    def loss(w: np.ndarray) -> float:
        return float(((x @ w - y) ** 2).sum())

    found = least_squares(x.T @ x, x.T @ y)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    simplex = {"type": "eq", "fun": lambda w: w.sum() - 1}
    other = minimize(loss, np.full(4, 0.25), method="SLSQP", bounds=[(0, 1)] * 4, constraints=[simplex])
    best = min(loss(other.x), *(loss(one) for one in np.eye(4)))
    assert loss(found) <= best + 1e-5 * (1 + best)


def test_least_squares_knows_what_made_the_truth() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (500, 4))
    np.testing.assert_allclose(least_squares(x.T @ x, x.T @ (x @ [0.5, 0, 0.3, 0.2])), [0.5, 0, 0.3, 0.2], atol=1e-5)


planes = arrays(np.uint8, st.tuples(st.integers(2, 5), st.just(17)))


@given(planes, st.randoms(use_true_random=False))
def test_mixtures_are_the_same_bits_in_any_order(given_planes: np.ndarray, random: object) -> None:
    rng = np.random.default_rng(random.randrange(1000))  # type: ignore[attr-defined]
    shares = rng.integers(1, 9, len(given_planes))
    order = rng.permutation(len(given_planes))
    one = Mean(shares).pixels(list(given_planes))
    assert (one == Mean(shares[order]).pixels(list(given_planes[order]))).all()
    exact = (given_planes.astype(float) * shares[:, None]).sum(0) / shares.sum()
    assert np.abs(one - exact).max() <= 0.5 + 1e-9


@given(planes)
def test_a_blend_of_one_is_that_one(given_planes: np.ndarray) -> None:
    shares = np.zeros(len(given_planes), np.int64)
    shares[1] = 7
    assert (Mean(shares).pixels(list(given_planes)) == given_planes[1]).all()
    twice = [given_planes[0]] * 3
    assert (Mean(equal(3)).pixels(twice) == given_planes[0]).all()
