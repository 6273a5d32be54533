"""How many threads a CPU training computes with, found while it runs.

Threads of OpenMP spin while they wait for each other: on cores that others use too, two of them were seen to take 2 to
48 times as long for a step as one. On idle cores all of them are fastest. Which it is changes from minute to minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

TRIES = 4
"""Steps that a number of threads is tried for; the first of them does not count."""

SHARE = 20
"""A choice holds for so many times as long as it took to find it."""

HOPELESS = 1.5
"""A step that takes so many times as long as another number's ends the try."""


class Threads:
    """Tries numbers of threads in turn, keeps the fastest, and tries again later.

    Bits may depend on the number of threads, so this is for trainings by the clock, which do not repeat anyway.

    Args:
        numbers: Of threads, to choose from; with fewer than two nothing is ever changed.
        use: Sets the number.
    """

    def __init__(
        self,
        numbers: list[int],
        use: Callable[[int], None] = torch.set_num_threads,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.numbers, self._use, self._clock = numbers, use, clock
        self.chosen = numbers[0] if numbers else 0
        self._times: dict[int, list[float]] = {}
        self._left: list[int] = []
        self._until = 0.0
        self._began = 0.0

    def took(self, seconds: float) -> None:
        """Note what a step took; the next one may have another number of threads."""
        if len(self.numbers) < 2:
            return
        if not self._left:
            if self._clock() >= self._until:
                self._begin()
            return
        now, times = self._left[0], self._times[self._left[0]]
        times.append(seconds)
        others = [median(t[1:]) for n, t in self._times.items() if n != now and len(t) >= TRIES]
        hopeless = bool(others) and seconds > HOPELESS * min(others)
        if len(times) < TRIES and not (hopeless and len(times) > 1):
            return
        self._left.pop(0)
        self._use(self._left[0] if self._left else self._settle())

    def _begin(self) -> None:
        """Try the number that is in use first: what is compared has to be of the same moment."""
        self._left = [self.chosen, *(n for n in self.numbers if n != self.chosen)]
        self._times = {n: [] for n in self._left}
        self._began = self._clock()
        self._use(self.chosen)

    def _settle(self) -> int:
        self.chosen = min(self._times, key=lambda n: median(self._times[n][1:] or self._times[n]))
        self._until = self._clock() + SHARE * (self._clock() - self._began)
        return self.chosen


def create_threads(timed: bool, device: str) -> Threads:
    """What chooses the threads of a training: between one and all of them by the clock on a CPU, else nothing."""
    most = torch.get_num_threads()
    return Threads([most, 1] if timed and device == "cpu" and most > 1 else [])
