"""From a model to masks at original resolution and their counts, streamed: never all predictions in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.data.loader import Images, whole_batches
from podium.data.preprocess import Preprocess
from podium.data.store import Store, ordered_map
from podium.formats import bits
from podium.metrics import Counts
from podium.recipe import Recipe
from podium.training.device import Normalize

Pixels = NDArray[np.uint8]


class Predictor:
    """Mean foreground probability over models and flips; evaluation mode guaranteed while it predicts."""

    def __init__(self, fabric: Fabric, models: Sequence[nn.Module], recipe: Recipe, *, tta: bool = True) -> None:
        self.fabric, self.models, self.recipe = fabric, list(models), recipe
        self.flips: list[list[int]] = [[], *([3] if f == "hflip" else [2] for f in recipe.predict.tta if tta)]
        self.preprocess = Preprocess.of(recipe.input)
        self.normalize = Normalize(recipe.input.normalize, fabric.device)

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> Pixels:
        """uint8 (N, H, W, 3) -> probabilities as uint8 (N, H, W), 255 = 1."""
        x = self.normalize(images)
        with evaluating(self.models), self.fabric.autocast():
            total = sum(self._probs(model, x, flip) for model in self.models for flip in self.flips)
        assert isinstance(total, Tensor)
        mean = total / (len(self.models) * len(self.flips))
        return np.asarray((mean * 255).round().to(torch.uint8).cpu().numpy())

    def _probs(self, model: nn.Module, x: Tensor, flip: list[int]) -> Tensor:
        logits = model(x.flip(flip) if flip else x).float()
        probs = logits.sigmoid()
        return (probs.flip(flip) if flip else probs)[:, 0]

    def stream(self, images: Images, rows: Sequence[int], batch_size: int) -> Iterator[tuple[int, Pixels]]:
        """(row, probabilities at the input size, padding cut off), in the order of ``rows``."""
        for batch in whole_batches(images, rows, self.preprocess.canvas, batch_size):
            probs = self(batch.images)
            for row, p in zip(batch.rows, probs, strict=True):
                shape = images.shape(int(row))
                yield int(row), p[self.preprocess.canvas(shape).inside(shape)]


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


def evaluate(
    predictor: Predictor,
    images: Store,
    truth: Store,
    rows: Sequence[int],
    *,
    keep: Callable[[int, Pixels], None] | None = None,
) -> Counts:
    """Counts of predicted against true pixels at original resolution, one element a row.

    Args:
        images, truth: Stores whose items correspond.
        keep: Called with each row and its probabilities (uint8, input size), in order.
    """
    threshold = predictor.recipe.predict.threshold

    def count(item: tuple[int, Pixels]) -> tuple[int, int, int]:
        row, probs = item
        target = truth.raw(row)
        predicted = bits.pack(predictor.preprocess.mask_at(probs, truth.shape(row), threshold))
        return bits.intersection(predicted, target), bits.area(predicted), bits.area(target)

    def predictions() -> Iterator[tuple[int, Pixels]]:
        for row, probs in predictor.stream(images, rows, 2 * predictor.recipe.train.batch_size):
            if keep:
                keep(row, probs)
            yield row, probs

    table = np.array(list(ordered_map(count, predictions(), workers=2, ahead=16)), dtype=np.int64).reshape(-1, 3)
    return Counts(intersection=table[:, 0], predicted=table[:, 1], truth=table[:, 2])
