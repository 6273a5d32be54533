"""[predict]: from a trained network to the answer. Nothing here is read while it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from podium.config import Config
from podium.errors import ConfigError

View = tuple[int, bool]
"""How an image is shown to the network: flipped left-right if True, then turned left by so many quarters."""

ITSELF: View = (0, False)

VIEWS: dict[str, list[View]] = {
    "hflip": [(0, True)],
    "vflip": [(2, True)],
    "rot90": [(1, False), (2, False), (3, False)],
    "d4": [(quarters, flipped) for flipped in (False, True) for quarters in range(4)],
}
"""What each name of `predict.tta` adds to the image itself."""

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


class PredictConfig(Config):
    """From predictions to the answer; masks at the images' original size, in this order. Not read while training.

    Where a number is asked for, "tuned" has it fitted on out-of-fold predictions by the metric: for each fold on those
    of the other folds, so that the score stays honest, and for the test set on all.
    """

    tta: list[Literal["hflip", "vflip", "rot90", "d4"]] = Field(
        [], description="flips and turns averaged at test time; rot90: all three turns; d4: all eight flips and turns"
    )
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
        return list(dict.fromkeys([ITSELF, *(view for name in self.tta for view in VIEWS[name])]))

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
