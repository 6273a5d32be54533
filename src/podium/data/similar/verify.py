"""A close look at candidate pairs: lay one small picture over the other and measure the details that agree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.cache import WORKERS
from podium.data.similar.descriptor import SIDE, Floats, hats, turned, undone
from podium.data.similar.search import Candidates

BLOCK = 512
COARSE, FINE = SIDE // 4, SIDE // 2
REACH = 0.3
"""Of a shift, in half pictures, and of a change of scale."""

HOPELESS = 0.6
"""Coarse agreement below which a pair is not looked at more closely."""

MARGIN = 0.125
"""Of half a picture: details so near an edge depend on what is beyond it."""

ROUNDS = 3

AXES = 8.0

BLOCKS, SPOTS = 4, 16
"""The picture is cut into BLOCKS x BLOCKS parts, and SPOTS x SPOTS, to see whether one of them differs."""


@dataclass(frozen=True)
class Pyramid:
    """Each picture coarse, fine, and its details: what is smaller than about an eighth of it and not mere noise."""

    coarse: NDArray[np.float16]
    fine: NDArray[np.float16]
    detail: NDArray[np.float16]


@dataclass(frozen=True)
class Overlays:
    """How each b lies over its a.

    Attributes:
        agreement: Correlation of the details where both pictures are, -1 to 1.
        rest: Left-over difference of the worst part, as a share of the mean energy of the details.
        spot: The same of the worst spot: a pedestrian who walked on, a highlight that moved.
        energy: Mean energy of the details of a, whose grey levels have a variance of 1.
        scale: (n, 2) rows, columns: length in b of what has length 1 in a.
        shift: (n, 2) displacement of the centre, in half pictures.
    """

    agreement: Floats
    rest: Floats
    spot: Floats
    energy: Floats
    scale: Floats
    shift: Floats

    def take(self, rows: NDArray[np.int64]) -> Overlays:
        """Some of them."""
        return Overlays(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def moved(self) -> Floats:
        """How far the corner that moves most does so, as a share of the picture."""
        return np.asarray((np.abs(self.scale - 1) + np.abs(self.shift)).max(1) / 2, np.float32)


def pyramid(thumbs: NDArray[np.floating]) -> Pyramid:
    """The pictures (n, SIDE, SIDE) made ready for `overlay`."""
    n = len(thumbs)
    sizes = (COARSE, FINE, FINE)
    out = [np.zeros((n, s, s), np.float16) for s in sizes]
    for i in range(n):
        picture = np.asarray(thumbs[i], np.float32)
        detail = cv2.GaussianBlur(picture, (0, 0), 1) - cv2.GaussianBlur(picture, (0, 0), 4)
        for level, source, side in zip(out, (picture, picture, detail), sizes, strict=True):
            level[i] = cv2.resize(source, (side, side), interpolation=cv2.INTER_AREA)
    return Pyramid(*out)


def doubt(pictures: Pyramid, pairs: Candidates, over: Overlays) -> Floats:
    """How much each pair differs, as a share of what the more symmetric of the two differs from itself turned.

    What differs no more than that is no evidence of one image: one plain disc is like another. A picture with mirror
    axes is like itself in up to three of the seven turns, a disc in all: a pair that differs much less than the fourth
    nearest turn (`AXES` times) is of one picture, though its own mirror image differs no more.
    """
    rows = np.unique(np.r_[pairs.a, pairs.b])
    turned = Candidates(np.tile(rows, 7), np.tile(rows, 7), np.repeat(np.arange(1, 8), len(rows)))
    itself = np.sort(overlay(pictures, turned).rest.reshape(7, -1), axis=0)
    nearest, fourth = (
        np.minimum(d[np.searchsorted(rows, pairs.a)], d[np.searchsorted(rows, pairs.b)]) for d in itself[[0, 3]]
    )
    return np.asarray(over.rest / np.maximum(np.maximum(nearest, fourth / AXES), 1e-9), np.float32)


def overlay(pictures: Pyramid, pairs: Candidates, workers: int = WORKERS) -> Overlays:
    """Lay picture ``b``, turned back, over ``a``, for each pair of rows."""
    blocks = [pairs.take(np.arange(i, min(i + BLOCK, len(pairs)))) for i in range(0, len(pairs), BLOCK)]
    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(partial(_overlay, pictures), blocks or [pairs]))
    return Overlays(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Overlays)))


def _overlay(pictures: Pyramid, pairs: Candidates) -> Overlays:
    n = len(pairs)
    agreement, rest, spot = np.zeros(n, np.float32), *(np.full(n, np.inf, np.float32) for _ in range(2))
    scale, shift, energy = np.ones((n, 2), np.float32), np.zeros((n, 2), np.float32), np.zeros(n, np.float32)
    left, right = _pictures(pictures.coarse, pairs)
    scale, shift = _align(left, right, scale, shift)
    rows = np.flatnonzero(_correlation(left, *_warp(right, scale, shift)) > HOPELESS)
    if len(rows):
        some = pairs.take(rows)
        scale[rows], shift[rows] = _align(*_pictures(pictures.fine, some), scale[rows], shift[rows])
        left, right = _pictures(pictures.detail, some)
        # along layers and stripes nothing holds a picture in place: it stays where it was if that is about as good
        warped, mask = _warp(right, scale[rows], shift[rows], MARGIN)
        still = _worst(left, *_warp(right, np.ones_like(scale[rows]), np.zeros_like(shift[rows]), MARGIN))
        drifted = rows[still <= 1.25 * _worst(left, warped, mask)]
        scale[drifted], shift[drifted] = 1, 0
        warped, mask = _warp(right, scale[rows], shift[rows], MARGIN)
        agreement[rows] = _correlation(left, warped, mask)
        rest[rows], spot[rows] = (_worst(left, warped, mask, parts) for parts in (BLOCKS, SPOTS))
        energy[rows] = (left**2).mean((1, 2))
    return Overlays(agreement, rest, spot, energy, scale, shift)


def _pictures(level: NDArray[np.float16], pairs: Candidates) -> tuple[Floats, Floats]:
    right = np.zeros((len(pairs), *level.shape[1:]), np.float32)
    for g in range(8):
        here = pairs.turn == g
        right[here] = turned(level[pairs.b[here]], undone(g))
    return level[pairs.a].astype(np.float32), right


def _centres(side: int) -> Floats:
    """Pixel centres, the picture being -1 to 1."""
    return ((np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1).astype(np.float32)


def _warp(b: Floats, scale: Floats, shift: Floats, margin: float = 0) -> tuple[Floats, Floats]:
    """The part of b that lies over a, and where there is one: a change of scale and a shift act on each axis alone."""
    side = b.shape[-1]
    at = scale[:, :, None] * _centres(side) + shift[:, :, None]
    weights = [hats((at[:, axis] + 1) * side / 2 - 0.5, side) for axis in (0, 1)]
    inside = (np.abs(at) <= 1 - margin) & (np.abs(_centres(side)) <= 1 - margin)
    mask = inside[:, 0, :, None] & inside[:, 1, None, :]
    return np.asarray(weights[0] @ b @ weights[1].transpose(0, 2, 1), np.float32), mask.astype(np.float32)


def _normal(x: Floats, mask: Floats) -> tuple[Floats, Floats]:
    """x with mean 0 and standard deviation 1 under the mask, and what that was."""
    count = np.maximum(mask.sum((1, 2)), 1)
    x = x - (np.einsum("nij,nij->n", x, mask) / count)[:, None, None]
    x *= mask
    spread = np.sqrt(np.einsum("nij,nij->n", x, x) / count).astype(np.float32)[:, None, None]
    x /= np.maximum(spread, 1e-4)
    return x, spread


def _correlation(a: Floats, b: Floats, mask: Floats) -> Floats:
    product = _normal(a, mask)[0] * _normal(b, mask)[0]
    return np.asarray(product.sum((1, 2)) / np.maximum(mask.sum((1, 2)), 1), np.float32)


def _worst(a: Floats, b: Floats, mask: Floats, parts: int = BLOCKS) -> Floats:
    rest = (_normal(a, mask)[0] - _normal(b, mask)[0]) ** 2
    n, side = len(a), a.shape[-1] // parts
    return np.asarray(rest.reshape(n, parts, side, parts, side).mean((2, 4)).max((1, 2)), np.float32)


def _align(a: Floats, b: Floats, scale: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """Gauss-Newton from a start: scale and shift per axis such that b, warped, is a up to brightness and contrast.

    Source: Baker & Matthews 2004, "Lucas-Kanade 20 years on", the inverse additive form.
    """
    n, side, _ = a.shape
    at, step = _centres(side), 2 / side
    down, across = np.gradient(a, axis=1) / step, np.gradient(a, axis=2) / step
    slopes = np.stack([down, across, down * at[:, None], across * at, np.ones_like(a)], 1).reshape(n, 5, side * side)
    slopes = slopes.astype(np.float32, copy=False)
    for _ in range(ROUNDS):
        warped, mask = _warp(b, scale, shift)
        goal, spread = _normal(a, mask)
        rest = ((goal - _normal(warped, mask)[0]) * spread).reshape(n, side * side, 1)  # 0 where b is not
        squares = (slopes * mask.reshape(n, 1, side * side)) @ slopes.transpose(0, 2, 1)
        damping = 1e-3 * np.trace(squares, axis1=1, axis2=2) / 5 + 1e-6
        squares += damping[:, None, None] * np.eye(5, dtype=np.float32)
        move = np.clip(np.linalg.solve(squares, slopes @ rest)[..., 0], -0.15, 0.15)
        shift = np.clip(shift + scale * move[:, :2], -REACH, REACH)
        scale = np.clip(scale * (1 + move[:, 2:4]), 1 - REACH, 1 + REACH)
    return scale, shift
