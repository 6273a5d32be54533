"""From a prediction to what a submission says of the sample: runs, probabilities, numbers or names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.data.objects import runs_of_objects
from podium.data.preprocess import Preprocess
from podium.errors import ConfigError
from podium.formats import rle
from podium.formats.submission import SubmissionFormat
from podium.host.truth import mask_numbers
from podium.training.tasks import ClassMapTask, MaskTask, ObjectsTask, TableTask

Array = NDArray[Any]
Shape = tuple[int, int]
Answer = tuple[str | float, ...]


def answers_of_masks(task: MaskTask, fmt: SubmissionFormat, preprocess: Preprocess) -> Callable[[Array, Shape], Answer]:
    """The function from probabilities, uint8 (H, W, outputs), and the original size to a sample's values.

    Raises:
        ConfigError: if the format has no room for such masks.
    """
    if isinstance(task, ObjectsTask):
        _require(fmt.format == "rle_objects", fmt, "rle_objects, a row an object")
    else:
        several = f"a row or column for each of the {task.outputs} classes"
        fits = fmt.width == task.outputs or (isinstance(task, ClassMapTask) and fmt.width == task.outputs - 1)
        _require(fmt.format == "rle" and fits, fmt, f"rle, with {several}")

    def answer(probs: Array, shape: Shape) -> Answer:
        found = task.decided(probs, shape, preprocess)
        if isinstance(task, ObjectsTask):
            return tuple(map(rle.format_runs, runs_of_objects(found, fmt.order)))
        masks = (
            (found == k for k in range(task.outputs - fmt.width, task.outputs))
            if isinstance(task, ClassMapTask)
            else iter(found)
        )
        return tuple(rle.encode(mask, fmt.order) for mask in masks)

    return answer


def numbers_of_masks(task: MaskTask, preprocess: Preprocess) -> Callable[[Array, Shape], Array]:
    """The function from probabilities and the original size to a PNG mask, uint8 (H, W).

    Raises:
        ConfigError: if classes overlap, or objects are told apart.
    """
    if isinstance(task, ObjectsTask) or not (isinstance(task, ClassMapTask) or task.outputs == 1):
        _require(False, task.competition.submission, "rle: one number a pixel cannot say what overlaps, or is apart")
    numbers = np.array(mask_numbers(task.competition), np.uint8)

    def labels(probs: Array, shape: Shape) -> Array:
        found = task.decided(probs, shape, preprocess)
        return numbers[found] if isinstance(task, ClassMapTask) else found[0] * numbers[0]

    return labels


def answers_of_values(task: TableTask, fmt: SubmissionFormat) -> Callable[[Array], Answer]:
    """The function from a prediction, (outputs,), to a sample's values.

    Raises:
        ConfigError: if the format has no room for them.
    """
    answer = _answers_of_values(task, fmt)
    return lambda values: answer(task.adjusted(values[None])[0])


def _answers_of_values(task: TableTask, fmt: SubmissionFormat) -> Callable[[Array], Answer]:
    if fmt.choices:
        return _choices(task, fmt)
    if fmt.format == "names":
        return _names(task, fmt)
    classes = task.competition.task == "classification"
    if fmt.format == "values" and classes and task.competition.labels == "one" and task.outputs > 1:
        _require(fmt.width == 1, fmt, "one column, of class numbers")
        numbers = [float(task.competition.classes[name]) for name in task.names]
        return lambda probs: (numbers[int(probs.argmax())],)
    if fmt.width == 1 and task.outputs == 2 and classes and task.competition.labels == "one":
        return lambda probs: (float(probs[1]),)
    _require(
        fmt.format in ("probs", "values") and fmt.width == task.outputs,
        fmt,
        f"a column for each of {', '.join(task.names)}",
    )

    def numbers_of(values: Array) -> Answer:
        found = np.atleast_1d(task.predicted(values[None])[0])
        if fmt.format == "values" and classes:
            found = (found > 0.5).astype(np.float64)
        return tuple(float(v) for v in found)

    return numbers_of


def _choices(task: TableTask, fmt: SubmissionFormat) -> Callable[[Array], Answer]:
    """The likeliest class of each of several targets."""
    parts = task.competition.parts
    fits = [len(part.classes) for part in parts] == [len(known) for known in fmt.choices]
    _require(fits, fmt, f"a class for each of the targets of {', '.join(task.names[:6])} …")
    each = list(zip(parts, fmt.choices, strict=True))
    return lambda probs: tuple(known[int(probs[part.outputs].argmax())] for part, known in each)


def _names(task: TableTask, fmt: SubmissionFormat) -> Callable[[Array], Answer]:
    spelt = list(fmt.classes) or task.names
    _require(task.competition.task == "classification" and len(spelt) == task.outputs > 1, fmt, "values, or probs")
    between = fmt.separator or " "
    if task.competition.labels == "one":
        most = fmt.guesses
        return lambda probs: (between.join(spelt[int(k)] for k in np.argsort(-probs, kind="stable")[:most]),)
    return lambda probs: (between.join(name for name, p in zip(spelt, probs, strict=True) if p > 0.5),)


def _require(fits: bool, fmt: SubmissionFormat, expected: str) -> None:
    if not fits:
        raise ConfigError(
            f"a submission of format '{fmt.format}' with {fmt.width} value{'s' * (fmt.width != 1)} a sample "
            "does not fit what is predicted",
            where="competition.toml: submission",
            expected=expected,
            remedy="correct [submission]",
        )
