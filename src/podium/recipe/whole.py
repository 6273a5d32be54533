"""The whole recipe, and the phases that change some of it during the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from podium.config import Config
from podium.errors import ConfigError
from podium.recipe.augment import AugmentConfig
from podium.recipe.input import InputConfig
from podium.recipe.model import ModelConfig
from podium.recipe.optim import LossConfig, OptimConfig, ScheduleConfig
from podium.recipe.predict import PredictConfig
from podium.recipe.pseudo import PseudoConfig
from podium.recipe.train import SamplingConfig, TrainConfig

IN_PHASES: dict[str, tuple[str, ...]] = {
    "optim": tuple(OptimConfig.model_fields),
    "schedule": tuple(ScheduleConfig.model_fields),
    "augment": tuple(k for k in AugmentConfig.model_fields if k not in ("border", "ignore_label")),
    "loss": tuple(k for k in LossConfig.model_fields if k != "auxiliary"),
    "input": ("size", "train_crop"),
    "train": ("batch_size", "grad_clip"),
}
"""{section: keys} that a phase may change; all else belongs to the whole training."""


class Phase(Config):
    """From a moment of the training on, some settings are others, until a later phase changes them again."""

    at: float = Field(ge=0, description="epochs that are over by then; below 1, but not 0, a share of the training")
    optim: dict[str, Any] = Field({}, description="keys of [optim]: optim.lr = 1e-5")
    schedule: dict[str, Any] = Field({}, description="keys of [schedule], which then begins anew")
    augment: dict[str, Any] = Field({}, description="keys of [augment]: augment.strength = 0.5")
    loss: dict[str, Any] = Field({}, description="keys of [loss]")
    input: dict[str, Any] = Field({}, description="size, train_crop: of training; prediction keeps the recipe's own")
    train: dict[str, Any] = Field({}, description="batch_size, grad_clip")

    def changes(self) -> dict[str, dict[str, Any]]:
        """The settings that this phase changes, as a nested dict."""
        return {section: given for section in IN_PHASES if (given := getattr(self, section))}

    def start(self, epochs: int) -> int:
        """Epochs that are over when it begins."""
        return max(1, round(self.at * epochs)) if 0 < self.at < 1 else int(self.at)


class Recipe(Config):
    """The complete training configuration: `recipes/*.toml` and every attempt's `recipe.toml`."""

    other_files: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("name", "task", "labels", "metric", "data", "classes", "folds", "submission", "rules", "board"),
        "set it in competition.toml, for all attempts alike (or: podium new … KEY=VALUE)",
    )

    model: ModelConfig = ModelConfig()
    input: InputConfig = InputConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    sampling: SamplingConfig = SamplingConfig()
    pseudo: PseudoConfig = PseudoConfig()
    train: TrainConfig = TrainConfig()
    predict: PredictConfig = PredictConfig()
    phases: list[Phase] = Field([], description="settings that change during the training: [[phases]] with `at`")

    @model_validator(mode="after")
    def _phases_fit(self) -> Recipe:
        self.stages()
        return self

    def stages(self) -> list[tuple[int, Recipe]]:
        """(epochs that are over when it begins, the recipe from then on) of each part of the training, in order.

        The recipes have no phases of their own. A recipe without phases is one stage.

        Raises:
            ConfigError: for a phase that never comes, comes out of order, changes nothing, or changes what may not.
        """
        now = self.model_copy(update={"phases": []})
        found: list[tuple[int, Recipe]] = [(0, now)]
        _check_rates(now)
        for n, phase in enumerate(self.phases, 1):
            where = f"phases, number {n}"
            start = phase.start(self.train.epochs)
            if phase.at > 1 and phase.at % 1:
                raise ConfigError(f"'at' is {phase.at}", where=where, expected="whole epochs, or a share below 1")
            if start >= self.train.epochs:
                raise ConfigError(
                    f"it begins after {start} epochs, and there are {self.train.epochs}",
                    where=where,
                    remedy=f"set at below train.epochs, {self.train.epochs}; or as a share of it: at = 0.5",
                )
            if start < found[-1][0] or (n > 1 and start == found[-1][0]):
                raise ConfigError(f"it begins after {start} epochs", where=where, expected="phases in order of `at`")
            for section, given in phase.changes().items():
                for key in given:
                    if key not in IN_PHASES[section]:
                        names = ", ".join(IN_PHASES[section])
                        raise ConfigError(f"a phase cannot change '{section}.{key}'", where=where, expected=names)
            try:
                later = now.with_overrides(phase.changes())
            except ConfigError as error:
                raise ConfigError(error.found, where=where, expected=error.expected, remedy=error.remedy) from None
            if later == now:
                raise ConfigError("it changes nothing", where=where, remedy="leave it out")
            _check_rates(later)
            now = later
            found = [*found, (start, now)] if start else [(0, now)]
        return found


def _check_rates(recipe: Recipe) -> None:
    """Rates of `stepped` are read as written, so they must not contradict optim.lr."""
    rates, lr = recipe.schedule.rates, recipe.optim.lr
    if rates and not any(math.isclose(max(rates), top) for top in (1.0, lr)):
        raise ConfigError(
            f"the highest of 'schedule.rates' is {max(rates):g}, and optim.lr is {lr:g}",
            expected="1 (multiples of optim.lr) or optim.lr itself",
            remedy=f"set optim.lr={max(rates):g}",
        )
