"""What a near-duplicate search keeps of an image: a digest of its pixels, a small grey picture, and a few frequencies.

The frequencies are the low end of the picture's cosine transform. Turning an image by one of the eight orientations
only swaps and negates them, so a turned copy is found without touching its pixels again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

import cv2
import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from podium.data.cache import WORKERS
from podium.data.store import Store
from podium.formats.images import as_rgb

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
T = TypeVar("T")

Row = tuple[str, str, tuple[int, int], float, float]

SIDE = 64
"""Pixels of the small picture's side."""

FREQUENCIES = 10
"""Frequencies u, v with u + v below this, without the mean, make a descriptor."""

FLAT = 1.5
"""Grey levels of standard deviation below which a small picture shows nothing to compare."""

CHUNK = 512

ORIENTATIONS = (
    "as is",
    "flipped h",
    "flipped v",
    "rotated 180",
    "transposed",
    "rotated 270",
    "rotated 90",
    "transverse",
)
"""Orientation g transposes first if g & 4, then mirrors columns if g & 1 and rows if g & 2; rotations go left."""


@dataclass(frozen=True)
class Signatures:
    """What is kept of n images.

    Attributes:
        ids: In ascending order, so that nothing depends on the order in which the images came.
        digests: Equal for equal shape and pixels.
        shapes: (n, 2) height and width.
        thumbs: (n, SIDE, SIDE) float16, grey, mean 0 and standard deviation 1; all 0 where flat.
        contrast: (n,) grey levels of standard deviation of the small picture.
        level: (n,) its mean grey level.
    """

    ids: list[str]
    digests: list[str]
    shapes: NDArray[np.int32]
    thumbs: NDArray[np.float16]
    contrast: Floats
    level: Floats

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Whether an image has no texture to compare."""
        return np.asarray(self.contrast < FLAT)

    def __len__(self) -> int:
        return len(self.ids)

    def prefixed(self, prefix: str) -> Signatures:
        """The same with longer ids, so that a set can be joined with another that has the same ids."""
        return replace(self, ids=[prefix + id for id in self.ids])


def describe(images: Iterable[tuple[str, Pixels]] | Store, workers: int = WORKERS) -> Signatures:
    """Look at every image once. Unreadable items of a store, and images without a pixel, are left out.

    Args:
        images: (id, uint8 pixels of shape (H, W, 3), (H, W, 1) or (H, W)), each id once; or a store of them.

    Raises:
        ValueError: if an id comes twice.
    """
    # A store made at an input size has the digest of the original pixels, and the original size.
    known = _known(images) if isinstance(images, Store) else {}
    source = _items(images) if isinstance(images, Store) else images
    cells: list[Row] = []
    thumbs: list[NDArray[np.float16]] = []
    with ThreadPoolExecutor(workers) as pool:
        for chunk in _chunks(source, CHUNK):
            chunk = [(id, pixels) for id, pixels in chunk if pixels.size]
            step = -(-len(chunk) // workers) or 1
            parts = pool.map(_look, [chunk[i : i + step] for i in range(0, len(chunk), step)])
            for rows, small in parts:
                cells += rows
                thumbs.append(small)
    if len({id for id, *_ in cells}) < len(cells):
        raise ValueError("an id comes twice")
    order = sorted(range(len(cells)), key=lambda i: cells[i][0])
    ids = [cells[i][0] for i in order]
    digests = [known.get(id, (cells[i][1],))[0] for id, i in zip(ids, order, strict=True)]
    shapes = [known[id][1] if id in known else cells[i][2] for id, i in zip(ids, order, strict=True)]
    stack = np.concatenate(thumbs)[order] if thumbs else np.zeros((0, SIDE, SIDE), np.float16)
    contrast, level = (np.array([cells[i][k] for i in order], np.float32) for k in (3, 4))
    return Signatures(ids, digests, np.array(shapes, np.int32).reshape(-1, 2), stack, contrast, level)


def join(first: Signatures, second: Signatures) -> Signatures:
    """The signatures of both, in the order of their ids, which must differ."""
    ids = first.ids + second.ids
    order = sorted(range(len(ids)), key=ids.__getitem__)
    digests = first.digests + second.digests
    return Signatures(
        [ids[i] for i in order],
        [digests[i] for i in order],
        np.concatenate([first.shapes, second.shapes])[order],
        np.concatenate([first.thumbs, second.thumbs])[order],
        np.concatenate([first.contrast, second.contrast])[order],
        np.concatenate([first.level, second.level])[order],
    )


def _known(store: Store) -> dict[str, tuple[str, tuple[int, int]]]:
    rows = store.index.select("id", "pixels", "source_height", "source_width").rows()
    return {id: (digest, (h, w)) for id, digest, h, w in rows if digest and h and w}


def _items(store: Store) -> Iterator[tuple[str, Pixels]]:
    return ((id, as_rgb(store.image(i))) for i, id in enumerate(store.ids))


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def _look(
    images: Sequence[tuple[str, Pixels]],
) -> tuple[list[Row], NDArray[np.float16]]:
    rows, thumbs = [], np.zeros((len(images), SIDE, SIDE), np.float16)
    for i, (id, pixels) in enumerate(images):
        pixels = np.ascontiguousarray(pixels)
        small = thumbnail(pixels)
        level = float(small.mean())
        small -= level
        spread = float(small.std())
        if spread >= FLAT:
            thumbs[i] = small / spread
        digest = blake3(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest(length=16)
        rows.append((id, digest, (pixels.shape[0], pixels.shape[1]), spread, level))
    return rows, thumbs


def thumbnail(pixels: Pixels) -> Floats:
    """The image in grey at (SIDE, SIDE), whatever its aspect; as float, so that faint texture is not rounded away."""
    grey: NDArray[Any] = pixels
    if pixels.ndim == 3:
        grey = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY) if pixels.shape[2] >= 3 else pixels[..., 0]
    h, w = grey.shape
    shrink = max(h, w) >= 4 * SIDE and h >= SIDE and w >= SIDE  # floats of a large image cost more than its averaging
    if shrink:
        grey = cv2.resize(grey, (min(w, 4 * SIDE), min(h, 4 * SIDE)), interpolation=cv2.INTER_AREA)
    how = cv2.INTER_AREA if h >= SIDE and w >= SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey.astype(np.float32), (SIDE, SIDE), interpolation=how), np.float32)


def frequencies(thumbs: NDArray[np.floating]) -> Floats:
    """(n, FREQUENCIES, FREQUENCIES) low end of each picture's cosine transform, zero from u + v = FREQUENCIES on."""
    side = thumbs.shape[-1]
    u = np.arange(FREQUENCIES, dtype=np.float32)
    waves = np.cos(np.pi * u[:, None] * (np.arange(side, dtype=np.float32) + 0.5) / side) * np.sqrt(2 / side)
    kept = u[:, None] + u < FREQUENCIES
    kept[0, 0] = False
    waves = waves.astype(np.float32)
    out = np.zeros((len(thumbs), FREQUENCIES, FREQUENCIES), np.float32)
    for i in range(0, len(thumbs), CHUNK):
        out[i : i + CHUNK] = waves @ thumbs[i : i + CHUNK].astype(np.float32) @ waves.T * kept
    return out


def turned(grids: NDArray[np.floating], orientation: int) -> NDArray[np.floating]:
    """Pictures (…, S, S) in an orientation, a view."""
    if orientation & 4:
        grids = grids.swapaxes(-1, -2)
    if orientation & 1:
        grids = grids[..., ::-1]
    if orientation & 2:
        grids = grids[..., ::-1, :]
    return grids


def turned_frequencies(coefficients: Floats, orientation: int) -> Floats:
    """What `frequencies` gives for the picture in an orientation."""
    if orientation & 4:
        coefficients = coefficients.swapaxes(-1, -2)
    sign = np.where(np.arange(FREQUENCIES) % 2, np.float32(-1), np.float32(1))
    if orientation & 1:
        coefficients = coefficients * sign
    if orientation & 2:
        coefficients = coefficients * sign[:, None]
    return coefficients


def undone(orientation: int) -> int:
    """The orientation that turns back."""
    return {5: 6, 6: 5}.get(orientation, orientation)


def hats(positions: Floats, side: int) -> Floats:
    """Linear interpolation as matrices: (n, m) positions in pixels to (n, m, side) weights, edges repeated."""
    weights = np.clip(positions, 0, side - 1)[..., None] - np.arange(side, dtype=np.float32)
    np.abs(weights, out=weights)
    np.subtract(1, weights, out=weights)
    return np.asarray(np.maximum(weights, 0, out=weights), np.float32)
