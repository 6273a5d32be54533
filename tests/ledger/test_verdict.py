"""Paired differences: groups within folds, folds within the mean; no verdict without a noise floor."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.ledger.verdict import Verdict, mean_gain


def table(rows):
    return pl.DataFrame(
        rows, schema={"id": pl.String, "group": pl.String, "fold": pl.Int64, "score": pl.Float64}, orient="row"
    )


def test_a_hand_worked_gain():
    parent = table([("a", "g", 0, 0.5), ("b", "g", 0, 0.5), ("c", "h", 0, 0.5), ("d", "k", 1, 0.5)])
    attempt = table([("a", "g", 0, 0.6), ("b", "g", 0, 0.8), ("c", "h", 0, 0.5), ("d", "k", 1, 0.4)])
    # fold 0: groups g (+.1 +.3)/2 = .2 and h 0, mean .1; fold 1: -.1; together 0
    assert mean_gain(attempt, parent) == (pytest.approx(0.0), 2)
    assert mean_gain(attempt.head(3), parent) == (pytest.approx(0.1), 1)
    assert mean_gain(attempt.head(3), parent, greater_is_better=False) == (pytest.approx(-0.1), 1)


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20
)


@given(rows, st.randoms(use_true_random=False))
def test_it_is_antisymmetric_and_blind_to_row_order(rows, rng):
    a = [(f"s{i}", f"g{f}{g}", f, x) for i, (g, f, x, _) in enumerate(rows)]
    b = [(f"s{i}", f"g{f}{g}", f, y) for i, (g, f, _, y) in enumerate(rows)]
    gain, folds = mean_gain(table(a), table(b))
    assert folds == len({f for _, f, *_ in rows})
    assert mean_gain(table(b), table(a)) == (pytest.approx(-gain), folds)
    rng.shuffle(a)
    assert mean_gain(table(a), table(b)) == (pytest.approx(gain), folds)
    assert mean_gain(table(a), table(a))[0] == 0


def test_nothing_shared_is_no_gain():
    assert mean_gain(table([("a", "a", 0, 0.5)]), table([("b", "b", 0, 0.1)])) == (0.0, 0)
    assert mean_gain(table([("a", "a", 0, 0.5)]), table([("a", "a", 1, 0.1)])) == (0.0, 0)


@pytest.mark.parametrize(("gain", "folds", "words"), [(0.5, 1, "+0.5000; "), (-0.25, 5, "5 folds: -0.2500")])
def test_without_a_noise_floor_it_is_unsure(tmp_path, gain, folds, words):
    verdict = Verdict.undecided(gain, folds)
    assert verdict.verdict == "UNSURE"
    assert words in str(verdict)
    (tmp_path / "v.toml").write_text(verdict.to_toml())
    assert Verdict.load(tmp_path / "v.toml") == verdict
