"""Which epoch's weights predict: `train.checkpoint`, the same rule for every attempt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from podium.training import checkpoint
from podium.training.state import Epoch, Trained

Weights = dict[str, Tensor]

TOP = 3


class Choice:
    """Keeps the checkpoints that may be chosen.

    last: the last epoch's. best: the best by the competition's metric. loss: of the lowest validation loss. top3: the
    mean of the weights of the three best epochs by the metric. snapshots: of the end of each cycle of the schedule,
    whose predictions are averaged (Huang et al. 2017, arXiv 1704.00109).

    Args:
        how: `train.checkpoint`.
        better: Whether one score is better than another, by the metric.
        folder: The fold run's; what is chosen will be `<how>.pt` there, and snapshots `snapshot<epoch>.pt`.
        cycle_ends: Epochs after which a cycle of the schedule is over.
    """

    def __init__(
        self, how: str, better: Callable[[float, float], bool], folder: Path, cycle_ends: Sequence[int] = ()
    ) -> None:
        self.how, self.folder, self._ends = how, folder, set(cycle_ends)
        self._better = (lambda a, b: a < b) if how == "loss" else better
        self._most = {"last": 0, "snapshots": 0, "top3": TOP}.get(how, 1)

    def offer(self, done: Trained, epoch: Epoch, state: Callable[[], dict[str, Any]]) -> None:
        """Keep an epoch's weights, and remember it in ``done.candidates``, if they may be chosen.

        Args:
            state: Gives the checkpoint: "model" and what belongs to it.
        """
        if self.how == "snapshots" and epoch.epoch in self._ends:
            checkpoint.save(self.folder / f"snapshot{epoch.epoch:05d}.pt", {**state(), "epoch": epoch.epoch})
        value = epoch.val_loss if self.how == "loss" else epoch.score
        if value is None or not math.isfinite(value) or not self._most:
            return
        found = {**done.candidates, epoch.epoch: value}
        kept = self._order(found)[: self._most]
        if epoch.epoch in kept:
            checkpoint.save(self._path(epoch.epoch), {**state(), "epoch": epoch.epoch, "value": value})
            done.candidates = {e: found[e] for e in kept}

    def clean(self, done: Trained) -> None:
        """Delete what is no candidate any more; only once ``done`` was saved, so that a kill loses nothing."""
        if self.how == "top3":
            for path in set(self.folder.glob("epoch*.pt")) - {self._path(e) for e in done.candidates}:
                path.unlink()

    def possible(self, done: Trained) -> bool:
        """Whether there is anything to choose from: none of the epochs has a score that is a number otherwise."""
        return not self._most or bool(done.candidates)

    def finish(self, done: Trained) -> list[Path]:
        """Make the chosen checkpoint and give its path; of snapshots there may be several."""
        if self.how == "top3" and done.candidates:
            files = [self._path(epoch) for epoch in sorted(done.candidates)]
            if all(file.exists() for file in files):  # else a kill came while they were deleted: the mean is whole
                states = [checkpoint.load(file) for file in files]
                model = mean_weights([state["model"] for state in states])
                checkpoint.save(self._file, {**states[-1], "model": model, "epochs": sorted(done.candidates)})
            for file in files:
                file.unlink(missing_ok=True)
        return chosen(self.folder, self.how)

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.how}.pt"

    def _order(self, candidates: dict[int, float]) -> list[int]:
        """The candidates' epochs, the best first; of equals the earlier."""

        def compare(a: int, b: int) -> int:
            one, other = candidates[a], candidates[b]
            return -1 if self._better(one, other) else 1 if self._better(other, one) else a - b

        return sorted(candidates, key=cmp_to_key(compare))

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch{epoch:05d}.pt" if self.how == "top3" else self._file


def chosen(folder: Path, how: str) -> list[Path]:
    """The checkpoints of a fold run that predict together.

    Args:
        how: `train.checkpoint`.
    """
    if how == "snapshots":
        return sorted(folder.glob("snapshot*.pt"))
    return [folder / f"{how}.pt"]


def chosen_epoch(done: Trained, how: str) -> int | None:
    """The epoch that was chosen for its score; None where the last weights or several epochs' predict."""
    if how == "loss":
        return next(iter(done.candidates), None)
    return done.best_epoch or None if how == "best" else None


def mean_weights(states: list[Weights]) -> Weights:
    """The mean of weights and running statistics; counters are those of the last."""
    found: Weights = {}
    for name, last in states[-1].items():
        if torch.is_floating_point(last):
            found[name] = torch.stack([s[name].double() for s in states]).mean(0).to(last.dtype)
        else:
            found[name] = last
    return found
