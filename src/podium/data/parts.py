"""Connected parts of predicted masks: smoothed, holes filled, small ones left out, the largest kept, convex hulls.

Pixels are connected where they share a side. So a hole is closed where its background has no way out, not even through
a corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def tidied(
    mask: Mask,
    *,
    smooth: float = 0.0,
    fill_holes: bool = False,
    min_area: int = 1,
    largest: bool = False,
    hull: bool = False,
    empty_area: int = 1,
) -> Mask:
    """A mask (H, W) with its outlines smoothed, its holes filled, without parts of fewer pixels, of the rest the
    largest alone, each part as its convex hull; and empty if that leaves fewer pixels in all than ``empty_area``."""
    if smooth:
        mask = smoothed(mask, smooth)
    if not mask.any():  # nor are there holes
        return mask
    if fill_holes:
        mask = mask | _holes(mask)
    if min_area > 1 or largest:
        mask = _kept(mask, min_area, largest)
    if hull:
        mask = hulls(mask)
    if empty_area > 1 and np.count_nonzero(mask) < empty_area:
        return np.zeros_like(mask)
    return mask


def smoothed(mask: Mask, sigma: float) -> Mask:
    """A mask whose outlines have no detail much smaller than ``sigma`` pixels; straight edges stay where they are.

    Each pixel goes with most of its surroundings, weighed by a Gaussian; beyond the frame the mask goes on as a mirror.
    """
    if sigma <= 0 or not mask.size:
        return mask
    light = np.ascontiguousarray(mask).view(np.uint8).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) > 0.5)


def hulls(mask: Mask) -> Mask:
    """Each connected part as its convex hull, its own pixels included; hulls that meet become one part."""
    outlines, _ = cv2.findContours(
        np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    out = np.ascontiguousarray(mask).view(np.uint8).copy()
    for outline in outlines:
        cv2.fillConvexPoly(out, cv2.convexHull(outline), 1)
    return out.astype(np.bool_)


def _kept(mask: Mask, min_area: int, largest: bool) -> Mask:
    labels, areas = _parts(mask)
    kept = areas >= min_area
    kept[0] = False
    if largest:  # of equals the first from the top
        kept &= np.arange(len(areas)) == np.argmax(np.where(kept, areas, 0))
    return np.asarray(kept[labels])


def without_specks(probs: NDArray[Any], labels: NDArray[np.uint8], min_area: Sequence[int]) -> NDArray[np.uint8]:
    """A map of classes whose small parts have the class that is the next most probable, pixel by pixel.

    Args:
        probs: (H, W, C).
        labels: The most probable class of each pixel, (H, W).
        min_area: Of each class the pixels of its smallest part that is kept.
    """
    specks = np.zeros(labels.shape, np.bool_)
    for k, least in enumerate(min_area):
        if least > 1:
            own = labels == k
            specks |= own & ~tidied(own, min_area=least)
    if not specks.any():
        return labels
    others = probs[specks].astype(np.int16)
    others[np.arange(len(others)), labels[specks]] = -1
    found = labels.copy()
    found[specks] = others.argmax(1)
    return found


def _parts(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The number of each pixel's part, 0 = none, (H, W); and the pixels of each number."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    return np.asarray(labels, np.int32), np.asarray(stats[:, cv2.CC_STAT_AREA], np.int64)


def _holes(mask: Mask) -> Mask:
    """The background that has no way to the edge of the image."""
    _, labels = cv2.connectedComponents(np.ascontiguousarray(~mask).view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    hole = np.ones(int(labels.max()) + 1, np.bool_)
    hole[0] = False
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        hole[edge] = False
    return np.asarray(hole[labels])
