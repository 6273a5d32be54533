"""How far a training is: by its epochs, or by the clock when `train.time` bounds it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]

MARGIN = 1.1
"""What comes after the last step is expected to take this many times what it took when it was measured."""

FIRST_GUESS = 0.06
"""Share of the time that is kept for what comes after the last step, as long as nothing was measured."""

VALIDATION = 0.08
"""Share of a timed training that may go into validation before the end."""


class Budget:
    """The end of a training, and the share of it that is over.

    By the clock the share is the time that has gone by, so a schedule anneals to its end whatever the machine's speed;
    `train.epochs` then only says how long phases and cycles are against the whole.

    Args:
        epochs: Passes over the training samples, where there is no time.
        seconds: The whole time of the fold run, or None.
        spent: Seconds that are gone before the loop begins: data preparation, and what a killed run used up.
        validation: Seconds that a validation will take, if that was measured.
        passes: What the prediction at the end takes, in validations.
        judged: Whether the last weights are validated too, since others may be chosen.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        epochs: int,
        seconds: float | None = None,
        spent: float = 0.0,
        validation: float | None = None,
        passes: float = 1.0,
        judged: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self.epochs, self.seconds, self.judged = epochs, seconds, judged
        self._clock, self._begun, self._passes = clock, clock() - spent, passes
        self._validated, self._measured = self.elapsed, False
        self._validation = validation or 0.0
        self._after = 0.0
        if seconds is not None:
            self._after = FIRST_GUESS * seconds if validation is None else self._reserve(validation)

    @property
    def elapsed(self) -> float:
        """Seconds of the fold run so far."""
        return self._clock() - self._begun

    @property
    def _trainable(self) -> float:
        assert self.seconds is not None
        return max(1e-9, self.seconds - self._after)

    def _reserve(self, validation: float) -> float:
        assert self.seconds is not None
        return min(MARGIN * validation * (self._passes + self.judged), 0.5 * self.seconds)

    def done(self, position: float, steps: int = 1) -> float:
        """The share of the training that is over before a step, in [0, 1].

        Args:
            position: Epochs that are over, with their fraction.
            steps: Steps an epoch; before the last of all the share is 1.
        """
        if self.seconds is not None:
            return min(1.0, self.elapsed / self._trainable)
        return min(1.0, position / max(self.epochs - 1 / steps, 1e-9)) if position else 0.0

    def over(self, position: float) -> bool:
        """Whether the training ends at ``position`` (epochs, with their fraction)."""
        return position >= self.epochs if self.seconds is None else self.elapsed >= self._trainable

    def validates(self, epoch: int, every: int, *, last: bool) -> bool:
        """Whether to validate after an epoch; by the clock as often as little of it is spent on that.

        Args:
            every: Epochs between validations, where there is no time.
            last: Whether the training is over.
        """
        if self.seconds is None:
            return last or epoch % every == 0
        if last:
            return self.judged
        if not self._measured:
            return self.elapsed > 0.15 * self.seconds
        return self._validation <= VALIDATION * (self.elapsed - self._validated)

    def validated(self, seconds: float) -> None:
        """Validation took ``seconds``."""
        self._validated, self._measured, self._validation = self.elapsed, True, seconds
        if self.seconds is not None:
            self._after = self._reserve(seconds)

    def left(self, position: float) -> float:
        """Seconds until the last step, as far as can be said; NaN before the first."""
        if self.seconds is not None:
            return max(0.0, self._trainable - self.elapsed)
        return self.elapsed / position * (self.epochs - position) if position else float("nan")
