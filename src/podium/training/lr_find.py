"""The learning-rate range test: a rate that grows from step to step, and what the loss does meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from podium.errors import TrainingError

DIVERGED = 4.0
"""The test ends once the loss, smoothed, is this many times the lowest it was."""

SMOOTH = 2.5
"""Standard deviation, in steps, of the Gaussian that the losses are smoothed by: centred, so nothing is shifted."""

NEAR = 2.5
"""Decades below the minimum in which the steepest fall is looked for: further below there is only noise."""

SURE = 1.5
"""A fall is one if it is as large as this many standard deviations of single batches about the curve."""

Floats = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class RangeTest:
    """What came of it.

    Attributes:
        rates, losses: Of each step.
        smooth: The losses, smoothed.
        steepest: The rate at which the smoothed loss fell fastest, per decade of the rate.
        tenth: A tenth of the rate at which it was lowest.
    """

    rates: Floats
    losses: Floats
    smooth: Floats
    steepest: float
    tenth: float

    @property
    def suggestion(self) -> float:
        """The rate to try, two digits: the lower of `steepest` and `tenth`, where the loss falls and nothing shakes."""
        return float(f"{min(self.steepest, self.tenth):.1e}")


def range_test(step: Callable[[float], float], *, low: float = 1e-7, high: float = 1.0, steps: int = 100) -> RangeTest:
    """Take one training step at each rate from ``low`` to ``high``, evenly in their logarithm, until it diverges.

    Args:
        step: Takes a step at a rate and returns the batch's loss before it.

    Raises:
        TrainingError: if the loss fell nowhere, so that nothing can be suggested.

    Source: Smith 2015 (arXiv 1506.01186), sec. 3.3; the ending and a tenth of the minimum as fast.ai has them.
    """
    rates, losses = [], []
    running, lowest = math.nan, math.inf
    for rate in np.geomspace(low, high, steps):
        loss = step(float(rate))
        if not math.isfinite(loss):
            break
        rates.append(float(rate))
        losses.append(loss)
        running = loss if math.isnan(running) else 0.8 * running + 0.2 * loss
        lowest = min(lowest, running)
        if len(losses) > 10 and running > DIVERGED * lowest:
            break
    return judged(np.array(rates), np.array(losses))


def judged(rates: Floats, losses: Floats) -> RangeTest:
    """The suggestions that losses at growing rates give.

    Raises:
        TrainingError: if the loss fell nowhere.
    """
    if len(losses) < 8:
        raise TrainingError(
            f"the loss was not finite after {len(losses)} steps",
            remedy="set train.precision=fp32, or look whether the data are what they should be: podium look",
        )
    smooth = smoothed(losses)
    bottom = int(smooth.argmin())
    noise = 1.48 * float(np.median(np.abs(losses - smooth)[: bottom + 1]))  # a standard deviation, whatever explodes
    start = float(np.median(smooth[: max(3, bottom // 2)]))
    if bottom < 3 or start - smooth[bottom] < max(0.02 * abs(start), SURE * noise):
        raise TrainingError(
            f"the loss fell at none of the rates from {rates[0]:.0e} to {rates[-1]:.0e} by more than batches differ",
            remedy="take more steps, of larger batches: podium lr-find --steps 300 train.batch_size=32",
        )
    decades = np.log10(rates)
    slope = np.gradient(smooth, decades)
    near = np.flatnonzero((decades >= decades[bottom] - NEAR) & (np.arange(len(rates)) <= bottom))
    steepest = int(near[slope[near].argmin()])
    return RangeTest(rates, losses, smooth, float(rates[steepest]), float(rates[bottom]) / 10)


def smoothed(losses: Floats) -> Floats:
    """Losses by a centred Gaussian; at the ends by what of it there is."""
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / SMOOTH) ** 2)
    return np.asarray(weights @ losses / weights.sum(1))


def endless(epoch: Callable[[int], Iterator[T]]) -> Generator[T, None, None]:
    """The batches of one epoch after the other, from the first."""
    number = 1
    while True:
        yield from epoch(number)
        number += 1
