"""Which classes each training sample has: for `sampling.by = "class"`, and for a classifier that is to learn it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from podium.data.store import Store
from podium.errors import ConfigError

IGNORED = 255


def mask_classes(masks: Store, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
    """(rows, classes): whether a class has any pixel in the mask; labels that no mask has are left out."""
    found = np.zeros((len(rows), IGNORED), bool)
    for n, row in enumerate(map(int, rows)):
        raw, kind = masks.raw(row), masks.kinds[row]
        if kind == "mask":
            found[n, 0] = raw.any()
        elif kind == "masks":
            found[n, : len(raw)] = raw.reshape(len(raw), -1).any(1)
        else:
            found[n] = np.bincount(raw.ravel(), minlength=IGNORED + 1)[:IGNORED] > 0
    return found[:, found.any(0)]


def classes_there(truth: Store, outputs: int) -> NDArray[np.bool_]:
    """(items, outputs): whether a class has any pixel in each mask of a store; of objects, whether there is any.

    Args:
        outputs: Of planes or of a map of classes, their number; 1 of objects.
    """
    found = np.zeros((len(truth), outputs), bool)
    for i, kind in enumerate(truth.kinds):
        raw = truth.raw(i)
        if kind in ("mask", "masks"):
            found[i] = raw.reshape(outputs, -1).any(1)
        elif outputs == 1:
            found[i] = raw.any()
        elif raw.size:
            found[i] = np.bincount(raw.ravel(), minlength=outputs)[:outputs] > 0
    return found


def table_classes(targets: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(rows, classes) of targets 0 or 1, one column a class.

    Raises:
        ConfigError: for targets that are no classes.
    """
    if not np.isin(targets, (0, 1)).all():
        raise ConfigError(
            "'sampling.by' is 'class', and the targets are numbers",
            expected="classes, or masks",
            remedy='set sampling.by="hardness"',
        )
    return np.asarray(targets > 0)
