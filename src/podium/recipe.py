"""The recipe: every setting of a training, complete and frozen. An attempt is a parent recipe plus a change."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from podium.config import Config

Side = Annotated[int, Field(ge=8, le=16384)]
Share = Annotated[float, Field(ge=0, le=1)]


def _crop(given: Any) -> Any:
    box = isinstance(given, list) and len(given) == 4 and all(type(n) is int and n >= 0 for n in given)
    if box and min(given[2:]) >= 8:
        return given
    if isinstance(given, str) and re.fullmatch(r"centre [1-9]\d{0,4}( [1-9]\d{0,4})?", given):
        return given
    raise ValueError('[top, left, height, width] in pixels (height and width at least 8), or "centre 512"')


Crop = Annotated[list[int] | str, BeforeValidator(_crop)]


class ModelConfig(Config):
    """The network."""

    arch: str = Field("unet", description="architecture; the registries page lists them")
    width: float = Field(1.0, gt=0, le=8, description="multiplies the number of filters of every layer")
    depth: int = Field(5, ge=2, le=7, description="levels; each halves the sides (unet)")
    norm: Literal["batch", "group", "none"] = Field("batch", description="normalisation after each convolution (unet)")
    upsample: Literal["nearest", "bilinear", "deconv"] = Field("nearest", description="how the decoder doubles sides")


class InputConfig(Config):
    """What of an image reaches the network: crop, size, stain, clahe, mask_out, channels, in order, then padding."""

    crop: Crop | None = Field(
        None, description='cut out of every image: [top, left, height, width], or "centre 512", or "centre 480 640"'
    )
    size: list[Side] | None = Field(None, description="[height, width] images are resized to; unset = as they are")
    keep_aspect: bool = Field(False, description="resize to what fits into size, and pad the rest")
    stain: Literal["macenko"] | None = Field(None, description="stain normalisation of H&E slides; unset = none")
    clahe: list[Annotated[float, Field(gt=0, le=256)]] | None = Field(
        None, description="[clip limit, tiles a side] of local histogram equalisation, e.g. [2, 8]; unset = none"
    )
    mask_out: str | None = Field(
        None,
        description='blacken the background: "otsu" (keeps what differs from the image\'s edge), "otsu dark", '
        '"otsu light" (keeps the darker, the lighter), or mask files "path/{id}.png" in the workspace',
    )
    channels: Literal["rgb", "grey"] = Field("rgb", description="grey: all three channels get the luminance")
    pad_to: int = Field(32, ge=1, le=256, description="sides are padded to a multiple of this")
    pad: Literal["reflect", "edge", "zero"] = Field("reflect", description="what padding shows")
    pad_side: Literal["both", "end"] = Field("both", description="where: around the image, or right and below only")
    normalize: Literal["imagenet", "unit"] = Field("imagenet", description="ImageNet mean and sd, or 0..1")
    train_crop: Side | None = Field(None, description="train on random square crops of this side; unset = whole")

    @property
    def crop_box(self) -> tuple[int, int, int, int] | None:
        """(top, left, height, width), where `crop` says so."""
        return None if self.crop is None or isinstance(self.crop, str) else tuple(self.crop)  # type: ignore[return-value]

    @property
    def crop_centre(self) -> tuple[int, int] | None:
        """(height, width) of a crop out of the middle."""
        if not isinstance(self.crop, str):
            return None
        sides = [int(n) for n in self.crop.split()[1:]]
        return sides[0], sides[-1]

    @model_validator(mode="after")
    def _fits_together(self) -> InputConfig:
        if self.size is not None and len(self.size) != 2:
            raise ValueError("size = [height, width]")
        if self.keep_aspect and self.size is None:
            raise ValueError("size beside keep_aspect")
        if self.clahe is not None and (len(self.clahe) != 2 or self.clahe[1] % 1):
            raise ValueError("clahe = [clip limit, tiles a side], for instance [2, 8]")
        return self

    @field_validator("mask_out")
    @classmethod
    def _a_way_to_mask(cls, value: str | None) -> str | None:
        if value is not None and value not in ("otsu", "otsu dark", "otsu light") and "{id}" not in value:
            raise ValueError('"otsu", "otsu dark", "otsu light", or a path with {id} in it: "keep/{id}.png"')
        return value


WARPS = ("shift", "scale", "rotate", "shear", "perspective")
COLOURS = ("brightness", "contrast", "gamma", "hue", "saturation", "value")
PARTS = (*WARPS, *COLOURS)
"""Augmentations whose key is a size: they come with their group, `warp` or `colour`, at `augment.p`."""
SINGLES = (
    *("hflip", "vflip", "rot90", "grey", "shuffle", "clahe", "blur", "motion", "noise", "elastic", "grid"),
    *("dropout", "jpeg", "mixup", "cutmix", "mosaic", "copy_paste"),
)
"""Augmentations whose key is a probability."""


class AugmentConfig(Config):
    """Random changes of the training images; probabilities, shares of the side, degrees."""

    hflip: Share = Field(0.5, description="probability of a left-right flip")
    vflip: Share = Field(0.0, description="probability of an up-down flip")
    rot90: Share = Field(0.0, description="probability of a turn by quarters (by a half where the frame is not square)")
    shift: Share = Field(0.0625, description="largest shift, share of the side")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="largest zoom: 0.1 = 0.9 to 1.1 times")
    rotate: float = Field(5.0, ge=0, le=180, description="largest rotation, degrees")
    shear: float = Field(0.0, ge=0, le=60, description="largest shear along each axis, degrees")
    perspective: float = Field(0.0, ge=0, le=0.3, description="largest displacement of a corner, share of the side")
    warp: Share = Field(0.75, description="probability of shift, scale, rotate, shear and perspective together")
    resized_crop: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2, max_length=2)] | None = (
        Field(None, description="[least, most] share of the image's area that is cut out and resized to the frame")
    )
    aspect: float = Field(0.0, ge=0, lt=1, description="largest change of the cut's aspect ratio: 0.3 = 1/1.3 to 1.3")
    border: Literal["reflect", "ignore"] = Field(
        "reflect", description="outside the image: as `input.pad` shows it; ignore: masks get `ignore_label` there"
    )
    ignore_label: int = Field(255, ge=0, le=255, description="mask value that losses and metrics leave out")
    brightness: Share = Field(0.1, description="largest change of brightness, share of the range")
    contrast: Share = Field(0.1, description="largest change of contrast, share of the contrast")
    gamma: Annotated[float, Field(ge=0, le=2)] = Field(0.0, description="largest change of gamma: 0.5 = 1/1.5 to 1.5")
    hue: float = Field(0.0, ge=0, le=180, description="largest turn of the hue, degrees")
    saturation: Share = Field(0.0, description="largest change of saturation, share of the saturation")
    value: Share = Field(0.0, description="largest change of value (all channels), share of the value")
    colour: Share = Field(0.5, description="probability of the colour changes above together")
    grey: Share = Field(0.0, description="probability of grey")
    shuffle: Share = Field(0.0, description="probability of channels in another order")
    clahe: Share = Field(0.0, description="probability of local histogram equalisation (8x8 tiles)")
    clahe_clip: float = Field(2.0, gt=0, le=40, description="clip limit of clahe")
    colour_where: Literal["all", "foreground", "background"] = Field(
        "all", description="pixels, by the mask, that colour, grey, shuffle and clahe change"
    )
    blur: Share = Field(0.0, description="probability of a Gaussian blur")
    blur_size: float = Field(1.5, gt=0, le=50, description="largest standard deviation of the blur, pixels")
    motion: Share = Field(0.0, description="probability of a motion blur")
    motion_size: float = Field(9, gt=1, le=200, description="longest motion, pixels")
    noise: Share = Field(0.0, description="probability of Gaussian noise")
    noise_size: Share = Field(0.05, description="largest standard deviation of the noise, share of the range")
    elastic: Share = Field(0.0, description="probability of an elastic distortion")
    elastic_size: float = Field(0.015, ge=0, le=0.2, description="displacement of the elastic, share of the side")
    grid: Share = Field(0.0, description="probability of a grid distortion")
    grid_size: float = Field(0.3, ge=0, le=0.9, description="largest stretch of a cell of the grid, share of the cell")
    dropout: Share = Field(0.0, description="probability of grey holes in the image; the mask stays whole")
    dropout_holes: int = Field(8, ge=1, le=256, description="most holes")
    dropout_size: Share = Field(0.1, description="largest side of a hole, share of the side")
    jpeg: Share = Field(0.0, description="probability of JPEG artefacts")
    jpeg_quality: int = Field(40, ge=1, le=100, description="lowest JPEG quality")
    mixup: Share = Field(0.0, description="probability of another sample blended in")
    mixup_share: float = Field(0.5, gt=0, le=0.5, description="largest share of the other sample")
    cutmix: Share = Field(0.0, description="probability of a rectangle of another sample, with its mask")
    cutmix_area: Share = Field(0.4, description="largest rectangle, share of the area")
    mosaic: Share = Field(0.0, description="probability of a mosaic with three other samples, with their masks")
    copy_paste: Share = Field(0.0, description="probability of another sample's foreground pasted in, with its mask")
    p: dict[str, Share] = Field(
        {}, description="own probability of a part of `warp` or `colour`, given that that comes: {rotate = 0.5}"
    )
    one_of: list[list[str]] = Field(
        [], description='groups of which one comes at most, each at its probability: [["blur", "noise", "hue+value"]]'
    )
    strength: float = Field(
        1.0, ge=0, le=2, description="multiplies sizes, else probabilities; flips stay at 1 above 1"
    )
    extra: str | None = Field(
        None, description='a plug-in, "file.py:name": albumentations, torchvision.v2 or (image, mask) -> (image, mask)'
    )

    @model_validator(mode="after")
    def _names(self) -> AugmentConfig:
        if self.resized_crop is not None and self.resized_crop[0] > self.resized_crop[1]:
            raise ValueError("resized_crop = [least, most]")
        if self.extra is not None and not all(self.extra.rpartition(":")[::2]):
            raise ValueError(f'extra = "file.py:name", not "{self.extra}"')
        wrong = sorted(set(self.p) - set(PARTS))
        if wrong:
            raise ValueError(f"p has no '{wrong[0]}'; its names: {', '.join(PARTS)}")
        names = [n for group in self.one_of for member in group for n in member.split("+")]
        for name in names:
            if name not in (*PARTS, *SINGLES):
                raise ValueError(f"one_of has no '{name}'; its names: {', '.join((*PARTS, *SINGLES))}")
            if names.count(name) > 1:
                raise ValueError(f"one_of has '{name}' twice")
        return self


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
