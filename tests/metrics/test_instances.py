"""Instance matching and boundaries: by hand, against the plain loops and pycocotools."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import DataError
from podium.metrics import Counts, boundary_counts, get_metric, hits
from podium.metrics.boundary import band
from podium.metrics.instances import hits_by_area

DSB = get_metric("dsb2018")


def maps(*rows):
    return np.array([[int(c) for c in row] for row in rows])


@pytest.mark.parametrize(
    ("truth", "predicted", "score"),
    [
        (maps("000"), maps("000"), 1.0),
        (maps("000"), maps("011"), 0.0),
        (maps("110"), maps("000"), 0.0),
        (maps("112233"), maps("778899"), 1.0),  # numbers do not matter, nor that some are missing
        (maps("110000"), maps("111100"), 0.0),  # IoU is exactly 1/2: not above the first threshold
        (maps("111000"), maps("111100"), 0.5),  # IoU 3/4: above .50 … .70, five of ten
        (maps("1122"), maps("1103"), 0.1 * 10 * 1 / 3),  # one hit, one miss (IoU 1/2), one false alarm
        (maps("1111"), maps("1122"), 0.0),  # split: both halves are 1/2
    ],
)
def test_dsb2018_by_hand(truth, predicted, score):
    assert DSB.score(hits(truth, predicted)[None]) == pytest.approx(score)


def slow(truth, predicted):
    """Every object against every other, with fractions."""
    rows = []
    for k in range(10, 20):
        true = [truth == v for v in np.unique(truth) if v]
        guessed = [predicted == v for v in np.unique(predicted) if v]
        tp = sum(Fraction(int((t & p).sum()), int((t | p).sum())) > Fraction(k, 20) for t in true for p in guessed)
        rows.append([tp, len(guessed) - tp, len(true) - tp])
    return np.array(rows)


@given(st.integers(0, 9999), st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]), st.sampled_from([1, 7, 3000]))
def test_hits_against_every_pair(seed, dtype, factor):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 5, (3, 4)), np.ones((4, 5), int))
    predicted = np.where(rng.random(truth.shape) < rng.choice([0, 0.1, 0.4]), rng.integers(0, 6, truth.shape), truth)
    if factor * 6 <= np.iinfo(dtype).max:
        truth, predicted = truth * factor, predicted * factor
    found = hits(truth.astype(dtype), predicted.astype(dtype))
    np.testing.assert_array_equal(found, slow(truth, predicted))
    areas = np.bincount(predicted.ravel())
    least = [0, 15, 25]
    for limit, each in zip(least, hits_by_area(truth.astype(dtype), predicted.astype(dtype), least), strict=True):
        np.testing.assert_array_equal(each, slow(truth, np.where(areas[predicted] < limit, 0, predicted)))


def test_iou_of_pairs_is_that_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(3)
    truth = np.kron(rng.integers(0, 9, (6, 6)), np.ones((7, 7), int))
    predicted = np.roll(truth, (1, 2), (0, 1))

    def objects(labels):
        stack = np.stack([labels == v for v in np.unique(labels) if v], axis=2)
        return coco.encode(np.asfortranarray(stack.astype(np.uint8)))

    iou = coco.iou(objects(predicted), objects(truth), [0] * len(objects(truth)))
    expected = [(iou > k / 20 + 1e-12).sum() for k in range(10, 20)]
    assert hits(truth, predicted)[:, 0].tolist() == expected


def test_what_is_no_label_map():
    with pytest.raises(DataError, match="shape"):
        hits(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(DataError, match="integer"):
        hits(np.zeros((2, 2)), np.zeros((2, 2)))
    assert hits(np.zeros((0, 4), int), np.zeros((0, 4), int)).shape == (10, 3)


def authors_band(mask, width):
    """Cheng et al.'s code: a border of zeros, ``width`` erosions by 3x3."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)
    return (mask.astype(np.uint8) - eroded[1:-1, 1:-1]).astype(bool)


@given(st.integers(0, 9999), st.integers(1, 6))
def test_the_band_is_the_authors(seed, width):
    rng = np.random.default_rng(seed)
    mask = cv2.GaussianBlur(rng.random((23, 31)), (0, 0), 3) > rng.choice([0.0, 0.47, 0.5, 0.53, 2.0])
    np.testing.assert_array_equal(band(mask, width), authors_band(mask, width))


def test_boundary_iou_by_hand():
    truth = np.zeros((20, 20), bool)
    truth[5:15, 5:15] = True  # diagonal 28.3: a band of 1 pixel, 36 of them
    hole = truth.copy()
    hole[8:12, 8:12] = False  # the same outline, and an inner one of 20 pixels (with its corners)
    metric = get_metric("boundary_iou")
    assert boundary_counts(truth, truth) == (36, 36, 36)
    assert metric.score(Counts.of([boundary_counts(truth, hole)])) == pytest.approx(36 / 56)
    empty = np.zeros_like(truth)
    assert metric.score(Counts.of([boundary_counts(empty, empty)])) == 1
    assert metric.score(Counts.of([boundary_counts(truth, empty)])) == 0
