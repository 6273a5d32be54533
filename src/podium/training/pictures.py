"""Pictures of a fold run: the first batch as the network saw it, the best and worst predictions beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.data.loader import MaskPart, TrainLoader
from podium.data.preprocess import Preprocess
from podium.data.tiles import one_picture, tile, write_tiles
from podium.data.views import Images
from podium.recipe import InputConfig
from podium.training.tasks import MaskTask, Task

SHOWN = 6
"""Samples of each kind."""


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
        tiles.append(tile(batch.images[i], mask, told))
    batches.close()  # type: ignore[attr-defined]
    write_tiles(path, [tiles[i : i + 4] for i in range(0, len(tiles), 4)])


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
                probs = task.seen(ids[row], probs)
                labels = one_picture(task.decided(probs, probs.shape[:2], Preprocess.of(InputConfig())))
                mask = MaskPart(truth, row)[slice(0, picture.shape[0]), slice(0, picture.shape[1])]
                lines.append([tile(picture, mask, told), tile(picture, labels, "predicted")])
            else:
                lines.append([tile(picture, None, told), tile(picture, None, _beside(truth[row], predicted[n]))])
    half = -(-len(lines) // 2)
    write_tiles(path, [lines[i] + (lines[half + i] if half + i < len(lines) else []) for i in range(half)])


def _numbers(values: Any) -> str:
    return " ".join(f"{float(v):.3g}" for v in np.atleast_1d(values)[:6])


def _beside(truth: Any, predicted: Any) -> str:
    return f"true {_numbers(truth)}, predicted {_numbers(predicted)}"
