"""Whole groups into parts of nearly equal size whose contents are alike: the arithmetic of folds, on arrays.

Each of the three ways keeps the largest and the smallest part no further apart than the largest group.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WORK = 40_000_000
"""Pairs of groups that the exchange looks at before it stops: about a second."""
CANDIDATES = 160
"""Groups of a part that are looked at in one exchange."""
SIZE_WEIGHT = 1.5
"""What a size that is off costs, against a class that is off by as much: 1 is as chi-square counts them."""


def balanced(sizes: Ints, features: Floats, keys: Floats, k: int, seed: int) -> Ints:
    """Give each group a part such that the parts' sums of features are near each other.

    First groups of nearly equal size are dealt out, k at a time, one to each part: then the sizes of any two parts
    differ by no more than the largest group, whichever part gets which. Of each deal the permutation that evens the
    features out is taken; afterwards groups move and change places while that brings the parts nearer and the sizes
    stay within that bound.

    Args:
        sizes: Samples of each group, at least 1, shape (G,), G >= k.
        features: Sums over each group's samples, scaled by what a deviation costs, shape (G, C).
        keys: What to deal alike groups by, the weightiest first, shape (G, K).

    Returns:
        The part of each group, 0..k-1, no part empty, shape (G,).
    """
    size = SIZE_WEIGHT * sizes / np.sqrt(sizes.sum())
    z = np.column_stack([features, size])
    tries = max(1, min(12, 1000 // len(sizes)))  # few groups get stuck easily, and cost little
    best, least = np.zeros(len(sizes), np.int64), np.inf
    for attempt in range(tries):
        rng = np.random.default_rng([seed, attempt])
        part = _deal(sizes, z, keys, k, rng)
        cost = _exchange(part, sizes, z, k, rng, WORK // tries)
        if cost < least - 1e-9:
            best, least = part, cost
    return best


def _deal(sizes: Ints, z: Floats, keys: Floats, k: int, rng: np.random.Generator) -> Ints:
    order = np.lexsort([rng.random(len(sizes)), *keys.T[::-1], -sizes])
    part, sums, weight = np.empty(len(sizes), np.int64), np.zeros((k, z.shape[1])), (z**2).sum(axis=1)
    for block in np.split(order, range(k, len(order), k)):
        cost = sums @ z[block].T
        for i in np.argsort(-weight[block], kind="stable").tolist():
            chosen = int(np.argmin(cost[:, i]))
            cost[chosen] = np.inf
            part[block[i]] = chosen
            sums[chosen] += z[block[i]]
    return part


def _exchange(part: Ints, sizes: Ints, z: Floats, k: int, rng: np.random.Generator, work: int) -> float:
    """Improve ``part`` in place by moves and swaps between two parts; returns the cost that is left."""
    sums = np.zeros((k, z.shape[1]))
    np.add.at(sums, part, z)
    count = np.bincount(part, sizes, k).astype(np.int64)
    stale = np.triu(np.ones((k, k), np.bool_), 1)
    while stale.any() and work > 0:
        square = (sums**2).sum(axis=1)
        apart = np.where(stale, square[:, None] + square[None, :] - 2 * sums @ sums.T, -np.inf)
        a, b = divmod(int(np.argmax(apart)), k)
        stale[a, b] = False
        toward = sums[a] - sums[b]
        one = _candidates(np.flatnonzero(part == a), z, toward, rng)
        two = _candidates(np.flatnonzero(part == b), z, -toward, rng)
        work -= (len(one) + 1) * (len(two) + 1)
        found = _best_swap(one, two, sizes, z, toward, _room(count, a, b, int(sizes.max())), count[[a, b]])
        if found is None:
            continue
        for group, source, target in ((found[0], a, b), (found[1], b, a)):
            if group >= 0:
                part[group] = target
                sums[source], sums[target] = sums[source] - z[group], sums[target] + z[group]
                count[source], count[target] = count[source] - sizes[group], count[target] + sizes[group]
        for changed in (a, b):
            stale[changed, changed + 1 :] = stale[:changed, changed] = True
    return float((sums**2).sum())


def _candidates(members: Ints, z: Floats, toward: Floats, rng: np.random.Generator) -> Ints:
    """The groups that gain most by leaving, and as many at random."""
    if len(members) <= CANDIDATES:
        return members
    order = np.argsort(-(z[members] @ toward), kind="stable")
    return np.concatenate(
        [members[order[: CANDIDATES // 2]], rng.choice(members[order[CANDIDATES // 2 :]], CANDIDATES // 2, False)]
    )


def _room(count: Ints, a: int, b: int, bound: int) -> tuple[int, int]:
    """How far, down and up, the size of ``a`` may change at the cost of ``b``."""
    others = np.delete(count, [a, b])
    low, high = (int(others.max()) - bound, int(others.min()) + bound) if len(others) else (0, int(count.sum()))
    least = max(low - count[a], count[b] - high, -((bound - count[b] + count[a]) // 2))
    most = min(high - count[a], count[b] - low, (bound + count[b] - count[a]) // 2)
    return int(least), int(most)


def _best_swap(
    one: Ints, two: Ints, sizes: Ints, z: Floats, toward: Floats, room: tuple[int, int], count: Ints
) -> tuple[int, int] | None:
    """The exchange of a group of one part for a group of the other that lowers the cost most; -1 stands for none."""
    nothing = np.zeros((1, z.shape[1]))
    left, right = np.vstack([z[one], nothing]), np.vstack([z[two], nothing])
    change = np.append(sizes[two], 0)[None, :] - np.append(sizes[one], 0)[:, None]
    gain = (right @ toward)[None, :] - (left @ toward)[:, None]
    gain += (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :] - 2 * left @ right.T
    gain[(change < room[0]) | (change > room[1]) | (count[0] + change <= 0) | (count[1] - change <= 0)] = np.inf
    i, j = np.unravel_index(int(np.argmin(gain)), gain.shape)
    if gain[i, j] > -1e-9:
        return None
    return (int(one[i]) if i < len(one) else -1), (int(two[j]) if j < len(two) else -1)


def by_rank(sizes: Ints, order: Ints, k: int) -> Ints:
    """The part of each group is its rank modulo k; a round that would make the parts too unequal is dealt by size.

    Source: the winners of Carvana: cars ranked by mask area, rank modulo 5.

    Args:
        order: The groups, ranked.
    """
    part, count, bound = np.empty(len(sizes), np.int64), np.zeros(k, np.int64), sizes.max()
    for block in np.split(order, range(k, len(order), k)):
        dealt = np.arange(len(block))
        after = count + np.bincount(dealt, sizes[block], k).astype(np.int64)
        if after.max() - after.min() > bound:  # largest to smallest: the difference cannot grow
            dealt = np.empty(len(block), np.int64)
            dealt[np.argsort(-sizes[block], kind="stable")] = np.argsort(count, kind="stable")[: len(block)]
            after = count + np.bincount(dealt, sizes[block], k).astype(np.int64)
        part[block], count = dealt, after
    return part


def contiguous(sizes: Ints, k: int) -> Ints:
    """Cut groups, as they are ordered, into k blocks.

    With the largest lower bound on a block's size that can be kept, every block is at most the largest group above it;
    that such cuts exist is Bárány & Grinberg, Block partitions of sequences, Israel J. Math. 206 (2015), theorem 1.

    Returns:
        The block of each group, not decreasing, shape (G,).
    """
    ends, bound = np.concatenate([[0], np.cumsum(sizes)]), int(sizes.max())
    low, high = 1, int(ends[-1])
    while low < high:  # the largest lower bound that k blocks can have
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _reach(ends, k, middle, bound)[0][-1] < len(ends) else (low, middle - 1)
    first, last = _reach(ends, k, low, bound)
    cuts = [len(sizes)]
    for j in range(k - 1, 0, -1):  # back from the end, each cut as near to its place as the bounds allow
        after = ends[cuts[-1]]
        least = max(first[j], int(np.searchsorted(ends, after - low - bound)))
        most = min(last[j], int(np.searchsorted(ends, after - low, "right")) - 1)
        wish = int(np.argmin(np.abs(ends[least : most + 1] - ends[-1] * j / k))) + least
        cuts.append(wish)
    part = np.zeros(len(sizes), np.int64)
    for cut in cuts[1:]:
        part[cut:] += 1
    return part


def _reach(ends: NDArray[np.int64], k: int, low: int, bound: int) -> tuple[list[int], list[int]]:
    """The first and last place where block j can end, if every block has between ``low`` and ``low + bound``."""
    first, last = [0], [0]
    for _ in range(k):
        start = ends[first[-1]] if first[-1] < len(ends) else ends[-1]
        first.append(int(np.searchsorted(ends, start + low)))
        last.append(int(np.searchsorted(ends, ends[last[-1]] + low + bound, "right")) - 1)
    return first, last
