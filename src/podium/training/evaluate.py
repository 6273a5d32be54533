"""From a model to predictions at original resolution and what a metric reads of them, streamed: never all in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.data.loader import Batch, neighbours, whole_batches
from podium.data.preprocess import Preprocess
from podium.data.store import Store, ordered_map
from podium.data.views import Images
from podium.metrics import Measured
from podium.recipe import PredictConfig, Recipe, View
from podium.training.device import Normalize
from podium.training.ranks import Ranks
from podium.training.tasks import MaskTask, TableTask, Values
from podium.training.tta import shown, turned_back

Array = NDArray[Any]
Pixels = NDArray[np.uint8]


class Predicts(Protocol):
    """Who predicts, as far as scores are concerned: networks, or what is kept of them."""

    task: MaskTask | TableTask
    recipe: Recipe
    preprocess: Preprocess

    def stream(
        self, images: Images, rows: Sequence[int], batch_size: int, inputs: Sequence[Sequence[str]] = ()
    ) -> Iterator[tuple[int, Array]]:
        """(row, prediction), in the order of ``rows``; see `Predictor.stream`."""


class Predictor:
    """The mean prediction over models and views; evaluation mode guaranteed while it predicts.

    Args:
        tasks: The task of each model, fitted as it was when that was trained; one for all if there is no more to it.
        while_training: The recipe's [predict] is not read: images as they are, thresholds as they are by default.
    """

    def __init__(
        self,
        fabric: Fabric,
        models: Sequence[nn.Module],
        tasks: MaskTask | TableTask | Sequence[MaskTask | TableTask],
        *,
        while_training: bool = False,
    ) -> None:
        self.fabric, self.models = fabric, list(models)
        self.tasks = list(tasks) if isinstance(tasks, Sequence) else [tasks] * len(self.models)
        if while_training:
            self.tasks = [task.with_predict(PredictConfig()) for task in self.tasks]
        self.task = self.tasks[0]
        self.recipe = self.task.recipe
        self.views = self.recipe.predict.views
        self.preprocess = Preprocess.of(self.recipe.input)
        self.normalize = Normalize(self.recipe.input.normalize, fabric.device)

    @torch.inference_mode()
    def __call__(self, images: Array, inputs: Sequence[Sequence[str]] = ()) -> Array:
        """The predictions of a batch.

        Args:
            images: uint8 (N, H, W, C).
            inputs: What `data.inputs` are for each, as text.

        Returns:
            Of pixels probabilities as uint8 (N, H, W, outputs), 255 = 1; else float32 (N, outputs).
        """
        x = self.normalize(images)
        total: Any = 0
        with evaluating(self.models), self.fabric.autocast():
            for model, task in zip(self.models, self.tasks, strict=True):
                extra = self._extra(task, inputs)
                total = total + sum(self._probs(model, task, x, extra, view) for view in self.views)
        mean = total / (len(self.models) * len(self.views))
        if not self.task.dense:
            return np.asarray(mean.cpu().numpy())
        return np.asarray((mean * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())

    def _extra(self, task: MaskTask | TableTask, inputs: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
        if not (isinstance(task, TableTask) and task.width):
            return ()
        return (torch.from_numpy(task.metadata.encode(inputs)).to(self.fabric.device),)

    def _probs(
        self, model: nn.Module, task: MaskTask | TableTask, x: Tensor, extra: tuple[Tensor, ...], view: View
    ) -> Tensor:
        probs = task.probs(model(shown(x, view), *extra).float())
        return turned_back(probs, view) if task.dense else probs

    def stream(
        self, images: Images, rows: Sequence[int], batch_size: int, inputs: Sequence[Sequence[str]] = ()
    ) -> Iterator[tuple[int, Array]]:
        """(row, prediction), in the order of ``rows``: of pixels (H, W, outputs) at the input size, padding cut off.

        Args:
            inputs: What `data.inputs` are for each item of ``images``.
        """
        for batch in whole_batches(images, rows, self.preprocess.canvas, batch_size):
            for row, p in zip(batch.rows, self(batch.images, self._inputs_of(batch, inputs)), strict=True):
                if not self.task.dense:
                    yield int(row), p
                    continue
                shape = images.shape(int(row))
                yield int(row), p[self.preprocess.canvas(shape).inside(shape)]

    def _inputs_of(self, batch: Batch, inputs: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        return [inputs[int(row)] for row in batch.rows] if inputs else []


@contextmanager
def evaluating(models: Sequence[nn.Module]) -> Iterator[None]:
    """Evaluation mode inside the block, each model's own mode after it."""
    before = [m.training for m in models]
    for m in models:
        m.eval()
    try:
        yield
    finally:
        for m, mode in zip(models, before, strict=True):
            m.train(mode)


FEW = 8
"""Samples that are enough to see how long one takes."""

TRIES = 3
"""How often they are timed: on a machine that others use, one time may be many times too long."""

Keep = Callable[[int, Array], None]


def evaluate(
    predictor: Predicts,
    images: Images,
    truth: Store | Values,
    rows: Sequence[int],
    *,
    keep: Keep | None = None,
) -> Measured:
    """What the competition's metric reads of each of ``rows``, of pixels at original resolution.

    Args:
        images: Item i is what item i of ``truth`` is about.
        keep: Called with each row and its prediction as `Predictor.stream` gives it, in order.
    """
    if isinstance(truth, Values):
        return _evaluate_values(predictor, images, truth, rows, keep)
    task = predictor.task
    assert isinstance(task, MaskTask)
    table: Array | None = None

    def measure(item: tuple[int, Array]) -> Array:
        row, probs = item
        return task.measure(probs, truth, row, predictor.preprocess)

    measured = ordered_map(measure, _kept(predictor, images, rows, keep), workers=2, ahead=4)
    for n, counts in enumerate(measured):
        if table is None:  # filled in place: a few bytes a sample, whatever their number
            table = np.zeros((len(rows), *counts.shape), np.int64 if counts.size < 100 else np.int32)
        table[n] = counts
    return Measured.of_counts(predictor.task.metric.kind, np.zeros((0, 3), np.int64) if table is None else table)


def seconds_to_evaluate(predictor: Predicts, images: Images, truth: Store | Values, rows: Sequence[int]) -> float:
    """About how long `evaluate` of ``rows`` will take, from a few of them, evenly spread."""
    some = list(rows)[:: max(1, len(rows) // FEW)][:FEW]
    evaluate(predictor, images, truth, some[:2])  # kernels are chosen, files paged in
    times = []
    for _ in range(TRIES):
        started = time.monotonic()
        evaluate(predictor, images, truth, some)
        times.append(time.monotonic() - started)
    return median(times) / len(some) * len(rows)


def _evaluate_values(
    predictor: Predicts, images: Images, truth: Values, rows: Sequence[int], keep: Keep | None
) -> Measured:
    task = predictor.task
    assert isinstance(task, TableTask)
    predicted = np.zeros((len(rows), task.outputs), np.float32)
    for n, (_, values) in enumerate(_kept(predictor, images, rows, keep, truth.inputs)):
        predicted[n] = values
    return Measured.of_table(task.truth(truth.targets[np.asarray(rows, np.intp)]), task.predicted(predicted))


def share_of(predictor: Predicts, images: Images, rows: Sequence[int], ranks: Ranks) -> list[int]:
    """The part of ``rows`` that this process predicts: whole batches, so that each is as one process would have it."""
    if ranks.size == 1:
        return list(rows)
    train = predictor.recipe.train
    batches = [chunk for _, chunk in neighbours(images, rows, predictor.preprocess.canvas, train.val_batch)]
    return [row for batch in batches[ranks.share(len(batches))] for row in batch]


def joined(measured: Measured, ranks: Ranks) -> Measured | None:
    """What all processes measured of their shares, in the order of the rows; None, but in the first."""
    if ranks.size == 1:
        return measured
    found = [part for part in ranks.collect(measured.arrays) if len(next(iter(part.values())))]
    if not found:
        return None
    return Measured(measured.kind, {name: np.concatenate([part[name] for part in found]) for name in found[0]})


def _kept(
    predictor: Predicts,
    images: Images,
    rows: Sequence[int],
    keep: Keep | None,
    inputs: Sequence[Sequence[str]] = (),
) -> Iterator[tuple[int, Array]]:
    for row, prediction in predictor.stream(images, rows, predictor.recipe.train.val_batch, inputs):
        if keep:
            keep(row, prediction)
        yield row, prediction
