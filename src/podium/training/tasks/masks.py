"""Tasks whose targets are pixels: masks of one class or several, maps of classes, objects."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from podium.data.competition import Competition
from podium.data.loader import Batch
from podium.data.objects import split_objects
from podium.data.parts import tidied, without_specks
from podium.data.preprocess import Preprocess
from podium.data.store import Store
from podium.data.targets import class_order
from podium.errors import ConfigError
from podium.formats import bits
from podium.metrics import Metric, compare_maps, compare_masks, compare_objects
from podium.metrics.instances import hits_by_area
from podium.recipe import TUNED, Recipe
from podium.training.feed import Fed
from podium.training.losses import IGNORED, Kind
from podium.training.tasks.base import Array, Task

Pixels = NDArray[np.uint8]

MOST_PLANES = 7
"""Classes that may overlap and share a byte a pixel while they are augmented; the eighth bit says ignored."""

EMPTYING = ("empty_by", "empty_below")
"""Keys of [predict] that have a classifier say which masks are empty."""

TIDYING = ("smooth", "fill_holes", "min_area", "largest", "hull", "empty_area", "empty_peak")
"""Keys of [predict] that change a mask once it is cut."""

SMALLEST_OBJECT = 8
"""Pixels of the smallest object that is told apart, where `predict.min_area` is unset."""


class MaskTask(Task):
    """A task with logits for each pixel.

    Probabilities of one image are uint8 (H, W, C), 255 = 1, from the network to the store.

    Attributes:
        presence: What the classifier of `predict.empty_by` says: {id: how likely each output is there}.
    """

    dense = True
    presence: Mapping[str, NDArray[np.float32]] | None = None

    def seen(self, id: str, probs: Pixels) -> Pixels:
        """The probabilities of an image without the outputs that `predict.empty_by` does not see in it.

        Args:
            probs: uint8 (H, W, C).
        """
        config = self.recipe.predict.settled
        if config.empty_by is None:
            return probs
        assert self.presence is not None, "whoever predicts with empty_by sets what the classifier says"
        there = self.presence[id] >= np.asarray(config.empty_below, np.float32)
        return probs if there.all() else np.asarray(np.where(there, probs, 0), np.uint8)

    def target(self, batch: Batch | Fed, device: torch.device) -> tuple[Tensor, Tensor | None]:
        target, weight = self.target_of(_masks(batch.masks, device))
        if batch.second is None:
            return target, weight
        share = torch.as_tensor(batch.shares).to(device, non_blocking=True)
        other = self.target_of(_masks(batch.second, device))
        if self.kind == "labels":
            (target, weight), other = _soft(target, self.outputs), _soft(other[0], self.outputs)
        return _blended((target, weight), other, share)

    @abstractmethod
    def target_of(self, masks: Tensor) -> tuple[Tensor, Tensor | None]:
        """The target that masks, uint8 (N, H, W), stand for, and where it counts; see `target`."""

    @abstractmethod
    def decided(self, probs: Pixels, shape: tuple[int, int], preprocess: Preprocess) -> Array:
        """What the probabilities of an image say at its original size.

        Args:
            probs: uint8 (H, W, C), input size, padding cut off.
            shape: Original (height, width).

        Returns:
            bool (C, H, W) of classes that may overlap; uint8 (H, W) of class indices; int32 (H, W) of objects.
        """

    def min_areas(self, unset: int) -> list[int]:
        """Pixels of the smallest part that is kept, of each output."""
        return self._of_each(self.recipe.predict.settled.min_area, unset)

    def _of_each(self, given: Any, unset: int) -> list[int]:
        value = given or unset
        return value if isinstance(value, list) else [value] * self.outputs

    @abstractmethod
    def truth(self, store: Store, row: int) -> Array:
        """The truth of one sample, at original size, in the form of `decided`."""

    def measure(self, probs: Pixels, store: Store, row: int, preprocess: Preprocess) -> Array:
        """What the metric reads of one sample; see `Measured`."""
        predicted = self.decided(self.seen(store.ids[row], probs), store.shape(row), preprocess)
        return self.compare(predicted, self.truth(store, row))

    @abstractmethod
    def compare(self, predicted: Array, truth: Array) -> Array:
        """What the metric reads of one sample, int64: (3,) or (K, 3), (C, C), (10, 3)."""


class PlanesTask(MaskTask):
    """Masks of one class, or of several that may overlap."""

    kind: Kind = "planes"
    reads = ("threshold", *TIDYING, *EMPTYING)

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe) -> None:
        names = class_order(competition)
        super().__init__(competition, metric, recipe, names)
        if len(names) > MOST_PLANES:
            raise ConfigError(
                f"{len(names)} classes that may overlap",
                where="competition.toml: classes",
                expected=f"{MOST_PLANES} at most",
                remedy='leave some out with data.exclude_classes; or labels = "one" if each pixel has one class',
            )

    def target_of(self, masks: Tensor) -> tuple[Tensor, Tensor | None]:
        return _planes(masks, self)

    def probs(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def decided(self, probs: Pixels, shape: tuple[int, int], preprocess: Preprocess) -> Array:
        config = self.recipe.predict.settled
        assert config.threshold != TUNED
        planes = np.moveaxis(preprocess.mask_at(probs, shape, config.threshold).reshape(*shape, -1), 2, 0)
        if not any(getattr(config, key) for key in TIDYING):
            return planes
        assert config.empty_peak != TUNED
        assert config.smooth != TUNED
        least, empty = self.min_areas(1), self._of_each(config.empty_area, 1)
        peaks = probs.max((0, 1), initial=0) > np.floor(255 * (config.empty_peak or 0))
        how: dict[str, Any] = {"smooth": config.smooth, "fill_holes": config.fill_holes}
        how |= {"largest": config.largest, "hull": config.hull}
        return np.stack(
            [
                tidied(plane & there, min_area=least[k], empty_area=empty[k], **how)
                for k, (plane, there) in enumerate(zip(planes, peaks, strict=True))
            ]
        )

    def truth(self, store: Store, row: int) -> Array:
        return store.mask(row).reshape(-1, *store.shape(row)).astype(np.bool_)

    def compare(self, predicted: Array, truth: Array) -> Array:
        return compare_masks(self.metric.kind, truth, predicted)

    def measure(self, probs: Pixels, store: Store, row: int, preprocess: Preprocess) -> Array:
        if self.metric.kind != "overlap":
            return super().measure(probs, store, row, preprocess)
        probs = self.seen(store.ids[row], probs)
        packed = np.packbits(self.decided(probs, store.shape(row), preprocess), axis=-1)  # as the truth is
        truth = store.raw(row).reshape(packed.shape)
        each = [(bits.intersection(p, t), bits.area(p), bits.area(t)) for p, t in zip(packed, truth, strict=True)]
        return np.array(each if len(each) > 1 else each[0], np.int64)


class ClassMapTask(MaskTask):
    """A class for each pixel."""

    kind: Kind = "labels"
    reads = ("min_area", *EMPTYING)

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe) -> None:
        super().__init__(competition, metric, recipe, class_order(competition))

    def target_of(self, masks: Tensor) -> tuple[Tensor, Tensor | None]:
        labels = masks
        if self.recipe.augment.border == "ignore":
            labels = labels.masked_fill(labels == self.recipe.augment.ignore_label, IGNORED)
        return labels.long(), None

    def probs(self, logits: Tensor) -> Tensor:
        return logits.softmax(1)

    def decided(self, probs: Pixels, shape: tuple[int, int], preprocess: Preprocess) -> Array:
        restored = preprocess.restore(probs, shape)
        labels = np.asarray(restored.argmax(2), np.uint8)
        return without_specks(restored, labels, self.min_areas(1)) if self.recipe.predict.min_area else labels

    def truth(self, store: Store, row: int) -> Array:
        return store.labels(row)

    def compare(self, predicted: Array, truth: Array) -> Array:
        return compare_maps(self.metric.kind, truth, predicted, self.names)


class ObjectsTask(MaskTask):
    """Objects told apart: the network finds their insides and their rims, a watershed makes objects of these.

    Attributes:
        areas: If any, `measure` gives what an instances metric reads under each of these `min_area`, (A, 10, 3), from
            one watershed.

    Source: the idea of the winners of the Data Science Bowl 2018 (topcoders), masks and contours as two planes.
    """

    areas: Sequence[int] = ()

    kind: Kind = "planes"
    reads = ("threshold", "rim", "min_area", *EMPTYING)

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe) -> None:
        super().__init__(competition, metric, recipe, ["inside", "rim"])

    def target_of(self, masks: Tensor) -> tuple[Tensor, Tensor | None]:
        return _planes(masks, self)

    def probs(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def decided(self, probs: Pixels, shape: tuple[int, int], preprocess: Preprocess) -> Array:
        (least,) = set(self.min_areas(SMALLEST_OBJECT))
        return self._split(preprocess.restore(probs, shape), least)

    def _split(self, probs: Pixels, min_area: int) -> Array:
        config = self.recipe.predict.settled
        assert isinstance(config.threshold, float)
        assert isinstance(config.rim, float)
        return split_objects(probs, threshold=config.threshold, rim=config.rim, min_area=min_area)

    def measure(self, probs: Pixels, store: Store, row: int, preprocess: Preprocess) -> Array:
        if not self.areas:
            return super().measure(probs, store, row, preprocess)
        whole = preprocess.restore(self.seen(store.ids[row], probs), store.shape(row))
        return hits_by_area(self.truth(store, row), self._split(whole, 0), self.areas)

    def truth(self, store: Store, row: int) -> Array:
        return store.labels(row)

    def compare(self, predicted: Array, truth: Array) -> Array:
        return compare_objects(self.metric.kind, truth, predicted)


def _masks(masks: Any, device: torch.device) -> Tensor:
    """A batch's masks on the device, uint8 (N, H, W)."""
    assert masks is not None
    return torch.as_tensor(masks).to(device, non_blocking=True)


def _soft(labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Class ids (N, H, W) as planes (N, classes, H, W), and 1 where they count."""
    counted = labels != IGNORED
    planes = torch.zeros((len(labels), classes, *labels.shape[1:]), device=labels.device)
    return planes.scatter_(1, (labels * counted).unsqueeze(1), 1.0), counted.float()


def _blended(
    own: tuple[Tensor, Tensor | None], other: tuple[Tensor, Tensor | None], share: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Means of two targets; where one that is there does not count, the mean does not."""
    part = share.view(-1, *[1] * (own[0].ndim - 1))
    target = (1 - part) * own[0] + part * other[0]
    if own[1] is None or other[1] is None:
        return target, None
    there = share.view(-1, *[1] * (own[1].ndim - 1)) > 0
    return target, torch.where(there, own[1] * other[1], own[1])


def _planes(masks: Tensor, task: MaskTask) -> tuple[Tensor, Tensor | None]:
    """Masks of a bit a class as planes (N, outputs, H, W), and 1 where they count."""
    shifts = torch.arange(task.outputs, device=masks.device, dtype=torch.uint8).view(1, -1, 1, 1)
    planes = ((masks.unsqueeze(1) >> shifts) & 1).float()
    if task.recipe.augment.border != "ignore" and not task.recipe.pseudo.sure:
        return planes, None
    counted = (masks != task.recipe.augment.ignore_label).float().unsqueeze(1)
    return planes * counted, counted
