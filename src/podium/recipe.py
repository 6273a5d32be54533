"""The recipe: every setting of a training, complete and frozen. An attempt is a parent recipe plus a change."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from podium.config import Config

Side = Annotated[int, Field(ge=8, le=16384)]
Share = Annotated[float, Field(ge=0, le=1)]


class ModelConfig(Config):
    """The network."""

    arch: str = Field("unet", description="architecture; the registries page lists them")
    width: float = Field(1.0, gt=0, le=8, description="multiplies the number of filters of every layer")
    depth: int = Field(5, ge=2, le=7, description="levels; each halves the sides (unet)")
    norm: Literal["batch", "group", "none"] = Field("batch", description="normalisation after each convolution (unet)")
    upsample: Literal["nearest", "bilinear", "deconv"] = Field("nearest", description="how the decoder doubles sides")


class InputConfig(Config):
    """What of an image reaches the network."""

    size: list[Side] | None = Field(None, description="[height, width] images are resized to; unset = as they are")
    pad_to: int = Field(32, ge=1, le=256, description="sides are padded (reflected) to a multiple of this")
    normalize: Literal["imagenet", "unit"] = Field("imagenet", description="ImageNet mean and sd, or 0..1")
    train_crop: Side | None = Field(None, description="train on random square crops of this side; unset = whole")

    @model_validator(mode="after")
    def _two_sides(self) -> InputConfig:
        if self.size is not None and len(self.size) != 2:
            raise ValueError("size = [height, width]")
        return self


class AugmentConfig(Config):
    """Random changes of the training images; probabilities, shares of the side, degrees."""

    hflip: Share = Field(0.5, description="probability of a left-right flip")
    vflip: Share = Field(0.0, description="probability of an up-down flip")
    shift: Share = Field(0.0625, description="largest shift, share of the side")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="largest zoom: 0.1 = 0.9 to 1.1 times")
    rotate: float = Field(5.0, ge=0, le=180, description="largest rotation, degrees")
    warp: Share = Field(0.75, description="probability of shift, scale and rotate together")
    brightness: Share = Field(0.1, description="largest change of brightness, share of the range")
    contrast: Share = Field(0.1, description="largest change of contrast, share of the contrast")
    saturation: Share = Field(0.0, description="largest change of saturation, share of the saturation")
    colour: Share = Field(0.5, description="probability of the colour changes together")


class LossConfig(Config):
    """A weighted sum of losses."""

    terms: dict[str, float] = Field({"bce": 1.0, "dice": 1.0}, min_length=1, description="loss = weight")


class OptimConfig(Config):
    """The optimiser."""

    name: str = Field("adamw", description="optimiser; the registries page lists them")
    lr: float = Field(1e-3, gt=0, le=10, description="learning rate (the highest of the schedule)")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="decoupled where the optimiser has it")


class ScheduleConfig(Config):
    """How the learning rate moves over the training."""

    name: str = Field("one_cycle", description="schedule; the registries page lists them")
    warmup: Share = Field(0.25, description="share of the steps that the rate climbs (one_cycle)")


class TrainConfig(Config):
    """The training loop."""

    epochs: int = Field(20, ge=1, le=100_000, description="passes over the training samples")
    batch_size: int = Field(8, ge=1, le=4096, description="samples a step")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="auto: bf16 where it is faster")
    grad_clip: float | None = Field(None, gt=0, description="gradients are scaled down to this norm; unset = never")
    checkpoint: Literal["best", "last"] = Field("best", description="epoch whose weights predict")
    seed: int = Field(0, ge=0, lt=2**31, description="seeds weights, batches and augmentation")


class PredictConfig(Config):
    """From logits to a mask."""

    tta: list[Literal["hflip", "vflip"]] = Field([], description="flips averaged at test time")
    threshold: float = Field(0.5, gt=0, lt=1, description="a pixel is foreground above this probability")


class Recipe(Config):
    """The complete training configuration: `recipes/*.toml` and every attempt's `recipe.toml`."""

    model: ModelConfig = ModelConfig()
    input: InputConfig = InputConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig = TrainConfig()
    predict: PredictConfig = PredictConfig()
