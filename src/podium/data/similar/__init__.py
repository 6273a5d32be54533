"""Near-duplicate images: re-encoded, flipped, turned, resized, cropped a little, or a little brighter.

Three steps: `describe` looks at each image once and keeps 8 KB of it; `search.candidates` brings likely pairs together
in near-linear time; `verify.overlay` lays each pair over one another and `clusters.judge` says what it is:

    found = find_similar((id, read_image(path)) for id, path in files.items())
    for cluster in found.duplicates: ...
    groups = groups_of(found.clusters)          # for folds: who must stay together

Train against test, whose ids may be the same:

    both = join(describe(train).prefixed("train/"), describe(test).prefixed("test/"))
    for cluster in search_similar(both).across({id for id in both.ids if id.startswith("train/")}): ...
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from podium.data.similar.clusters import Cluster, Kind, Limits, Pair, Similar, duplicates, groups_of, judge, only_best
from podium.data.similar.descriptor import ORIENTATIONS, Pixels, Signatures, describe, join
from podium.data.similar.search import Candidates, candidates
from podium.data.similar.verify import doubt, overlay, pyramid
from podium.data.store import Store

__all__ = [
    "ORIENTATIONS",
    "Cluster",
    "Kind",
    "Limits",
    "Pair",
    "Signatures",
    "Similar",
    "describe",
    "find_similar",
    "groups_of",
    "join",
    "search_similar",
]


def find_similar(images: Iterable[tuple[str, Pixels]] | Store, limits: Limits | None = None) -> Similar:
    """All duplicates and similar images among ``images``, which are looked at once and not kept.

    Args:
        images: (id, uint8 pixels) or a store; of a store's resized images the original size and pixels count.

    Raises:
        ValueError: if an id comes twice.
    """
    return search_similar(describe(images), limits)


def search_similar(seen: Signatures, limits: Limits | None = None) -> Similar:
    """As `find_similar`, of images already described. The order of the images makes no difference."""
    first: dict[str, int] = {}
    copies = []
    for i, digest in enumerate(seen.digests):
        if first.setdefault(digest, i) != i:
            copies.append((first[digest], i))
    # one of each is enough; and what is flat is alike only if it is the same
    rows = np.array([i for i in first.values() if not seen.flat[i]], np.int64)
    thumbs = seen.thumbs[rows]
    near = candidates(thumbs)
    pictures, limits = pyramid(thumbs), limits or Limits()
    near, over = only_best(near, overlay(pictures, near))
    copy, crop = duplicates(seen, _among(rows, near), over, limits)
    called = np.flatnonzero(copy | crop)
    telling = np.ones(len(near), bool)
    telling[called] = doubt(pictures, near.take(called), over.take(called)) <= limits.distinct
    kept = np.flatnonzero(telling)
    return judge(seen, copies, _among(rows, near.take(kept)), over.take(kept), limits)


def _among(rows: NDArray[np.int64], pairs: Candidates) -> Candidates:
    """Pairs of some rows as pairs of all."""
    return Candidates(rows[pairs.a], rows[pairs.b], pairs.turn)
