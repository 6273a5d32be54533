"""Candidate pairs in near-linear time: a forest of median splits over descriptors measured in units of their noise.

Each tree cuts the images in halves along random directions until at most `LEAF` are left, and each image looks for its
neighbours in the leaf where each of its eight orientations falls: O(n log n + n · TREES · 8 · LEAF), no n². Up to
`LEAF` images that is one leaf, so the search is exhaustive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podium.data.similar.descriptor import FREQUENCIES, Floats, frequencies, hats, turned_frequencies, undone

Ints = NDArray[np.int64]

LEAF = 256
TREES = 12
NEIGHBOURS = 8
"""Candidates of one image, over all its orientations."""

RADIUS = 4.0
"""Of a candidate, in times the typical distance that a small crop moves a descriptor."""

SAMPLE = 500

PIECE = 16


@dataclass(frozen=True)
class Candidates:
    """Pairs worth a close look: row ``b`` may be row ``a`` (a < b) turned by ``turn``."""

    a: Ints
    b: Ints
    turn: Ints

    def __len__(self) -> int:
        return len(self.a)

    def take(self, rows: Ints) -> Candidates:
        """Some of them."""
        return Candidates(self.a[rows], self.b[rows], self.turn[rows])


def candidates(thumbs: NDArray[np.floating], seed: int = 0) -> Candidates:
    """Pairs of pictures (n, S, S) that are near in some orientation."""
    n = len(thumbs)
    if n < 2:
        return Candidates(*(np.zeros(0, np.int64) for _ in range(3)))
    points = _in_noise(thumbs)
    kept = np.add.outer(np.arange(FREQUENCIES), np.arange(FREQUENCIES)) < FREQUENCIES
    kept[0, 0] = False
    turns = [turned_frequencies(points, g)[:, kept] for g in range(8)]
    depth = max(0, int(np.ceil(np.log2(n / LEAF))))
    rng = np.random.default_rng(seed)
    best = _Best(n, RADIUS**2 * float(kept.sum()))
    for _ in range(TREES if depth else 1):
        directions = rng.standard_normal((depth, kept.sum())).astype(np.float32) * turns[0].std(0)
        for found in _in_leaves(turns, directions, best.bound):
            best.add(*found)
    return best.pairs()


def _in_noise(thumbs: NDArray[np.floating]) -> Floats:
    """Frequencies in units of how far small crops move them: what says most about an image counts most.

    What all images have in common (a vignette, a round cell) is taken out, as far as it is the same in all
    orientations.
    """
    raw = frequencies(thumbs)
    some = np.asarray(thumbs[:: max(1, len(thumbs) // SAMPLE)], np.float32)
    moved = np.concatenate([frequencies(_cropped(some, *c)) for c in ((2, 0, 2, 0), (0, 2, 0, 2), (1, 1, 1, 1))])
    still = np.tile(frequencies(some), (3, 1, 1))
    noise = _symmetric(((moved - still) ** 2).mean(0)) ** 0.5
    common = _symmetric(np.mean([turned_frequencies(raw.mean(0), g) for g in range(8)], axis=0))
    return np.asarray((raw - common) / np.maximum(noise, 0.02 * noise.max() + 1e-6), np.float32)


def _symmetric(grid: Floats) -> Floats:
    return np.asarray((grid + grid.T) / 2, np.float32)


def _cropped(thumbs: Floats, top: int, bottom: int, left: int, right: int) -> Floats:
    side = thumbs.shape[-1]
    rows = hats(np.linspace(top, side - 1 - bottom, side, dtype=np.float32)[None], side)[0]
    columns = hats(np.linspace(left, side - 1 - right, side, dtype=np.float32)[None], side)[0]
    return np.asarray(rows @ thumbs @ columns.T, np.float32)


def _in_leaves(turns: list[Floats], directions: Floats, bound: Floats) -> Iterator[tuple[Ints, Ints, Ints, Floats]]:
    """(a, b, turn, squared distance) of the neighbours within ``bound`` of a that one tree brings together."""
    depth, points = len(directions), turns[0]
    leaf, cuts = _grow(_products(points, directions))
    members = _by_value(leaf, 2**depth)
    norms = (points**2).sum(1, keepdims=True)
    ones = np.ones_like(norms)
    there_of = np.hstack([points, norms, ones])  # |q - p|^2 as one product: (-2 q, 1, |q|^2) (p, |p|^2, 1)
    for g, queries in enumerate(turns):
        here_of = np.hstack([-2 * queries, ones, norms])
        into = leaf if g == 0 else _descend(_products(queries, directions), cuts)
        found: list[tuple[Ints, Ints, Floats]] = []
        for here, there in zip(_by_value(into, 2**depth), members, strict=True):
            for part in (here[i : i + 2048] for i in range(0, len(here), 2048)):
                far = _products(here_of[part], there_of[there])
                at = np.searchsorted(there, part).clip(max=len(there) - 1)
                itself = np.flatnonzero(there[at] == part) if len(there) else at[:0]
                far[itself, at[itself]] = np.inf
                i, j = _nearest(far, bound[part])
                found.append((part[i], there[j], far[i, j]))
        a, b, distance = (np.concatenate(c) for c in zip(*found, strict=True))
        yield a, b, np.full(len(a), g), distance


def _products(a: Floats, b: Floats) -> Floats:
    """a @ b.T in pieces so small that BLAS does not share them out to threads.

    On a busy machine its threads wait for each other many times longer than they work.
    """
    n = len(a)
    pieces = np.zeros((-(-n // PIECE), PIECE, a.shape[1]), np.float32)
    pieces.reshape(-1, a.shape[1])[:n] = a
    return np.asarray((pieces @ b.T).reshape(len(pieces) * PIECE, len(b))[:n], np.float32)


def _nearest(far: Floats, bound: Floats) -> tuple[Ints, Ints]:
    """Rows and columns within the bound, no more than `NEIGHBOURS` of a row (but for ties)."""
    near = far < bound[:, None]
    many = np.flatnonzero(np.count_nonzero(near, axis=1) > NEIGHBOURS)
    if len(many):
        limit = np.partition(far[many], NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1, None]
        near[many] &= far[many] <= limit
    i, j = np.divmod(np.flatnonzero(near), near.shape[1] or 1)
    return i, j


def _grow(heights: Floats) -> tuple[Ints, list[Floats]]:
    """Cut at the median level by level: the leaf of each point, and the cuts of each level's nodes."""
    node = np.zeros(len(heights), np.int64)
    cuts = []
    for level in range(heights.shape[1]):
        height = heights[:, level]
        groups = _by_value(node, 2**level)
        cuts.append(np.array([np.median(height[g]) if len(g) else 0 for g in groups], np.float32))
        node = 2 * node + (height > cuts[-1][node])
    return node, cuts


def _descend(heights: Floats, cuts: list[Floats]) -> Ints:
    node = np.zeros(len(heights), np.int64)
    for level, cut in enumerate(cuts):
        node = 2 * node + (heights[:, level] > cut[node])
    return node


def _by_value(values: Ints, n: int) -> list[Ints]:
    """The positions of 0, of 1, … of n - 1."""
    order = np.argsort(values, kind="stable")
    return np.split(order, np.searchsorted(values[order], np.arange(1, n)))


class _Best:
    """The nearest neighbours of each image so far, and the squared distance that a better one must be within."""

    def __init__(self, n: int, reach: float) -> None:
        self.n = n
        self.bound = np.full(n, reach, np.float32)
        self.rows = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))

    def add(self, a: Ints, b: Ints, turn: Ints, far: Floats) -> None:
        """Take new ones in; ``bound`` changes in place."""
        a, b, turn = (np.concatenate([old, new]) for old, new in zip(self.rows[:3], (a, b, turn), strict=True))
        far = np.concatenate([self.rows[3], far])
        first = np.unique((a * self.n + b) * 8 + turn, return_index=True)[1]
        order = first[np.lexsort((turn[first], b[first], far[first], a[first]))]
        a, b, turn, far = a[order], b[order], turn[order], far[order]
        rank = np.arange(len(a)) - np.searchsorted(a, a)
        self.bound[a[rank == NEIGHBOURS - 1]] = far[rank == NEIGHBOURS - 1]
        near = rank < NEIGHBOURS
        self.rows = (a[near], b[near], turn[near], far[near])

    def pairs(self) -> Candidates:
        """Each pair with its orientation once, the lower row first."""
        a, b, turn, _ = self.rows
        back = np.array([undone(g) for g in range(8)])
        turn = np.where(a < b, turn, back[turn])
        key = np.unique((np.minimum(a, b) * self.n + np.maximum(a, b)) * 8 + turn)
        return Candidates(key // 8 // self.n, key // 8 % self.n, key % 8)
