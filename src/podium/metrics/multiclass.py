"""Multi-class segmentation, from the confusion matrix of each sample's pixels alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from podium.errors import DataError
from podium.metrics.overlap import Floats, Ints
from podium.metrics.pairs import count_pairs


def confusion(truth: npt.NDArray[Any], predicted: npt.NDArray[Any], classes: int, *, ignore: int | None = None) -> Ints:
    """How many pixels of each true class were predicted as each class.

    Args:
        truth: Class ids, integers of any shape.
        predicted: Class ids, same shape.
        classes: Their number C; ids are 0 to C - 1.
        ignore: An id in the truth whose pixels do not count, whatever is predicted there.

    Returns:
        int64 of shape (C, C): rows are the truth. The row of ``ignore``, if it is below C, is 0.

    Raises:
        DataError: if the shapes differ, or an id is none of the classes where it counts.
    """
    same_shape(truth, predicted)
    counted = not_negative(truth, "the truth"), not_negative(predicted, "the prediction")
    table = count_pairs(*counted, classes + 1, classes + 1)
    if ignore is not None and 0 <= ignore < classes:
        table[ignore] = 0
    elif ignore is not None and table[classes].any():  # the last row may be more than what is ignored
        table[classes] -= count_pairs(*counted, ignore + 2, classes + 1)[ignore]
    for part, found in (("truth", table[classes].sum()), ("prediction", table[:, classes].sum())):
        if found:
            raise DataError(
                f"the {part} has {found} pixels of a class that does not exist",
                expected=f"ids from 0 to {classes - 1}" + ("" if ignore is None else f", or {ignore} in the truth"),
            )
    return table[:classes, :classes]


def class_iou(table: Ints) -> Floats:
    """Intersection over union of each class, NaN where it is in neither the truth nor the prediction.

    Args:
        table: Confusion matrices, shape (…, C, C).

    Returns:
        Shape (…, C).
    """
    hit = np.diagonal(table, axis1=-2, axis2=-1)
    union = table.sum(axis=-1) + table.sum(axis=-2) - hit
    return np.asarray(np.where(union > 0, hit / np.maximum(union, 1), np.nan), np.float64)


def mean_iou(tables: Ints) -> float:
    """Mean over classes of the IoU pooled over all samples; classes absent from the truth are left out.

    Args:
        tables: One confusion matrix a sample, shape (N, C, C).

    Returns:
        NaN if no pixel counts.
    """
    table = tables.sum(axis=0)
    present = table.sum(axis=1) > 0
    return float(class_iou(table)[present].mean()) if present.any() else float("nan")


def pixel_accuracy(tables: Ints) -> float:
    """The share of pixels, of all samples together, whose class is right; NaN if no pixel counts."""
    total = int(tables.sum())
    return float(np.trace(tables.sum(axis=0)) / total) if total else float("nan")


def endovis_iou(tables: Ints) -> Floats:
    """Of each sample the mean IoU over the classes present in its truth, class 0 (background) left out.

    A sample whose truth is all background scores 1 if its prediction is, else 0.

    Args:
        tables: One confusion matrix a sample, shape (N, C, C).

    Returns:
        Shape (N,).

    Source: Shvets et al. 2018 (arXiv 1803.01207), the evaluation of MICCAI 2017 Robotic Instrument Segmentation.
    """
    present = tables.sum(axis=2)[:, 1:] > 0
    total = np.where(present, class_iou(tables)[:, 1:], 0).sum(axis=1)
    empty = tables.sum(axis=1)[:, 1:].sum(axis=1) == 0
    return np.asarray(np.where(present.any(axis=1), total / np.maximum(present.sum(axis=1), 1), empty), np.float64)


def same_shape(truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> None:
    """Refuse two arrays that do not belong together."""
    if truth.shape != predicted.shape:
        raise DataError(f"the prediction has shape {predicted.shape}", expected=f"{truth.shape}, as the truth has")


def not_negative(labels: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """Labels as unsigned integers.

    Raises:
        DataError: if they are no integers, or one is negative.
    """
    if labels.dtype.kind not in "bui":
        raise DataError(f"{what} is of type {labels.dtype}", expected="integer labels")
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise DataError(f"{what} has the label {labels.min()}", expected="labels from 0")
    return labels.view(np.uint8) if labels.dtype == np.bool_ else labels
