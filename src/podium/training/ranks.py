"""The processes of one training, one a device, and what they tell each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.data.order import Hardness

T = TypeVar("T")

SOME = 50
"""Steps after which the time is looked at where it decides nothing."""

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: who started them sees at once if one dies, so nobody else has to."""


class Ranks:
    """This process among those of a training; alone, it is the first of one, and nothing here costs anything.

    What all have to decide alike, the first decides. They talk through the CPU, so that no GPU is waited for.

    Attributes:
        rank: From 0.
        size: How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size, self._now = rank, size, 0.0
        self._group: Any = dist.new_group(backend="gloo", timeout=PATIENCE) if size > 1 else None

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def agree(self, value: float) -> float:
        """What the first process has for ``value``."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(told, 0, group=self._group)
        return float(told)

    def sum(self, *values: float | Tensor) -> list[float]:
        """The sums over the processes."""
        if self.size == 1:
            return [float(value) for value in values]
        told = torch.tensor([float(value) for value in values], dtype=torch.float64)
        dist.all_reduce(told, group=self._group)
        return [float(value) for value in told]

    def gather(self, value: Any) -> list[Any]:
        """What each process has, for all of them: plain data, in the order of the ranks."""
        found: list[Any] = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(found, value, group=self._group)
        return found

    def collect(self, value: Any) -> list[Any]:
        """As `gather`, for the first alone; the others get nothing."""
        if self.size == 1:
            return [value]
        found: list[Any] | None = [None] * self.size if self.first else None
        dist.gather_object(value, found, 0, group=self._group)
        return found or []

    def wait(self) -> None:
        """Until all are here."""
        self.agree(0.0)

    def share(self, size: int) -> slice:
        """Which part of ``size`` things is this process's: contiguous, as even as can be, in the order of the ranks."""
        return slice(size * self.rank // self.size, size * (self.rank + 1) // self.size)

    def equal_buffers(self, model: nn.Module) -> None:
        """Give all processes the first one's running statistics: weights are the same anyway."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def by_first(self, work: Callable[[], T]) -> T:
        """What the first process gets from ``work``, which it alone does, while the others wait."""
        if self.size == 1:
            return work()
        return cast(T, self.gather(work() if self.first else None)[0])

    def tick(self, *, often: bool = True, step: int = 0) -> None:
        """Look at the first process's clock, which is what all go by; all do at the same place.

        Args:
            often: Whether this often is needed; else only at some of the steps.
        """
        if self.size > 1 and (often or step % SOME == 0):
            self._now = self.agree(time.monotonic())

    def clock(self) -> dict[str, Callable[[], float]]:
        """The argument `clock` of what is to go by the time of the last `tick`; nothing, where one process is alone."""
        self.tick()
        return {"clock": lambda: self._now} if self.size > 1 else {}


class SharedHardness(Hardness):
    """Of what all processes trained on: put together before it counts, and before it is saved."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks, self._new = ranks, list[dict[int, float]]()

    def update(self, rows: Sequence[int] | NDArray[np.int64], losses: Sequence[float] | NDArray[np.floating]) -> None:
        self._new.append(dict(zip(map(int, rows), map(float, losses), strict=True)))

    def begin_epoch(self) -> None:
        self._join()
        super().begin_epoch()

    def state(self) -> dict[str, dict[int, float]]:
        self._join()
        return super().state()

    def _join(self) -> None:
        for step in zip(*self.ranks.gather(self._new), strict=True):
            for found in step:
                self.fresh |= found
        self._new = []


def create_hardness(ranks: Ranks) -> Hardness:
    """What remembers how hard samples were, of all processes."""
    return SharedHardness(ranks) if ranks.size > 1 else Hardness()
