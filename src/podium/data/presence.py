"""Which classes each training sample has, for `sampling.by = "class"`."""

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
