"""What goes wrong in a training, seen while it runs and said with what to change: pure functions of its history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Row(Protocol):
    """What is read of an epoch."""

    @property
    def loss(self) -> float: ...
    @property
    def score(self) -> float | None: ...
    @property
    def lr(self) -> float: ...
    @property
    def data_wait(self) -> float: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Limits:
    """When something is worth a line."""

    wait: float = 0.1
    lost: float = 5.0
    flat: float = 0.005
    patience: int = 5
    worse: float = 1.5


def starved(history: Sequence[Row], limits: Limits, costly: Sequence[str] = ()) -> str:
    """The device waits for batches.

    Args:
        costly: Augmentations that are on and take long.
    """
    waits = [e.data_wait for e in history[1:]]
    lost = sum(e.data_wait * e.seconds for e in history[1:])
    if not waits or lost < limits.lost or (wait := float(np.mean(waits))) <= limits.wait:
        return ""
    rarer = f"fewer of the costly augmentations ({', '.join(costly)}), " if costly else ""
    return (
        f"the device waits {wait:.0%} of the time for batches: a smaller input.size, {rarer}or more cores; "
        "podium doctor says what bounds it"
    )


def dead(history: Sequence[Row], limits: Limits) -> str:
    """The loss does not move: from the very beginning, over several epochs."""
    n = limits.patience
    if len(history) != n:
        return ""
    losses = [e.loss for e in history]
    if (losses[0] - min(losses)) > limits.flat * abs(losses[0]):
        return ""
    return (
        f"the loss has not moved in {n} epochs ({losses[0]:.4f} to {losses[-1]:.4f}): optim.lr={history[-1].lr:.1g} "
        "may be too low, or far too high; podium lr-find shows the range that learns"
    )


def diverging(history: Sequence[Row], limits: Limits) -> str:
    """The loss climbs away from its lowest."""
    if len(history) < 2:
        return ""
    lowest, now = min(e.loss for e in history), history[-1].loss
    scale = max(abs(history[0].loss - lowest), 0.05 * abs(lowest))
    if now - lowest <= limits.worse * scale or now <= history[0].loss:
        return ""
    return f"the loss climbs: {now:.4f}, its lowest was {lowest:.4f}; lower optim.lr, or set train.grad_clip=1"


def overfit(history: Sequence[Row], limits: Limits, better: Callable[[float, float], bool]) -> str:
    """The training loss still falls, and validation has been getting worse for some time."""
    scored = [(i, e.score) for i, e in enumerate(history) if e.score is not None]
    if len(scored) <= limits.patience:
        return ""
    best_at, best = scored[0]
    for i, score in scored:
        if best is None or (score is not None and better(score, best)):
            best_at, best = i, score
    since = [score for i, score in scored if i > best_at]
    fell = history[best_at].loss - history[-1].loss
    worse = best is not None and len(since) > 0 and better(best, float(np.median(since)))
    if not worse or len(since) < limits.patience or fell <= 0.05 * abs(history[best_at].loss):
        return ""
    return (
        f"validation was best {len(since)} epochs ago ({best:.4f}) while the training loss fell from "
        f"{history[best_at].loss:.4f} to {history[-1].loss:.4f}: more augmentation (augment.strength=1.5), more "
        "optim.weight_decay, or fewer epochs"
    )


class Watcher:
    """Says each kind of trouble once a training.

    Args:
        better: Whether one score is better than another, by the competition's metric.
        costly: Augmentations that are on and take long.
    """

    def __init__(
        self, better: Callable[[float, float], bool], limits: Limits | None = None, costly: Sequence[str] = ()
    ) -> None:
        self._better, self._limits, self._costly, self._said = better, limits or Limits(), costly, set[str]()

    def look(self, history: Sequence[Row]) -> list[str]:
        """The lines that the newest epoch gives reason for."""
        found = {
            "starved": starved(history, self._limits, self._costly),
            "dead": dead(history, self._limits),
            "diverging": diverging(history, self._limits),
            "overfit": overfit(history, self._limits, self._better),
        }
        new = {kind: line for kind, line in found.items() if line and kind not in self._said}
        self._said |= set(new)
        return list(new.values())
