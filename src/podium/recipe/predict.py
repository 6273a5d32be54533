"""[predict]: from a trained network to the answer. Nothing here is read while it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from podium.config import Config

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


Threshold = Annotated[float | list[float], BeforeValidator(_threshold)]
MinArea = Annotated[int | list[int] | None, BeforeValidator(_min_area)]


class PredictConfig(Config):
    """From probabilities to the answer; at the images' original size, in this order. It is not read while training."""

    tta: list[Literal["hflip", "vflip", "rot90", "d4"]] = Field(
        [], description="flips and turns averaged at test time; rot90: all three turns; d4: all eight flips and turns"
    )
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
        return list(dict.fromkeys([ITSELF, *(view for name in self.tta for view in VIEWS[name])]))


def prediction_only(keys: Iterable[str]) -> bool:
    """Whether a change touches the prediction alone, so that the parent's trainings are its own.

    True where each of ``keys`` (dotted, at least one) is of [predict], which validation during the training does not
    read. Only a training by the clock knows of one of them: `train.time` leaves time for `predict.tta` at its end.
    """
    found = list(keys)
    return bool(found) and all(key.startswith("predict.") for key in found)
