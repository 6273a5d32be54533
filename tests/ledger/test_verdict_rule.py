"""The verdict's formulas against hand-worked cases, and what must not change it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from podium.errors import LedgerError
from podium.ledger.verdict import CAREFUL, RULE, Run, RunNoise, Verdict, compare, decide, fold_order, run_noise
from podium.ledger.verdict.formulas import log_evidence, outcome, shrunk

KNOWN = RunNoise(2.0, 5.0)


def run(fold, seed, *groups):
    """A run of the given scores of each group."""
    codes = [g for g, scores in enumerate(groups) for _ in scores]
    return Run.of_scores(fold, seed, [float(s) for scores in groups for s in scores], np.array(codes))


def two_folds():
    attempt = [run(0, 0, [3, 5], [8, 8]), run(1, 0, [1], [2], [6])]
    parent = [run(0, 0, [1, 3], [3, 3]), run(0, 1, [3, 1], [4, 6]), run(1, 0, [0], [1], [2])]
    return attempt, parent


def test_a_comparison_by_hand():
    # fold 0: groups 4 - (2 + 2)/2 = 2 and 8 - (3 + 5)/2 = 4: d = 3, var 2, v = 2/2 = 1, c = 1/1 + 1/2
    # fold 1: groups 1, 1, 4: d = 2, var (1 + 1 + 4)/2 = 3, v = 3/3 = 1, c = 2
    # D = 5/2; SE^2 = (1 + 2 * 1.5 + 1 + 2 * 2) / 4 = 9/4; NF^2 = 2 + 1/2
    c = compare(*two_folds(), KNOWN)
    assert (c.gains.tolist(), c.variances.tolist(), c.weights.tolist()) == ([3, 2], [1, 1], [1.5, 2])
    assert (c.gain, c.se, c.noise_floor, c.df) == (2.5, 1.5, pytest.approx(math.sqrt(2.5)), 5)
    assert (c.folds, c.m, c.fold_runs, c.seeds) == ((0, 1), 2, 2, {0: (0,), 1: (0,)})


def test_only_folds_of_both_count():
    attempt, parent = two_folds()
    c = compare([*attempt, run(2, 0, [9])], parent[:2], KNOWN)
    assert (c.folds, c.gain, set(c.seeds)) == ((0,), 3, {0, 1, 2})
    nothing = compare(attempt, [], KNOWN)
    assert nothing.m == 0
    assert math.isnan(nothing.gain)


def test_run_noise_by_hand():
    # replicates [1, 3] and [3, 9]: run means 2 and 6, scatter 4 + 4 = 8; residuals +1 -1 -1 +1: mean square 4 / 1,
    # u = 4 / 2 groups = 2; numerator 8 - 2 = 6 over 1, df 1
    twice = [run(0, 0, [1], [3]), run(0, 1, [3], [9]), run(1, 0, [7], [7])]
    assert run_noise([twice]) == RunNoise(6, 1)
    # closed: d = 1 and 5, v = 2/2 = 1 and 9/3 = 3, c = 2: 8 - 1 * 2 = 6 over 1 * 2, df 1/2; together (6 + 6) / (1 + 2)
    parent = [run(0, 0, [0], [0]), run(1, 0, [0], [0], [0])]
    closed = compare([run(0, 0, [0], [2]), run(1, 0, [2], [5], [8])], parent)
    assert run_noise([twice], [closed]) == RunNoise(4, 1.5)
    assert run_noise([], [closed]) == RunNoise(3, 0.5)
    one_fold = compare([run(0, 0, [0], [2])], parent)
    assert run_noise([twice], [one_fold]) == RunNoise(6, 1)


def test_run_noise_is_never_below_nil_and_unknown_without_repeats():
    # means 1 and 1: no scatter, but the groups swing: the numerator is below nil
    assert run_noise([[run(0, 0, [0], [2]), run(0, 1, [2], [0])]]) == RunNoise(0, 1)
    assert not run_noise([[run(0, 0, [1]), run(1, 1, [2])]]).known
    # a single group: its scatter is all there is, (1 - 3)^2 / 2
    assert run_noise([[run(0, 0, [1]), run(0, 1, [3])]]) == RunNoise(2, 1)


def test_evidence_by_hand():
    # tau = SE, df without end: rho 1, z 2: ln 2 - ln(2)/2 + 4/4 + ln Phi(sqrt 2)
    assert log_evidence(2, 1, 1, np.inf, 0.1) == pytest.approx(math.log(2) / 2 + 1 + math.log(norm.cdf(math.sqrt(2))))
    # df 1: t_{1, .9} = tan(0.4 pi); the error is that much wider
    wide = math.tan(0.4 * math.pi) / norm.ppf(0.9)
    assert log_evidence(2 * wide, 1, wide, 1, 0.1) == pytest.approx(log_evidence(2, 1, 1, np.inf, 0.1))


@given(st.floats(-4, 6), st.floats(0.2, 3))
def test_evidence_is_the_mean_likelihood_ratio_over_gains(z, tau):
    def ratio(gain):
        return 2 * norm.pdf(gain, 0, tau) * math.exp(gain * z - gain * gain / 2)

    mean = sum(quad(ratio, a, a + 0.5)[0] for a in np.arange(0, 20, 0.5))
    assert math.exp(log_evidence(z, 1, tau, np.inf, 0.1)) == pytest.approx(mean, rel=1e-6)


def test_evidence_far_out_is_finite():
    assert np.isfinite(log_evidence([-1e6, 1e6, 1e-300], [1, 1, 1], [1, 1, 1], [1, 1e9, 3], 0.1)).all()


def test_the_shrunk_gain_by_hand():
    # tau = 2 NF = 2; SE = 1: 5 * 4 / (4 + 1)
    assert shrunk(5, 1, 1, RULE) == 4
    assert shrunk(5, 0, 0, RULE) == 5


@pytest.mark.parametrize(
    ("gain", "se", "floor", "complete", "code"),
    [
        (4.0, 1.0, 1.0, False, 1),
        (1.0, 1.0, 1.0, False, 0),  # 1 + .524 is above 1.5
        (0.9, 1.0, 1.0, False, -1),  # .9 + .524 is below: too small to matter
        (-2.0, 1.0, 1.0, False, -2),  # -2 + 1.645 < 0: worse
        (1.2, 2.5, 1.0, False, 0),
        (1.2, 2.5, 1.0, True, -3),  # all folds, 1.2 / 2.5 < .5: could be luck
        (0.1, 0.0, 0.0, False, 1),  # no noise at all: any gain is sure
        (0.0, 0.0, 0.0, False, -1),
        (-0.1, 0.0, 0.0, False, -2),
        (9.0, np.nan, np.nan, True, 0),
    ],
)
def test_the_rule_by_hand(gain, se, floor, complete, code):
    assert outcome(gain, se, floor, 5, complete, RULE)[0] == code


def test_without_run_noise_nothing_is_decided():
    assert outcome(99, 1, 1, 0, True, RULE)[0] == 0
    assert outcome(0.9, 1, 1, 5, False, CAREFUL)[0] == 0  # .9 + 1.28 > 1.5


def table_of(rng, k, groups, seeds, gain):
    """(fold, seed, scores, codes) of both sides."""
    sizes = rng.integers(1, 4, (k, groups))
    codes = [np.repeat(np.arange(groups), of) for of in sizes]
    pairs = [(f, s) for f in range(k) for s in range(seeds)]
    return [[(f, s, base + rng.normal(0, 1, len(codes[f])), codes[f]) for f, s in pairs] for base in (gain, 0.0)]


def judged(attempt, parent, up=True, rule=RULE):
    runs = [[Run.of_scores(*r) for r in side] for side in (attempt, parent)]
    c = compare(*runs, run_noise(runs), greater_is_better=up)
    return c, decide(c, fold_order(6, 1), rule)


def same(a, b, scale=1.0):
    (c, d), (e, f) = a, b
    assert (d.verdict, d.next, d.remaining) == (f.verdict, f.next, f.remaining)
    for x, y in ((c.gain, e.gain), (c.se, e.se), (c.noise_floor, e.noise_floor), (d.shrunk, f.shrunk)):
        assert x * scale == pytest.approx(y, rel=1e-7, abs=1e-9 * max(1, scale), nan_ok=True)
    assert d.evidence == pytest.approx(f.evidence, rel=1e-5)


cases = st.tuples(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 5), st.integers(2, 3), st.floats(-3, 3))


@settings(max_examples=60)
@given(cases)
def test_no_order_matters(case):
    seed, k, groups, seeds, gain = case
    rng = np.random.default_rng(seed)
    sides = table_of(rng, k, groups, seeds, gain)
    first = judged(*sides)
    new_codes = rng.permutation(groups)
    shuffled = []
    for side in sides:
        rows = [rng.permutation(len(codes)) for _, _, _, codes in side]
        mixed = [(f, s, x[r], new_codes[c][r]) for (f, s, x, c), r in zip(side, rows, strict=True)]
        shuffled.append([mixed[i] for i in rng.permutation(len(mixed))])
    same(first, judged(*shuffled))
    renamed = [[(f, seeds - 1 - s, x, c) for f, s, x, c in side] for side in sides]
    same(first, judged(*renamed))


@settings(max_examples=60)
@given(cases, st.floats(0.01, 100), st.floats(-50, 50))
def test_direction_shift_and_scale(case, scale, shift):
    seed, *shape = case
    attempt, parent = table_of(np.random.default_rng(seed), *shape)

    def changed(a, b):
        return [[(f, s, a * x + b, c) for f, s, x, c in side] for side in (attempt, parent)]

    first = judged(attempt, parent)
    same(first, judged(*changed(-1, 0), up=False))
    same(first, judged(*changed(1, shift)))
    same(first, judged(*changed(scale, 0)), scale)
    there, back = judged(attempt, parent)[0], judged(parent, attempt)[0]
    assert there.gain == pytest.approx(-back.gain)
    assert there.se == pytest.approx(back.se)


@given(st.integers(0, 10**6), st.integers(2, 8))
def test_the_jackknife_of_a_mean_is_the_mean_of_each_group(seed, groups):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(groups), 3))
    scores = rng.random(3 * groups)
    left_out = Run.of_metric(0, 0, lambda chosen: float(scores[chosen].mean()), codes)
    assert left_out.values == pytest.approx(Run.of_scores(0, 0, scores, codes).values)


def test_the_jackknife_by_hand_and_by_the_block():
    # the largest of 1, 5, 9: 3 * 9 - 2 * 9 = 9 without the first two, 3 * 9 - 2 * 5 = 17 without the last
    scores = np.array([1.0, 5.0, 9.0])
    assert Run.of_metric(0, 0, lambda chosen: float(scores[chosen].max()), np.arange(3)).values.tolist() == [9, 9, 17]
    calls = []
    many = Run.of_metric(0, 0, lambda chosen: float(calls.append(chosen.sum()) or chosen.mean()), np.arange(1000))
    assert len(many.values) == 200
    assert set(calls) == {1000, 995}


def test_one_group_a_fold_needs_two_folds():
    parent = [run(f, s, [0]) for f in range(3) for s in range(2)]
    noise = RunNoise(1, 3)
    first = decide(compare([run(0, 0, [9])], parent, noise), (0, 1, 2))
    assert (first.verdict, first.reason, first.next) == ("UNSURE", "one group a fold", (1, 0))
    assert "one group a fold" in first.sentence
    # d = 9 and 3: between folds var 18; c = 1.5, so v = 18 - 1.5; SE^2 = 2 * (16.5 + 1.5) / 4 = 9; df min(3, 1)
    c = compare([run(0, 0, [9]), run(1, 0, [3])], parent, noise)
    assert (c.gain, c.se, c.df) == (6, 3, 1)
    assert np.isnan(c.variances).all()


def test_a_single_fold():
    runs = [run(0, s, *[[x] for x in values]) for s, values in enumerate(([0, 1, 2], [3, 1, 5]))]
    noise = run_noise([runs])
    d = decide(compare([run(0, 0, [5], [6], [8])], runs, noise), (0,))
    assert (d.verdict, d.next, d.all_folds) == ("UNSURE", (0, 1), 1)


def test_the_race_from_first_fold_to_the_last_seed():
    order, parent = (2, 0, 1), [run(f, s, [0], [0.1]) for f in range(3) for s in range(2)]
    noise = RunNoise(1.0, 5)
    trained, asked = [], []
    start = decide(compare([], parent, noise), order)
    assert (start.reason, start.next) == ("no fold", (2, 0))
    d = start
    while d.next:
        asked.append(tuple(d.next))
        trained.append(run(*d.next, [1.3], [1.4]))
        d = decide(compare(trained, parent, noise), order)
    assert asked == [(2, 0), (0, 0), (1, 0), (2, 1), (0, 1), (1, 1)]
    assert (d.verdict, d.reason, d.folds, d.fold_runs) == ("UNSURE", "too close to call", 3, 6)
    assert "the parent stays" in d.sentence


def test_a_yes_names_the_folds_left():
    parent = [run(f, s, [0], [0]) for f in range(5) for s in range(2)]
    d = decide(compare([run(3, 0, [9], [9.1])], parent, RunNoise(1.0, 5)), (3, 1, 4, 0, 2))
    assert (d.verdict, d.next, set(d.remaining)) == ("YES", None, {0, 1, 2, 4})
    assert d.sentence.endswith("Next: folds 0, 1, 2 and 4, then champion.")
    assert d.shrunk < d.gain


def test_prediction_only_attempts_share_the_noise_of_training():
    parent = [run(f, 0, [f], [1 + f], [2 * f]) for f in range(3)]
    better = [run(f, 0, [f + 0.3], [1.31 + f], [2 * f + 0.32]) for f in range(3)]
    c = compare(better, parent, RunNoise(1.0, 5), shared_training=True)
    d = decide(c, (0, 1, 2))
    assert c.weights.tolist() == [1, 1, 1]
    assert c.df == 2
    assert (d.verdict, d.remaining) == ("YES", ())
    assert decide(compare(better, parent, RunNoise(1.0, 5)), (0, 1, 2)).verdict == "NO"
    paired = compare([run(0, 1, [1], [2])], [run(0, 0, [0], [0]), run(1, 1, [0], [0])], KNOWN, shared_training=True)
    assert paired.m == 0
    unsure = decide(compare([run(0, 0, [3], [0], [1.5])], parent, RunNoise(1.0, 5), shared_training=True), (0,))
    assert (unsure.verdict, unsure.reason, unsure.next) == ("UNSURE", "too few trainings", None)
    assert Verdict.of(d, c).noise_terms() is None, "it says nothing of the noise of retraining"


def test_gains_that_differ_between_trainings_widen_the_error_of_a_prediction_only_attempt():
    gains = {(0, 0): (1, 3), (0, 1): (3, 9), (1, 0): (4, 4), (1, 1): (2, 2)}  # of two groups
    parent = [run(*key, [0], [0]) for key in gains]
    attempt = [run(*key, *([g] for g in pair)) for key, pair in gains.items()]
    c = compare(attempt, parent, shared_training=True)
    # d = 4 and 3; fold 0: seeds 2 and 6, residuals 1, -1, -1, 1: 8 - 4 / 2 = 6; fold 1: seeds 4 and 2, none: 2
    # between folds: 0.5 - mean(v) with v = 4 and 0; weights 1 / 2
    s2 = (6 + 2 + 0.5 - 2) / (1 + 1 + 0.5)
    assert c.gains.tolist() == [4, 3]
    assert c.variances.tolist() == [4, 0]
    assert c.df == 3
    assert c.se == pytest.approx(np.sqrt(4 + s2 * (0.5 + 0.5)) / 2)
    assert c.noise_floor == pytest.approx(np.sqrt(s2 + 1))


def test_an_attempt_that_changes_nothing_is_a_no_even_without_any_noise():
    parent = [run(0, s, [1], [2]) for s in range(2)]
    d = decide(compare(parent[:1], parent, run_noise([parent])), (0, 1))
    assert (d.verdict, d.sentence) == ("NO", "NO after 1 fold: 0.0000; it changes nothing.")


@pytest.mark.parametrize(
    ("score", "group", "says"),
    [
        ([1.0, np.nan], [0, 1], "sample 1 is nan"),
        ([np.inf, 1.0], [0, 1], "sample 0 is inf"),
        ([1.0], [0, 1], "shape"),
        ([], np.array([], int), "at least one"),
        ([1.0], [-1], "not codes"),
        ([1.0], [0.5], "not codes"),
    ],
)
def test_bad_scores_are_refused(score, group, says):
    with pytest.raises(LedgerError, match=says):
        Run.of_scores(3, 0, score, np.array(group))


def test_bad_runs_are_refused():
    attempt, parent = two_folds()
    with pytest.raises(LedgerError, match="fold 0 with seed 0 twice"):
        compare([attempt[0], attempt[0]], parent, KNOWN)
    with pytest.raises(LedgerError, match="different groups"):
        compare([run(0, 0, [1], [2], [3])], parent, KNOWN)
    with pytest.raises(LedgerError, match="two seeds"):
        run_noise([[run(0, 0, [1], [2]), run(0, 1, [1])]])
    with pytest.raises(LedgerError, match="no value without group 4"):
        Run.of_metric(0, 0, lambda chosen: 1.0 if chosen[1] else float("nan"), np.array([2, 4]))
    with pytest.raises(LedgerError, match="the metric has no value"):
        Run.of_metric(0, 0, lambda chosen: float("nan"), np.array([2, 4]))


def test_large_codes_are_as_good_as_small_ones():
    small, large = (Run.of_scores(0, 0, [1.0, 2.0, 4.0], np.array([a, 0, a])) for a in (3, 10**12))
    assert small.values.tolist() == large.values.tolist() == pytest.approx([19 / 9, 23 / 9])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 10**6))
def test_the_mean_of_the_groups_values_is_the_metric_whatever_their_sizes(sizes, seed):
    rng = np.random.default_rng(seed)
    scores = rng.random(sum(sizes))
    found = Run.of_scores(0, 0, scores, np.repeat(np.arange(len(sizes)), sizes))
    assert found.values.mean() == pytest.approx(scores.mean())


def test_a_gain_has_the_sign_that_the_metric_has():
    # nine samples of the large group gain .1, one of the small group loses .5: the metric gains .04
    attempt, parent = run(0, 0, [0.6] * 9, [0.0]), run(0, 0, [0.5] * 9, [0.5])
    assert compare([attempt], [parent]).gain == pytest.approx(0.04)


def test_a_gain_of_every_sample_alike_is_certain_whatever_the_sizes_of_the_groups():
    scores, group = np.random.default_rng(0).random(20), np.repeat([0, 1, 2], [1, 4, 15])
    none = RunNoise(0.0, 9)
    found = compare([Run.of_scores(0, 0, scores + 0.1, group)], [Run.of_scores(0, 0, scores, group)], none)
    assert found.gain == pytest.approx(0.1)
    assert found.se == pytest.approx(0, abs=1e-12)


def test_the_error_is_that_of_a_mean_over_samples_when_groups_are_drawn():
    rng = np.random.default_rng(1)
    sizes = np.array([1, 2, 4, 8, 16] * 12)
    gains, errors = [], []
    for _ in range(400):
        own = rng.normal(0.3, 1, len(sizes))  # of each group; larger groups gain no more than small ones
        drawn = rng.permutation(sizes)
        score, group = np.repeat(own, drawn), np.repeat(np.arange(len(sizes)), drawn)
        found = compare([Run.of_scores(0, 0, score, group)], [Run.of_scores(0, 0, 0 * score, group)], RunNoise(0.0, 9))
        gains.append(found.gain)
        errors.append(found.se)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(gains), rel=0.1)


def test_the_fold_order_is_random_and_kept():
    assert sorted(fold_order(7, 3)) == list(range(7))
    assert fold_order(7, 3) == fold_order(7, 3)
    assert len({fold_order(5, n) for n in range(50)}) > 20


def test_a_decision_is_kept(tmp_path):
    d = decide(compare(*two_folds(), KNOWN), (0, 1, 2))
    kept = Verdict.of(d)
    (tmp_path / "v.toml").write_text(kept.to_toml())
    assert Verdict.load(tmp_path / "v.toml") == kept
    assert (kept.gain, kept.raw_gain, kept.se) == (d.shrunk, 2.5, 1.5)
    unknown = Verdict.of(decide(compare(*two_folds()), (0, 1, 2)))
    assert (unknown.verdict, unknown.gain, unknown.se, unknown.evidence) == ("UNSURE", 2.5, None, None)
    assert Verdict.of(decide(compare([], []), (0,))).gain == 0
