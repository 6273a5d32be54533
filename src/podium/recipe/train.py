"""[sampling], [train]: the training loop."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from podium.config import Config
from podium.recipe.shares import Share

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _batch(given: Any) -> Any:
    if given == "auto" or (type(given) is int and 1 <= given <= 4096):
        return given
    raise ValueError('a whole number from 1 to 4096, or "auto"')


class SamplingConfig(Config):
    """Which samples an epoch trains on."""

    per_epoch: int | None = Field(None, ge=1, le=10**9, description="samples an epoch; unset = each once")
    replacement: bool = Field(False, description="each draw is independent; otherwise one shuffle after the other")
    by: Literal["uniform", "class", "hardness"] = Field(
        "uniform", description="class: rare classes more often; hardness: samples of high loss more often (replacement)"
    )
    power: float = Field(0.5, gt=0, le=4, description="how much more often: weights to this power (class, hardness)")

    @model_validator(mode="after")
    def _by_draws(self) -> SamplingConfig:
        if self.by != "uniform" and not self.replacement:
            raise ValueError(f'replacement = true beside by = "{self.by}"')
        if self.by == "uniform" and self.power != 0.5:
            raise ValueError('by = "class" or "hardness" beside power')
        return self


class TrainConfig(Config):
    """The training loop."""

    epochs: int = Field(20, ge=1, le=100_000, description="passes over the training samples")
    time: str | None = Field(
        None, description='whole time of a fold run instead of epochs: "8m", "1h30m"; the schedule anneals over it'
    )
    batch_size: Annotated[int | Literal["auto"], BeforeValidator(_batch)] = Field(
        8, description="samples a step; auto: what memory holds, found by a probe"
    )
    accumulate: int = Field(1, ge=1, le=1024, description="parts that a step of batch_size samples is computed in")
    devices: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        1, description="GPUs, a process each, that share every step of batch_size samples; auto: all there are"
    )
    sync_bn: bool = Field(True, description="batch norm over the samples of all devices, not of each alone")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="auto: bf16 where it is faster")
    compile: Literal["auto", "always", "never"] = Field("auto", description="torch.compile; auto: where it pays")
    grad_clip: float | None = Field(None, gt=0, description="gradients are scaled down to this norm; unset = never")
    clip_value: float | None = Field(None, gt=0, description="each gradient is cut to this size; unset = never")
    replay: int | None = Field(None, ge=2, description="steps after which the worst batch since is trained on again")
    checkpoint: Literal["best", "last", "loss", "top3", "snapshots"] = Field(
        "best",
        description="weights that predict: best score, last, lowest validation loss, mean of the best 3, "
        "or those at the end of each cycle of the schedule together",
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="decay of a running average of the weights, which then predicts: 0.999; unset = none"
    )
    swa: Share | None = Field(
        None, description="share of the training after which the mean of the weights is taken, which then predicts"
    )
    val_every: int = Field(1, ge=1, description="epochs between validations (with `time`: chosen by what they take)")
    early_stop: int | None = Field(None, ge=1, description="epochs without a better score after which it ends")
    save_every: float = Field(10.0, gt=0, description="minutes between saves within an epoch")
    seed: int = Field(0, ge=0, lt=2**31, description="seeds weights, batches and augmentation")
    target: Literal["auto", "linear", "log"] = Field(
        "auto", description="what a regression learns: the values, or log(1 + value); auto: log for a relative metric"
    )

    @property
    def seconds(self) -> float | None:
        """`time` in seconds."""
        if self.time is None:
            return None
        return float(sum(float(n) * _SECONDS[unit] for n, unit in re.findall(r"([\d.]+)([smh])", self.time)))

    def overruled(self, changes: Sequence[str]) -> str:
        """What to tell whoever asked for epochs, in ``key=value`` changes, where the time rules; else empty."""
        if self.time is None or "train.epochs" not in [c.partition("=")[0].strip() for c in changes]:
            return ""
        return (
            f"train.time={self.time} ends the training, not train.epochs={self.epochs}: they only say how long phases "
            "and cycles are against the whole; to train for epochs: train.time=none"
        )

    @property
    def val_batch(self) -> int:
        """Images that are predicted at once, on each device."""
        if self.batch_size == "auto":
            return 16
        return max(1, 2 * self.batch_size // (self.devices if isinstance(self.devices, int) else 1))

    @model_validator(mode="after")
    def _agree(self) -> TrainConfig:
        number = r"\d+(\.\d+)?"
        if self.time is not None and not re.fullmatch(rf"({number}h)?({number}m)?({number}s)?", self.time or "-"):
            raise ValueError(f'time = "8m", "90s" or "1h30m", not "{self.time}"')
        if self.seconds is not None and self.seconds < 1:
            raise ValueError("time = a second at least")
        if self.checkpoint == "snapshots" and self.time is not None:
            raise ValueError('epochs, not time, beside checkpoint = "snapshots"')
        if self.checkpoint == "snapshots" and self.early_stop is not None:
            raise ValueError('checkpoint = "snapshots" without early_stop: they are of the end of every cycle')
        if self.ema is not None and self.swa is not None:
            raise ValueError("ema or swa, not both")
        return self
