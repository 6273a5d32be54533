"""How long something takes: medians of short runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median

Clock = Callable[[], float]


def per_call(
    work: Callable[[], object], seconds: float = 1.0, least: int = 3, clock: Clock = time.perf_counter
) -> float:
    """Median seconds of a call, over about ``seconds`` of them and no fewer than ``least``, after one to warm up."""
    return side_by_side([work], seconds, least, clock)[0]


def side_by_side(
    works: Sequence[Callable[[], object]], seconds: float = 1.0, least: int = 3, clock: Clock = time.perf_counter
) -> list[float]:
    """Median seconds of a call of each, by turns, so that what disturbs one disturbs the others as well.

    Where the calls that warm up take very long, what is warming up in them is a small part, and they are all.

    Args:
        seconds: For each; ``least`` is rounds.
    """

    def round() -> list[float]:
        times = []
        for work in works:
            started = clock()
            work()
            times.append(clock() - started)
        return times

    first = round()
    if sum(first) > 4 * seconds * len(works):
        return first
    rounds: list[list[float]] = []
    end = clock() + seconds * len(works)
    while len(rounds) < least or clock() < end:
        rounds.append(round())
    return [median(times) for times in zip(*rounds, strict=True)]


def per_second(
    counts: Iterable[int], seconds: float = 1.0, warm: int = 1, parts: int = 5, clock: Clock = time.perf_counter
) -> float:
    """Median rate at which an iterator yields: of so many parts of about ``seconds``, after ``warm`` items.

    Args:
        counts: Yields how many there were each time; asked no further once the time is over.
    """
    rates: list[float] = []
    steps = iter(counts)
    for _, _n in zip(range(warm), steps, strict=False):
        pass
    begun, had = clock(), 0
    end = begun + seconds
    for n in steps:
        had, now = had + n, clock()
        if now - begun >= seconds / parts:
            rates.append(had / max(now - begun, 1e-9))
            begun, had = now, 0
        if now >= end and rates:
            break
    return median(rates) if rates else had / max(clock() - begun, 1e-9)
