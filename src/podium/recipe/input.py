"""[input]: what of an image reaches the network."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from podium.config import Config

Side = Annotated[int, Field(ge=8, le=16384)]


def _crop(given: Any) -> Any:
    box = isinstance(given, list) and len(given) == 4 and all(type(n) is int and n >= 0 for n in given)
    if box and min(given[2:]) >= 8:
        return given
    if isinstance(given, str) and re.fullmatch(r"centre [1-9]\d{0,4}( [1-9]\d{0,4})?", given):
        return given
    raise ValueError('[top, left, height, width] in pixels (height and width at least 8), or "centre 512"')


Crop = Annotated[list[int] | str, BeforeValidator(_crop)]


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
    channels: Literal["rgb", "grey", "file"] = Field(
        "rgb", description="grey: all three get the luminance; file: as the files have them, 1 to 4 of 8 or 16 bits"
    )
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
        of_rgb = [name for name in ("stain", "clahe", "mask_out") if getattr(self, name) is not None]
        if self.channels == "file" and of_rgb:
            raise ValueError(f'{of_rgb[0]} works on three channels of 8 bits: with it, channels = "rgb"')
        return self

    @field_validator("mask_out")
    @classmethod
    def _a_way_to_mask(cls, value: str | None) -> str | None:
        if value is not None and value not in ("otsu", "otsu dark", "otsu light") and "{id}" not in value:
            raise ValueError('"otsu", "otsu dark", "otsu light", or a path with {id} in it: "keep/{id}.png"')
        return value
