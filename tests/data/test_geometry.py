"""Into the frame and exactly back."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.data.geometry import (
    Canvas,
    Spatial,
    canvas_for,
    mask_at,
    place,
    resize,
    resize_labels,
    round_up,
    unplace,
)
from podium.errors import DataError

sides = st.integers(1, 40)
pads = st.sampled_from(["reflect", "edge", "zero"])
pad_sides = st.sampled_from(["both", "end"])


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# ---------------------------------------------------------------------- padding


@given(sides, sides, st.sampled_from([1, 8, 32]), st.booleans(), pads, pad_sides, st.integers(0, 99))
def test_unplace_is_the_exact_inverse_of_place(h, w, pad_to, colour, pad, side, seed):
    image = noise((h, w, 3) if colour else (h, w), seed)
    frame = canvas_for((h, w), pad_to, pad=pad, side=side)
    placed = frame.place(image)
    assert placed.shape[:2] == (frame.height, frame.width)
    assert (placed[frame.inside((h, w))] == image).all()
    assert set(np.unique(placed)) <= {*np.unique(image), 0}
    if side == "end":
        assert frame.inside((h, w)) == (slice(0, h), slice(0, w))
    if pad == "zero":
        outside = np.ones(placed.shape[:2], bool)
        outside[frame.inside((h, w))] = False
        assert not placed[outside].any()


@pytest.mark.parametrize(
    ("pad", "side", "row"),
    [
        ("reflect", "both", [3, 2, 1, 2, 3, 2, 1]),
        ("reflect", "end", [1, 2, 3, 2, 1, 2, 3]),
        ("edge", "both", [1, 1, 1, 2, 3, 3, 3]),
        ("edge", "end", [1, 2, 3, 3, 3, 3, 3]),
        ("zero", "both", [0, 0, 1, 2, 3, 0, 0]),
        ("zero", "end", [1, 2, 3, 0, 0, 0, 0]),
    ],
)
def test_what_the_padding_shows(pad, side, row):
    assert place(np.array([[1, 2, 3]] * 3, np.uint8), 3, 7, pad, side).tolist() == [row] * 3


def test_a_full_hd_car_gets_the_winners_frame():
    car = (1280, 1918)
    frame = canvas_for(car, 64, pad="zero", side="end")
    assert (frame.height, frame.width) == (1280, 1920)
    assert frame.inside(car) == unplace(car, 1280, 1920, "end") == (slice(0, 1280), slice(0, 1918))
    assert canvas_for(car, 64).inside(car) == (slice(0, 1280), slice(1, 1919))


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


# ---------------------------------------------------------------------- resizing


def test_resize_averages_when_shrinking_and_keeps_what_fits():
    image = np.array([[0, 100], [100, 200]], np.uint8)
    assert resize(image, [2, 2]) is image
    assert resize(image, [1, 1]).tolist() == [[100]]
    assert resize(np.zeros((4, 6, 3), np.uint8), [8, 3]).shape == (8, 3, 3)


@pytest.mark.parametrize("channels", [1, 2, 5, 130, 600])
@pytest.mark.parametrize("size", [(6, 5), (30, 40), (6, 40)])
def test_any_number_of_channels_is_resized_each_as_if_alone(channels, size):
    image = noise((12, 15, channels))
    out = resize(image, size)
    assert out.shape == (*size, channels)
    for c in (0, channels - 1):
        assert (out[:, :, c] == resize(np.ascontiguousarray(image[:, :, c]), size)).all()


@given(sides, sides, sides, sides, st.integers(0, 99))
def test_labels_are_never_mixed(h, w, height, width, seed):
    labels = np.random.default_rng(seed).integers(0, 60_000, (h, w)).astype(np.uint16)
    out = resize_labels(labels, (height, width))
    assert out.shape == (height, width)
    assert out.dtype == labels.dtype
    assert set(np.unique(out)) <= set(np.unique(labels))


def test_labels_are_those_under_the_pixel_centres():
    labels = np.arange(6).reshape(1, 6)
    assert resize_labels(labels, (1, 3)).tolist() == [[1, 3, 5]]
    assert resize_labels(labels, (2, 12)).tolist() == [np.repeat(range(6), 2).tolist()] * 2
    image = noise((17, 23))
    assert (resize_labels(image, (9, 31)) == cv2.resize(image, (31, 9), interpolation=cv2.INTER_NEAREST_EXACT)).all()


# ---------------------------------------------------------------------- crop, resize, and back


@st.composite
def spatials(draw, resizing):
    """(spatial, original shape) that fit together."""
    h, w = draw(st.integers(4, 40)), draw(st.integers(4, 40))
    kind = draw(st.sampled_from(["none", "crop", "centre"]))
    crop = centre = None
    if kind == "crop":
        top, left = draw(st.integers(0, h - 2)), draw(st.integers(0, w - 2))
        crop = (top, left, draw(st.integers(1, h - top)), draw(st.integers(1, w - left)))
    elif kind == "centre":
        centre = (draw(sides), draw(sides))
    size = (draw(st.integers(1, 60)), draw(st.integers(1, 60))) if resizing else None
    return Spatial(crop, centre, size, bool(size) and draw(st.booleans())), (h, w)


@given(spatials(resizing=False), st.sampled_from([(), (1,), (3,), (7,)]), st.integers(0, 99))
def test_restore_is_the_exact_inverse_where_nothing_was_resized(case, channels, seed):
    spatial, shape = case
    image = noise((*shape, *channels), seed)
    cut = spatial.image(image)
    assert cut.shape[:2] == spatial.shape(shape)
    back = spatial.restore(cut, shape)
    top, left, h, w = spatial.box(shape)
    wanted = np.zeros_like(image)
    wanted[top : top + h, left : left + w] = image[top : top + h, left : left + w]
    assert (back == wanted).all()
    assert (spatial.image(back) == cut).all()


@given(spatials(resizing=True), st.sampled_from([(), (1,), (3,), (7,)]), st.integers(0, 99))
def test_every_way_in_has_a_way_back_of_the_original_shape(case, channels, seed):
    spatial, shape = case
    image = noise((*shape, *channels), seed)
    inner = spatial.image(image)
    assert inner.shape == (*spatial.shape(shape), *channels)
    assert all(a <= b for a, b in zip(spatial.shape(shape), spatial.size, strict=True))
    back = spatial.restore(inner, shape)
    assert back.shape == image.shape
    assert back.dtype == image.dtype
    top, left, h, w = spatial.box(shape)
    back[top : top + h, left : left + w] = 0
    assert not back.any()
    assert spatial.mask(image > 127).shape == inner.shape
    assert spatial.mask(image[..., 0] if channels else image, "labels").shape == spatial.shape(shape)


@pytest.mark.parametrize(("size", "error"), [((32, 48), 6), ((64, 96), 1), ((100, 130), 1)])
def test_a_smooth_image_comes_back_from_another_size(size, error):
    y, x = np.mgrid[:80, :100]
    smooth = (127 + 100 * np.sin(y / 15) * np.cos(x / 15)).astype(np.uint8)
    spatial = Spatial(crop=(8, 4, 64, 96), size=size)
    difference = spatial.restore(spatial.image(smooth), (80, 100)).astype(int) - smooth
    assert np.abs(difference[12:68, 8:96]).max() <= error + 1


def test_the_instruments_are_cut_as_their_winners_did():
    frame = noise((1080, 1920))
    spatial = Spatial(crop=(28, 320, 1024, 1280))
    assert (spatial.image(frame) == frame[28:1052, 320:1600]).all()
    back = spatial.restore(np.full((1024, 1280), 255, np.uint8), (1080, 1920))
    assert back.sum() == 255 * 1024 * 1280
    assert back[28, 320] == back[1051, 1599] == 255
    assert back[27, 320] == back[28, 319] == back[1052, 1599] == back[1051, 1600] == 0


def test_the_middle_is_the_middle_or_what_there_is():
    spatial = Spatial(centre=(512, 512))
    assert spatial.box((576, 576)) == (32, 32, 512, 512)
    assert spatial.box((576, 400)) == (32, 0, 512, 400)
    assert spatial.box((513, 515)) == (0, 1, 512, 512)


def test_a_crop_that_does_not_fit_is_an_error_that_says_so():
    with pytest.raises(DataError, match=r"crop of 1280x1024 at \(28, 320\) .* image of 640x480"):
        Spatial(crop=(28, 320, 1024, 1280)).shape((480, 640))


def test_the_aspect_is_kept():
    spatial = Spatial(size=(64, 64), keep_aspect=True)
    assert [spatial.shape(s) for s in ((100, 200), (200, 100), (10, 10), (1, 500))] == [
        (32, 64),
        (64, 32),
        (64, 64),
        (1, 64),
    ]


def test_a_binary_mask_is_set_where_half_of_the_area_is():
    mask = np.zeros((4, 4), bool)
    mask[:, :1] = mask[0, 1] = True
    spatial = Spatial(size=(2, 2))
    mask[2, 0] = False
    assert spatial.mask(mask).tolist() == [[True, False], [False, False]]
    assert spatial.mask(mask.astype(np.uint8)).dtype == np.bool_
    assert Spatial().mask(mask.astype(np.uint8)).dtype == np.bool_


# ---------------------------------------------------------------------- masks at original size


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


def test_mask_at_puts_a_crop_back():
    mask = mask_at(np.full((4, 4), 200, np.uint8), (10, 10), 0.5, Spatial(crop=(2, 3, 4, 4)))
    assert [int(n) for n in (mask.sum(), *np.argwhere(mask)[0], *np.argwhere(mask)[-1])] == [16, 2, 3, 5, 6]
