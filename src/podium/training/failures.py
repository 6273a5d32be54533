"""What ends a training: a loss that is no number, memory that does not hold one sample; told with what to change."""

from __future__ import annotations

import math
from collections.abc import Sequence

from podium.errors import TrainingError
from podium.recipe import Recipe
from podium.training.state import Epoch


def finite(total: float, epoch: int, recipe: Recipe) -> float:
    """The sum of an epoch's losses, if it is a number.

    Raises:
        TrainingError: if it is not.
    """
    if math.isfinite(total):
        return total
    raise TrainingError(
        f"the loss became {total} in epoch {epoch}",
        expected="a finite number",
        remedy=f"lower the learning rate (optim.lr={recipe.optim.lr / 3:.1g}), "
        "set train.grad_clip=1, or train.precision=fp32",
    )


class MemoryRanOut(TrainingError):
    """Memory ran out on one of several devices: the others wait for it, so all have to begin again.

    Attributes:
        pieces: Parts that a step was computed in, by each.
    """

    def __init__(self, pieces: int) -> None:
        super().__init__("out of memory on one of the devices", remedy=f"train.accumulate={2 * pieces}")
        self.pieces = pieces

    def __reduce__(self) -> tuple[type[MemoryRanOut], tuple[int]]:
        return MemoryRanOut, (self.pieces,)


def too_large(error: BaseException) -> TrainingError:
    """The error for memory that does not hold one sample."""
    return TrainingError(
        f"memory does not hold one sample: {str(error).splitlines()[0][:120]}",
        expected="a smaller network or input",
        remedy="input.train_crop=256, or a smaller input.size, model.width=0.5, or train.precision=bf16",
    )


def nothing_to_choose(how: str, metric: str, history: Sequence[Epoch]) -> TrainingError:
    """The error for a training none of whose epochs has a score, or a validation loss, that is a number."""
    values = [e.val_loss if how == "loss" else e.score for e in history]
    seen = ", ".join(sorted({f"{value:g}" for value in values if value is not None})) or "never computed"
    return TrainingError(
        f"{'the validation loss' if how == 'loss' else metric} of the validation fold was {seen} in every epoch, so "
        f"train.checkpoint={how} has nothing to choose by",
        expected="a finite number in one epoch at least",
        remedy="train.checkpoint=last; or another metric, where this one is undefined: a fold without a class has no "
        "auc, and stratified folds have all of them",
    )


def no_time(recipe: Recipe, elapsed: float) -> TrainingError:
    """The error for a budget of time that is over before the first step."""
    return TrainingError(
        f"train.time = {recipe.train.time} was over before the first step: {elapsed:.0f} s went into preparing the "
        "data, and the rest is kept for predicting the validation fold",
        remedy="set a longer train.time; what podium prepare makes is kept, and costs nothing the next time",
    )
