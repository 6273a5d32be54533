"""Fitting the learner of frozen features: the features of every sample once, kept in the store, then one fit."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import torch
from blake3 import blake3
from numpy.typing import NDArray

from podium.data.augment import augment
from podium.data.cache import stage_key
from podium.data.loader import Table, single_thread_cv2
from podium.data.preprocess import Preprocess
from podium.data.store import Item, Store, build_store
from podium.data.views import Images
from podium.files import write_atomic
from podium.models.features import Floats, FrozenFeatures, needs_weights
from podium.recipe import Recipe
from podium.training import checkpoint
from podium.training.device import Normalize
from podium.training.evaluate import Array, Predictor
from podium.training.fabric import Fabric
from podium.training.learners import Rows, fit, mean_loss
from podium.training.state import Epoch, Trained
from podium.training.tasks import TableTask

FORMAT = 1
"""Part of every key: raised when features are computed or laid out differently."""


def train_features(
    fabric: Fabric,
    model: FrozenFeatures,
    task: TableTask,
    table: Table,
    sources: Sequence[Store],
    images: Images,
    train_rows: Sequence[int],
    groups: Sequence[str],
    score: Callable[[Predictor], float],
    folder: Path,
    seed: int,
) -> tuple[Trained, Predictor]:
    """What `podium.training.loop.train` is to a network: fit, validate, leave the checkpoint and history.csv.

    Args:
        table: Targets and metadata of every item of the stores.
        sources: The stores of the images, one a view; features are kept beside them.
        groups: Of every item: what is not parted when a setting of the learner is chosen.
        score: Of a predictor, on the validation fold.

    Returns:
        The training as one epoch, and the predictor to validate with.

    Raises:
        ModelError: if the encoder has no weights but random ones.
    """
    started = time.monotonic()
    config = task.recipe.model
    if not (config.pretrained or config.weights):
        raise needs_weights()
    store = feature_store(model, sources, images, task.recipe, sources[0].folder.parent, fabric.device)
    rate = len(store) * config.variants / max(time.monotonic() - started, 1e-9)
    loss = fit_features(model, store, train_rows, task, table, groups, seed)
    predictor = FeaturePredictor(store, fabric, model, task)
    value = score(predictor)
    seconds = time.monotonic() - started
    epoch = Epoch(
        epoch=1, lr=0.0, loss=loss, score=value, val_loss=None, images_per_s=rate, data_wait=0.0, seconds=seconds
    )
    state = {"model": model.state_dict(), "task": task.state(), "epoch": 1, "score": value}
    checkpoint.save(folder / f"{task.recipe.train.checkpoint}.pt", state)
    write_atomic(folder / "history.csv", pl.DataFrame([asdict(epoch)]).write_csv())
    return Trained([epoch], best_epoch=1, best_score=value), predictor


def feature_store(
    model: FrozenFeatures, sources: Sequence[Store], images: Images, recipe: Recipe, cache: Path, device: torch.device
) -> Store:
    """The features of every sample, computed where the cache lacks them: item i is what `features_of` reads.

    The key is made of each image's bytes, the encoder's weights, and the settings of crops, pooling and augmentation.
    Samples that another store of the same settings has are not computed again.

    Args:
        sources: The stores of the images, one a view, for the hashes of their content.
        images: The same images, as the network sees them.
    """
    preprocess, normalize = Preprocess.of(recipe.input), Normalize(recipe.input.normalize, device)
    settings = _settings(model, recipe)
    source, hashes = sources[0], zip(*(s.index["hash"].to_list() for s in sources), strict=True)
    content = {id: " ".join(hash or "" for hash in each) for id, each in zip(source.ids, hashes, strict=True)}

    def produce(id: str) -> Item:
        row = source.row[id]
        if id in source.errors:
            return Item(id, None, {}, source.errors[id])
        versions = variants(images.image(row), recipe, preprocess, zlib.crc32(id.encode()))
        with torch.inference_mode():
            table = np.concatenate([model.features(normalize(v[None])).cpu().numpy() for v in versions])
        half = np.clip(table, -65504, 65504).astype(np.float16)
        return Item(id, half.view(np.uint16), {})

    key = stage_key("features", content.items(), settings)
    model.eval()
    return build_store(
        cache / f"features-{key}", source.ids, produce, what="features", workers=1, content=content, settings=settings
    )


def features_of(store: Store, row: int) -> Floats:
    """Of one sample, (variants, F); the first is of the image as it is."""
    return np.asarray(store.labels(row)).view(np.float16).astype(np.float32)


def variants(image: NDArray[np.uint8], recipe: Recipe, preprocess: Preprocess, seed: int) -> list[NDArray[np.uint8]]:
    """An image as prediction sees it, then `model.variants` - 1 augmented ones: uint8 (H, W, C)."""
    single_thread_cv2()
    canvas = preprocess.canvas((image.shape[0], image.shape[1]))
    versions, nothing = [canvas.place(image)], np.zeros(image.shape[:2], np.uint8)
    for n in range(1, recipe.model.variants):
        rng = np.random.default_rng([recipe.train.seed, seed, n])
        versions.append(np.ascontiguousarray(augment(recipe.augment, canvas, rng, image, nothing)[0]))
    return versions


def _settings(model: FrozenFeatures, recipe: Recipe) -> dict[str, object]:
    """Everything but the images that features depend on."""
    weights = blake3()
    for name, tensor in model.encoder.state_dict().items():
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    config, several = recipe.model, recipe.model.variants > 1
    return {
        "encoder": f"{config.encoder} {weights.hexdigest(length=8)}",
        "pooling": [config.stages, config.crop, config.crops if config.crop else 1, config.power],
        "variants": config.variants,
        "augment": recipe.augment.tree() if several else {},
        "seed": recipe.train.seed if several else 0,
        "padding": f"{recipe.input.pad_to} {recipe.input.pad} {recipe.input.pad_side}",
        "normalize": recipe.input.normalize,
        "format": FORMAT,
    }


def fit_features(
    model: FrozenFeatures,
    store: Store,
    train_rows: Sequence[int],
    task: TableTask,
    table: Table,
    groups: Sequence[str],
    seed: int,
) -> float:
    """Fit the learner on the features of some samples; the loss on these.

    Args:
        store: Of `feature_store`.
        table: Targets and metadata of every item of the store.
        groups: Of every item: what is not parted when a setting of the learner is chosen.
    """
    tables = [features_of(store, row) for row in train_rows]
    each = np.repeat(np.asarray(train_rows), [len(t) for t in tables])
    features = np.concatenate(tables)
    if table.inputs is not None:
        features = np.hstack([features, table.inputs[each]])
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    rows, parts = Rows(features, table.targets[each], codes[each]), task.competition.parts
    fit(model, rows, task.kind, seed, [part.outputs for part in parts])
    with torch.inference_mode():
        out = model.learner(torch.from_numpy(features).to(next(model.encoder.parameters()).device)).cpu().numpy()
    if not parts:
        return mean_loss(out, rows.targets, task.kind)
    return sum(p.weight * mean_loss(out[:, p.outputs], rows.targets[:, p.outputs], task.kind) for p in parts)


class FeaturePredictor(Predictor):
    """A predictor that takes the features of images from a store, where no other views are asked for."""

    def __init__(self, store: Store, fabric: Fabric, model: FrozenFeatures, task: TableTask) -> None:
        super().__init__(fabric, [model], task)
        self.store, self.model = store, model

    @torch.inference_mode()
    def _stream(
        self, images: Images, rows: Sequence[int], batch_size: int, inputs: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, Array]]:
        """(row, prediction), in the order of ``rows``, of images as they are."""
        if len(self.views) > 1:
            yield from super()._stream(images, rows, batch_size, inputs)
            return
        for row in rows:
            features = torch.from_numpy(features_of(self.store, row)[:1]).to(self.fabric.device)
            extra = self._extra(self.task, [inputs[row]] if inputs else [])
            yield row, self.task.probs(self.model.predict(features, *extra).float()).cpu().numpy()[0]
