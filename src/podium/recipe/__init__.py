"""The recipe: every setting of a training, complete and frozen. An attempt is a parent recipe plus a change."""

from podium.recipe.augment import COLOURS, PARTS, SINGLES, WARPS, AugmentConfig
from podium.recipe.input import InputConfig
from podium.recipe.model import ModelConfig
from podium.recipe.optim import DEFAULT_TERMS, LossConfig, OptimConfig, ScheduleConfig
from podium.recipe.predict import ITSELF, PASSES, TUNED, PredictConfig, View, prediction_only
from podium.recipe.pseudo import PseudoConfig
from podium.recipe.train import SamplingConfig, TrainConfig
from podium.recipe.whole import IN_PHASES, Phase, Recipe

__all__ = [
    "COLOURS",
    "DEFAULT_TERMS",
    "IN_PHASES",
    "ITSELF",
    "PARTS",
    "PASSES",
    "SINGLES",
    "TUNED",
    "WARPS",
    "AugmentConfig",
    "InputConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "Phase",
    "PredictConfig",
    "PseudoConfig",
    "Recipe",
    "SamplingConfig",
    "ScheduleConfig",
    "TrainConfig",
    "View",
    "prediction_only",
]
