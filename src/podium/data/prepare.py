"""The stages between the files as downloaded and what training reads: decode, resize, pack, all under content keys."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from podium.data.cache import Stage, StageLog, content_hashes, stage_key
from podium.data.competition import Competition
from podium.data.geometry import resize
from podium.data.samples import Problem, Sample
from podium.data.store import Item, Store, build_store
from podium.errors import PodiumError
from podium.files import is_complete
from podium.formats import images, masks, rle

FORMAT = 2
"""Part of every key: raise it when what a stage writes changes."""


@dataclass(frozen=True)
class TrainStores:
    """What training reads. Item i is the same sample in all three.

    Attributes:
        images: uint8 (H, W, 3) at the recipe's input size.
        masks: bit-packed, at the input size.
        truth: bit-packed, at the image's original size; what scores are computed on.
    """

    images: Store
    masks: Store
    truth: Store
    stages: list[Stage]

    @property
    def problems(self) -> list[Problem]:
        """Samples whose image or mask could not be read."""
        found = []
        for store, kind in ((self.images, "image"), (self.truth, "mask")):
            found += [Problem(id, kind, reason) for id, reason in store.errors.items()]
        return found


class Preparer:
    """Builds or reuses the stores of one workspace's cache."""

    def __init__(self, competition: Competition, cache: Path) -> None:
        self.competition, self.cache = competition, cache
        self._log = StageLog(cache / "stages.json")

    def train(self, samples: Sequence[Sample], size: Sequence[int] | None) -> TrainStores:
        """The stores of the training samples for an input size (None: as the images are)."""
        image_stage, images_store = self.images("train images", samples, size)
        truth_stage, truth = self._truth(samples, images_store)
        if size is None:
            return TrainStores(images_store, truth, truth, [image_stage, truth_stage])
        key = truth.folder.name.partition("-")[2]
        mask_stage, small = self._stage(
            "train masks", {"truth": key}, {"size": list(size)}, truth.ids, partial(_resized_mask, truth, size)
        )
        return TrainStores(images_store, small, truth, [image_stage, truth_stage, mask_stage])

    def images(self, name: str, samples: Sequence[Sample], size: Sequence[int] | None) -> tuple[Stage, Store]:
        """The store of some samples' images for an input size."""
        digests = content_hashes([s.image for s in samples], self.cache / "content.json")
        content = {s.id: digests[s.image] for s in samples}
        by_id = {s.id: s for s in samples}

        def produce(id: str) -> Item:
            return _image_item(by_id[id], content[id], size)

        settings = {"size": list(size) if size else None}
        need = self.images_bytes(samples, size)
        return self._stage(name, content, settings, [s.id for s in samples], produce, need)

    def fits(self, samples: Sequence[Sample], size: Sequence[int] | None) -> bool:
        """Whether the images are worth keeping decoded: they take less than a fifth of the free disk."""
        existing = next(p for p in (self.cache, *self.cache.parents) if p.exists())
        return self.images_bytes(samples, size) < shutil.disk_usage(existing).free / 5

    def images_bytes(self, samples: Sequence[Sample], size: Sequence[int] | None) -> int:
        """About how many bytes the images' store takes (the first image stands for all)."""
        if not samples:
            return 0
        try:
            h, w = size or images.image_size(samples[0].image)
        except PodiumError:
            return 0
        return int(h * w * 3 * len(samples))

    def _truth(self, samples: Sequence[Sample], images_store: Store) -> tuple[Stage, Store]:
        spec = self.competition.data
        digests = content_hashes([s.mask for s in samples if s.mask], self.cache / "content.json")
        content = {s.id: digests[s.mask] if s.mask else _text_digest(s.rle) for s in samples}
        source = images_store.index.select("source_height", "source_width").rows()
        shapes = {id: source[i] for id, i in images_store.row.items()}
        by_id = {s.id: s for s in samples}
        order = self.competition.submission.order

        def produce(id: str) -> Item:
            return _mask_item(by_id[id], shapes[id], spec.mask_values, order, content[id])

        # a mask is checked against its image's size, so the size belongs to what it is made from
        content = {id: f"{digest} {shapes[id]}" for id, digest in content.items()}
        settings = {"mask_values": spec.mask_values} if spec.train_masks else {"order": order}
        return self._stage("train targets", content, settings, [s.id for s in samples], produce)

    def _stage(
        self,
        name: str,
        content: Mapping[str, str],
        settings: Mapping[str, object],
        ids: Sequence[str],
        produce: Callable[[str], Item],
        need: int = 0,
    ) -> tuple[Stage, Store]:
        key = stage_key(name, content.items(), {**settings, "format": FORMAT})
        folder = self.cache / f"{name.replace(' ', '_')}-{key}"
        if reused := is_complete(folder):
            why = "nothing it reads has changed"
        else:
            why = self._log.why(name, content, settings)
        store = build_store(folder, ids, produce, what=name, need=need)
        return Stage(name, folder, reused, why), store


def decode_sample(sample: Sample, size: Sequence[int] | None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A sample's image at the input size, and its original (height, width).

    Raises:
        DataError: naming the file, if it cannot be decoded.
    """
    image = images.read_image(sample.image)
    return (resize(image, size) if size else image), (image.shape[0], image.shape[1])


def _image_item(sample: Sample, content: str, size: Sequence[int] | None) -> Item:
    try:
        image, (height, width) = decode_sample(sample, None)
        facts: dict[str, Any] = {"mode": images.image_facts(sample.image).mode}
    except PodiumError as error:
        return Item(sample.id, None, {"content": content}, error.found)
    # of the pixels before resizing: what is identical, and with it the folds, must not depend on the input size
    facts |= {"source_height": height, "source_width": width, "content": content, "pixels": pixel_digest(image)}
    return Item(sample.id, resize(image, size) if size else image, facts)


def pixel_digest(image: NDArray[np.uint8]) -> str:
    """Equal pixels, equal digest, whatever the file around them."""
    return str(blake3(repr(image.shape).encode() + image.tobytes()).hexdigest(length=16))


def _text_digest(text: str | None) -> str:
    return str(blake3((text or "").encode()).hexdigest(length=16))


def _mask_item(sample: Sample, shape: tuple[int | None, int | None], values: Any, order: Any, content: str) -> Item:
    facts: dict[str, Any] = {"content": content}
    if shape[0] is None or shape[1] is None:
        return Item(sample.id, None, facts, None)  # the image's own error says it
    size = (shape[0], shape[1])
    try:
        if sample.mask:
            mask = masks.read_mask(sample.mask, values)
        else:
            mask = rle.decode(sample.rle or "", size, order)
    except PodiumError as error:
        return Item(sample.id, None, facts, error.found)
    facts |= {"source_height": mask.shape[0], "source_width": mask.shape[1], "area": int(mask.sum())}
    if mask.shape != size:
        wrong = f"mask is {mask.shape[1]}x{mask.shape[0]}, its image {size[1]}x{size[0]}"
        return Item(sample.id, None, facts, wrong)
    return Item(sample.id, mask, facts)


def _resized_mask(truth: Store, size: Sequence[int], id: str) -> Item:
    i = truth.row[id]
    if truth.shape(i) == (0, 0):
        return Item(id, None, {}, None)
    return Item(id, resize(truth.mask(i) * np.uint8(255), size) > 127, {})
