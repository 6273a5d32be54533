"""Tables of scores become paired runs, in whatever order their rows come."""

import numpy as np
import polars as pl
import pytest

from podium.errors import LedgerError
from podium.ledger.verdict import compare, paired_runs, run_noise
from podium.metrics import Measured, get_metric


def table(rows, fold=0):
    schema = {"id": pl.String, "group": pl.String, "score": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(fold=pl.lit(fold))


PARENT = [("a", "car2", 1.0), ("b", "car2", 3.0), ("c", "car1", 5.0)]
BETTER = [("c", "car1", 6.0), ("b", "car2", 5.0), ("a", "car2", 4.0)]


def test_rows_are_paired_by_id_and_grouped_by_name():
    attempt, parent, left_out = paired_runs({(0, 0): table(BETTER)}, {(0, 0): table(PARENT)})
    assert left_out == 0
    values = [run.values.tolist() for run in (*attempt, *parent)]  # car1 with one sample, car2 with two
    assert values == [pytest.approx([5 + 2 / 3, 5 - 2 / 3]), pytest.approx([3 + 4 / 3, 3 - 4 / 3])]
    assert compare(attempt, parent).gains == pytest.approx([2])


def test_only_the_samples_of_both_sides_are_compared():
    more = table([*BETTER, ("d", "car3", 0.0)])
    attempt, parent, left_out = paired_runs({(0, 0): more}, {(0, 0): table(PARENT), (0, 1): table(PARENT[:2])})
    assert left_out == 2
    assert [run.values.tolist() for run in (*attempt, *parent)] == [[4.5], [2], [2]]


def test_the_parent_says_what_the_groups_are():
    renamed = [(i, "car0" if i == "b" else g, x) for i, g, x in BETTER]
    (attempt,), _, _ = paired_runs({(0, 0): table(renamed)}, {(0, 0): table(PARENT)})
    assert attempt.values == pytest.approx([5 + 2 / 3, 5 - 2 / 3])


def test_folds_that_one_side_lacks_are_left_to_the_comparison():
    attempt, parent, _ = paired_runs(
        {(1, 0): table(BETTER, 1)}, {(f, s): table(PARENT, f) for f in (0, 1) for s in (0, 1)}
    )
    noise = run_noise([parent])
    assert (noise.s2, noise.df) == (0, 2)
    assert compare(attempt, parent, noise).folds == (1,)


def whole(metric, measured, ids, groups):
    columns = {
        "id": ids,
        "group": groups,
        "fold": [0] * len(ids),
        "score": pl.Series([None] * len(ids), dtype=pl.Float64),
    }
    return pl.DataFrame(columns | measured.columns())


def test_a_metric_over_all_samples_is_left_one_group_out():
    rng = np.random.default_rng(0)
    metric, n = get_metric("iou_pooled"), 12
    truth = rng.integers(50, 99, n)
    ids, groups = [f"s{i}" for i in range(n)], [f"g{i % 4}" for i in range(n)]
    counts = [
        Measured.of_counts("overlap", np.stack([rng.integers(20, 50, n), rng.integers(50, 99, n), truth], -1))
        for _ in range(2)
    ]
    tables = [whole(metric, m, ids, groups) for m in counts]
    (attempt,), (parent,), _ = paired_runs(
        {(0, 0): tables[0].sample(fraction=1, shuffle=True, seed=1)}, {(0, 0): tables[1]}, metric
    )
    for run, m in ((attempt, counts[0]), (parent, counts[1])):
        without = [m.take(np.arange(n) % 4 != g).score(metric) for g in range(4)]
        assert run.values == pytest.approx([4 * m.score(metric) - 3 * s for s in without])
    assert compare([attempt], [parent]).gains[0] == pytest.approx(
        counts[0].score(metric) - counts[1].score(metric), abs=0.05
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(LedgerError, match="no sample in common"):
        paired_runs({(0, 0): table([("z", "car9", 1.0)])}, {(0, 0): table(PARENT)})
    with pytest.raises(LedgerError, match="sample 0 is nan"):
        paired_runs({(0, 0): table([("a", "car2", None)])}, {(0, 0): table(PARENT)})
    with pytest.raises(LedgerError, match="twice"):
        paired_runs({(0, 0): table([*BETTER, BETTER[0]])}, {(0, 0): table(PARENT)})
