"""How often each pair of labels meets in two label maps: what confusion matrices and instance matching start from."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def count_pairs(truth: npt.NDArray[Any], predicted: npt.NDArray[Any], rows: int, columns: int) -> Ints:
    """How many pixels have each pair of labels.

    Args:
        truth: Labels from 0, any shape; those of ``rows`` and above count in the last row.
        predicted: Labels, same shape; those of ``columns`` and above count in the last column.

    Returns:
        int64 of shape (rows, columns).
    """
    from podium.metrics import kernels

    cells = rows * columns
    bits, kind = (8, np.uint8) if cells <= 2**8 else (16, np.uint16) if cells <= 2**16 else (32, np.uint32)
    pairs = np.zeros(-(-truth.size * bits // 64) * 64 // bits, kind)  # to whole words
    flat = pairs[: truth.size].reshape(truth.shape)
    np.multiply(_clipped(truth, rows), columns, out=flat, dtype=kind, casting="unsafe")
    np.add(flat, _clipped(predicted, columns), out=flat, dtype=kind, casting="unsafe")
    lanes = np.zeros((64 // bits, cells), np.uint32)
    kernels.histogram(pairs.view(np.uint64), bits, lanes)
    table: Ints = lanes.sum(axis=0, dtype=np.int64)
    table[0] -= len(pairs) - truth.size
    return table.reshape(rows, columns)


def _clipped(labels: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    if not labels.size or int(labels.max()) < count:
        return labels
    if labels.dtype == np.uint8:  # ten times as fast as numpy's minimum
        line = np.ascontiguousarray(labels).reshape(1, -1)
        return np.asarray(cv2.threshold(line, count - 1, count - 1, cv2.THRESH_TRUNC)[1]).reshape(labels.shape)
    return np.asarray(np.minimum(labels, labels.dtype.type(count - 1)))
