"""Every threshold at once: of each sample how many pixels, and how many true ones, each level of probability has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podium.data.store import Store, ordered_map
from podium.metrics import Measured
from podium.recipe import PredictConfig
from podium.training.evaluate import Predicts
from podium.training.fold_run import FoldData
from podium.training.tasks import MaskTask, PlanesTask, TableTask

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Levels:
    """Pixels by their level of 0 to 255, at original size.

    Attributes:
        pixels: Above each level, (N, K, 256).
        true: Of these, those that are foreground, same shape.
        truth: Foreground pixels, (N, K).
    """

    pixels: Ints
    true: Ints
    truth: Ints

    def cut_at(self, threshold: float | list[float]) -> Measured:
        """What an overlap metric reads of masks cut at a threshold, exactly as `mask_at` cuts them."""
        k = self.pixels.shape[1]
        level = np.floor(np.multiply(np.broadcast_to(threshold, k), 255)).astype(np.intp)
        each = np.arange(k)
        rows = np.stack([self.true[:, each, level], self.pixels[:, each, level], self.truth], axis=-1)
        return Measured.of_counts("overlap", rows if k > 1 else rows[:, 0])


def only_cuts(task: MaskTask | TableTask, config: PredictConfig) -> bool:
    """Whether the threshold is all that decides under this [predict], and counts of pixels all that is read."""
    if not isinstance(task, PlanesTask) or task.metric.kind != "overlap" or config.tuned:
        return False
    if config.empty_by is not None:
        return False
    if config.empty_peak is not None and config.empty_peak > np.min(np.asarray(config.threshold, np.float64)):
        return False  # a pixel above the threshold is above a lower peak
    areas = (config.min_area, config.empty_area)
    if any(area not in (None, 1) for area in areas):
        return False
    return not (config.smooth or config.fill_holes or config.largest or config.hull)


def counts_by_level(parts: Sequence[Predicts], rows: Sequence[Sequence[int]], data: FoldData) -> Levels:
    """The levels of all samples, fold after fold.

    Args:
        rows: Of each of ``parts``, its samples.
    """
    truth = data.truth
    assert isinstance(truth, Store)
    found: list[tuple[Ints, Ints]] = []
    for one, own in zip(parts, rows, strict=True):
        task, stream = one.task, one.stream(data.stores.images, own, 1)
        assert isinstance(task, MaskTask)

        def levels_of(
            item: tuple[int, NDArray[np.uint8]], task: MaskTask = task, one: Predicts = one, truth: Store = truth
        ) -> tuple[Ints, Ints]:
            row, probs = item
            restored = one.preprocess.restore(probs, truth.shape(row)).reshape(*truth.shape(row), -1)
            return _levels(restored, task.truth(truth, row))

        found += list(ordered_map(levels_of, stream, workers=2, ahead=4))
    pixels, true = (np.stack([part[i] for part in found]) for i in range(2))
    return Levels(_above(pixels), _above(true), true.sum(axis=2))


def _levels(probs: NDArray[np.uint8], truth: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Pixels of each level, and true ones, (K, 256) each, of probabilities (H, W, K) and masks (K, H, W)."""
    every = [np.bincount(probs[:, :, k].ravel(), minlength=256) for k in range(len(truth))]
    true = [np.bincount(probs[:, :, k][mask], minlength=256) for k, mask in enumerate(truth)]
    return np.array(every, np.int64), np.array(true, np.int64)


def _above(counts: Ints) -> Ints:
    return np.asarray(counts.sum(axis=-1, keepdims=True) - np.cumsum(counts, axis=-1))
