"""Connected parts of masks, against a plain flood fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from podium.data.parts import hulls, smoothed, tidied, without_specks

SIDES, CORNERS = ((0, 1), (1, 0), (0, -1), (-1, 0)), ((1, 1), (1, -1), (-1, 1), (-1, -1))
masks = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def of(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


def parts_of(mask, steps=SIDES):
    """The sets of pixels that hang together, in the order of their first pixels."""
    left, found = {tuple(map(int, p)) for p in np.argwhere(mask)}, []
    while left:
        part, new = set(), [min(left)]
        while new:
            y, x = new.pop()
            if (y, x) in left:
                left.remove((y, x))
                part.add((y, x))
                new += [(y + dy, x + dx) for dy, dx in steps]
        found.append(part)
    return found


def painted(shape, parts):
    out = np.zeros(shape, bool)
    for part in parts:
        for pixel in part:
            out[pixel] = True
    return out


@given(masks, st.integers(1, 12))
def test_parts_of_fewer_pixels_are_left_out(mask, least):
    assert (tidied(mask, min_area=least) == painted(mask.shape, [p for p in parts_of(mask) if len(p) >= least])).all()


@given(masks)
def test_the_largest_part_stays_and_of_equals_the_first(mask):
    parts = parts_of(mask)
    assert (tidied(mask, largest=True) == painted(mask.shape, [max(parts, key=len)] if parts else [])).all()


@given(masks)
def test_background_without_a_way_to_the_edge_is_filled(mask):
    h, w = mask.shape
    closed = [p for p in parts_of(~mask, SIDES + CORNERS) if not any(y in (0, h - 1) or x in (0, w - 1) for y, x in p)]
    assert (tidied(mask, fill_holes=True) == mask | painted(mask.shape, closed)).all()


def test_holes_are_filled_before_areas_are_counted():
    ring = of(".....", ".###.", ".#.#.", ".###.", "....#")
    assert tidied(ring, min_area=9).sum() == 0
    assert tidied(ring, min_area=9, fill_holes=True).sum() == 9


def test_a_way_out_through_a_corner_is_one():
    assert tidied(of("....", ".##.", "#.#.", ".##."), fill_holes=True).sum() == 6  # open at the upper left
    assert tidied(of("###", "#.#", "###"), fill_holes=True).all()


def test_nothing_asked_for_changes_nothing_and_what_is_given_stays_as_it_is():
    mask = of("#.#", ".#.")
    before = mask.copy()
    assert (tidied(mask) == mask).all()
    tidied(mask, fill_holes=True, min_area=3, largest=True)
    assert (mask == before).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_planes_of_a_stack_of_any_layout(order):
    stack = np.asarray(np.moveaxis(np.stack([of("##.", "..#"), of("#..", "...")], axis=2), 2, 0), order=order)
    assert [tidied(plane, min_area=2).sum() for plane in stack] == [2, 0]


def test_a_speck_takes_the_next_most_probable_class_pixel_by_pixel():
    labels = np.array([[0, 0, 0, 2, 2], [0, 1, 0, 2, 2], [0, 0, 0, 1, 2]], np.uint8)
    probs = (labels[:, :, None] == np.arange(3)).astype(np.uint8) * 200
    probs[1, 1, 0], probs[2, 3, 2], probs[2, 3, 0] = 30, 20, 10
    wanted = labels.copy()
    wanted[1, 1], wanted[2, 3] = 0, 2
    assert (without_specks(probs, labels, [1, 2, 1]) == wanted).all()
    assert (without_specks(probs, labels, [1, 1, 1]) == labels).all()
    assert (without_specks(probs, labels, [9, 1, 1])[labels == 0] == 1).all(), "nothing else is probable: the first"


def test_hulls_of_each_part_by_hand() -> None:
    mask = np.zeros((12, 12), bool)
    mask[1:6, 1] = mask[5, 1:6] = True  # an L: its hull is the triangle
    mask[8:10, 8:11] = True  # convex already
    found = hulls(mask)
    assert found[3, 2]
    assert not found[1, 5]
    assert (found & mask == mask).all()
    assert found[7:, 7:].sum() == 6


@given(masks)
def test_hulls_keep_every_pixel(mask: np.ndarray) -> None:
    before = mask.copy()
    found = hulls(mask)
    assert (found >= mask).all()
    assert (mask == before).all()


def test_smoothing_takes_a_spike_away_and_leaves_straight_edges() -> None:
    mask = np.zeros((30, 30), bool)
    mask[:, :15] = True
    assert (smoothed(mask, 2.0) == mask).all()
    spiked = mask.copy()
    spiked[10, 15:25] = True
    found = smoothed(spiked, 2.0)
    assert not found[:, 17:].any()
    assert found[:, :15].all()
    assert (smoothed(spiked, 0) == spiked).all()


def test_a_mask_of_too_few_pixels_in_all_is_empty() -> None:
    mask = np.zeros((10, 10), bool)
    mask[1, 1:4] = mask[6, 1:4] = True
    assert tidied(mask, empty_area=6).sum() == 6
    assert tidied(mask, empty_area=7).sum() == 0
    assert tidied(mask, min_area=4).sum() == 0
