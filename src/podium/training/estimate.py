"""How long a recipe will take, from rates that were measured: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.progress import counted, duration
from podium.recipe import Recipe

VAL_COST = 1 / 3
"""What predicting an image costs against training on it, as long as nobody has measured it: no backward pass."""

WORTH_TELLING = 300.0
"""Seconds; what takes less is not worth an estimate."""


@dataclass(frozen=True)
class Pace:
    """Rates that a recipe runs at.

    Attributes:
        train: Images a second that are trained on, their loading included.
        validate: Images a second that are predicted and scored, without flips.
    """

    train: float
    validate: float

    @classmethod
    def of_steps(cls, images_per_s: float) -> Pace:
        """From training alone."""
        return cls(images_per_s, images_per_s / VAL_COST)


@dataclass(frozen=True)
class Estimate:
    """Seconds that an attempt takes.

    Attributes:
        runs: Of each fold run.
        validating: The share that goes into validation and the last prediction.
        told: "20 epochs x 5 folds: about 2h10m".
    """

    runs: list[float]
    validating: float
    told: str

    @property
    def seconds(self) -> float:
        """Of all fold runs."""
        return sum(self.runs)


def estimate(recipe: Recipe, pace: Pace, folds: Sequence[tuple[int, int]]) -> Estimate:
    """What training a recipe takes, fold run by fold run, one after another.

    Args:
        pace: As measured at the beginning of the training; phases of other sizes count by their pixels.
        folds: (training, validation) samples of each fold.
    """
    timed = recipe.train.seconds
    training = [trained_images(recipe, train) / pace.train for train, _ in folds]
    validating = [validated_images(recipe, val) / pace.validate for _, val in folds]
    runs = [t + v if timed is None else timed for t, v in zip(training, validating, strict=True)]
    share = sum(validating) / max(1e-9, sum(training) + sum(validating)) if timed is None else 0.0
    length = counted(recipe.train.epochs, "epoch") if timed is None else f"{recipe.train.time} (train.time)"
    return Estimate(runs, share, f"{length} x {counted(len(runs), 'fold')}: about {duration(sum(runs))}")


def trained_images(recipe: Recipe, samples: int) -> float:
    """Images that a fold run trains on over all its epochs; smaller or larger ones of later phases by their area."""
    stages, total = recipe.stages(), 0.0
    first = _area(stages[0][1])
    ends = [*(start for start, _ in stages[1:]), recipe.train.epochs]
    for (start, stage), end in zip(stages, ends, strict=True):
        area = _area(stage)
        share = area / first if area and first else 1.0
        total += share * (end - start) * (recipe.sampling.per_epoch or samples)
    return total


def validated_images(recipe: Recipe, samples: int) -> float:
    """Predictions of a validation fold's images in a fold run: while it trains, and in all views at its end."""
    epochs, every = recipe.train.epochs, recipe.train.val_every
    times = epochs // every + (epochs % every > 0)
    return samples * (times + len(recipe.predict.views))


def _area(recipe: Recipe) -> int:
    """Pixels of a training image, as far as the recipe says; 0 where the images' own size rules."""
    given = recipe.input
    if given.train_crop:
        return given.train_crop**2
    return given.size[0] * given.size[1] if given.size else 0


def outlook(recipe: Recipe, images_per_s: float, train: int, val: int, runs: int) -> str:
    """A line for who waits, from the pace of the first steps; empty where it will not take long.

    Args:
        runs: Fold runs that are left, this one included.
    """
    found = estimate(recipe, Pace.of_steps(images_per_s), [(train, val)] * runs)
    if found.seconds <= WORTH_TELLING:
        return ""
    return found.told if recipe.train.seconds else f"at {images_per_s:.0f} images/s {found.told}"
