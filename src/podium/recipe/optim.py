"""[loss], [optim], [schedule]: what is minimised, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from podium.config import Config
from podium.recipe.shares import Share

DEFAULT_TERMS: dict[str, dict[str, float]] = {
    "planes": {"bce": 1.0, "dice": 1.0},
    "labels": {"ce": 1.0, "dice": 1.0},
    "values": {"huber": 1.0},
}
"""`loss.terms` to begin with, for each kind of target: masks that may overlap, class ids, numbers."""


class LossConfig(Config):
    """A weighted sum of losses."""

    terms: dict[str, float] = Field(DEFAULT_TERMS["planes"], min_length=1, description="loss = weight")
    options: dict[str, dict[str, bool | int | float | str | list[int | float]]] = Field(
        {}, description="loss = {option = value}: `loss.options.dice.pooled=true`; the registries page lists them"
    )
    auxiliary: list[Annotated[float, Field(ge=0)]] | None = Field(
        None, description="weights of the network's auxiliary outputs (deep supervision); unset = the network's own"
    )


class OptimConfig(Config):
    """The optimiser."""

    name: str = Field("adamw", description="optimiser; the registries page lists them")
    lr: float = Field(1e-3, gt=0, le=10, description="learning rate (the highest of the schedule)")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="of weights; norms and biases do not decay")
    decoupled: bool | None = Field(
        None, description="decay apart from the gradient; unset = as published (not in adam, sgd, rmsprop)"
    )
    momentum: float | None = Field(None, ge=0, lt=1, description="unset = 0.9 (sgd), 0 (rmsprop)")
    nesterov: bool = Field(True, description="look-ahead momentum (sgd)")
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] | None = Field(
        None, description="decay of the running means of gradient and square; unset = the optimiser's own"
    )
    encoder_lr: float = Field(1.0, gt=0, le=10, description="the encoder's rate, as a multiple of lr")
    freeze: Literal["none", "encoder"] = Field(
        "none", description="encoder: its weights and the statistics of its batch norms stay as they are"
    )
    reset: int | None = Field(None, ge=1, description="epochs after which the optimiser forgets its running means")


Rate = Annotated[float, Field(gt=0, le=10)]


class ScheduleConfig(Config):
    """How the learning rate moves over the training; numbers are multiples of optim.lr."""

    name: str = Field("one_cycle", description="schedule; the registries page lists them")
    warmup: Share | None = Field(
        None, description="share of the training that the rate climbs at first; unset = 0.25 (one_cycle), else 0"
    )
    cycles: int | None = Field(None, ge=1, le=10_000, description="cycles; unset = 1 (cosine), 4 (triangular…)")
    mult: float = Field(1.0, ge=1, le=10, description="length of each cycle over that of the one before (cosine)")
    rates: Annotated[list[Rate], Field(min_length=1)] | None = Field(
        None, description="rates of one epoch each, again and again (stepped); the highest is 1, or optim.lr"
    )
    milestones: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] | None = Field(
        None, description="where the rate falls: epochs, or below 1 shares of the training (multistep)"
    )
    every: float | None = Field(
        None, gt=0, description="how often the rate falls: epochs, or below 1 a share of the training (step)"
    )
    gamma: float | None = Field(
        None, gt=0, lt=1, description="what each fall multiplies by; unset = 0.1 (exp_range: over the training)"
    )
    power: float = Field(0.9, gt=0, le=10, description="of 1 - done (poly)")
    low: float | None = Field(None, gt=0, lt=1, description="the lowest; unset = 1e-4, 0.1 (triangular…)")
    patience: int = Field(5, ge=1, description="epochs without a better score after which the rate falls (plateau)")
