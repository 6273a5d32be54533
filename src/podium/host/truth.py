"""What a perfect submission says of a labelled sample: the solution of a board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.objects import runs_of_objects, without_small
from podium.data.samples import Sample
from podium.data.targets import class_order, read_target
from podium.errors import DataError
from podium.formats import images, rle
from podium.formats.preflight import Values
from podium.formats.submission import SubmissionFormat
from podium.host.solution import truth_format


def truth_of(competition: Competition, sample: Sample) -> tuple[Values, tuple[int, int] | None]:
    """The values of a sample's rows, and the (height, width) of its mask if it has one.

    Raises:
        DataError: if its target cannot be read or does not fit its image.
    """
    if sample.values:
        return _of_values(competition, sample.values), None
    shape = images.image_size(sample.image)
    target = read_target(competition, sample, shape)
    if target.shape[-2:] != shape:
        h, w = target.shape[-2:]
        raise DataError(
            f"mask is {w}x{h}, its image {shape[1]}x{shape[0]}",
            where=sample.mask or sample.image,
            remedy="replace or remove it",
        )
    return _of_pixels(competition, target), shape


def mask_numbers(competition: Competition) -> tuple[int, ...]:
    """What each class is in a PNG mask: its number; 255 for one class that masks have light on dark."""
    if competition.binary and competition.data.mask_values == "0/max":
        return (255,)
    return tuple(competition.classes[name] for name in class_order(competition))


def runs_of(mask: NDArray[np.uint8], numbers: Sequence[int]) -> Values:
    """The runs of each class in a PNG mask."""
    return tuple(rle.runs_of(mask == number) for number in numbers)


def _of_pixels(competition: Competition, target: NDArray[Any]) -> Values:
    form = truth_format(competition.submission, class_order(competition))
    if competition.task == "instances":
        return tuple(runs_of_objects(without_small(target.astype(np.int32), 1), form.order))
    if target.ndim == 3:
        return tuple(rle.runs_of(mask, form.order) for mask in target)
    if target.dtype == np.bool_:
        return (rle.runs_of(target, form.order),)
    names = class_order(competition)
    return tuple(rle.runs_of(target == k, form.order) for k in range(len(names) - form.width, len(names)))


def _of_values(competition: Competition, values: tuple[float, ...]) -> Values:
    form, names = competition.submission, class_order(competition)
    if competition.parts and form.choices:
        chosen = [next(k for k in range(p.start, p.end) if values[k]) - p.start for p in competition.parts]
        return tuple(known[k] for known, k in zip(form.choices, chosen, strict=True))
    if competition.task == "regression" or competition.labels != "one" or len(names) == 1:
        return _names_of(values, names, form) if form.format == "names" else values
    numbers = [competition.classes[name] for name in names]
    k = numbers.index(int(values[0]))
    if form.format == "names":
        return ((form.classes or tuple(names))[k],)
    if form.width == 1:
        return (float(k) if len(names) == 2 and form.format == "probs" else values[0],)
    return tuple(float(n == k) for n in range(len(names)))


def _names_of(values: tuple[float, ...], names: list[str], form: SubmissionFormat) -> Values:
    spelt = form.classes or tuple(names)
    return ((form.separator or " ").join(name for name, there in zip(spelt, values, strict=True) if there),)
