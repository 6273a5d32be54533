"""Grading: a submission's score against hidden labels, by any metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.targets import class_order
from podium.errors import DataError, SubmissionError
from podium.formats import rle
from podium.formats.mask_archive import inspect_archive
from podium.formats.preflight import Values, inspect, refuse
from podium.formats.submission import SubmissionFormat
from podium.host.quick import quick_counts
from podium.host.run_tables import classes_of_runs, objects_of_runs
from podium.host.solution import Solution, truth_format
from podium.host.truth import mask_numbers, runs_of
from podium.metrics import Measured, Metric, compare_maps, compare_masks, compare_objects
from podium.metrics.compare import IGNORED

Array = NDArray[Any]
Labels = Literal["one", "many", "each"]


@dataclass(frozen=True)
class Classes:
    """What a board must know of the targets beside how a submission writes them.

    Attributes:
        labels: Whether a pixel or sample has one class, or several at once.
        names: In their order. A submission of maps of classes may leave the first, the background, out.
        numbers: Of each in PNG masks; of one class alone, 0 is what is not of it.
    """

    labels: Labels = "one"
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()

    @classmethod
    def of(cls, competition: Competition) -> Classes:
        """Of a competition."""
        names = class_order(competition)
        return cls(competition.labels, tuple(names), mask_numbers(competition))


@dataclass(frozen=True)
class Grade:
    """The scores of a submission.

    Attributes:
        public: The metric over the public samples.
        private: The metric over the private samples.
        per_sample: The score of each sample; empty for a metric that is of all samples together.
    """

    public: float
    private: float
    per_sample: dict[str, float]


class Sees(Protocol):
    """Somebody else who is to know what a submission says while it is read; of PNG masks nobody is told."""

    def __call__(self, sample: str, values: Values) -> None:
        """Take in the values of a sample."""

    def areas(self, sample: str, areas: list[int]) -> None:
        """Take in a sample's masks of which only the pixels are counted."""


def grade(
    path: Path,
    solution: Solution,
    metric: Metric,
    fmt: SubmissionFormat,
    classes: Classes = Classes(),
    seen: Sees | None = None,
) -> Grade:
    """Check and score a submission in one pass over its rows; pixels are decoded only where the metric needs them.

    Args:
        seen: Is told what the samples have, as far as the file is in order.

    Raises:
        SubmissionError: listing what a board refuses, if it is not in order.
    """
    form = truth_format(fmt, classes.names)
    if metric.kind == "overlap" and (classes.labels == "many" or fmt.width == 1):
        counts = quick_counts(path, solution, fmt)
        if counts is not None:
            if seen is not None:
                for sample, row in zip(solution.ids, counts.tolist(), strict=True):
                    seen.areas(sample, [mask[1] for mask in (row if counts.ndim == 3 else [row])])
            return _graded(path, solution, metric, Measured.of_counts(metric.kind, counts))
    known = {sample: n for n, sample in enumerate(solution.ids)}
    found: dict[int, Any] = {}

    def see(sample: str, values: Values) -> None:
        if seen is not None and fmt.format != "png":
            seen(sample, values)
        if sample not in known:  # ignored
            return
        n = known[sample]
        found[n] = values if metric.kind == "table" else _measure(metric, form, classes, solution, n, values)

    ids = [*solution.ids, *solution.ignored]
    if fmt.format == "png":
        numbers = classes.numbers
        allowed = (0, *numbers) if len(numbers) == 1 else numbers
        problems = inspect_archive(path, fmt, ids, solution.shapes, allowed, lambda id, m: see(id, runs_of(m, numbers)))
    else:
        problems = inspect(path, fmt, ids, solution.shapes, see)
    refuse(path, problems)
    rows = [found[n] for n in range(len(solution.ids))]
    if metric.kind == "table":
        measured = Measured.of_table(_table(solution.truth, fmt, classes, True), _table(rows, fmt, classes, False))
    else:
        measured = Measured.of_counts(metric.kind, np.stack(rows))
    return _graded(path, solution, metric, measured)


def _graded(path: Path, solution: Solution, metric: Metric, measured: Measured) -> Grade:
    """Both parts of the board, from what was measured once."""
    try:
        public = np.array([usage == "Public" for usage in solution.usage])
        scores = measured.per_sample(metric)
        seen, unseen = (measured.take(part).score(metric) for part in (public, ~public))
    except DataError as error:
        raise SubmissionError(
            f"'{metric.name}' cannot score it: {error.found}", where=path, expected=error.expected or ""
        ) from None
    each = {} if scores is None else dict(zip(solution.ids, scores.tolist(), strict=True))
    return Grade(seen, unseen, each)


def _measure(
    metric: Metric, fmt: SubmissionFormat, classes: Classes, solution: Solution, n: int, values: Values
) -> Array:
    """What a metric of pixels reads of sample ``n``."""
    truth, shape = solution.truth[n], solution.shapes[solution.ids[n]]
    if fmt.format == "rle_objects":
        counted = objects_of_runs(metric.kind, truth, values)
        if counted is not None:
            return counted
        both = (_numbered(runs, shape, fmt.order) for runs in (truth, values))
        return compare_objects(metric.kind, *both)
    if metric.kind == "overlap" and (classes.labels == "many" or len(truth) == 1):  # from the runs alone
        rows = [rle.overlap(np.asarray(v), np.asarray(t)) for v, t in zip(values, truth, strict=True)]
        return np.array(rows if len(rows) > 1 else rows[0], np.int64)
    spelt = list(fmt.classes or fmt.value_columns)
    if classes.labels == "one" and len(truth) > 1:
        counted = classes_of_runs(metric.kind, truth, values, shape[0] * shape[1], spelt, len(classes.names))
        if counted is not None:
            return counted
    masks = [np.stack([rle.mask_of(np.asarray(r), shape, fmt.order) for r in runs]) for runs in (truth, values)]
    if classes.labels == "many" or len(truth) == 1:
        return compare_masks(metric.kind, *masks)
    for runs, whose in ((masks[0], "the solution"), (masks[1], "the submission")):
        if (runs.sum(axis=0) > 1).any():
            raise SubmissionError(
                f"classes of '{solution.ids[n]}' have pixels in common in {whose}", expected="one class a pixel"
            )
    return _compare_maps(metric, classes, spelt, *masks)


def _compare_maps(metric: Metric, classes: Classes, spelt: list[str], truth: Array, predicted: Array) -> Array:
    """Masks of classes that share no pixel, bool (K, H, W), as maps of classes.

    Where a submission has no background, a pixel of no class is that. Else it is not scored in the truth, and wrong in
    the submission.
    """
    background = len(classes.names) == len(spelt) + 1
    names = ["background", *spelt] if background else [*spelt, "background"]
    of_none = (0, 0) if background else (IGNORED, len(spelt))
    maps = [
        np.where(m.any(axis=0), m.argmax(axis=0) + background, none)
        for m, none in zip((truth, predicted), of_none, strict=True)
    ]
    return compare_maps(metric.kind, maps[0], maps[1], names)


def _numbered(objects: Values, shape: tuple[int, int], order: rle.Order) -> NDArray[np.int32]:
    """A map of object numbers from the runs of each."""
    labels = np.zeros(shape[0] * shape[1], np.int32)
    for number, runs in enumerate(objects, 1):
        for start, length in np.asarray(runs):
            labels[start : start + length] = number
    return labels.reshape(shape) if order == "row" else np.ascontiguousarray(labels.reshape(shape[::-1]).T)


def _table(rows: Any, fmt: SubmissionFormat, classes: Classes, truth: bool) -> Array:
    """The values of all samples, as metrics of tables want them."""
    if fmt.choices:
        return _of_choices(rows, fmt)
    if fmt.format == "names":
        return _of_names([row[0] for row in rows], fmt, classes, truth)
    table = np.array(rows, np.float64).reshape(len(rows), -1)
    if table.shape[1] == 1:
        return table[:, 0]
    return table.argmax(axis=1) if truth and fmt.format == "probs" and classes.labels == "one" else table


def _of_names(texts: list[str], fmt: SubmissionFormat, classes: Classes, truth: bool) -> Array:
    order = {name: k for k, name in enumerate(fmt.classes or classes.names)}
    if classes.labels == "one" and (truth or fmt.guesses == 1):
        return np.array([order[text] for text in texts])
    if classes.labels == "one":
        return _of_guesses([[order[t] for t in fmt.names_in(text)] for text in texts], len(order))
    by = fmt.separator or " "
    table = np.zeros((len(texts), len(order)), np.int64)
    for row, text in zip(table, texts, strict=True):
        row[[order[t.strip()] for t in text.split(by if by.strip() else None) if t.strip()]] = 1
    return table


def _of_choices(rows: Any, fmt: SubmissionFormat) -> Array:
    """One name for each of several targets as 0 and 1 for each class of each, (N, outputs)."""
    places: list[dict[str, int]] = []
    width = 0
    for known in fmt.choices:
        places.append({name: width + k for k, name in enumerate(known)})
        width += len(known)
    table = np.zeros((len(rows), width))
    for row, names in zip(table, rows, strict=True):
        row[[of[name] for of, name in zip(places, names, strict=True)]] = 1
    return table


def _of_guesses(rows: Sequence[Sequence[int]], n: int) -> Array:
    """Guesses as scores of classes, shape (N, n): 1 for the first of a row, 1/2 for the second, 0 for no guess."""
    table = np.zeros((len(rows), n))
    for row, guesses in zip(table, rows, strict=True):
        for rank, k in enumerate(guesses, 1):
            row[k] = max(row[k], 1 / rank)
    return table
