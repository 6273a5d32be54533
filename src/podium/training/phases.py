"""Phases of a training: which recipe holds in an epoch, and the learning rate at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from podium.recipe import Recipe
from podium.training.schedule import Schedule, Scores, create_schedule


def phase_at(recipe: Recipe, epoch: int) -> Recipe:
    """The recipe that holds in an epoch (from 1): itself without phases, with those applied that have begun.

    A pure function, so that a training that is resumed lands in the right phase.
    """
    return next(later for start, later in reversed(recipe.stages()) if start < epoch or start == 0)


@dataclass(frozen=True)
class Stage:
    """A part of the training with settings of its own.

    Attributes:
        start, end: Epochs that are over when it begins and ends.
        recipe: What holds, without phases.
        schedule: Runs from ``schedule_start`` to ``schedule_end`` (epochs), which may span several stages.
    """

    start: int
    end: int
    recipe: Recipe
    schedule: Schedule
    schedule_start: int
    schedule_end: int


class Course:
    """The stages of a training and its learning rate, made once before it begins.

    A phase that changes [schedule] begins that schedule anew, over the epochs up to the next phase that does, or to the
    end; a phase that changes optim.lr alone rescales the schedule that is running.

    Raises:
        ConfigError: for a schedule, in any phase, that is unknown or ignores a key that is set.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.epochs = recipe.train.epochs
        found = recipe.stages()
        ends = [start for start, _ in found[1:]] + [self.epochs]
        begins = [start for n, (start, r) in enumerate(found) if n == 0 or r.schedule != found[n - 1][1].schedule]
        self.stages: list[Stage] = []
        for (start, of_stage), end in zip(found, ends, strict=True):
            begun = max(b for b in begins if b <= start)
            over = min((b for b in begins if b > start), default=self.epochs)
            schedule = create_schedule(of_stage.schedule, over - begun)
            self.stages.append(Stage(start, end, of_stage, schedule, begun, over))

    def stage(self, epoch: int) -> Stage:
        """The stage of an epoch (from 1)."""
        return next(s for s in reversed(self.stages) if s.start < epoch or s.start == 0)

    def stage_at(self, done: float) -> Stage:
        """The stage that holds when the share ``done`` of the training is over, by epochs or by the clock."""
        return self.stage(min(int(done * self.epochs + 1e-9), self.epochs - 1) + 1)

    def lr(self, done: float, scores: Scores = (), begun: Mapping[int, int] | None = None) -> float:
        """The learning rate when the share ``done`` of the training is over, by steps or by the clock.

        Args:
            done: 0 before the first step, 1 before the last.
            scores: Of all epochs so far (plateau).
            begun: {`schedule_start`: epochs that were over when that schedule began}, where the clock rules.
        """
        position = min(max(done, 0.0), 1.0) * self.epochs
        stage = self.stage(min(int(position), self.epochs - 1) + 1)
        local = (position - stage.schedule_start) / (stage.schedule_end - stage.schedule_start)
        first = stage.schedule_start if begun is None else begun.get(stage.schedule_start, len(scores))
        return stage.recipe.optim.lr * stage.schedule.at(local, scores[first:])

    def cycle_ends(self) -> list[int]:
        """Epochs (from 1) after which a cycle of the schedule is over, the last epoch among them: for snapshots.

        A cycle is over where the rate, after it has fallen, rises again.
        """
        found, highest = [], 0.0
        for epoch in range(1, self.epochs):
            end, after = (self.lr((epoch + d) / self.epochs) for d in (-1e-6, 1e-6))
            begun, later = (self.lr((epoch + d) / self.epochs) for d in (-1 + 1e-6, 1 - 1e-6))
            highest = max(highest, begun)
            if end < highest * 0.999 and max(after, later) > end * 1.001:
                found.append(epoch)
                highest = 0.0
        return [*found, self.epochs]
