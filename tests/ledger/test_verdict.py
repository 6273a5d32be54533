"""Paired differences from tables of scores: groups within folds, folds within the mean; the record of a verdict."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import LedgerError
from podium.ledger.verdict import RunNoise, Verdict, compare, decide, paired_runs


def table(rows):
    return pl.DataFrame(
        rows, schema={"id": pl.String, "group": pl.String, "fold": pl.Int64, "score": pl.Float64}, orient="row"
    )


def gain(attempt, parent, *, greater_is_better=True):
    """(D, folds compared) of two tables of scores."""
    sides = [{(part["fold"][0], 0): part for part in t.partition_by("fold")} for t in (attempt, parent)]
    mine, base, _ = paired_runs(*sides)
    found = compare(mine, base, greater_is_better=greater_is_better)
    return found.gain, found.m


def test_a_hand_worked_gain():
    parent = table([("a", "g", 0, 0.5), ("b", "g", 0, 0.5), ("c", "h", 0, 0.5), ("d", "k", 1, 0.5)])
    attempt = table([("a", "g", 0, 0.6), ("b", "g", 0, 0.8), ("c", "h", 0, 0.5), ("d", "k", 1, 0.4)])
    # fold 0: +.1 +.3 and 0, mean .4/3; fold 1: -.1; together .1/6
    assert gain(attempt, parent) == (pytest.approx(0.1 / 6), 2)
    assert gain(attempt.head(3), parent) == (pytest.approx(0.4 / 3), 1)
    assert gain(attempt.head(3), parent, greater_is_better=False) == (pytest.approx(-0.4 / 3), 1)


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20
)


@given(rows, st.randoms(use_true_random=False))
def test_it_is_antisymmetric_and_blind_to_row_order(rows, rng):
    a = [(f"s{i}", f"g{f}{g}", f, x) for i, (g, f, x, _) in enumerate(rows)]
    b = [(f"s{i}", f"g{f}{g}", f, y) for i, (g, f, _, y) in enumerate(rows)]
    found, folds = gain(table(a), table(b))
    assert folds == len({f for _, f, *_ in rows})
    assert gain(table(b), table(a)) == (pytest.approx(-found), folds)
    rng.shuffle(a)
    assert gain(table(a), table(b)) == (pytest.approx(found), folds)
    assert gain(table(a), table(a))[0] == 0


def test_nothing_shared_cannot_be_compared():
    with pytest.raises(LedgerError, match="no sample in common"):
        gain(table([("a", "a", 0, 0.5)]), table([("b", "b", 0, 0.1)]))
    assert gain(table([("a", "a", 0, 0.5)]), table([("a", "a", 1, 0.1)]))[1] == 0


def decided(noise, *differences):
    """The verdict on an attempt whose groups differ from its parent's by so much, a list a fold."""
    ids = [f"s{i}" for i in range(len(differences[0]))]
    base = {(f, 0): table([(i, i, f, 0.5) for i in ids]) for f in range(len(differences))}
    mine = {(f, 0): table([(i, i, f, 0.5 + x) for i, x in zip(ids, d, strict=True)]) for f, d in enumerate(differences)}
    attempt, parent, left_out = paired_runs(mine, base)
    comparison = compare(attempt, parent, noise)
    return Verdict.of(decide(comparison, range(5)), comparison, left_out=left_out)


@pytest.mark.parametrize(
    ("noise", "differences", "verdict", "final"),
    [
        (RunNoise(), [[0.1, 0.2], [0.1, 0.3]], "UNSURE", False),
        (RunNoise(1e-6, 5), [[0.1, 0.1001], [0.1, 0.1002]], "YES", True),
        (RunNoise(1e-6, 5), [[-0.1, -0.1001]], "NO", True),
    ],
)
def test_a_verdict_is_kept_with_what_the_run_noise_needs_of_it(tmp_path, noise, differences, verdict, final):
    kept = decided(noise, *differences)
    (tmp_path / "v.toml").write_text(kept.to_toml())
    read = Verdict.load(tmp_path / "v.toml")
    assert read == kept
    assert (read.verdict, read.final, len(read.gains)) == (verdict, final, len(differences))
    terms = read.noise_terms()
    assert (terms is not None) == (final and len(differences) > 1)
    if terms:  # hand-worked: the scatter of the folds' gains less their variance, over the mean weight of 2
        gains, variances = read.gains, read.variances
        mean = sum(gains) / 2
        scatter = sum((g - mean) ** 2 for g in gains) - sum(variances) / 2
        assert terms == (pytest.approx(scatter), 2.0, 0.5)
