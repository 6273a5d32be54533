"""A test set without files, and networks without weights, for predictions that take no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from podium.data.competition import Competition
from podium.inference import sources
from podium.inference.contents import content_of
from podium.inference.parts import Parts
from podium.inference.predict import Job
from podium.recipe import Recipe
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.tasks import create_task
from task_drawing import SPECS, metric_of


class Bright(nn.Module):
    """Sure of each pixel that is brighter than a half; logits of the first `outputs` channels."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, : self.outputs] - 0.5) * 20


class Made:
    """Images that are made when they are read: ``i`` gives ``i`` always; of odd sizes and values."""

    def __init__(self, n: int, shape: tuple[int, int] = (20, 27), original: tuple[int, int] | None = None) -> None:
        self.n, self._shape, self._original = n, shape, original or shape
        self.read = 0

    def __len__(self) -> int:
        return self.n

    def shape(self, i: int) -> tuple[int, int]:
        return self._shape[0], self._shape[1] + i % 3 * (self._shape == self._original)

    def original(self, i: int) -> tuple[int, int]:
        return self.shape(i) if self._shape == self._original else self._original

    def image(self, i: int) -> np.ndarray:
        self.read += 1
        return np.random.default_rng(i).integers(0, 256, (*self.shape(i), 3), np.uint8)


def ids_of(n: int) -> list[str]:
    return [f"t{i:05d}" for i in range(n)]


def predictor_of(name: str, *changes: str, model: nn.Module | None = None, batch: int = 4) -> Predictor:
    """One without training, of a task of `task_drawing`."""
    settings = ["input.normalize=unit", "train.precision=fp32", f"train.batch_size={batch}", "input.pad_to=8", *changes]
    recipe, spec = Recipe().with_overrides(settings), SPECS.get(name, PLAIN)
    competition = Competition.from_tree({"name": "x", **spec})
    task = create_task(competition, metric_of(competition), recipe)
    return Predictor(create_fabric("fp32"), [model or Bright(task.outputs)], task)


PLAIN = {"metric": "dice", "data": {"train_images": "*.png", "train_masks": "{id}.png"}}
"""A competition of one class."""


def job_of(
    folder: Path, predictor: Predictor, images: Made, known: list[str] | None = None, **settings: object
) -> tuple[Job, list[str]]:
    """A prediction of all ids, of which only ``known`` have an image."""
    ids = ids_of(len(images))
    test = sources.TestSet(images, {id: i for i, id in enumerate(ids) if known is None or id in known})
    task = predictor.task
    content = content_of(task, task.competition, predictor.preprocess, test)
    parts = Parts(folder, ids, predictor.recipe.train.val_batch)
    return Job(predictor, content, test, parts, **settings), ids  # type: ignore[arg-type]
