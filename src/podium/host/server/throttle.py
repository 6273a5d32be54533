"""How often: requests of an address or user, and failed logins, in memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from podium.host.server.refusals import TooMany

MOST_KEYS = 50_000


class Throttle:
    """So many a period for each key, as a bucket that fills up again evenly.

    Args:
        most: How many at once.
        seconds: In which the bucket fills up again.
        clock: Seconds, monotonic.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.seconds, self._clock = most, seconds, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Use one.

        Raises:
            TooMany: if there is none left.
        """
        with self._lock:
            left, now = self._level(key), self._clock()
            if left < 1:
                raise TooMany("too many requests", remedy=f"wait {(1 - left) * self.seconds / self.most:.0f} s")
            self._left[key] = left - 1, now
            self._left.move_to_end(key)
            while len(self._left) > MOST_KEYS:
                self._left.popitem(last=False)

    def allow(self, key: str) -> None:
        """Refuse if there is none left, without using one.

        Raises:
            TooMany: if so.
        """
        with self._lock:
            if self._level(key) < 1:
                raise TooMany("too many failed attempts", remedy="wait some minutes")

    def _level(self, key: str) -> float:
        left, at = self._left.get(key, (float(self.most), 0.0))
        return min(float(self.most), left + (self._clock() - at) * self.most / self.seconds)
