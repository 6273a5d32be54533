"""CV against LB: by hand, and in simulated competitions where it is known what shifted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from board_worlds import Families, World

from podium.ledger.agreement import (
    agreement,
    correlation,
    input_shift,
    picks,
)
from podium.ledger.agreement_expected import Expected
from podium.ledger.agreement_svg import ticks, to_svg

WORLD = World()
MANY = 4000


def warned(world, seed=0, times=MANY, estimated=False, **shift):
    """{kind: share of competitions in which it is warned of}."""
    rng, count = np.random.default_rng(seed), dict.fromkeys(("level", "ranking", "any"), 0)
    for _ in range(times):
        cv, lb, _ = world.play(rng, **shift)
        expected = world.expected
        if estimated:  # from one pair of attempts and five replicates, as a young ledger has them
            between = expected.between * math.sqrt(rng.chisquare(world.groups_cv - 1) / (world.groups_cv - 1))
            expected = replace(expected, between=between, run=expected.run * rng.chisquare(5) / 5)
        kinds = {w.kind for w in agreement(cv, lb, up=True, expected=expected).warnings}
        for kind in kinds | ({"any"} if kinds else set()):
            count[kind] += 1
    return {kind: n / times for kind, n in count.items()}


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 5, 10, 20])
def test_where_nothing_shifted_hardly_anything_is_warned_of(n):
    assert warned(replace(WORLD, submissions=n), seed=n)["any"] <= 0.02


@pytest.mark.slow
def test_nor_where_the_noise_is_only_estimated():
    assert warned(WORLD, seed=3, estimated=True)["any"] <= 0.02


@pytest.mark.slow
def test_a_level_shift_is_warned_of_and_is_no_ranking_shift():
    found = warned(WORLD, level=6 * WORLD.expected.level_sd, times=1000)
    assert found["level"] >= 0.95
    assert found["ranking"] <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize(("n", "sds"), [(5, 2.97), (6, 2.47), (8, 1.95), (10, 1.66), (20, 1.13)])
def test_a_ranking_shift_as_large_as_is_told_is_warned_of(n, sds):
    assert WORLD.expected.seen(n) == pytest.approx(sds * WORLD.expected.sd, rel=0.01)
    found = warned(replace(WORLD, submissions=n), times=4000, ranking=WORLD.expected.seen(n))
    assert found["ranking"] >= 0.94  # 95 %, of 4,000


def warned_among_families(n, times, ranking=0.0, pooled=False):
    """How often a ranking shift is told where attempts differ in how much they differ."""
    world, rng, told = Families(submissions=n), np.random.default_rng(n), 0
    for _ in range(times):
        cv, lb, expected = world.play_known(rng, ranking)
        if pooled:
            expected = replace(expected, covariance=None)
        told += any(w.kind == "ranking" for w in agreement(cv, lb, up=True, expected=expected).warnings)
    return told / times


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 6, 10, 20])
def test_attempts_that_differ_unequally_raise_no_more_false_alarms(n):
    assert warned_among_families(n, 3000) <= 0.02
    if n >= 6:  # one variance for all would
        assert warned_among_families(n, 1000, pooled=True) > 0.025


@pytest.mark.slow
@pytest.mark.parametrize(("n", "share"), [(6, 0.95), (10, 0.99)])
def test_a_shift_among_them_is_seen_better_than_by_one_variance_for_all(n, share):
    shift = 2 * WORLD.expected.sd
    found = warned_among_families(n, 1000, shift)
    assert found >= share
    assert found > warned_among_families(n, 1000, shift, pooled=True)


def test_the_covariance_of_submissions_by_hand():
    among = np.array([[0.0, 0, 0], [0, 4, 1], [0, 1, 2]])
    known = Expected(1.5, 0.1, 100, 50, folds=5, attempts=("a", "b", "c"), covariance=among)
    assert np.allclose(known.of(["a", "b", "c"]).covariance, among, atol=0.07)  # up to a fiftieth of 3
    blended = known.of(["b", "a", "blend", "b"]).covariance
    assert np.allclose(blended[:2, :2], [[4, 0], [0, 0]], atol=0.1)
    assert np.allclose(np.diag(blended)[2:], 3, atol=0.1)  # not known, and a second file of b: the mean of 4 and 2
    assert np.allclose(blended[0, 2], 1, atol=0.1)
    noise = known.of(["a", "b", "c"]).noise(3)
    assert np.allclose(noise, among * (1 / 100 + 1 / 50) + 0.02 * np.eye(3), atol=0.003)
    assert np.allclose(known.noise(2), np.eye(2) * known.variance / 2)  # of other submissions: one variance for all
    assert replace(known, covariance=None).of(["a", "x"]).covariance is None


def test_with_one_variance_the_scatter_is_the_plain_sum_of_squares():
    from scipy.stats import chi2

    gap = np.random.default_rng(0).normal(size=7)
    statistic, bound = WORLD.expected.scatter(gap)
    assert statistic == pytest.approx(((gap - gap.mean()) ** 2).sum() / (WORLD.expected.variance / 2), rel=1e-6)
    assert bound == pytest.approx(chi2.ppf(0.99, 6))
    assert WORLD.expected.residual(7) == pytest.approx(WORLD.expected.variance / 2)
    assert WORLD.expected.scatter(np.ones(4)) == (0.0, math.inf)
    assert WORLD.expected.seen(1) == math.inf


def test_in_short_none_and_a_planted_one():
    assert warned(WORLD, seed=1, times=500)["any"] <= 0.03
    assert warned(WORLD, seed=1, times=200, ranking=3 * WORLD.expected.sd)["ranking"] >= 0.95


def test_for_errors_the_same_is_said():
    rng = np.random.default_rng(1)
    cv, lb, _ = WORLD.play(rng, ranking=2 * WORLD.expected.sd)
    up, down = (agreement(s * cv, s * lb, up=s > 0, expected=WORLD.expected) for s in (1, -1))
    assert [w.kind for w in up.warnings] == [w.kind for w in down.warnings] == ["ranking"]
    assert np.allclose(up.cv, down.cv)
    assert [p.index for p in picks(cv, lb, up=True, expected=WORLD.expected)] == [
        p.index for p in picks(-cv, -lb, up=False, expected=WORLD.expected)
    ]


def regrets(world, seed, times=3000, shifts=(0.0,)):
    """Mean private score that the better of two picks gives away, of each way to pick, and of ours minus theirs z."""
    rng, ways = np.random.default_rng(seed), {"ours": [], "two best public": [], "best CV + best public": []}
    for _ in range(times):
        cv, lb, private = world.play(rng, ranking=rng.choice(shifts))
        by_lb = list(np.argsort(-lb))
        both = [int(np.argmax(cv)), next(int(i) for i in by_lb if i != np.argmax(cv))]
        known = 1 / world.expected.var_cv, 1 / world.expected.var_lb
        chosen = {
            "ours": [p.index for p in picks(cv, lb, up=True, expected=world.expected)],
            "two best public": by_lb[:2],
            "best CV + best public": both,
        }
        if shifts == (0.0,):  # nobody knows better than who knows that nothing shifted
            ways.setdefault("all known", [])
            chosen["all known"] = list(np.argsort(-(known[0] * cv + known[1] * lb))[:2])
        for way, of in chosen.items():
            ways[way].append(private.max() - private[of].max())
    lost = {way: np.array(of) for way, of in ways.items()}
    z = {
        w: float((of - lost["ours"]).mean() / ((of - lost["ours"]).std() / math.sqrt(times) or 1))
        for w, of in lost.items()
    }
    return {way: float(of.mean()) for way, of in lost.items()}, z


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "shifts", "sure"),
    [
        (WORLD, (0.0,), 4),
        (WORLD, (0.0, 0.2, 0.4), 4),
        (replace(WORLD, submissions=20), (0.0, 0.0, 0.2), 4),
        (replace(WORLD, submissions=20, groups_public=300, groups_cv=100), (0.0,), 2),  # LB is nearly all there is
        (replace(WORLD, submissions=30, worth=0.05), (0.0,), 4),
    ],
    ids=["nothing shifted", "often shifted", "twenty", "a large public part", "all nearly alike"],
)
def test_our_picks_beat_the_usual_ones(world, shifts, sure):
    lost, z = regrets(world, seed=5, shifts=shifts, times=6000 if sure < 4 else 3000)
    assert lost["ours"] < lost["two best public"]
    assert lost["ours"] < lost["best CV + best public"]
    assert min(z["two best public"], z["best CV + best public"]) > sure, (lost, z)
    if "all known" in lost:
        assert lost["ours"] < 1.06 * lost["all known"]


def test_correlation_against_scipy_and_the_interval_by_hand():
    from scipy.stats import pearsonr

    rng = np.random.default_rng(0)
    x = rng.normal(size=12)
    y = x + rng.normal(size=12)
    found, theirs = correlation(x, y), pearsonr(x, y)
    interval = theirs.confidence_interval(0.95)
    assert found.r == pytest.approx(theirs.statistic)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-6)
    assert "too few" in str(correlation(x[:4], y[:4]))
    assert "does not vary" in str(correlation(x, np.zeros(12)))
    assert math.isnan(correlation(x, np.zeros(12)).r)


def test_the_expected_spread_by_hand():
    noise = Expected(between=2.0, run=0.5, groups_cv=100, groups_public=50, folds=5)
    assert noise.variance == pytest.approx(4 * (1 / 100 + 1 / 50) + 2 * 0.5 / 5)
    assert noise.var_cv + noise.var_lb == pytest.approx(noise.variance)


def test_few_submissions_give_best_cv_and_best_public():
    chosen = picks([0.5, 0.7, 0.6], [0.9, 0.4, 0.8], up=True, expected=WORLD.expected)
    assert [(p.index, p.why.split(" (")[0]) for p in chosen] == [(1, "the best CV"), (0, "the best public score")]
    same = picks([0.5, 0.7, 0.6], [0.4, 0.9, 0.8], up=True, expected=None)
    assert [p.index for p in same] == [1, 2]
    assert "noise is not known" in same[0].why
    assert [p.index for p in picks([0.5], [0.4], up=True, expected=None)] == [0]
    assert picks([], [], up=True, expected=None) == []


def test_among_equals_the_least_alike_is_the_second():
    cv = [0.5000, 0.4999, 0.4998, 0.1, 0.1, 0.1]
    alike = np.full((6, 6), 0.99)
    alike[0, 2] = alike[2, 0] = 0.5
    found = picks(cv, cv, up=True, expected=replace(WORLD.expected, between=1.0), alike=alike)
    assert [p.index for p in found] == [0, 2]
    assert "least alike" in found[1].why
    assert "correlation 0.500" in found[1].why


def test_where_validation_is_shifted_the_board_counts_more():
    rng = np.random.default_rng(2)
    plain = picks(*WORLD.play(rng)[:2], up=True, expected=WORLD.expected)
    shifted = picks(*WORLD.play(rng, ranking=1.0)[:2], up=True, expected=WORLD.expected)

    def weight(pick):
        return int(pick.why.split("CV counts ")[1].split(" %")[0])

    assert weight(shifted[0]) < 20 < weight(plain[0])


def test_input_shift():
    assert input_shift(0.59, 0.8, 0.7) is None
    assert "AUC 0.75 (0.66 to 0.80" in input_shift(0.66, 0.80, 0.75).said


def test_one_submission_and_none():
    one = agreement([0.5], [0.6], up=True, expected=WORLD.expected)
    assert (one.cv.tolist(), one.correlation.n, one.shift_variance) == ([0.0], 0, 0.0)
    assert agreement([], [], up=True, expected=WORLD.expected).warnings == ()


def test_the_picture_has_a_point_a_submission():
    cv, lb, _ = WORLD.play(np.random.default_rng(4))
    found = agreement(cv, lb, up=True, expected=WORLD.expected)
    svg = to_svg(found, list(range(1, 11)), [1, 2], "dice <&>")
    assert svg.count('r="4.5"') == 10
    assert svg.count('class="pick"') == 2
    assert "dice &lt;&amp;&gt;" in svg
    assert 'class="band"' in svg
    assert "nan" not in svg
    import xml.etree.ElementTree as ET

    ET.fromstring(svg)


def test_ticks_are_round():
    assert ticks(-0.0101, 0.0102) == [-0.01, -0.005, 0.0, 0.005, 0.01]
    assert ticks(-0.53, 0.54) == [-0.4, -0.2, 0.0, 0.2, 0.4]
    assert all(3 <= len(ticks(-a, b)) <= 8 for a in (1e-6, 0.03, 2.0) for b in (1e-5, 0.05, 7.0))
