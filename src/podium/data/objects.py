"""Objects that touch: what a network learns of them, and how its answer becomes objects again."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int32]

INSIDE, RIM = 1, 2
"""Bits of a pixel's target: it belongs to an object; and it lies at that object's edge."""


def inside_and_rim(labels: NDArray[Any], width: int = 1) -> Pixels:
    """The target of a network that tells objects apart: bits `INSIDE` and `RIM`, uint8 (H, W).

    Args:
        labels: Numbers of objects, 0 = none, (H, W).
        width: Pixels of an object that are its rim, counted from where it meets another object or the background.
            The frame of the image is no rim.
    """
    inside = labels > 0
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    values = labels.astype(np.float32)  # exact for numbers below 2^24
    low, high = cv2.erode(values, kernel), cv2.dilate(values, kernel)  # beyond the frame nothing is looked at
    rim = inside & (np.asarray(low) != np.asarray(high))
    return np.asarray(inside * np.uint8(INSIDE) | rim * np.uint8(RIM), np.uint8)


def split_objects(probs: Pixels, *, threshold: float, rim: float, min_area: int) -> Labels:
    """Objects from the probabilities of inside and rim: a watershed from their cores.

    Seeds are the connected parts that are inside and no rim; a part without any is a seed itself. From the seeds the
    foreground is flooded, the surest pixels first.

    Args:
        probs: uint8 (H, W, 2), 255 = 1: inside, rim; original size.
        threshold: A pixel is foreground where it is inside above this probability.
        rim: A pixel is no seed where it is rim above this probability.
        min_area: Objects of fewer pixels are left out.

    Returns:
        int32 (H, W), objects numbered from 1 without gaps.

    Source: Meyer 1994, Topographic distance and watershed lines (flooding from markers, without lines).
    """
    from podium.data import flooding

    foreground = probs[:, :, 0] > threshold * 255
    seeds = _numbered(foreground & (probs[:, :, 1] <= rim * 255))
    _seed_the_rest(foreground, seeds)
    height = np.where(foreground, np.maximum(255 - probs[:, :, 0], probs[:, :, 1]), 255).astype(np.uint8)
    flooding.flood(height, foreground, seeds)
    return without_small(seeds, min_area)


def objects_of(mask: NDArray[np.bool_], min_area: int = 0) -> Labels:
    """The connected parts of a mask, numbered from 1."""
    return without_small(_numbered(mask), min_area)


def without_small(labels: Labels, min_area: int) -> Labels:
    """The objects of at least ``min_area`` pixels, numbered from 1 without gaps in the order they had."""
    areas = np.bincount(labels.ravel(), minlength=1)
    kept = areas >= max(1, min_area)
    kept[0] = False
    new = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(new[labels])


def _numbered(mask: NDArray[np.bool_]) -> Labels:
    if not mask.size:  # which OpenCV does not survive
        return np.zeros(mask.shape, np.int32)
    _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    return np.asarray(labels, np.int32)


def _seed_the_rest(foreground: NDArray[np.bool_], seeds: Labels) -> None:
    """Give the parts of the foreground that have no seed one that is all of them, in place."""
    parts = _numbered(foreground)
    seeded = np.zeros(int(parts.max(initial=0)) + 1, bool)
    seeded[parts[seeds > 0]] = True
    rest = foreground & ~seeded[parts]
    if rest.any():
        seeds[rest] = parts[rest] + int(seeds.max(initial=0))


def runs_of_objects(labels: Labels, order: Literal["row", "column"]) -> list[NDArray[np.int64]]:
    """The runs of each object, as `rle.Runs`; in one pass over the pixels.

    Args:
        labels: int32 (H, W), objects numbered from 1 without gaps.
        order: Whether pixels are counted along rows or down columns.
    """
    flat = np.ascontiguousarray(labels if order == "row" else labels.T).ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1]) if flat.size else np.zeros(0, np.int64)
    lengths, numbers = np.diff(np.append(starts, flat.size)), flat[starts]
    by_object = np.argsort(numbers, kind="stable")
    runs = np.stack([starts, lengths], axis=1)[by_object]
    edges = np.searchsorted(numbers[by_object], np.arange(1, int(flat.max(initial=0)) + 2))
    return [runs[a:b] for a, b in itertools.pairwise(edges)]
