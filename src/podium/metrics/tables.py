"""What truth and prediction of a classification or regression must look like: one row a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from podium.errors import DataError
from podium.metrics.multiclass import same_shape
from podium.metrics.overlap import Floats, Ints

Table = npt.NDArray[Any]


def columns(truth: Table, predicted: Table) -> tuple[Floats, Floats]:
    """Both as float64 of shape (N, columns); one number a sample is one column.

    Raises:
        DataError: if the shapes differ, there are no samples, or a value is not finite.
    """
    both = [np.asarray(a, np.float64) for a in (truth, predicted)]
    both = [a[:, None] if a.ndim == 1 else a for a in both]
    same_shape(*both)
    for name, values in zip(("truth", "prediction"), both, strict=True):
        if not np.isfinite(values).all():
            raise DataError(f"the {name} has {(~np.isfinite(values)).sum()} values that are not finite")
    if both[0].ndim != 2 or not both[0].size:
        raise DataError(f"the truth has shape {np.shape(truth)}", expected="at least one sample, (N,) or (N, columns)")
    return both[0], both[1]


def labels(truth: Table, predicted: Table) -> tuple[Ints, Ints]:
    """Both as whole numbers, shape (N,): the classes.

    Predicted probabilities become the likeliest class: of shape (N, C) the largest, of shape (N,) and not whole
    numbers class 1 above one half.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if predicted.ndim == 2 and truth.ndim == 1:
        predicted = predicted.argmax(axis=1)
    elif predicted.dtype.kind == "f" and (predicted % 1 != 0).any():
        predicted = predicted > 0.5
    true, guessed = columns(truth, predicted)
    if true.shape[1] != 1:
        raise DataError(f"the truth has {true.shape[1]} columns", expected="one class a sample")
    if (true % 1 != 0).any() or (guessed % 1 != 0).any():
        raise DataError("classes are not whole numbers", expected="class numbers from 0")
    return true[:, 0].astype(np.int64), guessed[:, 0].astype(np.int64)


def indicators(truth: Table, predicted: Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Both as bool of shape (N, C): which classes each sample has.

    Class numbers, shape (N,), become one class a sample. Predicted probabilities of several labels, shape (N, C),
    count above one half where the truth has that shape; where the truth is (N,), the largest one does.
    """
    truth = np.asarray(truth)
    if truth.ndim == 2:
        true, guessed = columns(truth, predicted)
        return true > 0.5, guessed > 0.5
    true_class, guessed_class = labels(truth, predicted)
    classes = np.union1d(true_class, guessed_class)
    return true_class[:, None] == classes, guessed_class[:, None] == classes
