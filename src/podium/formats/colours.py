"""Masks whose colours stand for classes: the class of each pixel, where noise and soft edges get that of their side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from podium.errors import DataError
from podium.formats.images import Pixels, read_image

Colour = tuple[int, int, int]
Numbers = npt.NDArray[np.uint8]

TOLERANCE = 24
"""How far a channel may lie from a colour and still be it (a JPEG's noise), if no other colour is as near."""
NONE = 255
AROUND = 2
"""How far, in pixels, the sure ones may be that a doubtful one is compared with."""
_SQUARE = np.ones((3, 3), np.uint8)


def read_colours(path: Path, palette: Sequence[Colour]) -> Numbers:
    """Which colour each pixel of a mask is of: its place in ``palette``, uint8 of shape (H, W).

    Palette images give their colours; transparency is dropped. A pixel that is of no colour, or of one that a soft edge
    between two others passes through, gets the likest colour among those of sure pixels close by, or the nearest one's.

    Args:
        path: A mask in colour.
        palette: At most 255 different colours, red, green, blue in 0..255.

    Raises:
        DataError: if it cannot be decoded, or has an area in a colour that is not in the palette.
    """
    pixels = read_image(path)
    numbers = _table(tuple(palette))[pixels[..., 0], pixels[..., 1], pixels[..., 2]]
    off = numbers == NONE
    if not off.any():
        return numbers
    _require_known(pixels, off, path)
    doubtful = off | _in_between(numbers, palette)
    if doubtful.all():
        raise _unknown(pixels.reshape(-1, 3)[0], path)
    return _settled(numbers, doubtful, pixels, np.array(palette, np.int32))


def codes(pixels: Pixels) -> npt.NDArray[np.int32]:
    """Each pixel's colour as one number, of shape (H, W)."""
    wide = pixels.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def colour_of(code: int) -> Colour:
    """The colour that `codes` made a number of."""
    return int(code) >> 16, int(code) >> 8 & 255, int(code) & 255


def flat(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Where a pixel and its eight neighbours are of exactly one colour, of shape (H, W)."""
    same: npt.NDArray[np.bool_] = (cv2.erode(pixels, _SQUARE) == cv2.dilate(pixels, _SQUARE)).all(axis=2)
    return same


def is_between(colour: Colour, ends: Iterable[Colour]) -> bool:
    """Whether a mixture of two of the colours comes near a colour, so that soft edges pass through it."""
    middle = np.array(colour, float)
    for a, b in combinations([np.array(e, float) for e in ends if tuple(e) != tuple(colour)], 2):
        along = b - a
        part = float((middle - a) @ along / (along @ along))
        if 0.05 < part < 0.95 and float(np.abs(a + part * along - middle).max()) <= TOLERANCE:
            return True
    return False


def _settled(
    numbers: Numbers, doubtful: npt.NDArray[np.bool_], pixels: Pixels, palette: npt.NDArray[np.int32]
) -> Numbers:
    """``numbers`` with the doubtful ones replaced by what is sure around them."""
    _, label = cv2.distanceTransformWithLabels(
        doubtful.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(label.max()) + 1, np.uint8)
    of_label[label[~doubtful]] = numbers[~doubtful]
    out: Numbers = of_label[label]
    rows, columns = np.nonzero(doubtful)
    own = pixels[rows, columns].astype(np.int32)
    known = np.pad(np.where(doubtful, np.uint8(NONE), numbers), AROUND, constant_values=NONE)
    best = np.abs(own - palette[out[rows, columns]]).sum(axis=1)
    anywhere = np.zeros(len(rows), np.bool_)
    for dy in range(2 * AROUND + 1):
        for dx in range(2 * AROUND + 1):
            there = known[rows + dy, columns + dx]
            apart = np.abs(own - palette[np.where(there == NONE, 0, there)]).sum(axis=1)
            better = (there != NONE) & ((apart < best) | ~anywhere)
            best[better], anywhere = apart[better], anywhere | (there != NONE)
            out[rows[better], columns[better]] = there[better]
    return out


@lru_cache(maxsize=2)
def _table(palette: tuple[Colour, ...]) -> Numbers:
    """The place in the palette of every colour there is, of shape (256, 256, 256); NONE where it is in doubt."""
    apart = min((max(abs(x - y) for x, y in zip(a, b, strict=True)) for a, b in combinations(palette, 2)), default=256)
    near = min(TOLERANCE, (apart - 1) // 2)
    table = np.full((256, 256, 256), NONE, np.uint8)
    for number, colour in enumerate(palette):
        table[tuple(slice(max(0, v - near), v + near + 1) for v in colour)] = number
    return table


def _in_between(numbers: Numbers, palette: Sequence[Colour]) -> npt.NDArray[np.bool_]:
    """Pixels in thin stripes of a colour that soft edges between two others pass through."""
    here = [int(n) for n in np.unique(numbers) if n != NONE]
    out = np.zeros(numbers.shape, np.bool_)
    for n in here:
        if is_between(palette[n], [palette[m] for m in here if m != n]):
            mask = (numbers == n).astype(np.uint8)
            out |= cv2.morphologyEx(mask, cv2.MORPH_OPEN, _SQUARE) < mask
    return out


def _require_known(pixels: Pixels, off: npt.NDArray[np.bool_], path: Path) -> None:
    """Refuse an area of a colour that is not in the palette; soft edges and noise have no area."""
    areas = codes(pixels)[off & flat(pixels)]
    found, counts = np.unique(areas, return_counts=True)
    if len(found) and counts.max() >= max(9, off.size // 2000):
        raise _unknown(colour_of(found[counts.argmax()]), path)


def _unknown(colour: Any, path: Path) -> DataError:
    return DataError(
        f"the mask holds the colour [{', '.join(str(int(v)) for v in colour)}], which is none of [colours]",
        where=path,
        expected="the colours that [colours] in competition.toml gives to classes, but for noise at edges",
        remedy="add the colour to [colours], or to one that is named in data.ignore",
    )
