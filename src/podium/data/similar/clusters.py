"""From looked-at pairs to findings: what is a duplicate and of what kind, what only similar, who belongs together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from podium.data.similar.descriptor import ORIENTATIONS, Signatures
from podium.data.similar.search import Candidates
from podium.data.similar.verify import FINE, Overlays

Kind = Literal["same pixels", "re-encoded", "flipped", "rescaled", "cropped", "similar"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MOVED = 0.006
"""Share of the picture that a corner may move in one that was not cropped; or `ROUNDED` pixels of a small one."""

ROUNDED = 0.75

BINS = 50


JPEG = 80.0
"""Variance, in grey levels squared, that JPEG of quality 30 leaves in a block of 8 x 8 pixels, with some to spare."""

MOST = 0.2
"""Left-over difference that no JPEG excuses."""

SPOT = 6.0
"""Of what a JPEG leaves on average: it may leave so much more in the worst spot."""

RESAMPLED = 4.0
"""Left-over difference of a cut-out, which is sampled at other points, by how far it moves its corners."""

CHANCE = 0.05
"""Share of the similar pairs that may be so by chance."""


@dataclass(frozen=True)
class Limits:
    """Where a duplicate ends and a similar image begins; all of them can be set.

    Attributes:
        rest: Largest left-over difference of a copy in place (re-encoded, flipped, rescaled), beside what a JPEG of
            quality 30 leaves in an image of this size and contrast.
        spot: Largest left-over difference of a spot of such a copy, likewise.
        relit: As rest, where brightness or contrast differ too, which clips the brightest parts.
        distinct: Largest share of what an image differs from itself turned that a copy of it may differ.
        cropped: Least agreement of details where one image is a cut-out of the other, pixel for pixel.
        zoomed: The same where it was also resized: a moving camera does this too.
        similar: Least agreement to be called similar; raised by itself where so much agreement comes by chance.
    """

    rest: float = 0.003
    spot: float = 0.01
    relit: float = 0.09
    distinct: float = 0.5
    cropped: float = 0.95
    zoomed: float = 0.999
    similar: float = 0.95


@dataclass(frozen=True)
class Pair:
    """Two images that are alike.

    Attributes:
        a: The lower id.
        turn: One of `ORIENTATIONS`: what was done to a to get b.
        similarity: Correlation of the details once laid over each other; 1 is best.
        rest: Difference of the worst sixteenth of the picture, as a share of the details' energy; 0 is best.
    """

    a: str
    b: str
    kind: Kind
    similarity: float
    rest: float
    turn: str = ORIENTATIONS[0]

    @property
    def duplicate(self) -> bool:
        """Whether it is one image, not two of one thing."""
        return self.kind != "similar"

    def __str__(self) -> str:
        how = self.turn if self.kind == "flipped" else self.kind
        how += f", {self.turn}" if self.kind in ("cropped", "similar") and self.turn != ORIENTATIONS[0] else ""
        return f"{self.a} = {self.b} ({how}, {self.similarity:.3f})"


@dataclass(frozen=True)
class Cluster:
    """Images that belong together through pairs; ``kind`` "similar" if at least one such pair is needed."""

    kind: Literal["duplicate", "similar"]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Similar:
    """What a search found.

    Attributes:
        pairs: In the order of their ids; of n images with the same pixels, n - 1 pairs with the first.
        clusters: Of duplicates, then of similar images (which hold those of the duplicates among them), largest first.
        limits: What it was judged by, ``similar`` as it was raised.
        histogram: Number of looked-at pairs by similarity, `BINS` equal bins from 0 to 1; same pixels not counted.
        gap: The widest range of similarity above 0.5 without a pair, (low, high): a threshold in it is a safe one.
    """

    pairs: list[Pair]
    clusters: list[Cluster]
    limits: Limits
    histogram: NDArray[np.int64] = field(repr=False)
    gap: tuple[float, float]

    @property
    def duplicates(self) -> list[Cluster]:
        """The clusters of duplicates."""
        return [c for c in self.clusters if c.kind == "duplicate"]

    @property
    def similars(self) -> list[Cluster]:
        """The clusters of similar images."""
        return [c for c in self.clusters if c.kind == "similar"]

    def across(self, first: Collection[str]) -> list[Cluster]:
        """The clusters with members both in ``first`` (say the training ids) and outside it."""
        inside = set(first)
        return [c for c in self.clusters if 0 < sum(id in inside for id in c.ids) < len(c)]


def groups_of(clusters: Iterable[Cluster]) -> dict[str, str]:
    """{id: first id of its cluster}, of clusters that may overlap: give it ``found.duplicates`` or all of them."""
    return _roots((c.ids[0], id) for c in clusters for id in c.ids)


def judge(
    seen: Signatures, copies: Iterable[tuple[int, int]], pairs: Candidates, over: Overlays, limits: Limits
) -> Similar:
    """Decide on every looked-at pair.

    Args:
        copies: (first, other) rows with the same pixels.
        pairs: Rows of ``seen``, each in one orientation.
    """
    found = [Pair(seen.ids[a], seen.ids[b], "same pixels", 1.0, 0.0) for a, b in copies]
    kinds, limits = _kinds(seen, pairs, over, limits)
    for i in np.flatnonzero(kinds):
        a, b, turn = int(pairs.a[i]), int(pairs.b[i]), ORIENTATIONS[pairs.turn[i]]
        found.append(
            Pair(seen.ids[a], seen.ids[b], KINDS[kinds[i]], float(over.agreement[i]), float(over.rest[i]), turn)
        )
    found.sort(key=lambda p: (p.a, p.b))
    counts = np.histogram(over.agreement, BINS, (0, 1))[0].astype(np.int64)
    return Similar(found, _clusters(found), limits, counts, _gap(over.agreement))


def only_best(pairs: Candidates, over: Overlays) -> tuple[Candidates, Overlays]:
    """Each pair in its best orientation only; as it is where that is about as good (a symmetric image)."""
    merit = over.agreement + np.where(pairs.turn == 0, np.float32(0.002), np.float32(0))
    order = np.lexsort((pairs.turn, -merit, pairs.b, pairs.a))
    a, b = pairs.a[order], pairs.b[order]
    rows = order[np.r_[True, (a[1:] != a[:-1]) | (b[1:] != b[:-1])][: len(order)]]
    return pairs.take(rows), over.take(rows)


def duplicates(
    seen: Signatures, pairs: Candidates, over: Overlays, limits: Limits
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs are copies in place, and which are cut-outs."""
    first, second = _sizes(seen, pairs)
    cut_out = _cut_out(first, second, over)
    in_place = over.moved < np.maximum(MOVED, ROUNDED / np.minimum(first, second).min(1))
    jpeg, relit = _jpeg(seen, pairs, over), _relit(seen, pairs)
    allowed = np.maximum(np.minimum(limits.rest + jpeg, MOST), np.where(relit, limits.relit, 0))
    copy = in_place & (over.rest <= allowed) & (relit | (over.spot <= limits.spot + SPOT * jpeg))
    crop = ~copy & cut_out & (over.agreement >= limits.cropped) & (over.rest <= allowed + 0.03 + RESAMPLED * over.moved)
    return copy, crop | (~copy & ~in_place & (over.agreement >= limits.zoomed))


def _kinds(seen: Signatures, pairs: Candidates, over: Overlays, limits: Limits) -> tuple[NDArray[np.int64], Limits]:
    """The index in `KINDS` of each pair, 0 for none; and the limits with ``similar`` raised."""
    (first, second), upright = _sizes(seen, pairs), pairs.turn == 0
    copy, crop = duplicates(seen, pairs, over, limits)
    known = (copy | crop) & ~upright  # of an image that has a turned copy, a turned neighbour is no wonder
    known = np.isin(pairs.a, np.r_[pairs.a[known], pairs.b[known]]) | np.isin(
        pairs.b, np.r_[pairs.a[known], pairs.b[known]]
    )
    other = ~copy & ~crop & ~_cut_out(first, second, over) & (upright | ~known)
    limits = replace(limits, similar=_raised(over.agreement, upright, other, limits.similar))
    kinds = np.where(upright & (over.agreement >= limits.similar), KINDS.index("similar"), 0)
    kinds[crop] = KINDS.index("cropped")
    kinds[copy] = np.where((first == second).all(1)[copy], KINDS.index("re-encoded"), KINDS.index("rescaled"))
    kinds[copy & ~upright] = KINDS.index("flipped")
    return np.asarray(kinds, np.int64), limits


def _sizes(seen: Signatures, pairs: Candidates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) height and width of each a and b, as b lies over a."""
    first, second = seen.shapes[pairs.a].astype(float), seen.shapes[pairs.b].astype(float)
    return first, np.where((pairs.turn >= 4)[:, None], second[:, ::-1], second)


def _cut_out(first: NDArray[np.float64], second: NDArray[np.float64], over: Overlays) -> NDArray[np.bool_]:
    """Whether the sizes differ, and a pixel of one lies on a pixel of the other."""
    near = np.abs(over.scale * second / first - 1) < 0.015 + 1.5 / np.minimum(first, second)
    return np.asarray((first != second).any(1) & near.all(1))


def _jpeg(seen: Signatures, pairs: Candidates, over: Overlays) -> NDArray[np.float64]:
    """The left-over difference that a coarse JPEG of each pair may have.

    It has the same size in grey levels whatever the picture, so next to faint details it is large; but it averages out
    over the pixels that make one of the small picture.
    """
    faint = np.minimum(seen.contrast[pairs.a], seen.contrast[pairs.b])
    pixels = np.minimum(seen.shapes[pairs.a].prod(1), seen.shapes[pairs.b].prod(1)) / FINE**2
    return np.asarray(JPEG / np.maximum(pixels, 1) / np.maximum(faint**2 * over.energy, 1e-3))


def _relit(seen: Signatures, pairs: Candidates) -> NDArray[np.bool_]:
    """Whether brightness or contrast differ."""
    relit = np.abs(np.log(seen.contrast[pairs.a] / seen.contrast[pairs.b])) > 0.03
    return np.asarray(relit | (np.abs(seen.level[pairs.a] - seen.level[pairs.b]) > 4))


def _raised(
    agreement: NDArray[np.float32], upright: NDArray[np.bool_], other: NDArray[np.bool_], least: float
) -> float:
    """The agreement from which on hardly any pair is similar by chance.

    Two frames of a video, two fields of one slide are similar upright. What is similar by chance (round cells) is so in
    any of the eight orientations: the seven turned ones tell how often, as decoys do in a data bank search.

    Source: Elias & Gygi 2007, "Target-decoy search strategy", Nature Methods 4, 207.
    """
    high = other & (agreement >= least)
    order = np.flatnonzero(high)[np.argsort(-agreement[high], kind="stable")]
    true = np.cumsum(upright[order])
    chance = np.cumsum(~upright[order]) / 7
    good = np.flatnonzero(chance <= CHANCE * true)
    if len(good) == len(order) or (len(good) and good[-1] == len(order) - 1):
        return least
    return float(agreement[order[good[-1]]]) if len(good) else 1.0


def _clusters(pairs: list[Pair]) -> list[Cluster]:
    copies = _components((p.a, p.b) for p in pairs if p.duplicate)
    loose = {id for p in pairs if not p.duplicate for id in (p.a, p.b)}
    whole = [c for c in _components((p.a, p.b) for p in pairs) if c not in set(copies) and not loose.isdisjoint(c)]
    return [Cluster("duplicate", c) for c in copies] + [Cluster("similar", c) for c in whole]


def _components(edges: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    members: dict[str, list[str]] = defaultdict(list)
    for id, root in sorted(_roots(edges).items()):
        members[root].append(id)
    return sorted((tuple(ids) for ids in members.values()), key=lambda ids: (-len(ids), ids))


def _roots(edges: Iterable[tuple[str, str]]) -> dict[str, str]:
    """{id: the lowest id it is connected with}."""
    parent: dict[str, str] = {}

    def root(id: str) -> str:
        while parent.setdefault(id, id) != id:
            parent[id] = parent[parent[id]]
            id = parent[id]
        return id

    for a, b in edges:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {id: root(id) for id in sorted(parent)}


def _gap(likeness: NDArray[np.float32]) -> tuple[float, float]:
    stops = np.r_[0.5, np.sort(likeness[(likeness > 0.5) & (likeness < 1)]), 1.0]
    i = int(np.argmax(np.diff(stops)))
    return float(stops[i]), float(stops[i + 1])
