"""Regression: numbers of shape (N,), or (N, columns), over which the mean is taken."""

from __future__ import annotations

import numpy as np

from podium.errors import DataError
from podium.metrics.overlap import Floats
from podium.metrics.tables import Table, columns


def absolute_error(truth: Table, predicted: Table) -> Floats:
    """|prediction - truth| of each sample, mean over its columns, shape (N,)."""
    true, guessed = columns(truth, predicted)
    return np.asarray(np.abs(guessed - true).mean(axis=1))


def percentage_error(truth: Table, predicted: Table) -> Floats:
    """|prediction - truth| / |truth| of each sample, mean over its columns, shape (N,): 0.1 is ten percent.

    Raises:
        DataError: if a true value is 0.
    """
    true, guessed = columns(truth, predicted)
    if (true == 0).any():
        raise DataError(f"{(true == 0).sum()} true values are 0", expected="none: relative to 0 there is no error")
    return np.asarray((np.abs(guessed - true) / np.abs(true)).mean(axis=1))


def rmse(truth: Table, predicted: Table) -> float:
    """The root of the mean squared error of each column, mean over the columns."""
    true, guessed = columns(truth, predicted)
    return float(np.sqrt(((guessed - true) ** 2).mean(axis=0)).mean())


def rmsle(truth: Table, predicted: Table) -> float:
    """`rmse` of log(1 + value).

    Raises:
        DataError: if a value is -1 or below.
    """
    true, guessed = columns(truth, predicted)
    if (true <= -1).any() or (guessed <= -1).any():
        raise DataError("a value is -1 or below", expected="values above -1", remedy="clip predictions at 0")
    return rmse(np.log1p(true), np.log1p(guessed))


def r2(truth: Table, predicted: Table) -> float:
    """1 - squared error / squared deviation from the column's mean, mean over the columns.

    A column whose truth is constant counts 1 if it is met exactly, else 0.
    """
    true, guessed = columns(truth, predicted)
    error = ((guessed - true) ** 2).sum(axis=0)
    spread = ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.where(spread > 0, 1 - error / np.where(spread > 0, spread, 1), error == 0).mean())
