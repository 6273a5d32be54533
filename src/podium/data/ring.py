"""The memory of batches: handed out again once nobody refers to it, and whoever still reads it has been waited for."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

AHEAD = 3
"""Batches being filled while one is trained on."""

B = TypeVar("B")
Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]


@dataclass(slots=True)
class Memory:
    """The memory of one batch, and what to wait for before it is written to again."""

    flat: NDArray[np.uint8]
    wait: Callable[[], None] | None = None


@dataclass(slots=True)
class Filling(Generic[B]):
    """A batch on its way."""

    memory: Memory
    batch: B
    futures: list[Future[None]] = field(default_factory=list)


class Ring:
    """Memory that is handed out again once nobody refers to it: AHEAD + 2 batches of it in a plain training loop."""

    def __init__(self, allocate: Allocate) -> None:
        self._allocate, self._all = allocate, list[Memory]()

    def take(self, *shapes: tuple[int, ...]) -> tuple[Memory, list[NDArray[np.uint8]]]:
        """Arrays of these shapes, in memory that is not in use."""
        sizes = [math.prod(shape) for shape in shapes]
        memory = next((m for m in self._all if m.flat.size == sum(sizes) and _references(m) <= _IDLE), None)
        if memory is None:
            memory = Memory(self._allocate((sum(sizes),)))
            kept = [m for m in self._all if m.flat.size == sum(sizes)][-(AHEAD + 1) :]
            for gone in self._all:
                if gone.wait is not None and all(gone is not m for m in kept):
                    gone.wait()  # whoever gets this memory next must not write to it while it is read
            self._all = [*kept, memory]
        elif memory.wait is not None:
            memory.wait()
        memory.wait = None
        ends = np.cumsum([0, *sizes])
        return memory, [memory.flat[a:b].reshape(s) for a, b, s in zip(ends, ends[1:], shapes, strict=False)]


def _references(memory: Memory) -> int:
    return sys.getrefcount(memory.flat)


def empty(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Memory as numpy has it."""
    return np.empty(shape, np.uint8)


_IDLE = _references(Memory(empty((1,))))
"""References to memory that only the ring has; arrays cut out of it, and tensors over these, are further ones."""
