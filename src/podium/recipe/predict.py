"""[predict]: from a trained network to the answer. Nothing here is read while it is trained."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from podium.config import Config
from podium.errors import ConfigError


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


Tuned = Literal["tuned"]
TUNED: Tuned = "tuned"
"""In the place of a value: it is fitted on out-of-fold predictions, for each fold on those of the others."""


def _number(low: float, high: float, words: str, *, lists: bool = False, whole: bool = False) -> BeforeValidator:
    """Accepts a number strictly between two others (a whole one from ``low`` on), "tuned", or a list of numbers."""

    def fits(value: Any) -> bool:
        if whole:
            return type(value) is int and value >= low
        return type(value) in (int, float) and low < value < high

    def check(given: Any) -> Any:
        if given is None or given == TUNED:
            return given
        values = given if lists and isinstance(given, list) and given else [given]
        if not all(map(fits, values)):
            raise ValueError(words)
        cast = int if whole else float
        return [cast(v) for v in given] if isinstance(given, list) else cast(given)

    return BeforeValidator(check)


PASSES = ("tta", "mean", "power", "tile", "overlap")
"""Keys of [predict] that the network's probabilities depend on; what else there is, is read of stored ones."""

Tile = Annotated[int, Field(ge=64, le=16384)] | Literal["auto", "whole"]
Augmented = Annotated[str, AfterValidator(_tta)]


def _ascending(length: int | None, words: str) -> BeforeValidator:
    """Accepts "tuned", or a list of ascending numbers, of ``length`` if that is given."""

    def check(given: Any) -> Any:
        if given is None or given == TUNED:
            return given
        plain = isinstance(given, list) and given and all(type(v) in (int, float) for v in given)
        if not plain or sorted(given) != given or len(given) != (length or len(given)):
            raise ValueError(words)
        return [float(v) for v in given]

    return BeforeValidator(check)


_OR = '; or "tuned"'
Share = _number(0, 1, "a number between 0 and 1" + _OR)
Threshold = Annotated[
    float | list[float] | Tuned,
    _number(0, 1, "a number between 0 and 1, or a list with one for each class: [0.5, 0.3]" + _OR, lists=True),
]
MinArea = Annotated[
    int | list[int] | Tuned | None,
    _number(1, 0, "a whole number from 1, or a list with one for each class: [1, 200]" + _OR, lists=True, whole=True),
]


EmptyBelow = Annotated[
    float | list[float] | Tuned,
    _number(-1e-9, 1, "a number from 0 to 1, or a list with one for each class: [0.2, 0.1]" + _OR, lists=True),
]


class PredictConfig(Config):
    """From predictions to the answer; masks at the images' original size, in this order. Not read while training.

    Where a number is asked for, "tuned" has it fitted on out-of-fold predictions by the metric: for each fold on those
    of the other folds, so that the score stays honest, and for the test set on all.
    """

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
    temperature: Annotated[float | Tuned, _number(0, 100, "a number from 0 to 100" + _OR)] = Field(
        1.0, description="logits of classes or labels are divided by it: above 1 the probabilities are less sure"
    )
    threshold: Threshold = Field(
        0.5,
        description="a pixel is foreground, a label there, above this probability; a list: of each class that may "
        "overlap; probabilities of labels are shifted so that it comes to be one half",
    )
    rim: Annotated[float | Tuned, Share] = Field(
        0.5, description="objects are parted where a pixel is rim above this probability"
    )
    smooth: Annotated[float | Tuned, _number(-1e-9, 100, "pixels from 0 to 100" + _OR)] = Field(
        0.0, description="outlines are smoothed by a Gaussian of so many pixels' standard deviation"
    )
    fill_holes: bool = Field(False, description="background that a class encloses becomes that class")
    min_area: MinArea = Field(
        None,
        description="pixels of the smallest connected part that is kept; a list: of each class; unset = 1 (objects: 8)",
    )
    largest: bool = Field(False, description="of each class only the largest connected part is kept")
    hull: bool = Field(False, description="each connected part becomes its convex hull")
    empty_area: MinArea = Field(
        None, description="a mask of fewer pixels than this in all is empty; a list: of each class"
    )
    empty_peak: Annotated[float | Tuned | None, Share] = Field(
        None, description="a mask is empty unless the probability rises above this somewhere"
    )
    empty_by: str | None = Field(
        None,
        description="a classifier that says which masks are empty: attempt:presence/0003, of the workspace that "
        "podium new presence --from masks:. made",
    )
    empty_below: EmptyBelow = Field(
        0.5, description="a mask is empty where that says so little of its being there; a list: of each class"
    )
    clip: Annotated[list[float] | Tuned | None, _ascending(2, "two numbers, the lower first: [0, 120]" + _OR)] = Field(
        None, description="predicted numbers are kept between these two"
    )
    cuts: Annotated[list[float] | Tuned | None, _ascending(None, "ascending numbers: [0.5, 1.5, 2.5]" + _OR)] = Field(
        None, description="where predicted numbers pass from one rating to the next; unset: they are rounded"
    )
    lowest: int = Field(0, description="the rating below the first of `cuts`")

    @property
    def views(self) -> list[View]:
        """What is predicted of each image and averaged: itself, and what `tta` adds, each once."""
        return list(dict.fromkeys([ITSELF, *(view for name in self.tta for view in views_of(name))]))

    @property
    def passes(self) -> tuple[object, ...]:
        """The values of `PASSES`, views as they are seen: recipes with the same ones have the same probabilities."""
        return (*self.views, *(getattr(self, key) for key in PASSES if key != "tta"))

    @model_validator(mode="after")
    def _power_of_powers(self) -> PredictConfig:
        if self.power is not None and self.mean != "power":
            raise ValueError('power beside mean = "power"')
        return self

    @model_validator(mode="after")
    def _below_what(self) -> PredictConfig:
        if self.empty_by is None and self.empty_below != 0.5:
            raise ValueError('empty_by = "attempt:presence/0000" beside empty_below')
        return self

    @property
    def tuned(self) -> list[str]:
        """The keys that are to be fitted, in the order in which they are applied."""
        return [name for name in type(self).model_fields if getattr(self, name) == TUNED]

    @property
    def settled(self) -> PredictConfig:
        """Itself, once nothing is left to be fitted.

        Raises:
            ConfigError: if something is.
        """
        if self.tuned:
            raise ConfigError(
                'it is "tuned", and nothing has been fitted yet',
                where=f"predict.{self.tuned[0]}",
                expected="an attempt on top of one that is trained: podium try tuned predict.threshold=tuned --why '…'",
                remedy="give a number",
            )
        return self


def prediction_only(keys: Iterable[str]) -> bool:
    """Whether a change touches the prediction alone, so that the parent's trainings are its own.

    True where each of ``keys`` (dotted, at least one) is of [predict], which validation during the training does not
    read. Only a training by the clock knows of one of them: `train.time` leaves time for `predict.tta` at its end.
    """
    found = list(keys)
    return bool(found) and all(key.startswith("predict.") for key in found)
