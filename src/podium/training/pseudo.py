"""Pseudo-labels: what earlier attempts predict of the test images, where they are sure, as training samples.

Of every attempt only the runs of the same fold predict: their networks have not seen the samples that validate, so
nothing of these comes back by way of the test images.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.folds import Folds
from podium.data.joined import Joined
from podium.data.loader import Table
from podium.data.prepare import Preparer, TrainStores
from podium.data.samples import Sample, list_samples, read_exclusions
from podium.data.store import Item, Store, StoreWriter
from podium.errors import ConfigError, DataError, LedgerError
from podium.ledger.attempts import CODE, Attempt, Attempts
from podium.metrics import Metric
from podium.models.origin import workspace_above
from podium.plugins import kept_files
from podium.progress import counted, say, track
from podium.recipe import PseudoConfig, Recipe
from podium.training.choice import chosen
from podium.training.device import forked_random
from podium.training.evaluate import Predictor
from podium.training.fabric import Fabric
from podium.training.losses import IGNORED, Kind
from podium.training.out_of_fold import write_table
from podium.training.tasks import ClassMapTask, PlanesTask, TableTask, Task
from podium.training.trained import load_trained

Array = NDArray[Any]

TABLE = "pseudo.parquet"
"""In a fold run's folder: id, confidence, used of every test image, and its target where that is a value."""

MASKS = "pseudo"
"""Beside it, the store of the masks."""


@dataclass(frozen=True)
class PseudoLabels:
    """Test samples that are trained on.

    Attributes:
        images: The test images, pre-processed as the recipe says.
        rows: Which of them.
        masks: Their made-up masks, item by item as ``images``; None where targets are values.
        targets: (items, outputs), float32, as the loss wants them; None where targets are masks.
        inputs: What `data.inputs` are for each item, as text.
    """

    images: Store
    rows: list[int]
    masks: Store | None
    targets: NDArray[np.float32] | None
    inputs: list[tuple[str, ...]]

    def beside(
        self, stores: TrainStores, rows: Sequence[int], table: Table | None, task: Task
    ) -> tuple[TrainStores, list[int], Table | None]:
        """Stores, rows and table of the labelled samples that are trained on, and of these behind them."""
        images: Any = Joined(stores.images, self.images)
        every = [*rows, *(len(stores.images) + row for row in self.rows)]
        if self.masks is not None:
            masks: Any = Joined(stores.masks, self.masks)
            return replace(stores, images=images, masks=masks), every, table
        assert table is not None
        assert self.targets is not None
        assert isinstance(task, TableTask)
        inputs = None if table.inputs is None else np.vstack([table.inputs, task.metadata.encode(self.inputs)])
        return replace(stores, images=images), every, Table(np.vstack([table.targets, self.targets]), inputs)


def sureness(probs: Array, kind: Kind) -> float:
    """How sure a prediction is, the mean over its pixels: of max(p, 1 - p), or of the likeliest class; in [0, 1].

    Args:
        probs: In [0, 1], (…, outputs).
    """
    return float((probs.max(-1) if kind == "labels" else np.maximum(probs, 1 - probs)).mean())


def choose(sure: Mapping[str, float], labelled: int, config: PseudoConfig) -> list[str]:
    """The ids that are taken, the surest first.

    Args:
        sure: `sureness` of each prediction.
        labelled: How many labelled samples there are.

    Source: Lee 2013, Pseudo-Label (ICML workshop); the cut by confidence as FixMatch (arXiv 2001.07685), eq. 4.
    """
    found = [id for id, value in sure.items() if value >= config.confidence]
    return sorted(found, key=lambda id: (-sure[id], id))[: int(config.most * labelled)]


def mask_of(probs: Array, kind: Kind, config: PseudoConfig) -> Array:
    """The mask to train on, of probabilities (H, W, outputs): bool, or uint8 labels where some pixels do not count.

    Of planes it is bool (C, H, W), or a bit a class; of labels the class. Pixels that do not count have `IGNORED`.
    """
    if kind == "labels":
        labels = probs.argmax(2).astype(np.uint8)
        return np.where(probs.max(2) < 0.5 + config.sure, np.uint8(IGNORED), labels) if config.sure else labels
    planes = np.ascontiguousarray(np.moveaxis(probs >= 0.5, 2, 0))
    if not config.sure:
        return planes[0] if len(planes) == 1 else planes
    bits = sum(plane.astype(np.uint8) << k for k, plane in enumerate(planes))
    doubtful = (np.abs(probs - 0.5) < config.sure).any(2)
    return np.where(doubtful, np.uint8(IGNORED), bits).astype(np.uint8)


def value_of(probs: Array, kind: Kind) -> NDArray[np.float32]:
    """The target to train on, of the probabilities of a sample's classes or labels (outputs,)."""
    if kind == "labels":
        return np.eye(len(probs), dtype=np.float32)[int(probs.argmax())]
    return np.asarray(probs >= 0.5, np.float32)


def unrelated(samples: Sequence[Sample], held: Collection[str], group: Mapping[str, str]) -> list[Sample]:
    """The samples of no group that validates.

    Args:
        held: Ids of the validation fold.
        group: {id: group} of the training samples; an id without one is its own.
    """
    groups = {group.get(id, id) for id in held}
    return [s for s in samples if s.id not in held and (s.group or s.id) not in groups]


def check_pseudo(recipe: Recipe, task: Task, root: Path, folds: int) -> None:
    """Whether there is everything that `[pseudo]` asks for.

    Args:
        root: The workspace's folder.

    Raises:
        ConfigError: for a task that it does not suit, or attempts whose images are cut otherwise.
        DataError: if there are no test images.
        LedgerError: if an attempt is missing, or a fold of it not trained.
    """
    if not recipe.pseudo.attempts:
        return
    spec, where = task.competition.data, "pseudo.attempts"
    if not isinstance(task, PlanesTask | ClassMapTask | TableTask) or task.kind == "values":
        raise ConfigError("predictions of objects and numbers are not known to be sure", where=where, expected="[]")
    if task.competition.parts:
        raise ConfigError("there are several targets, not all as sure", where=where, expected="[]")
    if spec.views:
        raise ConfigError("a sample has several images here", where=where, expected="[]")
    if recipe.model.arch == "features":
        raise ConfigError("frozen features learn from labelled samples alone", where=where, expected="[]")
    if not spec.test_images:
        raise DataError("there are no test images to label", where="competition.toml: data.test_images")
    for attempt in _attempts(recipe, root):
        if attempt.recipe.input.crop != recipe.input.crop:
            raise ConfigError(
                f"attempt {attempt.id} cuts images otherwise (input.crop)", where=where, expected="the same input.crop"
            )
        for fold in range(folds):
            _files(attempt, fold)


@dataclass(frozen=True)
class Labelling:
    """The test images of a workspace, labelled for one fold run.

    Attributes:
        folder: The fold run's; gets `TABLE` and, of masks, the store `MASKS`.
    """

    competition: Competition
    metric: Metric
    recipe: Recipe
    task: Task
    folds: Folds
    fold: int
    folder: Path

    def write(self, fabric: Fabric) -> None:
        """Predict and choose, unless a run that was stopped has done so."""
        if (self.folder / TABLE).exists():
            return
        root, (preparer, tests, images) = workspace_above(self.folder), self._tests()
        out, held = (
            read_exclusions(root / "exclude.csv").keys() | images.errors.keys(),
            self.folds.validation(self.fold),
        )
        usable = {s.id for s in unrelated(tests, held, self.folds.group)} - out
        attempts = _attempts(self.recipe, root)
        with ExitStack() as stack:
            stack.enter_context(forked_random())  # the training draws the same, resumed or not
            for attempt in attempts:
                stack.enter_context(kept_files(attempt.folder / CODE))
            blend = [self._stream(attempt, preparer, tests, fabric) for attempt in attempts]
            predictions = track(_blended(blend, images), "pseudo-labels", len(images) - len(images.errors))
            sure, targets = _take(predictions, images, self.task, self.recipe.pseudo, self.folder / MASKS)
        labelled = len(self.folds.training(self.fold))
        used = set(choose({id: s for id, s in sure.items() if id in usable}, labelled, self.recipe.pseudo))
        columns: dict[str, Any] = {"id": images.ids, "used": [id in used for id in images.ids]}
        columns["confidence"] = pl.Series([sure.get(id) for id in images.ids], dtype=pl.Float64)
        if not self.task.dense:
            columns |= {f"target {name}": targets[:, k] for k, name in enumerate(self.task.names)}
        write_table(self.folder / TABLE, pl.DataFrame(columns))

    def read(self) -> PseudoLabels:
        """What `write` has left.

        Raises:
            DataError: if no prediction is sure enough.
        """
        _, tests, images = self._tests()
        table, config = pl.read_parquet(self.folder / TABLE), self.recipe.pseudo
        rows = [images.row[id] for id in table.filter(pl.col("used"))["id"]]
        if not rows:
            raise DataError(
                f"none of {counted(len(images), 'test image')} is predicted with a confidence of {config.confidence}",
                where="pseudo.confidence",
                expected=f"{max(table['confidence'].drop_nulls(), default=0.0):.3f} or less: the surest that there is",
            )
        say(f"  {len(rows)} of {counted(len(images), 'test image')} trained on too (pseudo-labels)")
        inputs = {s.id: s.inputs for s in tests}
        if self.task.dense:
            return PseudoLabels(images, rows, Store(self.folder / MASKS, touch=False), None, [])
        targets = table.select(f"target {name}" for name in self.task.names).to_numpy().astype(np.float32)
        return PseudoLabels(images, rows, None, targets, [inputs[id] for id in images.ids])

    def _tests(self) -> tuple[Preparer, list[Sample], Store]:
        root = workspace_above(self.folder)
        preparer = Preparer(self.competition, root / ".podium" / "cache")
        tests = list_samples(self.competition, root / "data").test
        return preparer, tests, preparer.images("test images", tests, self.recipe.input)[1]

    def _stream(
        self, attempt: Attempt, preparer: Preparer, tests: Sequence[Sample], fabric: Fabric
    ) -> Iterator[tuple[int, Array]]:
        """(row, probabilities) of every test image that can be read, by one attempt."""
        files, recipe = _files(attempt, self.fold), attempt.recipe
        predictor = Predictor(fabric, *load_trained(files, self.competition, self.metric, recipe, fabric))
        images = preparer.images("test images", tests, recipe.input)[1]
        readable = [row for row, id in enumerate(images.ids) if id not in images.errors]
        return predictor.stream(images, readable, recipe.train.val_batch, [s.inputs for s in tests])


def _attempts(recipe: Recipe, root: Path) -> list[Attempt]:
    attempts = Attempts(root / "attempts")
    try:
        return [attempts.get(name) for name in recipe.pseudo.attempts]
    except LedgerError as error:
        raise LedgerError(error.found, where="pseudo.attempts", remedy=error.remedy) from None


def _files(attempt: Attempt, fold: int) -> list[Path]:
    """The weights of an attempt that have not seen the fold's validation samples, of its first seed."""
    run = next((run for run in attempt.runs if run.fold == fold), None)
    if run is None:
        raise LedgerError(
            f"attempt {attempt.id} has no finished run of fold {fold}",
            where="pseudo.attempts",
            expected="one of every fold: each labels with what has not seen its validation samples",
            remedy=f"train it: podium resume {attempt.id} --folds all",
        )
    return chosen(run.folder, attempt.recipe.train.checkpoint)


def _blended(blend: Sequence[Iterator[tuple[int, Array]]], images: Store) -> Iterator[tuple[int, Array]]:
    """(row, mean probabilities in [0, 1]), of pixels at the size of ``images``."""
    for each in zip(*blend, strict=True):
        row = each[0][0]
        found = [probs / np.float32(255) if probs.ndim == 3 else probs for _, probs in each]
        if found[0].ndim == 3:
            size = images.shape(row)[::-1]
            found = [p if p.shape[1::-1] == size else cv2.resize(p, size).reshape(*size[::-1], -1) for p in found]
        yield row, np.mean(found, axis=0)


def _take(
    predictions: Iterator[tuple[int, Array]], images: Store, task: Task, config: PseudoConfig, folder: Path
) -> tuple[dict[str, float], NDArray[np.float32]]:
    """({id: `sureness`}, the target of each item where it is a value); masks go to a store in ``folder``."""
    sure: dict[str, float] = {}
    targets = np.zeros((len(images), task.outputs), np.float32)
    shutil.rmtree(folder, ignore_errors=True)
    with StoreWriter(folder, []) if task.dense else nullcontext() as masks:
        for row, probs in predictions:
            sure[images.ids[row]] = sureness(probs, task.kind)
            if masks is None:
                targets[row] = value_of(probs, task.kind)
                continue
            for gap in range(len(masks.rows), row):  # what could not be read
                masks.add(Item(images.ids[gap], None, {}))
            masks.add(Item(images.ids[row], mask_of(probs, task.kind, config), {}))
    if masks is not None:
        masks.finish()
    return sure, targets
