"""The loop behind `objects.split_objects`. Importing this imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from podium.formats.jit import jit


@jit
def _append(first: Any, last: Any, following: Any, level: Any, at: int) -> None:
    following[at] = -1
    if first[level] < 0:
        first[level] = at
    else:
        following[last[level]] = at
    last[level] = at


@jit
def flood(height: Any, inside: Any, labels: Any) -> None:
    """Grow labels over ``inside``, in place: lowest pixels first, among equals in the order they were reached.

    Args:
        height: uint8 (H, W).
        inside: bool (H, W): nothing else is flooded.
        labels: int32 (H, W), above 0 at the seeds.
    """
    rows, columns = height.shape
    following = np.full(rows * columns, -1, np.int32)  # a queue for each height, as linked lists
    first, last = np.full(256, -1, np.int32), np.full(256, -1, np.int32)
    for at in range(rows * columns):
        y, x = at // columns, at % columns
        if labels[y, x] > 0:
            _append(first, last, following, height[y, x], at)
    level = 0
    while level < 256:
        at = first[level]
        if at < 0:
            level += 1
            continue
        first[level] = following[at]
        y, x = at // columns, at % columns
        for k in range(4):
            v, u = y + (k == 0) - (k == 1), x + (k == 2) - (k == 3)
            if 0 <= v < rows and 0 <= u < columns and inside[v, u] and labels[v, u] == 0:
                labels[v, u] = labels[y, x]
                _append(first, last, following, max(level, height[v, u]), v * columns + u)
