"""Sheets of small pictures with a line of text under each: what a network saw, predicted, gained and lost on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from podium.data.augment.sheet import outlined, rgb
from podium.files import write_atomic

Pixels = NDArray[np.uint8]

TILE, TEXT = 224, 20
"""Longer side of a picture and height of a line under it, in pixels."""
LETTERS = 34
"""Of a line."""


def tile(picture: Pixels, mask: Pixels | None, *told: str) -> Pixels:
    """A picture of any size and number of channels, its mask outlined, with lines of text under it.

    Args:
        mask: Labels, uint8 (H, W), of any size and the same aspect.
    """
    scale = TILE / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = rgb(np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)))
    if mask is not None:
        labels = cv2.resize(np.ascontiguousarray(mask), size, interpolation=cv2.INTER_NEAREST)
        small = outlined(small, np.asarray(labels, np.uint8))
    drawn = np.full((size[1] + TEXT * len(told), TILE + 4, 3), 255, np.uint8)
    drawn[: size[1], : size[0]] = small
    for n, line in enumerate(told):
        text, y = line.encode("ascii", "replace").decode()[:LETTERS], size[1] + 14 + n * TEXT
        cv2.putText(drawn, text, (2, y), 0, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return drawn


def one_picture(labels: NDArray[Any]) -> Pixels:
    """Masks (C, H, W), a bit each, or numbers (H, W) of any size, as one picture of labels that are not 0 by chance."""
    if labels.ndim == 2:
        return np.asarray(labels % 255 + (labels > 0) * (labels % 255 == 0), np.uint8)
    whole = np.zeros(labels.shape[1:], np.uint8)
    for k, plane in enumerate(labels):
        whole |= (plane > 0).astype(np.uint8) << np.uint8(k)
    return whole


def write_tiles(path: Path, lines: Sequence[Sequence[Pixels]]) -> None:
    """A JPEG of the tiles line by line, each line as high as its highest."""
    wide, rows = max(len(line) for line in lines), []
    for line in lines:
        row = np.full((max(len(part) for part in line), wide * (TILE + 4), 3), 255, np.uint8)
        for n, part in enumerate(line):
            row[: len(part), n * (TILE + 4) : n * (TILE + 4) + part.shape[1]] = part
        rows.append(row)
    write_atomic(path, simplejpeg.encode_jpeg(np.concatenate(rows), quality=88))
