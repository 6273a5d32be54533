"""Into the frame and exactly back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.data.geometry import Canvas, canvas_for, mask_at, place, resize, round_up, unplace

sides = st.integers(1, 40)


@given(sides, sides, st.sampled_from([1, 8, 32]), st.booleans(), st.integers(0, 99))
def test_unplace_is_the_exact_inverse_of_place(h, w, pad_to, colour, seed):
    shape = (h, w, 3) if colour else (h, w)
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    frame = canvas_for((h, w), pad_to)
    placed = place(image, frame.height, frame.width)
    assert placed.shape[:2] == (frame.height, frame.width)
    assert (placed[unplace((h, w), frame.height, frame.width)] == image).all()
    assert set(np.unique(placed)) <= set(np.unique(image))


def test_the_border_is_a_reflection():
    assert place(np.array([[1, 2, 3]] * 3, np.uint8), 3, 7).tolist()[0] == [3, 2, 1, 2, 3, 2, 1]


@given(sides, sides, st.integers(1, 64), st.none() | st.integers(8, 100))
def test_a_canvas_is_a_multiple_and_not_smaller_and_hardly_larger(h, w, pad_to, crop):
    canvas = canvas_for((h, w), pad_to, crop)
    wanted = (crop, crop) if crop else (h, w)
    assert canvas.crop == bool(crop)
    for got, side in zip((canvas.height, canvas.width), wanted, strict=True):
        assert got % pad_to == 0
        assert side <= got < side + pad_to


def test_canvas_of_an_aligned_image_is_the_image():
    assert canvas_for((64, 96), 32) == Canvas(64, 96)
    assert [round_up(n, 32) for n in (1, 32, 33)] == [32, 32, 64]


def test_resize_averages_when_shrinking_and_keeps_what_fits():
    image = np.array([[0, 100], [100, 200]], np.uint8)
    assert resize(image, [2, 2]) is image
    assert resize(image, [1, 1]).tolist() == [[100]]
    assert resize(np.zeros((4, 6, 3), np.uint8), [8, 3]).shape == (8, 3, 3)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_mask_at_the_same_size_is_a_plain_threshold(threshold):
    probs = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (mask_at(probs, (16, 16), threshold) == (probs / 255 > threshold)).all()


def test_mask_at_another_size_has_that_size_and_place():
    probs = np.zeros((8, 8), np.uint8)
    probs[:, 4:] = 255
    mask = mask_at(probs, (32, 64), 0.5)
    assert mask.shape == (32, 64)
    assert mask.dtype == np.bool_
    assert (mask == (np.arange(64) >= 32)).all()
