"""Run-length masks: round trips, hand-worked golden texts, and every way they can be wrong."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from podium.formats import masks, rle

shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
any_mask = shapes.flatmap(lambda s: hnp.arrays(np.bool_, s))
blocky = st.tuples(any_mask, st.integers(1, 9)).map(lambda p: np.kron(p[0], np.ones((1, p[1]), bool)).astype(bool))
order = st.sampled_from(["row", "column"])


def naive(mask: np.ndarray[Any, Any], order: str) -> str:
    """The numpy version that everyone pastes."""
    pixels = np.concatenate([[0], mask.flatten(order="C" if order == "row" else "F"), [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(x) for x in runs)


@given(any_mask | blocky, order)
@settings(deadline=None)
def test_round_trip_and_peer(mask, order):
    text = rle.encode(mask, order)
    assert text == naive(mask, order)
    assert rle.encode(mask.astype(np.uint8) * 255, order) == text
    np.testing.assert_array_equal(rle.decode(text, mask.shape, order), mask)
    runs = rle.runs_of(mask, order)
    assert runs.dtype == np.int64
    assert rle.format_runs(runs) == text
    np.testing.assert_array_equal(rle.parse(text, mask.size), runs)
    np.testing.assert_array_equal(rle.runs_from_packed(masks.pack(mask), mask.shape[1], order), runs)
    assert rle.area(runs) == mask.sum() == masks.area(masks.pack(mask))
    np.testing.assert_array_equal(masks.unpack(masks.pack(mask), mask.shape[1]), mask)


def test_set_padding_bits_are_no_pixels():
    mask = np.ones((4, 11), bool)
    packed = masks.pack(mask) | np.array([0, 31], np.uint8)
    np.testing.assert_array_equal(rle.runs_from_packed(packed, 11), [[0, 44]])


@given(st.data())
@settings(deadline=None)
def test_intersection_is_that_of_the_pixels(data):
    shape = data.draw(shapes)
    a, b = data.draw(hnp.arrays(np.bool_, shape)), data.draw(hnp.arrays(np.bool_, shape))
    expected = int((a & b).sum())
    assert rle.intersection(rle.runs_of(a), rle.runs_of(b)) == expected
    assert masks.intersection(masks.pack(a), masks.pack(b)) == expected


@given(any_mask, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_touching_runs_are_legal(mask, random):
    pieces = [
        (start + cut, length)
        for start, total in rle.runs_of(mask)
        for cut, length in ([(0, total)] if total == 1 or random.random() < 0.5 else [(0, 1), (1, total - 1)])
    ]
    runs = rle.parse(" ".join(f"{s + 1} {n}" for s, n in pieces), mask.size)
    np.testing.assert_array_equal(rle.mask_of(runs, mask.shape), mask)
    assert rle.intersection(runs, rle.runs_of(mask)) == mask.sum() == rle.intersection(rle.runs_of(mask), runs)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (5, 64), (7, 128), (13, 67)])
@pytest.mark.parametrize("order", ["row", "column"])
def test_empty_and_full(shape, order):
    assert rle.encode(np.zeros(shape, bool), order) == ""
    assert rle.encode(np.ones(shape, bool), order) == f"1 {shape[0] * shape[1]}"
    assert rle.decode("", shape, order).sum() == 0
    assert rle.decode(f"1 {shape[0] * shape[1]}", shape, order).all()


def test_by_hand():
    mask = np.array([[0, 1, 1], [1, 0, 0]], bool)
    assert rle.encode(mask, "row") == "2 3"
    assert rle.encode(mask, "column") == "2 2 5 1"
    np.testing.assert_array_equal(rle.decode("2 2 5 1", (2, 3), "column"), mask)


@pytest.mark.parametrize("text", ["", " ", "\t\n", "nan", "NaN", " nan "])
def test_blank_is_the_empty_mask(text):
    assert rle.parse(text, 10).shape == (0, 2)


def test_any_blanks_and_leading_zeros():
    np.testing.assert_array_equal(rle.parse(" 01  2\t5 3\r\n", 10), [[0, 2], [4, 3]])


@pytest.mark.parametrize(
    ("text", "kind", "position", "value"),
    [
        ("1 2 x 4", "not a number", 3, "x"),
        ("1 2.5", "not a number", 2, "2.5"),
        ("1,2", "not a number", 1, "1,2"),
        ("1 2 +3 1", "not a number", 3, "+3"),
        ("1 2 ３ 1", "not a number", 3, "３"),
        ("1e3 2", "not a number", 1, "1e3"),
        ("1 2 nan", "not a number", 3, "nan"),
        ("1 2\x0b3 4", "not a number", 2, "2\x0b3"),
        ("-", "not a number", 1, "-"),
        ("1 2 3", "odd count", 3, "3"),
        ("7", "odd count", 1, "7"),
        ("0 4", "start", 1, "0"),
        ("-3 4", "start", 1, "-3"),
        ("1 2 -0 1", "start", 3, "-0"),
        ("4 0", "length", 2, "0"),
        ("4 -1", "length", 2, "-1"),
        ("1 2 99 4", "out of range", 4, "4"),
        ("1 2 101 1", "out of range", 3, "101"),
        ("100 2", "out of range", 2, "2"),
        ("1 101", "out of range", 2, "101"),
        ("9223372036854775808 1", "out of range", 1, "9223372036854775808"),
        ("1 18446744073709551617", "out of range", 2, "18446744073709551617"),
        ("1 " + "9" * 5000, "out of range", 2, "9" * 37 + "…"),
        ("-" + "9" * 30 + " 1", "start", 1, "-" + "9" * 30),
        ("1 5 3 2", "overlapping", 3, "3"),
        ("1 5 1 2", "overlapping", 3, "1"),
        ("10 5 3 2", "unsorted", 3, "3"),
        ("1 2 50 5 20 5", "unsorted", 5, "20"),
    ],
)
def test_faults_name_the_number(text, kind, position, value):
    with pytest.raises(rle.RleError) as caught:
        rle.parse(text, 100, "submission.csv line 3")
    error = caught.value
    assert (error.kind, error.position, error.value) == (kind, position, value)
    assert "submission.csv line 3" in str(error)
    assert value in str(error)
    assert error.expected


def test_the_error_survives_a_worker_process():
    with pytest.raises(rle.RleError) as caught:
        rle.parse("4 0", 9, "line 3")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.kind, copy.position, copy.value) == (str(caught.value), "length", 2, "0")


def test_without_a_size_only_absurd_numbers_are_out_of_range():
    assert rle.area(rle.parse("1 999999999999999999")) == 999999999999999999
    with pytest.raises(rle.RleError, match="reaches past the last pixel"):
        rle.parse("1 1000000000000000000")
    with pytest.raises(rle.RleError, match="reaches past the last pixel"):
        rle.parse("900000000000000000 900000000000000000")


@given(st.text(st.sampled_from("0123456789 -+.x"), max_size=30))
@settings(deadline=None)
def test_never_anything_but_runs_or_an_rle_error(text):
    try:
        runs = rle.parse(text, 1000)
    except rle.RleError:
        return
    assert (runs[:, 1] > 0).all()
    assert (runs[1:, 0] >= runs[:-1, 0] + runs[:-1, 1]).all()
    assert not len(runs) or runs[-1].sum() <= 1000
