"""Objects from what a network says of their insides and rims, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from podium.data.objects import (
    INSIDE,
    RIM,
    inside_and_rim,
    objects_of,
    runs_of_objects,
    split_objects,
    without_small,
)
from podium.formats import rle
from podium.metrics import hits


def discs(centres, radius=8, size=(60, 70)):
    """Discs numbered in order; a later one keeps off what earlier ones have."""
    y, x = np.mgrid[: size[0], : size[1]]
    labels = np.zeros(size, np.uint16)
    for number, (cy, cx) in enumerate(centres, 1):
        labels[((y - cy) ** 2 + (x - cx) ** 2 < radius**2) & (labels == 0)] = number
    return labels


def as_probs(target):
    """What a network says that has learnt a target perfectly."""
    return np.stack([(target & INSIDE > 0), (target & RIM > 0)], axis=2).astype(np.uint8) * 255


def split(probs, **changes):
    return split_objects(probs, **{"threshold": 0.5, "rim": 0.5, "min_area": 1, **changes})


labels_of_any_kind = st.builds(
    lambda seed, n, h, w: np.random.default_rng(seed).integers(0, n, (h, w)).astype(np.uint16),
    st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 12), st.integers(1, 12),
)  # fmt: skip


@given(labels_of_any_kind)
def test_the_rim_is_where_a_neighbour_differs(labels):
    target = inside_and_rim(labels)
    h, w = labels.shape
    for y in range(h):
        for x in range(w):
            around = labels[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            rim = bool(labels[y, x]) and (around != labels[y, x]).any()
            assert target[y, x] == INSIDE * bool(labels[y, x]) + RIM * rim


def test_touching_objects_come_back_apart_and_whole():
    labels = discs([(20, 20), (20, 35), (33, 27), (50, 60), (5, 60)])
    found = split(as_probs(inside_and_rim(labels)))
    assert found.max() == 5
    assert hits(labels, found)[:, 0].tolist() == [5] * 10, "each has an IoU above .95"
    assert ((found > 0) == (labels > 0)).all()


def test_objects_too_small_to_have_a_core_are_kept():
    labels = np.zeros((12, 12), np.uint16)
    labels[2:4, 2:4], labels[8, 8] = 1, 2
    found = split(as_probs(inside_and_rim(labels)))
    assert (found > 0).sum() == 5
    assert found.max() == 2
    assert split(as_probs(inside_and_rim(labels)), min_area=2).max() == 1


def test_nothing_comes_of_nothing():
    assert split(np.zeros((7, 5, 2), np.uint8)).max() == 0
    assert split(np.zeros((0, 5, 2), np.uint8)).shape == (0, 5)


@given(st.integers(0, 10**6))
def test_the_flood_covers_what_is_connected_to_a_seed_and_nothing_else(seed):
    """Against scipy's parts: every part of the foreground is covered, and no object spans two of them."""
    rng = np.random.default_rng(seed)
    probs = ndimage.uniform_filter(rng.integers(0, 256, (24, 20, 2)), (5, 5, 1)).astype(np.uint8)
    found = split(probs)
    foreground = probs[:, :, 0] > 127.5
    assert ((found > 0) == foreground).all()
    parts, _ = ndimage.label(foreground)
    for number in range(1, found.max() + 1):
        assert len(np.unique(parts[found == number])) == 1
        assert ndimage.label(found == number)[1] == 1, "an object is in one piece"
    seeds, n = ndimage.label(foreground & (probs[:, :, 1] <= 127.5))
    without = sum(1 for p in range(1, parts.max() + 1) if not (seeds[parts == p] > 0).any())
    assert found.max() == n + without


@given(labels_of_any_kind, st.sampled_from(["row", "column"]))
def test_runs_of_objects_are_those_of_each_mask(labels, order):
    numbered = without_small(labels.astype(np.int32), 1)
    found = runs_of_objects(numbered, order)
    assert len(found) == numbered.max()
    for number, runs in enumerate(found, 1):
        np.testing.assert_array_equal(runs, rle.runs_of(numbered == number, order))


def test_parts_of_a_mask():
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
    assert objects_of(mask).max() == 3
    assert objects_of(mask, 2).max() == 2


@pytest.mark.parametrize("min_area", [1, 3])
def test_small_objects_are_left_out_and_the_rest_renumbered(min_area):
    labels = np.array([[5, 5, 5, 0, 9, 2, 2, 2]], np.int32)
    assert without_small(labels, min_area).tolist() == (
        [[2, 2, 2, 0, 3, 1, 1, 1]] if min_area == 1 else [[2, 2, 2, 0, 0, 1, 1, 1]]
    )
