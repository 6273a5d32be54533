"""Hard-batch replay: after every so many steps the worst batch since the last time is trained on once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass
class Replay(Generic[T]):
    """Remembers the batch of the highest loss.

    Attributes:
        every: Steps between replays; None = never.
        of: What `worst` can be found again in.
        worst: What was given with the highest loss since the last replay: a batch's rows are enough to load it again.

    Source: the Carvana winners' code (github.com/asanakoy/kaggle_carvana_segmentation), streams 3 and 4: every 10.
    """

    every: int | None
    of: tuple[int, ...] | None = None
    worst: T | None = None
    highest: float = float("-inf")
    steps: int = 0

    def begin(self, of: tuple[int, ...]) -> None:
        """Note what batches come from now, from which those of before may be lost: then forget the worst of these."""
        if of != self.of:
            self.of, self.worst, self.highest = of, None, float("-inf")

    def after(self, batch: T, loss: float) -> T | None:
        """Note a step; gives the batch to train on again, if it is time. A replay itself is not noted."""
        if self.every is None:
            return None
        self.steps += 1
        if loss > self.highest:
            self.worst, self.highest = batch, loss
        if self.steps % self.every:
            return None
        again, self.worst, self.highest = self.worst, None, float("-inf")
        return again

    def state(self) -> dict[str, Any]:
        """What a resumed training goes on from."""
        return {"of": self.of, "worst": self.worst, "highest": self.highest, "steps": self.steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.of, self.worst, self.highest, self.steps = (state[k] for k in ("of", "worst", "highest", "steps"))
