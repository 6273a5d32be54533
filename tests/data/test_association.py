"""Figures that go together: the intervals hold what they promise, with groups and with many looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from podium.data.association import neighbours, ranks, strength


def single(n):
    return np.arange(n)


def test_the_figures_are_those_of_scipy_and_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, 80).astype(float)
    y = (x + rng.normal(0, 4, 80)).round()
    positive = (y > y.mean()).astype(float)
    assert strength(x, y, single(80)).value == pytest.approx(spearmanr(x, y).statistic)
    assert strength(x, positive, single(80)).value == pytest.approx(roc_auc_score(positive, x))
    assert ranks(np.array([3, 1, 3, 2])).tolist() == [3.5, 1, 3.5, 2]


@pytest.mark.parametrize("kind", ["classes", "numbers", "neighbours"])
@pytest.mark.parametrize("size", [1, 6])
def test_chance_is_seldom_taken_for_more(kind, size):
    """Of 300 sets without any connection, whose groups have one clue and one target each, few seem to have one."""
    rng, alarms = np.random.default_rng(1), 0
    for _ in range(300):
        groups = np.repeat(np.arange(40), size)
        x, y = rng.normal(size=40)[groups], rng.normal(size=40)[groups]
        y = (y > 0.3).astype(float) if kind == "classes" else y
        found = neighbours(x, y, groups) if kind == "neighbours" else strength(x, y, groups)
        alarms += bool(found and found.least > 0)
    assert alarms <= 0.08 * 300


def test_many_looks_widen_the_interval():
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(60):
        y = (rng.random(60) < 0.3).astype(float)
        alarms += any(strength(rng.normal(size=60), y, single(60), looks=30).least > 0 for _ in range(30))
    assert alarms <= 6


def test_a_perfect_connection_is_sure_and_a_weak_one_has_an_interval_about_it():
    y = np.repeat([0.0, 1.0], 30)
    x = np.arange(60.0)
    assert strength(x, y, single(60), looks=30).low == 1
    rng = np.random.default_rng(3)
    truth, held = 0.7602, 0  # AUC of two normal distributions one standard deviation apart
    for _ in range(200):
        found = strength(rng.normal(size=100) + np.repeat([0, 1], 50), np.repeat([0.0, 1.0], 50), single(100))
        held += found.low <= truth <= found.high
    assert held >= 184


def test_too_little_is_told_nothing_about():
    y = np.repeat([0.0, 1.0], [55, 5])
    assert strength(np.arange(60.0), y, single(60)) is None  # five positive ones
    y = np.repeat([0.0, 1.0], 30)
    assert strength(np.arange(60.0), y, np.repeat(np.arange(6), 10)) is None  # six groups
    assert strength(np.ones(60), y, single(60)) is None


def test_blocks_are_seen_by_the_neighbours():
    rng = np.random.default_rng(4)
    y = rng.permutation(np.repeat(np.arange(12.0), 10).reshape(12, 10)).ravel()
    assert neighbours(single(120).astype(float), y, single(120)).least > 0.5
    assert neighbours(single(120).astype(float), y, np.repeat(np.arange(12), 10)) is None  # its groups are known
