"""Metrics of several classes: by hand, against scikit-learn where it is there, and against loops over the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from podium.errors import DataError
from podium.metrics import confusion, get_metric
from podium.metrics.pairs import count_pairs

dtypes = st.sampled_from([np.uint8, np.uint16, np.int32, np.int64])


def slow_pairs(truth, predicted, rows, columns):
    table = np.zeros((rows, columns), np.int64)
    for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        table[min(t, rows - 1), min(p, columns - 1)] += 1
    return table


@given(st.data(), dtypes, dtypes, st.integers(1, 30), st.integers(1, 400))
def test_pairs_against_a_loop(data, one, other, rows, columns):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=12))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    truth = rng.integers(0, 1 + min(rows + 2, np.iinfo(one).max), shape).astype(one)
    predicted = np.sort(rng.integers(0, 1 + min(columns + 2, np.iinfo(other).max), shape).astype(other).ravel())
    predicted = predicted.reshape(shape)
    expected = slow_pairs(truth, predicted, rows, columns)
    np.testing.assert_array_equal(count_pairs(truth, predicted, rows, columns), expected)
    np.testing.assert_array_equal(count_pairs(truth.T, predicted.T, rows, columns), expected)


@pytest.mark.parametrize("table", [(1, 1), (16, 16), (16, 17), (256, 256), (256, 257), (2000, 2000)])
def test_every_width_of_cell(table):
    rng = np.random.default_rng(0)
    labels = [np.repeat(rng.integers(0, n, 500), rng.integers(1, 20, 500)).astype(np.uint16) for n in table]
    n = min(map(len, labels))
    truth, predicted = labels[0][:n], labels[1][:n]
    expected = np.zeros(table, np.int64)
    np.add.at(expected, (truth, predicted), 1)
    np.testing.assert_array_equal(count_pairs(truth, predicted, *table), expected)


@given(st.integers(0, 999), st.sampled_from([None, 255, 3, 11]))
def test_confusion_against_scikit_learn(seed, ignore):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 5, (2, 9, 13), dtype=np.uint8)
    if ignore is not None:
        truth[rng.random(truth.shape) < 0.3] = ignore
    counts = truth != ignore if ignore is not None else np.ones(truth.shape, bool)
    expected = sklearn.confusion_matrix(truth[counts], predicted[counts], labels=range(5))
    np.testing.assert_array_equal(confusion(truth, predicted, 5, ignore=ignore), expected)


def test_ids_that_are_no_class():
    truth, predicted = np.array([[0, 1, 255]]), np.array([[0, 2, 1]])
    with pytest.raises(DataError, match="the truth has 1 pixels"):
        confusion(truth, predicted, 3)
    with pytest.raises(DataError, match="the prediction has 1 pixels"):
        confusion(truth, predicted, 2, ignore=255)
    with pytest.raises(DataError, match="the truth has 1 pixels"):
        confusion(np.array([7, 255]), np.array([0, 0]), 3, ignore=255)
    with pytest.raises(DataError, match="label -1"):
        confusion(np.array([-1]), np.array([0]), 3)
    with pytest.raises(DataError, match="integer"):
        confusion(np.array([0.5]), np.array([0]), 3)
    with pytest.raises(DataError, match=r"shape \(1,\)"):
        confusion(np.array([0, 1]), np.array([0]), 3)
    assert confusion(truth, np.array([[0, 1, 9]]).clip(0, 1), 2, ignore=255).tolist() == [[1, 0], [0, 1]]


def test_mean_iou_by_hand():
    one = confusion(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 4)  # IoU 1/2 and 2/3
    other = confusion(np.array([0, 255]), np.array([3, 3]), 4, ignore=255)
    # pooled: class 0 1/3, class 1 2/3; 2 is nowhere and 3 only in the prediction: neither counts
    assert get_metric("mean_iou").score(np.stack([one, other])) == pytest.approx(0.5)
    assert get_metric("pixel_accuracy").score(np.stack([one, other])) == pytest.approx(3 / 5)
    assert np.isnan(get_metric("mean_iou").score(np.zeros((2, 3, 3), np.int64)))


@given(st.integers(0, 999))
def test_mean_iou_against_scikit_learn(seed):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, rng.integers(1, 5), (4, 50)), rng.integers(0, 4, (4, 50))
    tables = np.stack([confusion(t, p, 4) for t, p in zip(truth, predicted, strict=True)])
    present = np.unique(truth)
    expected = sklearn.jaccard_score(truth.ravel(), predicted.ravel(), labels=present, average="macro")
    assert get_metric("mean_iou").score(tables) == pytest.approx(expected)


ENDOVIS = [
    # truth, prediction, score
    ([0, 0, 0], [0, 0, 0], 1.0),
    ([0, 0, 0], [0, 2, 0], 0.0),
    ([0, 1, 1], [0, 0, 0], 0.0),
    ([1, 1, 2, 2], [1, 1, 2, 0], 0.75),
    ([0, 1, 1, 0], [3, 1, 1, 3], 1.0),  # class 3 is not in the truth
    ([0, 0, 2, 2], [2, 2, 2, 2], 0.5),
]


@pytest.mark.parametrize(("truth", "predicted", "score"), ENDOVIS)
def test_endovis_by_hand(truth, predicted, score):
    table = confusion(np.array(truth), np.array(predicted), 4)[None]
    assert get_metric("endovis_iou").per_sample(table).tolist() == [score]


@given(st.integers(0, 9999))
def test_endovis_against_the_authors_way(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, rng.integers(1, 5, (3, 1)), (3, 6)), rng.integers(0, 4, (3, 6))

    def authors(t, p):
        if not t.any():
            return float(not p.any())
        of = [((t == c) & (p == c)).sum() / ((t == c) | (p == c)).sum() for c in set(t.tolist()) - {0}]
        return np.mean(of)

    expected = np.mean([authors(t, p) for t, p in zip(truth, predicted, strict=True)])
    tables = np.stack([confusion(t, p, 4) for t, p in zip(truth, predicted, strict=True)])
    assert get_metric("endovis_iou").score(tables) == pytest.approx(expected)
