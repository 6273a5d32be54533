"""Boundary IoU: how well the outlines of two masks agree, whatever the size of the object."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from podium.metrics.multiclass import same_shape

SHARE = 0.02
"""How wide the band along the outline is, as a share of the image's diagonal; the paper's value."""


def boundary_counts(truth: npt.NDArray[Any], predicted: npt.NDArray[Any], share: float = SHARE) -> tuple[int, int, int]:
    """(pixels in both, in the predicted, in the true) boundary band of one sample: a row of `Counts`.

    Args:
        truth, predicted: Masks, bool or integer, shape (H, W).
        share: Width of the band as a share of the diagonal.

    Source: Cheng et al. 2021 (arXiv 2103.16562).
    """
    same_shape(truth, predicted)
    width = max(1, round(share * math.hypot(*truth.shape)))
    true, guessed = band(truth, width), band(predicted, width)
    return int((true & guessed).sum()), int(guessed.sum()), int(true.sum())


def band(mask: npt.NDArray[Any], width: int) -> npt.NDArray[np.bool_]:
    """The foreground within ``width`` pixels (counted as a king moves) of the background or the image's border."""
    pixels = np.ascontiguousarray(mask != 0).view(np.uint8)
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    inner = cv2.erode(pixels, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray((pixels - inner).view(np.bool_).reshape(mask.shape))
