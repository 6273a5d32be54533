"""The pixels that a logistic stack is fitted on: those of which not every member is certain, some of each mask.

Where all members are certain of the same, every stack says so too; nearly all pixels are like that, and would teach a
regression how sure to be of what nobody doubts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.data.store import Store, ordered_map
from podium.ensemble.combine import Stack
from podium.ensemble.ground import Ground, target_planes
from podium.progress import track
from podium.training.tasks import MaskTask

Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]

CERTAIN = 8
"""Levels of 255 that the probabilities of all members are within, of 0 or of 255."""
IN_ALL = 300_000
"""Pixels that are kept, of all masks together."""
FEWEST, MOST = 50, 2000
"""Of one sample."""
EDGE = 0.5 / 255
"""Of 8-bit probabilities: 0 is less than half a level."""


@dataclass(frozen=True)
class Uncertain:
    """Pixels that not all members are certain of.

    Attributes:
        probs: (M, N, outputs).
        truth: (N, outputs).
        counts: How many pixels of its sample each stands for, (N,).
        sample: Index of its sample among the ground's rows, (N,).
    """

    probs: Pixels
    truth: NDArray[np.bool_]
    counts: NDArray[np.float64]
    sample: Ints

    @classmethod
    def of(cls, ground: Ground) -> Uncertain:
        """From one pass over all predictions of a ground of masks."""
        most = int(np.clip(IN_ALL // max(1, len(ground.rows)), FEWEST, MOST))
        stream = ordered_map(lambda n: _some_of(ground, n, most), range(len(ground.rows)), workers=2, ahead=4)
        parts = list(track(stream, "reading uncertain pixels", len(ground.rows)))
        probs, truth, counts = (np.concatenate([p[i] for p in parts], axis=int(i == 0)) for i in range(3))
        sample = np.repeat(np.arange(len(parts)), [p[0].shape[1] for p in parts])
        return cls(probs, truth, counts, sample)

    def stack(self, task: MaskTask, use: Any) -> Stack:
        """A logistic stack of the pixels of some samples, each pixel that these stand for counted once.

        Args:
            use: Indices of the samples.
        """
        own = np.isin(self.sample, use)
        if not own.any():
            members, outputs = len(self.probs), task.outputs
            return Stack(task.kind, np.full(members, 1 / members), np.zeros(outputs), EDGE)
        values, target = self.probs[:, own] / np.float32(255), self.truth[own].astype(np.float64)
        return Stack.fit(task.kind, values, target, counts=self.counts[own], edge=EDGE)


def _some_of(ground: Ground, n: int, most: int) -> tuple[Pixels, NDArray[np.bool_], NDArray[np.float64]]:
    """(probabilities (M, some, outputs), truth (some, outputs), how many each stands for) of one sample."""
    truth, row, task = ground.data.truth, ground.rows[n], ground.task
    assert isinstance(truth, Store)
    assert isinstance(task, MaskTask)
    id, shape = ground.data.stores.images.ids[row], truth.shape(row)
    planes = np.stack([source.pixels(id, shape).reshape(-1, task.outputs) for source in ground.sources])
    target = np.moveaxis(target_planes(task, task.truth(truth, row)).reshape(task.outputs, -1), 0, 1)
    sure = (planes.max(axis=0) <= CERTAIN) | (planes.min(axis=0) >= 255 - CERTAIN)
    doubtful = ~sure.all(axis=1)
    if task.kind == "labels":
        doubtful &= target.any(axis=1)  # what is ignored has no class
    found = np.flatnonzero(doubtful)
    some = found[np.linspace(0, len(found) - 1, most).astype(np.intp)] if len(found) > most else found
    return planes[:, some], target[some], np.full(len(some), len(found) / max(1, len(some)))
