"""The compiled warp against bilinear interpolation written down plainly, and against OpenCV."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.data.augment.affine import MODES, affine

BORDERS = list(MODES)


def seen(at, side, border):
    """Indices of pixels at whole places, beyond the edges too, and which of them are none."""
    if border == cv2.BORDER_CONSTANT:
        return at.clip(0, side - 1), (at < 0) | (at >= side)
    if border == cv2.BORDER_REPLICATE or side == 1:
        return at.clip(0, side - 1), np.zeros(at.shape, bool)
    at = np.abs(at) % (2 * side - 2)
    return np.where(at < side, at, 2 * side - 2 - at), np.zeros(at.shape, bool)


def plain(image, matrix, size, border, value, colour=None):
    """Exact bilinear interpolation in float64, at places that are multiples of 1/128."""
    ys, xs = np.mgrid[: size[0], : size[1]]
    x, y = (np.round(128 * (m[0] * xs + m[1] * ys + m[2])) / 128 for m in matrix[:2])
    out = np.zeros((*size, 3))
    for dy in (0, 1):
        for dx in (0, 1):
            row, no_row = seen(np.floor(y).astype(int) + dy, image.shape[0], border)
            column, no_column = seen(np.floor(x).astype(int) + dx, image.shape[1], border)
            weight = np.abs(1 - dx - (x - np.floor(x))) * np.abs(1 - dy - (y - np.floor(y)))
            out += weight[..., None] * np.where((no_row | no_column)[..., None], value, image[row, column])
    if colour is not None:
        out = out @ colour[:, :3].T + colour[:, 3]
    return out.clip(0, 255)


matrices = st.tuples(
    st.floats(-180, 180), st.floats(0.3, 2.5), st.floats(-0.4, 0.4), st.floats(-60, 90), st.floats(-60, 90)
)
sides = st.integers(1, 45)


def matrix_of(numbers):
    turn, zoom, shear, x, y = numbers
    a = np.radians(turn)
    linear = zoom * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ np.array([[1, shear], [0, 1]])
    return np.round(np.column_stack([linear, [x, y]]) * 2**14) / 2**14  # no place is near a tie of rounding


@settings(max_examples=120)
@given(matrices, sides, sides, sides, st.integers(1, 300), st.sampled_from(BORDERS), st.integers(0, 255))
def test_it_is_bilinear_interpolation(numbers, h, w, height, width, border, value):
    rng = np.random.default_rng(h * 100 + w)
    image = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    colour = np.column_stack([rng.uniform(-0.5, 1.2, (3, 3)), rng.uniform(-40, 40, 3)])
    matrix = matrix_of(numbers)
    for change in (None, colour):
        told = affine(image, matrix, (height, width), border, value, change)
        right = plain(image, matrix, (height, width), border, value, change)
        far = np.abs(told - right)
        # half a level of rounding, and for places that lie between two steps of 1/128 what a step makes of them
        assert far.max() <= 0.5 + (2.1 if change is None else 2.1 * np.abs(colour[:, :3]).sum(1).max())
        assert np.median(far) <= 0.52


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("dx", [-30, -1, 0, 3, 25])
def test_whole_steps_and_turns_are_exact(border, dx):
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 256, (37, 53, 3), np.uint8), rng.integers(0, 256, (37, 53), np.uint8)
    how = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
    for linear in ([[1, 0], [0, 1]], [[-1, 0], [0, 1]], [[0, -1], [1, 0]]):
        matrix = np.column_stack([np.array(linear, float), [dx + 40 * (linear[0][0] < 0), 5]])
        right = cv2.warpAffine(image, matrix, (64, 40), None, how, border, (7, 7, 7))
        assert (affine(image, matrix, (40, 64), border, 7) == right).all()
        right = cv2.warpAffine(labels, matrix, (64, 40), None, how, border, (7,))
        assert (affine(labels, matrix, (40, 64), border, 7, nearest=True) == right).all()


@given(matrices, sides, sides, st.sampled_from(BORDERS))
def test_labels_are_picked_where_opencv_picks_them(numbers, h, w, border):
    labels = np.random.default_rng(h).integers(0, 256, (h, w), dtype=np.uint8)
    matrix = matrix_of(numbers)
    told = affine(labels, matrix, (40, 70), border, 255, nearest=True)
    ys, xs = np.mgrid[:40, :70]
    x, y = (np.floor(m[0] * xs + m[1] * ys + m[2] + 0.5).astype(int) for m in matrix)
    (row, no_row), (column, no_column) = seen(y, h, border), seen(x, w, border)
    assert (told == np.where(no_row | no_column, 255, labels[row, column])).all()


def test_on_a_photo_it_is_opencvs_warp():
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8), (0, 0), 2)
    matrix = cv2.getRotationMatrix2D((200, 150), 7, 1.05)
    right = cv2.warpAffine(image, matrix, (320, 256), None, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, 4)
    far = np.abs(affine(image, matrix, (256, 320), cv2.BORDER_REFLECT_101).astype(int) - right)
    assert far.max() <= 1
    assert far.mean() < 0.05


@pytest.mark.parametrize("view", [np.s_[3:40, 5:50], np.s_[::-1], np.s_[:, ::-1], np.s_[:, :, ::-1], np.s_[::2, ::3]])
def test_any_view_of_an_image_is_read(view):
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)
    image.flags.writeable = False
    matrix = cv2.getRotationMatrix2D((20, 20), 30, 1)
    told = affine(image[view], matrix, (32, 32), cv2.BORDER_REFLECT_101)
    assert (told == affine(image[view].copy(), matrix, (32, 32), cv2.BORDER_REFLECT_101)).all()
    assert (affine(image[view][:, :, 0], matrix, (32, 32), 1, nearest=True)).shape == (32, 32)


def test_places_far_outside_are_border():
    image = np.full((5, 6, 3), 9, np.uint8)
    for far in (1e7, -1e7, 1e15):
        matrix = np.array([[1.0, 0, far], [0, 1.0, far]])
        assert (affine(image, matrix, (4, 4), cv2.BORDER_CONSTANT, 3) == 3).all()
        assert (affine(image, matrix, (4, 4), cv2.BORDER_REFLECT_101) == 9).all()
