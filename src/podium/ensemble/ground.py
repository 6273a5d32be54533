"""What members are compared on: the training samples that all of them have predicted out of fold, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.data.folds import Folds
from podium.data.objects import inside_and_rim
from podium.data.preprocess import Preprocess
from podium.data.store import Store, ordered_map
from podium.data.targets import IGNORED
from podium.data.views import Images
from podium.ensemble.combine import Combiner, Mean, Stack
from podium.ensemble.map_pixels import MOST_BYTES, ContestedMap, MapMix
from podium.ensemble.members import Member, Predictions
from podium.ensemble.mixes import Mix, SlowMix, ValueMix
from podium.ensemble.pixels import Contested, PixelMix
from podium.ensemble.survey import Survey, some_pixels
from podium.errors import LedgerError
from podium.metrics import Measured
from podium.progress import track
from podium.training.evaluate import evaluate
from podium.training.fold_run import FoldData
from podium.training.grids import START
from podium.training.tasks import ClassMapTask, MaskTask, NumbersTask, ObjectsTask, PlanesTask, TableTask, Values

Array = NDArray[Any]
Ints = NDArray[np.int64]

FAST = 4000
"""Contested pixels of a mask that are kept where it has to be fast."""


class Blended:
    """Who predicts what a combiner makes of several members; in the place of networks, at original size.

    Attributes:
        room: Bytes of mixtures of pixels that may still be kept, for those that are decided over and over.
    """

    def __init__(
        self,
        task: MaskTask | TableTask,
        sources: Sequence[Predictions],
        combiner: Combiner,
        ids: Sequence[str],
        shape: Callable[[int], tuple[int, int]],
    ) -> None:
        self.task, self.recipe, self.preprocess = task, task.recipe, Preprocess.of(None)
        self.sources, self.combiner, self._ids, self._shape = list(sources), combiner, ids, shape
        self.room, self._mixed = 0, dict[int, Array]()

    def forget(self) -> None:
        """Keep no mixture any longer."""
        self.room, self._mixed = 0, {}

    def stream(
        self, images: Images, rows: Sequence[int], batch_size: int, inputs: Sequence[Sequence[str]] = ()
    ) -> Iterator[tuple[int, Array]]:
        """(row, prediction) as `Predictor.stream` gives it."""
        yield from ordered_map(lambda row: (row, self.of(row)), rows, workers=2, ahead=4)

    def of(self, row: int) -> Array:
        """The prediction of one sample."""
        id = self._ids[row]
        if not self.task.dense:
            values = np.stack([source.values(id) for source in self.sources])[:, None]
            return np.asarray(self.combiner(values.astype(np.float64))[0], np.float32)
        if row in self._mixed:
            return self._mixed[row]
        combiner, sources = self.combiner, self.sources
        assert isinstance(combiner, Mean | Stack)
        if isinstance(combiner, Mean):
            shares = combiner.shares
            sources = [s for s, k in zip(sources, shares, strict=True) if k]
            combiner = Mean(np.array([k for k in shares if k], np.int64))
        found = combiner.pixels([source.pixels(id, self._shape(row)) for source in sources])
        if found.nbytes <= self.room:
            self.room -= found.nbytes
            self._mixed[row] = found
        return found


@dataclass
class Ground:
    """The common samples of some members.

    Attributes:
        task: With the blend's [predict].
        data: Its folds are those of the common samples alone.
        rows: Of the common samples in the stores, fold after fold.
        fold: Of each of them.
    """

    task: MaskTask | TableTask
    data: FoldData
    members: Sequence[Member]
    rows: list[int]
    fold: Ints

    @classmethod
    def of(cls, task: MaskTask | TableTask, data: FoldData, members: Sequence[Member]) -> Ground:
        """Of members that all have out-of-fold predictions.

        Raises:
            LedgerError: if no fold is common to all.
        """
        row = data.stores.images.row
        common = set(row) & set(data.folds.fold)
        for member in members:
            assert member.oof is not None
            common &= member.oof.ids
        if not common:
            raise LedgerError(
                "no sample is predicted out of fold by all members",
                expected="members that were trained on the same folds",
                remedy="podium resume ID --folds all trains the folds that an attempt has not",
            )
        folds = data.folds.only(common)
        ordered = [(fold, row[id]) for fold in range(folds.k) for id in folds.validation(fold)]
        data = FoldData(data.competition, data.stores, folds, data.metric, data.samples, data.opened)
        return cls(task, data, members, [r for _, r in ordered], np.array([f for f, _ in ordered], np.int64))

    @property
    def folds(self) -> list[int]:
        """The folds that there are."""
        return sorted(set(self.fold.tolist()))

    @property
    def sources(self) -> list[Predictions]:
        """The members' out-of-fold predictions."""
        return [member.oof for member in self.members if member.oof is not None]

    def blended(self, combiner: Combiner, task: MaskTask | TableTask | None = None) -> Blended:
        """Who predicts the common samples by a combiner."""
        truth = self.data.truth

        def shape(row: int) -> tuple[int, int]:
            assert isinstance(truth, Store)
            return truth.shape(row)

        return Blended(task or self.task, self.sources, combiner, self.data.stores.images.ids, shape)

    def measured(self, combiner: Combiner, task: MaskTask | TableTask | None = None, use: Any = None) -> Measured:
        """What the metric reads of the samples, put together and decided as in a submission.

        Args:
            use: Indices or a mask of some of them.
        """
        rows = self.rows if use is None else [int(r) for r in np.array(self.rows)[use]]
        return evaluate(self.blended(combiner, task), self._images(), self.data.truth, rows)

    def _images(self) -> Images:
        return self.data.images(self.task.recipe)

    # ------------------------------------------------------------------ read once, weighed often

    def read(self, *, fast: bool = False) -> tuple[Mix, Survey]:
        """Everything that fitting weights needs, from one pass over all predictions."""
        survey = Survey(len(self.members))
        if isinstance(self.task, TableTask):
            return self._read_values(self.task, survey), survey
        samples: list[Any] = []
        stream = ordered_map(lambda n: self._read_pixels(n, fast), range(len(self.rows)), workers=2, ahead=4)
        for n, (contested, given) in enumerate(track(stream, "reading predictions", len(self.rows))):
            survey.add(int(self.fold[n]), *given)
            samples.append(contested)
        if self._plain:
            return PixelMix(samples, self.levels, len(self.members), whole=not fast), survey
        if self._plain_map:
            return MapMix(samples, len(self.members)), survey
        return SlowMix(len(self.members), self._begun), survey

    def _begun(self, combiner: Combiner) -> Measured:
        """`measured` as weights are looked for: what is still to be tuned has the value that tuning begins with."""
        config, values = self.task.recipe.predict, dict[str, Any]()
        for key in config.tuned:
            values |= START[key](self.task, self.data, self.rows)
        return self.measured(combiner, self.task.with_predict(config.with_overrides(values)))

    @property
    def _plain(self) -> bool:
        """Whether masks are measured by their pixels, each by itself."""
        return isinstance(self.task, PlanesTask) and self.task.metric.kind == "overlap"

    @property
    def _plain_map(self) -> bool:
        """The same of maps of classes."""
        config = self.task.recipe.predict
        decides = config.min_area is None and config.empty_by is None
        return isinstance(self.task, ClassMapTask) and self.task.metric.kind == "confusion" and decides

    @property
    def levels(self) -> list[int]:
        """Of each class: a pixel is foreground above this level of 0 to 255; one half where it is still to be tuned."""
        given = self.task.recipe.predict.threshold
        given = 0.5 if isinstance(given, str) else given
        return [int(v) for v in np.floor(np.multiply(np.broadcast_to(given, self.task.outputs), 255))]

    def _read_pixels(self, n: int, fast: bool) -> tuple[Any, tuple[Array, Array, Array]]:
        """Of one sample: its contested pixels, by class; and for the survey predictions, truth and decisions."""
        truth, row = self.data.truth, self.rows[n]
        assert isinstance(truth, Store)
        assert isinstance(self.task, MaskTask)
        id, shape = self.data.stores.images.ids[row], truth.shape(row)
        planes = np.stack([source.pixels(id, shape) for source in self.sources])  # (M, H, W, C)
        labels = self.task.truth(truth, row)
        target = target_planes(self.task, labels)
        members, outputs = len(planes), planes.shape[3]
        contested: Any = []
        if self._plain:
            for k, level in enumerate(self.levels):
                own = np.ascontiguousarray(planes[..., k]).reshape(members, -1)
                contested.append(Contested.of(own, target[k].ravel(), level, most=FAST if fast else None))
        if self._plain_map:
            most = FAST if fast else MOST_BYTES // (len(self.rows) * members * outputs)
            contested = ContestedMap.of(planes.reshape(members, -1, outputs), labels.ravel(), IGNORED, most)
        some = some_pixels(shape[0] * shape[1])
        flat = planes.reshape(members, -1, outputs)[:, some]
        decided = flat.argmax(axis=2) if isinstance(self.task, ClassMapTask) else (flat > 127).reshape(members, -1)
        wanted = np.moveaxis(target.reshape(outputs, -1)[:, some], 0, 1)
        return contested, (flat.reshape(members, -1) / np.float32(255), wanted.ravel(), decided)

    def _read_values(self, task: TableTask, survey: Survey) -> ValueMix:
        truth = self.data.truth
        assert isinstance(truth, Values)
        ids = [self.data.stores.images.ids[row] for row in self.rows]
        values = np.stack([[source.values(id) for id in ids] for source in self.sources]).astype(np.float64)
        targets = truth.targets[np.array(self.rows)]
        wanted, scale = targets_of(task, targets), np.ones(len(ids))
        if isinstance(task, NumbersTask) and task.metric.relative:
            scale = 1 / np.maximum(np.abs(wanted).mean(axis=1), 1e-9)
        for fold in self.folds:
            own = self.fold == fold
            flat = (values[:, own] * scale[own, None]).reshape(len(values), -1)
            survey.add(fold, flat, (wanted[own] * scale[own, None]).ravel(), _decisions(task, values[:, own]))
        return ValueMix(task, values, targets)


def targets_of(task: TableTask, targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """The truth in the form of predictions, (N, outputs): numbers as they are, classes and labels as 0 and 1."""
    return np.asarray(targets if isinstance(task, NumbersTask) else task.encode(targets), np.float64)


def _decisions(task: TableTask, values: NDArray[np.float64]) -> Array:
    """What predictions (M, N, outputs) come to: classes, labels, or, of numbers, whether above the mean of all."""
    if isinstance(task, NumbersTask):
        return np.asarray(values > values.mean(axis=(0, 1))).reshape(len(values), -1)
    if task.kind == "labels":
        parts = [part.outputs for part in task.competition.parts] or [slice(None)]
        return np.stack([values[:, :, of].argmax(axis=2) for of in parts], axis=2).reshape(len(values), -1)
    return np.asarray(values > 0.5).reshape(len(values), -1)


def target_planes(task: MaskTask, truth: Array) -> NDArray[np.bool_]:
    """The truth as masks of the outputs, (outputs, H, W)."""
    if isinstance(task, ObjectsTask):
        bits = inside_and_rim(truth)
        return np.stack([bits & 1 > 0, bits & 2 > 0])
    if isinstance(task, ClassMapTask):
        known = np.where(truth == IGNORED, -1, truth.astype(np.int64))
        return np.asarray(known[None] == np.arange(task.outputs)[:, None, None])
    return np.asarray(truth, np.bool_)


def folds_differ(member: Member, folds: Folds) -> str:
    """Why a member's folds are not the given ones; empty if they are."""
    if not member.fold:
        return "nobody knows which folds its predictions were made with"
    for id, fold in folds.fold.items():
        if member.fold.get(id, fold) != fold:
            return f"'{id}' is in fold {fold} here, and was predicted in fold {member.fold[id]}"
    return ""
