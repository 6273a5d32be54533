"""[predict]: from a trained network to the answer. Nothing here is read while it is trained."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from podium.config import Config


class View(NamedTuple):
    """How an image is shown to the network.

    Attributes:
        quarters: It is turned left by so many, after it was flipped.
        flipped: Left-right.
        scale: Its sides, against the image's.
        gain: Its brightness, against the image's.
        contrast: Its contrast, against the image's.
        corner: Where it is cut out: "top left", …, "centre"; "" = whole.
    """

    quarters: int = 0
    flipped: bool = False
    scale: float = 1.0
    gain: float = 1.0
    contrast: float = 1.0
    corner: str = ""

    def __add__(self, other: View) -> View:  # type: ignore[override]
        """Both: flipped and turned, scaled and recoloured by this and then by the other."""
        quarters = self.quarters + other.quarters if not other.flipped else other.quarters - self.quarters
        return View(
            quarters % 4,
            self.flipped != other.flipped,
            self.scale * other.scale,
            self.gain * other.gain,
            self.contrast * other.contrast,
            other.corner or self.corner,
        )


ITSELF = View()

VIEWS: dict[str, list[View]] = {
    "hflip": [View(flipped=True)],
    "vflip": [View(2, True)],
    "rot90": [View(1), View(2), View(3)],
    "d4": [View(quarters, flipped) for flipped in (False, True) for quarters in range(4)],
    "brightness": [View(gain=0.9), View(gain=1.1)],
    "contrast": [View(contrast=0.9), View(contrast=1.1)],
    "crops": [View(corner=c) for c in ("top left", "top right", "bottom left", "bottom right", "centre")],
}
"""What each name of `predict.tta` adds to the image itself; there is "scale 0.8", of any number, too."""


def views_of(name: str) -> list[View]:
    """The views that a word of `predict.tta` adds; of several joined by "+", those that are all of them.

    Raises:
        ValueError: listing the words.
    """
    found = [ITSELF]
    for word in name.split("+"):
        word = " ".join(word.split())
        scale = re.fullmatch(r"scale (\d{1,2}(\.\d{1,4})?)", word)
        if scale and 0.25 <= float(scale[1]) <= 4:
            own = [View(scale=float(scale[1]))]
        elif word in VIEWS:
            own = VIEWS[word]
        else:
            listed = ", ".join(VIEWS)
            raise ValueError(f"{listed}, scale 0.8 (any number from 0.25 to 4), or some joined: hflip + scale 0.8")
        found = [a + b for a in found for b in own]
    return found


def _tta(given: str) -> str:
    views_of(given)
    return " ".join(given.split())


def _threshold(given: Any) -> Any:
    values = given if isinstance(given, list) and given else [given]
    if all(type(v) in (int, float) and 0 < v < 1 for v in values):
        return [float(v) for v in given] if isinstance(given, list) else float(given)
    raise ValueError("a number between 0 and 1, or a list with one for each class: [0.5, 0.3]")


def _min_area(given: Any) -> Any:
    values = given if isinstance(given, list) and given else [given]
    if given is None or all(type(v) is int and v >= 1 for v in values):
        return given
    raise ValueError("a whole number from 1, or a list with one for each class: [1, 200]")


Tile = Annotated[int, Field(ge=64, le=16384)] | Literal["auto", "whole"]
Augmented = Annotated[str, AfterValidator(_tta)]
Threshold = Annotated[float | list[float], BeforeValidator(_threshold)]
MinArea = Annotated[int | list[int] | None, BeforeValidator(_min_area)]


class PredictConfig(Config):
    """From probabilities to the answer; at the images' original size, in this order. It is not read while training."""

    tta: list[Augmented] = Field(
        [],
        description="what is averaged at test time beside the image: hflip, vflip, rot90 (all three turns), d4 (all "
        'eight flips and turns), "scale 0.8", brightness, contrast, crops; joined by + what is both: "hflip + scale 2"',
    )
    mean: Literal["probs", "logits", "geometric", "power", "rank"] = Field(
        "probs",
        description="of views and models: probs, logits, geometric, power; rank: of ranks among all samples (classes)",
    )
    power: float | None = Field(None, gt=0, le=10, description='exponent of mean = "power"; unset = 2')
    tile: Tile = Field(
        "auto", description='largest side predicted at once; "whole"; auto = whole, or in tiles where memory is short'
    )
    overlap: float = Field(0.25, ge=0, le=0.75, description="share of a tile that the next one covers too")
    threshold: Threshold = Field(
        0.5, description="a pixel is foreground above this probability; a list: of each class that may overlap"
    )
    rim: float = Field(0.5, gt=0, lt=1, description="objects are parted where a pixel is rim above this probability")
    fill_holes: bool = Field(False, description="background that a class encloses becomes that class")
    min_area: MinArea = Field(
        None,
        description="pixels of the smallest connected part that is kept; a list: of each class; unset = 1 (objects: 8)",
    )
    largest: bool = Field(False, description="of each class only the largest connected part is kept")

    @property
    def views(self) -> list[View]:
        """What is predicted of each image and averaged: itself, and what `tta` adds, each once."""
        return list(dict.fromkeys([ITSELF, *(view for name in self.tta for view in views_of(name))]))

    @property
    def passes(self) -> tuple[object, ...]:
        """All that the network's probabilities depend on; what else there is, is read of stored ones."""
        return (*self.views, self.mean, self.power, self.tile, self.overlap)

    @model_validator(mode="after")
    def _power_of_powers(self) -> PredictConfig:
        if self.power is not None and self.mean != "power":
            raise ValueError('power beside mean = "power"')
        return self


def prediction_only(keys: Iterable[str]) -> bool:
    """Whether a change touches the prediction alone, so that the parent's trainings are its own.

    True where each of ``keys`` (dotted, at least one) is of [predict], which validation during the training does not
    read. Only a training by the clock knows of one of them: `train.time` leaves time for `predict.tta` at its end.
    """
    found = list(keys)
    return bool(found) and all(key.startswith("predict.") for key in found)
