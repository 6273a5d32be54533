"""Pictures of a fold run: the first batch as the network saw it, the best and worst predictions beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from podium.data.augment.sheet import outlined, rgb
from podium.data.loader import MaskPart, TrainLoader
from podium.data.preprocess import Preprocess
from podium.data.views import Images
from podium.files import write_atomic
from podium.recipe import InputConfig
from podium.training.tasks import MaskTask, Task

Pixels = NDArray[np.uint8]

TILE, TEXT, SHOWN = 224, 20, 6
"""Longer side of a picture and height of a line under it, in pixels; samples of each kind."""


def write_first_batch(path: Path, loader: TrainLoader, seed: int) -> None:
    """The first batch of the first epoch, up to sixteen samples, masks outlined: what the network sees."""
    batches = loader.epoch(seed, 1)
    batch = next(batches)
    tiles = []
    for i in range(min(16, len(batch.rows))):
        mask = batch.masks[i] if loader.table is None and batch.masks is not None else None
        told = loader.images.ids[int(batch.rows[i])]
        if batch.targets is not None:
            told += " " + _numbers(batch.targets[i])
        tiles.append(_tile(batch.images[i], mask, told))
    batches.close()  # type: ignore[attr-defined]
    _write(path, [tiles[i : i + 4] for i in range(0, len(tiles), 4)])


def write_extremes(
    path: Path,
    task: Task,
    images: Images,
    ids: Sequence[str],
    rows: Sequence[int],
    scores: Sequence[float] | NDArray[np.float64],
    truth: Any,
    predicted: Any,
    *,
    greater_is_better: bool,
) -> None:
    """The best and the worst predictions of a fold: truth on the left, prediction on the right.

    Args:
        ids: Of every item of ``images``.
        rows, scores: The fold's samples and their scores.
        truth: Masks at the input size (Store) whose items are those of ``images``; else a row of values for each item.
        predicted: Out-of-fold probabilities (Store, by id), else a row of values for each of ``rows``.
    """
    order = np.argsort(np.asarray(scores) * (1 if greater_is_better else -1), kind="stable")
    worst, best = order[:SHOWN], order[::-1][: min(SHOWN, max(0, len(order) - SHOWN))]
    lines = []
    for name, chosen in (("worst", worst), ("best", best)):
        for n in map(int, chosen):
            row, told = int(rows[n]), f"{name} {scores[n]:.4f} {ids[int(rows[n])]}"
            picture = images.image(row)
            if isinstance(task, MaskTask):
                probs = predicted.image(predicted.row[ids[row]])
                labels = _labels(task.decided(probs, probs.shape[:2], Preprocess.of(InputConfig())))
                mask = MaskPart(truth, row)[slice(0, picture.shape[0]), slice(0, picture.shape[1])]
                lines.append([_tile(picture, mask, told), _tile(picture, labels, "predicted")])
            else:
                lines.append([_tile(picture, None, told), _tile(picture, None, _beside(truth[row], predicted[n]))])
    half = -(-len(lines) // 2)
    _write(path, [lines[i] + (lines[half + i] if half + i < len(lines) else []) for i in range(half)])


def _labels(decided: NDArray[Any]) -> Pixels:
    """What `MaskTask.decided` gives as one picture of labels."""
    if decided.ndim == 2:
        return np.asarray(decided % 255 + (decided > 0) * (decided % 255 == 0), np.uint8)
    whole = np.zeros(decided.shape[1:], np.uint8)
    for k, plane in enumerate(decided):
        whole |= (plane > 0).astype(np.uint8) << np.uint8(k)
    return whole


def _numbers(values: Any) -> str:
    return " ".join(f"{float(v):.3g}" for v in np.atleast_1d(values)[:6])


def _beside(truth: Any, predicted: Any) -> str:
    return f"true {_numbers(truth)}, predicted {_numbers(predicted)}"


def _tile(picture: Pixels, mask: Pixels | None, told: str) -> Pixels:
    scale = TILE / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = rgb(np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)))
    if mask is not None:
        labels = cv2.resize(np.ascontiguousarray(mask), size, interpolation=cv2.INTER_NEAREST)
        small = outlined(small, np.asarray(labels, np.uint8))
    tile = np.full((size[1] + TEXT, TILE + 4, 3), 255, np.uint8)
    tile[: size[1], : size[0]] = small
    text = told.encode("ascii", "replace").decode()[:34]
    cv2.putText(tile, text, (2, size[1] + 14), 0, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _write(path: Path, lines: Sequence[Sequence[Pixels]]) -> None:
    """The tiles line by line, each line as high as its highest."""
    wide, rows = max(len(line) for line in lines), []
    for line in lines:
        row = np.full((max(len(tile) for tile in line), wide * (TILE + 4), 3), 255, np.uint8)
        for n, tile in enumerate(line):
            row[: len(tile), n * (TILE + 4) : (n + 1) * (TILE + 4)] = tile
        rows.append(row)
    write_atomic(path, simplejpeg.encode_jpeg(np.concatenate(rows), quality=88))
