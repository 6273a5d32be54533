"""Verdicts of several people, pooled: against published numbers, by hand, and in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from podium.ledger.pool import Opinion, pool, random_effects


def test_against_the_formulas_written_out():
    gains, ses = np.array([0.10, 0.30, 0.35, 0.65]), np.array([0.17, 0.15, 0.17, 0.18])
    w = 1 / ses**2
    fixed = sum(w * gains) / sum(w)
    q = sum(w * (gains - fixed) ** 2)
    tau2 = max(0, (q - 3) / (sum(w) - sum(w**2) / sum(w)))
    star = 1 / (ses**2 + tau2)
    mean, se, between = random_effects(gains, ses)
    assert mean == pytest.approx(sum(star * gains) / sum(star))
    assert se == pytest.approx(1 / math.sqrt(sum(star)))
    assert between == pytest.approx(math.sqrt(tau2))


def test_six_studies_of_a_textbook():
    """Borenstein, Hedges, Lipsey & Rothstein 2009, Introduction to Meta-Analysis, table 14.1 and ch. 14."""
    gains = np.array([0.095, 0.277, 0.367, 0.664, 0.462, 0.185])
    variances = np.array([0.033, 0.031, 0.050, 0.011, 0.043, 0.023])
    mean, se, between = random_effects(gains, np.sqrt(variances))
    assert mean == pytest.approx(0.358, abs=0.001)
    assert se**2 == pytest.approx(0.011, abs=0.0006)
    assert between**2 == pytest.approx(0.037, abs=0.001)


def test_where_people_agree_it_is_the_fixed_mean():
    mean, se, between = random_effects(np.array([1.0, 1.0]), np.array([0.1, 0.2]))
    assert (mean, between) == (pytest.approx(1.0), 0.0)
    assert se == pytest.approx((1 / 0.01 + 1 / 0.04) ** -0.5)


def test_what_is_said():
    people = [("ann", 0.0010, 0.0008, "YES"), ("bob", 0.0015, 0.0009, "YES"), ("cy", 0.0012, 0.0008, "YES")]
    people += [("dee", 0.0014, 0.0010, "YES"), ("eve", 0.0008, 0.0009, "NO")]
    assert str(pool([Opinion(*p) for p in people])) == "+0.0012 ± 0.0004 over 5 people, 4 YES 1 NO"


def test_one_person_counts_once():
    often = [Opinion("ann", 1.0, 0.1, "YES") for _ in range(9)]
    both = pool([*often, Opinion("bob", 0.0, 0.1, "NO")])
    assert (both.people, both.verdicts) == (2, {"YES": 9, "NO": 1})
    assert both.gain < 0.7


def test_without_errors_the_plain_mean():
    found = pool([Opinion("ann", 0.2, math.nan, "UNSURE"), Opinion("bob", 0.4, math.nan, "UNSURE")])
    assert found.gain == pytest.approx(0.3)
    assert math.isnan(found.se)
    assert str(found) == "+0.3000 over 2 people, 2 UNSURE"


def test_the_interval_covers_in_simulation():
    """With eight people the normal interval of DerSimonian and Laird is a little too narrow, as is known."""
    rng, hits, times = np.random.default_rng(0), 0, 2000
    for _ in range(times):
        ses = rng.uniform(0.5, 1.5, 8)
        gains = 0.7 + rng.normal(0, 0.6, 8) + rng.normal(0, ses)
        found = pool([Opinion(str(n), g, s, "YES") for n, (g, s) in enumerate(zip(gains, ses, strict=True))])
        hits += found.interval[0] < 0.7 < found.interval[1]
    assert 0.90 < hits / times < 0.97
