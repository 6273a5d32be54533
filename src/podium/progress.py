"""What the user sees while podium works: one line a stage on stderr, and a bar where stderr is a terminal."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from podium.errors import ConfigError

T = TypeVar("T")

_listeners: list[Callable[[str], None]] = []
_silent = False


def silence() -> None:
    """Say nothing from now on: one of several processes at the same work speaks for all."""
    global _silent
    _silent = True


def say(line: str = "") -> None:
    """Tell the user one line of progress, on stderr (and to whoever listens, such as a run's log)."""
    if _silent:
        return
    print(line, file=sys.stderr, flush=True)
    for listener in _listeners:
        listener(line)


def say_if(line: str) -> None:
    """Tell the user one line, indented, if there is one."""
    if line:
        say(f"  {line}")


_said: set[str] = set()


def say_once(line: str) -> None:
    """Tell the user one line, the first time that it is to be told."""
    if line not in _said:
        _said.add(line)
        say(line)


class listening:
    """Within the block, every line said is also handed to ``listener``."""

    def __init__(self, listener: Callable[[str], None]) -> None:
        self.listener = listener

    def __enter__(self) -> None:
        _listeners.append(self.listener)

    def __exit__(self, *exc: object) -> None:
        _listeners.remove(self.listener)


def track(items: Iterable[T], what: str, total: int, *, every: float = 10.0) -> Iterator[T]:
    """Yield ``items``, showing count, rate and time left.

    On a terminal one line is rewritten in place; elsewhere a plain line is written every ``every`` seconds, so that
    logs stay short and a short stage says nothing at all.
    """
    if _silent:
        yield from items
        return
    live = sys.stderr.isatty()
    started = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done == 1:  # where a batch had to be waited for, the first of its items says nothing of the rate
            last = now
        if now - last >= (0.2 if live else every) or (live and done == total):
            last = now
            rate = done / max(now - started, 1e-9)
            left = duration((total - done) / rate) if rate else "?"
            text = f"  {what}: {done}/{total}, {rate:.{0 if rate >= 10 else 1}f}/s, {left} left"
            print(f"\r{text}\x1b[K" if live else text, file=sys.stderr, end="" if live else "\n", flush=True)
    if live and done:
        print("\r\x1b[K", file=sys.stderr, end="", flush=True)


def counted(n: int, thing: str) -> str:
    """2, 'sample' -> '2 samples'."""
    return f"{n} {thing}{'s' * (n != 1)}"


def seconds_of(text: str, where: str = "") -> float:
    """'1h30m' -> 5400.

    Raises:
        ConfigError: for anything else than hours, minutes and seconds, more than none.
    """
    parts = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    seconds = sum(float(n or 0) * unit for n, unit in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0.0
    if not seconds:
        raise ConfigError(f"'{text}' is not a time", where=where, expected="4h, 90s or 1h30m")
    return seconds


def duration(seconds: float) -> str:
    """65 -> '1m05s'."""
    s = round(seconds)
    if s < 60:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{s}s"
    if s < 3600:
        return f"{s // 60}m{s % 60:02d}s"
    return f"{s // 3600}h{s % 3600 // 60:02d}m"
