"""Which samples an epoch trains on, and in what order: a pure function of the recipe, the seed and the epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from podium.recipe import SamplingConfig

Floats = NDArray[np.float64]


def epoch_size(samples: int, config: SamplingConfig) -> int:
    """How many samples an epoch has of so many."""
    return config.per_epoch or samples


def epoch_rows(
    rows: NDArray[np.int64], config: SamplingConfig, seed: int, epoch: int, weights: Floats | None = None
) -> NDArray[np.int64]:
    """The rows of an epoch (from 1), in order.

    Without replacement the epochs go through one shuffle of all rows after the other, so that none is drawn twice
    before each was drawn once, however long an epoch is. With replacement each draw is independent, by the weights.

    Args:
        weights: One above or equal to 0 for each row; None = all alike.
    """
    size, n = epoch_size(len(rows), config), len(rows)
    if config.replacement:
        share = None if weights is None else weights / weights.sum()
        return np.asarray(rows[np.random.default_rng([seed, epoch]).choice(n, size, p=share)])
    first, last = (epoch - 1) * size, epoch * size
    shuffles = range(first // n, (last - 1) // n + 1)
    order = np.concatenate([np.random.default_rng([seed, k + 1]).permutation(n) for k in shuffles])
    return np.asarray(rows[order[first - shuffles[0] * n :][:size]])


def batch_key(config: SamplingConfig, epoch: int, batch: int) -> int:
    """What seeds the augmentation of a batch instead of the epoch, where an epoch may draw a sample twice."""
    plain = not config.replacement and config.per_epoch is None
    return epoch if plain else epoch + (batch + 1) * 2**20


def class_weights(presence: NDArray[np.bool_], power: float) -> Floats:
    """Weights by the rarest class of a sample: (1 / share of the samples that have it) ^ power, the mean is 1.

    Args:
        presence: Whether a sample (row) has a class (column); a sample of none is a class of its own.

    Source: Gupta et al. 2019, LVIS (arXiv 1908.03195), sec. 5: repeat factors, there with power 1/2.
    """
    table = np.column_stack([presence, ~presence.any(1)]).astype(np.float64)
    share = np.maximum(table.mean(0), 1e-12)
    weights = np.where(table > 0, (1 / share) ** power, 0).max(1)
    return np.asarray(weights / weights.mean())


class Hardness:
    """How hard samples were lately: the loss of each when it was last trained on, as known when the epoch began.

    A sample that was not seen yet counts as one of the hardest, so that each comes.
    """

    def __init__(self) -> None:
        self.losses: dict[int, float] = {}
        self.fresh: dict[int, float] = {}

    def update(self, rows: Sequence[int] | NDArray[np.int64], losses: Sequence[float] | NDArray[np.floating]) -> None:
        """Note the losses of a batch; they count from the next epoch on, so that a resumed epoch draws the same."""
        self.fresh |= zip(map(int, rows), map(float, losses), strict=True)

    def begin_epoch(self) -> None:
        """Let what was noted count."""
        self.losses = dict(self.fresh)

    def weights(self, rows: NDArray[np.int64], power: float) -> Floats:
        """One weight a row: (loss / mean loss) ^ power, but a tenth at least, so that none is forgotten."""
        if not self.losses:
            return np.ones(len(rows))
        highest = max(self.losses.values())
        found = np.array([self.losses.get(row, highest) for row in rows.tolist()])
        return np.asarray(np.maximum((found / max(found.mean(), 1e-12)) ** power, 0.1))

    def state(self) -> dict[str, dict[int, float]]:
        """What a resumed training goes on from."""
        return {"losses": self.losses, "fresh": self.fresh}

    def load_state(self, state: dict[str, dict[int, float]]) -> None:
        """Take up what `state` gave."""
        self.losses, self.fresh = dict(state["losses"]), dict(state["fresh"])
