"""The loop behind `map_pixels.ContestedMap`. Importing this imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from podium.formats.jit import jit


@jit
def _first_highest(total: Any, parts: int) -> int:
    """The first class of those whose rounded mean is highest; total: int64 (C,), of so many shares."""
    top = 0
    for c in range(1, len(total)):
        if total[c] > total[top]:
            top = c
    rounded = (2 * total[top] + parts) // (2 * parts)
    first = 0
    while 2 * total[first] + parts < 2 * parts * rounded:
        first += 1
    return first


@jit
def confuse(probs: Any, shares: Any, more: Any, truth: Any, tables: Any) -> None:
    """Count what mixtures make of each pixel.

    Args:
        probs: uint8 (M, U, C).
        shares: int64 (M,).
        more: Indices of members: a mixture has one share of one of them more; -1 adds none.
        truth: uint8 (U,).
        tables: int64 (mixtures, C, C), counted up in place: truth in rows.
    """
    members, pixels, classes = probs.shape
    parts = shares.sum()
    total, own = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    for u in range(pixels):
        total[:] = 0
        for m in range(members):
            if shares[m]:
                for c in range(classes):
                    total[c] += shares[m] * probs[m, u, c]
        for i in range(len(more)):
            m = more[i]
            if m < 0:
                tables[i, truth[u], _first_highest(total, parts)] += 1
                continue
            for c in range(classes):
                own[c] = total[c] + probs[m, u, c]
            tables[i, truth[u], _first_highest(own, parts + 1)] += 1
