"""Competitions that never were: what a fold run of a recipe scores, a value a group.

A recipe has a level on each group of each fold (its true gain, and how well it suits that group); a training of it adds
a hidden shift of the whole fold, a shift of each group, and the noise of the images. Gains are in run-sds: the standard
deviation of the hidden shift is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri

from podium.ledger.verdict.formulas import Floats
from podium.ledger.verdict.runs import weighed

Rng = np.random.Generator


@dataclass(frozen=True)
class World:
    """A metric that is a mean over samples, all noise normal: group means are drawn directly, which is exact.

    Attributes:
        folds: K.
        sizes: Images of each group of a fold, shape (G,).
        shift, run_group, recipe_group, image: Standard deviations of the noise.
        tail: Degrees of freedom of the shift's t distribution, scaled to ``shift``; None: normal.
        spread: Standard deviation of the logarithm of a recipe's own factor to ``shift``.
    """

    folds: int = 5
    sizes: tuple[int, ...] = (16,) * 64
    shift: float = 1.0
    run_group: float = 2.0
    recipe_group: float = 3.0
    image: float = 8.0
    tail: float | None = None
    spread: float = 0.0

    def recipes(self, rng: Rng, *lanes: int) -> Floats:
        """How well new recipes suit each group, shape (*lanes, K, G)."""
        return rng.normal(0, self.recipe_group, (*lanes, self.folds, len(self.sizes)))

    def factors(self, rng: Rng, *lanes: int) -> Floats:
        """How much larger than usual the recipes' run noise is, shape lanes."""
        return np.exp(self.spread * rng.standard_normal(lanes))

    def run(self, rng: Rng, level: Floats, factor: Floats | float = 1.0) -> Floats:
        """One training for each ``level`` (…, G), with a factor (…) to its shift: the values of `Run`, shape (…, G)."""
        sizes = np.array(self.sizes, np.float64)
        noise = np.sqrt(self.run_group**2 + self.image**2 / sizes)
        drawn = level + self._shift(rng, level.shape[:-1], factor) + noise * rng.standard_normal(level.shape)
        return weighed(drawn, sizes)

    def _shift(self, rng: Rng, shape: tuple[int, ...], factor: Floats | float) -> Floats:
        drawn = rng.standard_normal(shape)
        if self.tail is not None:
            drawn = rng.standard_t(self.tail, shape) * np.sqrt((self.tail - 2) / self.tail)
        return np.asarray((self.shift * factor * drawn)[..., None], np.float64)


@dataclass(frozen=True)
class DiceWorld(World):
    """Dice in [0, 1], image by image: four in ten masks are empty and score 0 or 1, the rest ends at 1 or near it.

    How hard an image is, is shared by all runs, so that it cancels in part.
    """

    unit: float = 0.02

    def run(self, rng: Rng, level: Floats, factor: Floats | float = 1.0) -> Floats:
        """As `World.run`, from the mean Dice of each group's images."""
        n = self.sizes[0]
        ease = ndtri((np.random.default_rng(0).permutation(len(self.sizes) * n) + 0.5) / (len(self.sizes) * n))
        ease = ease.reshape(-1, n)
        group = level + self._shift(rng, level.shape[:-1], factor) + self.run_group * rng.standard_normal(level.shape)
        latent = self.unit * (group[..., None] + self.image * rng.standard_normal((*level.shape, n)))
        full = np.clip(0.9 + 0.15 * ease + latent, 0, 1)
        empty = rng.random((*level.shape, n)) < expit(1.5 + 2 * ease + 10 * latent)
        return np.asarray(np.where(np.arange(n) < 0.4 * n, empty, full).mean(-1), np.float64)


@dataclass(frozen=True)
class AucWorld(World):
    """Area under the ROC curve of a fold, by leave-one-group-out jackknife; half of each group is of class 1.

    A better recipe sets the classes further apart.
    """

    unit: float = 0.15

    def run(self, rng: Rng, level: Floats, factor: Floats | float = 1.0) -> Floats:
        """As `World.run`, in jackknife values of the AUC."""
        groups, n = len(self.sizes), self.sizes[0] // 2
        own = level + self._shift(rng, level.shape[:-1], factor) + self.run_group * rng.standard_normal(level.shape)
        ease = np.random.default_rng(0).standard_normal((2, groups, n))
        ones = 1.2 + self.unit * own[..., None] + 0.7 * (ease[0] + rng.standard_normal((*level.shape, n)))
        zeros = 0.7 * (ease[1] + rng.standard_normal((*level.shape, n)))
        return auc_values(ones, zeros)


def auc_values(ones: Floats, zeros: Floats) -> Floats:
    """Jackknife values of the AUC of each group, shape (…, G), from the scores of both classes, shape (…, G, n)."""
    groups, n = ones.shape[-2:]
    flat = (*ones.shape[:-2], groups * n)
    above = (ones.reshape(flat)[..., :, None] > zeros.reshape(flat)[..., None, :]).reshape(*flat[:-1], groups, n, -1)
    pairs = above.sum(-2, dtype=np.int32).reshape(*flat[:-1], groups, groups, n).sum(-1)  # (…, of ones, of zeros)
    whole = pairs.sum((-1, -2))
    own = pairs[..., np.arange(groups), np.arange(groups)]
    without = whole[..., None] - pairs.sum(-1) - pairs.sum(-2) + own
    return np.asarray(
        groups * whole[..., None] / (groups * n) ** 2 - (groups - 1) * without / ((groups - 1) * n) ** 2, np.float64
    )
