"""From a model to predictions at original resolution and what a metric reads of them, streamed: never all in memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.data.geometry import round_up
from podium.data.loader import Batch, neighbours, whole_batches
from podium.data.preprocess import Preprocess
from podium.data.store import Store, ordered_map
from podium.data.views import Images
from podium.metrics import Measured
from podium.progress import say_once
from podium.recipe import PredictConfig, Recipe, View
from podium.training.device import Normalize
from podium.training.fabric import Fabric
from podium.training.means import Mean, as_uint8, ranked
from podium.training.ranks import Ranks
from podium.training.tasks import MaskTask, TableTask, Values
from podium.training.tiles import SMALL, fitting_tile, most_pixels, tiled
from podium.training.tta import brought_back, shown

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
        self.autocast: Callable[[], AbstractContextManager[Any]] = fabric.autocast
        self.space, self._multiple, self._pixels = Mean(self.recipe.predict), self.preprocess.pad_to, 0

    def __call__(self, images: Array, inputs: Sequence[Sequence[str]] = ()) -> Array:
        """The predictions of a batch.

        Args:
            images: uint8 (N, H, W, C).
            inputs: What `data.inputs` are for each, as text.

        Returns:
            Of pixels probabilities as uint8 (N, H, W, outputs), 255 = 1; else float32 (N, outputs).
        """
        return np.asarray(self.on_device(torch.from_numpy(images), inputs).cpu().numpy())

    def on_device(self, images: Tensor, inputs: Sequence[Sequence[str]] = ()) -> Tensor:
        """What a call gives, left on the device; nothing waits for it."""
        mean = self.mean(images, inputs)
        return as_uint8(mean).permute(0, 2, 3, 1) if self.task.dense else mean

    @torch.inference_mode()
    def mean(self, images: Tensor, inputs: Sequence[Sequence[str]] = ()) -> Tensor:
        """Mean predictions as numbers, on the device: of pixels (N, outputs, H, W), else (N, outputs).

        Where ranks are to be averaged, the predictions of all models and views, (N, members, outputs).
        """
        x = self.normalize.of(images.to(self.device, non_blocking=True))
        with evaluating(self.models), self.autocast():
            extras = [self._extra(task, inputs) for task in self.tasks]
            if self.task.dense:
                mean = self._mean_of_pixels(x, extras)
            else:
                each = zip(self.models, self.tasks, extras, strict=True)
                members = [self._values(*of, x, view) for of in each for view in self.views]
                if self.ranks:
                    return torch.stack(members, 1)
                mean = sum(members[1:], members[0]) / len(members)
        return self.space.back(self.task, mean)

    def reduced(self, models: int, views: int) -> Predictor:
        """This one with its first models and views alone."""
        other = copy.copy(self)
        other.models, other.tasks, other.views = self.models[:models], self.tasks[:models], self.views[:views]
        return other

    def precise(self) -> Predictor:
        """This one in fp32, whatever the precision of the training."""
        other = copy.copy(self)
        other.autocast = nullcontext
        return other

    @property
    def device(self) -> torch.device:
        """Where it predicts."""
        return self.fabric.device

    @property
    def ranks(self) -> bool:
        """Whether ranks among all samples are averaged, which no batch knows alone."""
        return self.space.how == "rank"

    def _mean_of_pixels(self, x: Tensor, extras: Sequence[tuple[Tensor, ...]]) -> Tensor:
        """In the space of the mean; pixels that some views do not show are means of fewer."""
        if len(self.models) * len(self.views) == 1:
            return self._values(self.models[0], self.tasks[0], extras[0], x, self.views[0])
        size, total = (x.shape[2], x.shape[3]), torch.zeros(0)
        counts = torch.zeros(size, device=x.device)
        for model, task, extra in zip(self.models, self.tasks, extras, strict=True):
            for view in self.views:
                values, box = brought_back(self._values(model, task, extra, x, view), view, size, self._multiple)
                if not total.numel():
                    total = torch.zeros((*values.shape[:2], *size), device=x.device)
                total[(..., *box)] += values
                counts[box] += 1
        return total / counts

    def _values(
        self, model: nn.Module, task: MaskTask | TableTask, extra: tuple[Tensor, ...], x: Tensor, view: View
    ) -> Tensor:
        """What one model gives for one view, in the space of the mean."""
        images = shown(x, view, self.normalize.black(x), multiple=self._multiple, whole=task.dense)

        def predict(part: Tensor) -> Tensor:
            return self.space.of(task, model(part, *extra).float())

        return self._in_memory(predict, model, images) if task.dense else predict(images)

    def _in_memory(self, predict: Callable[[Tensor], Tensor], model: nn.Module, images: Tensor) -> Tensor:
        """Whole images at once, one by one, or in tiles: as `predict.tile` says, or the memory."""
        config, (n, _, h, w) = self.recipe.predict, images.shape
        if config.tile == "whole" or (config.tile == "auto" and n * h * w <= SMALL):
            return predict(images)
        if config.tile != "auto":
            side = round_up(config.tile, self._multiple)
            return predict(images) if max(h, w) <= side else tiled(predict, images, (side, side), config.overlap)
        self._pixels = self._pixels or most_pixels(model, images)
        if n * h * w <= self._pixels:
            return predict(images)
        if h * w <= self._pixels:
            return torch.cat([predict(part) for part in images.split(self._pixels // (h * w))])
        side = fitting_tile(self._pixels, self._multiple)
        say_once(f"  images of {w}x{h} are predicted in tiles of {side}: that is what the free memory holds")
        return torch.cat([tiled(predict, image, (side, side), config.overlap) for image in images.split(1)])

    def _extra(self, task: MaskTask | TableTask, inputs: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
        if not (isinstance(task, TableTask) and task.width):
            return ()
        return (torch.from_numpy(task.metadata.encode(inputs)).to(self.device),)

    def stream(
        self, images: Images, rows: Sequence[int], batch_size: int, inputs: Sequence[Sequence[str]] = ()
    ) -> Iterator[tuple[int, Array]]:
        """(row, prediction), in the order of ``rows``: of pixels (H, W, outputs) at the input size, padding cut off.

        Args:
            inputs: What `data.inputs` are for each item of ``images``.
        """
        each = self._stream(images, rows, batch_size, inputs)
        if not self.ranks:
            yield from each
            return
        found = list(each)
        members = np.stack([np.atleast_2d(values) for _, values in found]) if found else np.zeros((0, 1, 1))
        yield from zip((row for row, _ in found), ranked(members), strict=True)

    def _stream(
        self, images: Images, rows: Sequence[int], batch_size: int, inputs: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, Array]]:
        """As `stream`, before ranks are taken."""
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
    return Measured.of_table(
        task.truth(truth.targets[np.asarray(rows, np.intp)]), task.predicted(task.adjusted(predicted))
    )


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
