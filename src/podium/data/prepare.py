"""The stages between the files as downloaded and what training reads: decode, pre-process, pack, under content keys."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from podium.data.cache import Stage, StageLog, content_hashes, stage_key
from podium.data.competition import Competition
from podium.data.fixes import read_fixes
from podium.data.objects import inside_and_rim
from podium.data.preprocess import Input, Preprocess, image_shape
from podium.data.reuse import why_reused
from podium.data.samples import Problem, Sample
from podium.data.store import Item, Store, build_store
from podium.data.targets import classes_in, read_overlapping
from podium.errors import PodiumError
from podium.files import is_complete, size_text
from podium.formats import images

FORMAT = 3
"""Part of every key: raise it when what a stage writes changes."""


@dataclass(frozen=True)
class TrainStores:
    """What training reads. Item i is the same sample in all three.

    Attributes:
        images: uint8 (H, W, 3), or what `input.channels` says, pre-processed as `[input]` says, without padding.
        masks: bit-packed, cut and resized like the images; of objects, their insides and rims as labels.
        truth: bit-packed, at the image's original size; what scores are computed on. Where targets are values of a
            table, both hold no pixels.
        views: {view: its images}, where a sample has several; ``images`` are those of the first.
    """

    images: Store
    masks: Store
    truth: Store
    stages: list[Stage]
    views: dict[str, Store] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        """Samples whose image or mask could not be read."""
        found = []
        for store, kind in ((self.images, "image"), (self.truth, "mask"), *((s, "image") for s in self._others())):
            found += [Problem(id, kind, reason) for id, reason in store.errors.items()]
        return found

    def _others(self) -> list[Store]:
        return list(self.views.values())[1:]


class Preparer:
    """Builds or reuses the stores of one workspace's cache, the fixes of its `fixes/` in their places.

    Args:
        cache: The folder of the stores, `.podium/cache` of the workspace.
        root: The workspace's folder, if ``cache`` does not lie there.
    """

    def __init__(self, competition: Competition, cache: Path, root: Path | None = None) -> None:
        self.competition, self.cache = competition, cache
        self.root = root or cache.parent.parent
        self.fixes = read_fixes(self.root)
        self._log = StageLog(cache / "stages.json")

    def preprocess(self, given: Input | Preprocess) -> Preprocess:
        """The pre-processing of a recipe's `[input]`, in this workspace."""
        return Preprocess.of(given, self.root)

    def train(self, samples: Sequence[Sample], given: Input | Preprocess) -> TrainStores:
        """The stores of the training samples, pre-processed (None: as the images are)."""
        preprocess, fixed = self.preprocess(given), self.fixes.apply(samples)
        image_stage, images_store = self.images("train images", samples, preprocess)
        truth_stage, truth = self._truth(fixed, images_store)
        stages = [*self._fixes_stage(samples), image_stage]
        views = {}
        for n, view in enumerate(self.competition.data.views):
            views[view] = images_store
            if n:
                shown = [replace(s, image=s.views[n]) for s in samples]
                stage, views[view] = self.images(f"train images {view}", shown, preprocess)
                stages.append(stage)
        if self.competition.task in ("classification", "regression"):
            return TrainStores(images_store, truth, truth, stages, views)
        stages.append(truth_stage)
        objects = {"objects": "inside and rim"} if self.competition.task == "instances" else {}
        settings = preprocess.mask_settings() | objects
        if not any(settings.values()):
            return TrainStores(images_store, truth, truth, stages, views)
        mask_stage, small = self._stage(
            "train masks",
            {id: hash or "" for id, hash in zip(truth.ids, truth.index["hash"].to_list(), strict=True)},
            settings,
            truth.ids,
            partial(_processed_mask, truth, preprocess, bool(objects)),
        )
        return TrainStores(images_store, small, truth, [*stages, mask_stage], views)

    def images(self, name: str, samples: Sequence[Sample], given: Input | Preprocess) -> tuple[Stage, Store]:
        """The store of some samples' images, pre-processed."""
        preprocess, samples = self.preprocess(given), self.fixes.apply(samples)
        digests = content_hashes([s.image for s in samples], self.cache / "content.json")
        content = {s.id: digests[s.image] for s in samples}
        by_id = {s.id: s for s in samples}

        def produce(id: str) -> Item:
            return _image_item(by_id[id], content[id], preprocess)

        kept = self._foregrounds(samples, preprocess)
        read = {id: f"{digest} {kept[id]}" if id in kept else digest for id, digest in content.items()}
        need = self.images_bytes(samples, preprocess)
        return self._stage(name, read, preprocess.image_settings(), [s.id for s in samples], produce, need)

    def fits(self, samples: Sequence[Sample], given: Input | Preprocess) -> bool:
        """Whether the test images are worth keeping decoded: they take less than a fifth of the disk that is free.

        What is kept of test images already counts as free: keeping them must not be the reason to keep them no more.
        """
        return self.images_bytes(samples, given) < self._room() / 5

    def left_out(self, samples: Sequence[Sample], given: Input | Preprocess) -> Stage:
        """What is told where they are not."""
        need, room = size_text(self.images_bytes(samples, given)), size_text(self._room())
        why = f"{need} would be more than a fifth of the disk's {room}: podium predict decodes them on the way"
        return Stage("test images", self.cache, True, why, did="not kept decoded")

    def _room(self) -> int:
        """Bytes of the disk that are free or hold test images."""
        existing = next(p for p in (self.cache, *self.cache.parents) if p.exists())
        held = sum(p.stat().st_size for p in self.cache.glob("test_images-*/pixels.bin"))
        return shutil.disk_usage(existing).free + held

    def images_bytes(self, samples: Sequence[Sample], given: Input | Preprocess) -> int:
        """About how many bytes the images' store takes (the first image stands for all)."""
        if not samples:
            return 0
        try:
            h, w = image_shape(samples[0].image, self.preprocess(given))
        except PodiumError:
            return 0
        return int(h * w * 3 * len(samples))

    def _foregrounds(self, samples: Sequence[Sample], preprocess: Preprocess) -> dict[str, str]:
        """The content of the files that say what of each image is kept: an image is made of them, too."""
        files = {s.id: file for s in samples if (file := preprocess.mask_file(s.id))}
        digests = content_hashes(list(files.values()), self.cache / "content.json")
        return {id: digests[file] for id, file in files.items()}

    def _fixes_stage(self, samples: Sequence[Sample]) -> list[Stage]:
        """What is told about the fixes, if there are any."""
        fixes = self.fixes.among(samples)
        return [Stage("fixes", self.root / "fixes", True, fixes.told())] if fixes else []

    def _truth(self, samples: Sequence[Sample], images_store: Store) -> tuple[Stage, Store]:
        files = [path for s in samples for path in _mask_files(s)]
        digests = content_hashes(files, self.cache / "content.json")
        content = {
            s.id: " ".join(digests[f] for f in _mask_files(s)) or _text_digest(s.rle or repr(s.values)) for s in samples
        }
        source = images_store.index.select("source_height", "source_width").rows()
        shapes = {id: source[i] for id, i in images_store.row.items()}
        by_id = {s.id: s for s in samples}

        def produce(id: str) -> Item:
            return _mask_item(self.competition, by_id[id], shapes[id], content[id])

        # a mask is checked against its image's size, so the size belongs to what it is made from
        content = {id: f"{digest} {shapes[id]}" for id, digest in content.items()}
        settings = self._target_settings(any(s.rle is not None for s in samples))
        return self._stage("train targets", content, settings, [s.id for s in samples], produce)

    def _target_settings(self, runs: bool) -> dict[str, object]:
        """What of `competition.toml` the targets' pixels depend on."""
        spec = self.competition.data
        settings: dict[str, object] = {"order": self.competition.submission.order} if runs else {}
        if spec.train_masks:
            settings["mask_values"] = spec.mask_values
        if not self.competition.binary:
            settings |= {"task": self.competition.task, "labels": self.competition.labels, "ignore": spec.ignore}
            settings["classes"] = self.competition.classes
            if spec.exclude_classes:
                settings["exclude_classes"] = spec.exclude_classes
        if self.competition.colours:
            settings["colours"] = self.competition.colours
        return settings

    def _stage(
        self,
        name: str,
        content: Mapping[str, str],
        settings: Mapping[str, object],
        ids: Sequence[str],
        produce: Callable[[str], Item],
        need: int = 0,
    ) -> tuple[Stage, Store]:
        versioned = {**settings, "format": FORMAT}
        key = stage_key(name, content.items(), versioned)
        folder = self.cache / f"{name.replace(' ', '_')}-{key}"
        if reused := is_complete(folder):
            why = why_reused(folder)
        else:
            why = self._log.why(name, content, settings)
        store = build_store(folder, ids, produce, what=name, need=need, content=content, settings=versioned)
        return Stage(name, folder, reused, f"{why}; {store.built}" if str(store.built or "") else why), store


def decode_sample(sample: Sample, preprocess: Preprocess | None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A sample's image, pre-processed, and its original (height, width).

    Raises:
        DataError: naming the file, if it cannot be decoded or pre-processed.
    """
    native = preprocess is not None and preprocess.native
    image = images.read_pixels(sample.image) if native else images.read_image(sample.image)
    shape = (image.shape[0], image.shape[1])
    return (preprocess.image(image, sample.id) if preprocess else image), shape


def _image_item(sample: Sample, content: str, preprocess: Preprocess) -> Item:
    facts: dict[str, Any] = {"content": content}
    try:
        image, (height, width) = decode_sample(sample, None)
        facts["mode"] = images.image_facts(sample.image).mode
        # of the pixels as they came: what is identical, and with it the folds, must not depend on `[input]`
        facts |= {"source_height": height, "source_width": width}
        native = preprocess.native or facts["mode"].startswith("I")
        pixels = images.read_pixels(sample.image) if native else image
        # dark images of 16 bits are all one black in 8
        facts["pixels"] = pixel_digest(pixels if pixels.dtype == np.uint16 else image)
        image = pixels if preprocess.native else image
        return Item(sample.id, preprocess.image(image, sample.id), facts)
    except PodiumError as error:
        return Item(sample.id, None, facts, error.found)


def pixel_digest(image: NDArray[Any]) -> str:
    """Equal pixels, equal digest, whatever the file around them."""
    return str(blake3(repr(image.shape).encode() + image.tobytes()).hexdigest(length=16))


def _text_digest(text: str | None) -> str:
    return str(blake3((text or "").encode()).hexdigest(length=16))


def _mask_files(sample: Sample) -> list[Path]:
    return [sample.mask] if sample.mask else [path for _, path in sample.class_masks]


def _mask_item(competition: Competition, sample: Sample, shape: tuple[int | None, int | None], content: str) -> Item:
    facts: dict[str, Any] = {"content": content}
    if shape[0] is None or shape[1] is None:
        return Item(sample.id, None, facts, None)  # the image's own error says it
    if sample.values:
        return Item(sample.id, None, facts, None)  # its target is a value, not pixels
    size = (shape[0], shape[1])
    try:
        mask, overlap = read_overlapping(competition, sample, size)
    except PodiumError as error:
        return Item(sample.id, None, facts, error.found)
    height, width = mask.shape[-2:]
    facts |= {"source_height": height, "source_width": width, "area": int((mask > 0).sum()), "overlap": overlap}
    if (present := classes_in(mask)) is not None:
        facts["present"] = " ".join(map(str, present))
    if (height, width) != size:
        wrong = f"mask is {width}x{height}, its image {size[1]}x{size[0]}"
        return Item(sample.id, None, facts, wrong)
    return Item(sample.id, mask, facts)


def _processed_mask(truth: Store, preprocess: Preprocess, objects: bool, id: str) -> Item:
    i = truth.row[id]
    try:
        if truth.kinds[i] == "masks":
            planes = preprocess.mask(np.moveaxis(truth.mask(i), 0, 2))
            return Item(id, np.ascontiguousarray(np.moveaxis(planes, 2, 0)), {})
        if truth.kinds[i] == "labels":
            labels = preprocess.mask(truth.labels(i), "labels")
            return Item(id, inside_and_rim(labels) if objects else labels, {})
        return Item(id, preprocess.mask(truth.mask(i)) if truth.kinds[i] else None, {})
    except PodiumError as error:  # its image has the same trouble
        return Item(id, None, {}, error.found)
