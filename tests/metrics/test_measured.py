"""What metrics read: stored as columns, joined over folds and scored again, it gives the same scores."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from podium.metrics import METRICS, Measured, compare_maps, compare_masks, compare_objects, get_metric
from podium.metrics.classification import auc


def measured(kind, n=7, seed=0):
    rng = np.random.default_rng(seed)
    maps = [rng.integers(0, 3, (2, 9, 8)) for _ in range(n)]
    if kind == "table":
        return Measured.of_table(rng.permutation(np.arange(n) % 2), rng.random(n))
    if kind == "confusion":
        return Measured.of_counts(kind, np.stack([compare_maps(kind, t, p, ["a", "b", "c"]) for t, p in maps]))
    if kind == "instances":
        return Measured.of_counts(kind, np.stack([compare_objects(kind, t, p) for t, p in maps]))
    masks = [(t[None] == 1, p[None] == 1) for t, p in maps]
    return Measured.of_counts(kind, np.stack([compare_masks(kind, t, p) for t, p in masks]))


NAMES = ["dice", "iou_pooled", "boundary_iou", "mean_iou", "endovis_iou", "dsb2018", "auc", "log_loss"]


@pytest.mark.parametrize("name", NAMES)
def test_columns_bring_the_score_back(name):
    metric = get_metric(name)
    first, second = measured(metric.kind, 7, 0), measured(metric.kind, 5, 1)
    frames = [pl.DataFrame(m.columns()) for m in (first, second)]
    again = Measured.of_columns(metric.kind, pl.concat(frames).to_dict(as_series=False))
    both = {k: np.concatenate([first.arrays[k], second.arrays[k]]) for k in first.arrays}
    assert again.score(metric) == pytest.approx(Measured(metric.kind, both).score(metric), abs=1e-12)
    assert again.take(np.arange(7)).score(metric) == pytest.approx(first.score(metric), abs=1e-12)
    each = again.per_sample(metric)
    assert (each is None) == (not metric.mean_over_samples)
    if each is not None:
        assert each.mean() == pytest.approx(again.score(metric), abs=1e-12)


def test_a_pooled_score_is_no_mean_of_fold_scores():
    """Each fold ranks perfectly, on a scale of its own: the mean says 1, all samples together say less."""
    a = Measured.of_table(np.array([0, 1]), np.array([0.1, 0.2]))
    b = Measured.of_table(np.array([0, 1]), np.array([0.8, 0.9]))
    metric = METRICS["auc"]
    assert a.score(metric) == b.score(metric) == 1
    columns = pl.concat([pl.DataFrame(m.columns()) for m in (a, b)]).to_dict(as_series=False)
    pooled = Measured.of_columns("table", columns).score(metric)
    assert pooled == auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.8, 0.9])) == 0.75


def test_several_classes_are_scored_one_by_one():
    rng = np.random.default_rng(3)
    truth, guess = rng.random((2, 6, 2, 10, 10)) < 0.4
    together = Measured.of_counts(
        "overlap", np.stack([compare_masks("overlap", t, g) for t, g in zip(truth, guess, strict=True)])
    )
    alone = [
        Measured.of_counts(
            "overlap",
            np.stack([compare_masks("overlap", t[k : k + 1], g[k : k + 1]) for t, g in zip(truth, guess, strict=True)]),
        )
        for k in (0, 1)
    ]
    for name in ("dice", "dice_pooled"):
        metric = METRICS[name]
        assert together.score(metric) == pytest.approx(np.mean([m.score(metric) for m in alone]))
    np.testing.assert_allclose(
        together.per_sample(METRICS["dice"]), np.mean([m.per_sample(METRICS["dice"]) for m in alone], axis=0)
    )


def test_ignored_pixels_and_the_background_do_not_count_in_maps():
    truth, guess = np.array([[0, 1, 255, 255]]), np.array([[0, 1, 1, 0]])
    counts = compare_maps("overlap", truth, guess, ["background", "car"])
    assert counts.tolist() == [1, 1, 1]
    assert compare_maps("overlap", truth, guess, ["road", "car"]).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert compare_maps("confusion", truth, guess, ["road", "car"]).tolist() == [[1, 0], [0, 1]]


def test_no_sample_has_no_score():
    assert np.isnan(Measured.of_counts("overlap", np.zeros((0, 3), np.int64)).score(METRICS["dice"]))
