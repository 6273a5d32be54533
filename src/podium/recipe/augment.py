"""[augment]: random changes of the training images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from podium.config import Config
from podium.recipe.shares import Share

WARPS = ("shift", "scale", "rotate", "shear", "perspective")
COLOURS = ("brightness", "contrast", "gamma", "hue", "saturation", "value")
PARTS = (*WARPS, *COLOURS)
"""Augmentations whose key is a size: they come with their group, `warp` or `colour`, at `augment.p`."""
SINGLES = (
    *("hflip", "vflip", "rot90", "grey", "shuffle", "clahe", "blur", "motion", "noise", "elastic", "grid"),
    *("dropout", "jpeg", "mixup", "cutmix", "mosaic", "copy_paste"),
)
"""Augmentations whose key is a probability."""
COSTLY = ("elastic", "grid", "clahe", "blur", "motion", "noise", "jpeg", "mosaic", "copy_paste", "mixup", "cutmix")
"""Of these, the ones that take a CPU long."""


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

    @property
    def costly(self) -> list[str]:
        """The augmentations that are on and take a CPU long."""
        return [name for name in COSTLY if getattr(self, name)]

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
