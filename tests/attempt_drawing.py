"""Attempts that were never trained: out-of-fold predictions drawn from the truth, as good or bad as one likes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from podium.config import write_toml
from podium.data.preprocess import Preprocess
from podium.files import building
from podium.ledger.fold_runs import fold_run_name
from podium.recipe import Recipe
from podium.training.evaluate import evaluate
from podium.training.fold_run import FoldData, write_judged
from podium.training.out_of_fold import predict_out_of_fold
from podium.training.ranks import Ranks
from podium.training.tasks import ObjectsTask, create_task
from podium.workspace import Workspace
from task_drawing import draw_task

__all__ = ["Drawn", "data_of", "draw_attempt", "drawn_space", "evaluate"]


def drawn_space(root: Path, task: str, n: int = 24, *, k: int = 3, **hold_out: float) -> Workspace:
    """A workspace of one of `task_drawing.TASKS`."""
    competition = draw_task(root / "source", task, n)
    (root / "space").mkdir()
    (root / "source/data").rename(root / "space/data")
    write_toml(root / "space/competition.toml", competition.tree() | {"folds": {"k": k}})
    kind = create_task(competition, Workspace(root / "space").metric, Recipe()).kind
    terms = {"planes": "{bce=1}", "labels": "{ce=1}", "values": "{huber=1}"}[kind]
    arch = "unet" if competition.task in ("segmentation", "instances") else "resnet_small"
    recipe = Recipe().with_overrides([f"model.arch={arch}", f"loss.terms={terms}"])
    (root / "space/recipes").mkdir()
    (root / "space/recipes/baseline.toml").write_text(recipe.to_toml())
    return Workspace(root / "space")


def data_of(space: Workspace, recipe: Recipe | None = None) -> FoldData:
    p = space.prepare(recipe)
    return FoldData(space.competition, p.stores, p.folds, space.metric, p.samples, p.opened)


class Drawn:
    """In the place of networks: the truth, blurred and with noise.

    Args:
        noise: Standard deviation of what is added, in logits or, of numbers, in their own.
        bias: Added to every logit.
    """

    def __init__(self, data: FoldData, recipe: Recipe, noise: float, seed: int, bias: float = 0.0) -> None:
        self.task, self.recipe = create_task(data.competition, data.metric, recipe), recipe
        self.preprocess, self.data = Preprocess.of(recipe.input), data
        self.noise, self.seed, self.bias = noise, seed, bias

    def stream(self, images, rows, batch_size, inputs=()):
        for row in rows:
            rng = np.random.default_rng((self.seed, row))
            yield row, self.of_pixels(row, rng) if self.task.dense else self.of_values(row, rng)

    def of_pixels(self, row, rng):
        truth = self.task.truth(self.data.truth, row)
        if isinstance(self.task, ObjectsTask):
            edge = np.zeros_like(truth, bool)
            edge[:-1] |= truth[:-1] != truth[1:]
            edge[:, :-1] |= truth[:, :-1] != truth[:, 1:]
            planes = np.stack([truth > 0, edge & (truth > 0)], -1)
        elif truth.ndim == 2:
            planes = truth[:, :, None] == np.arange(self.task.outputs)
        else:
            planes = np.moveaxis(truth, 0, -1)
        size = self.data.stores.images.shape(row)
        logits = cv2.resize(planes.astype(np.float32) * 4 - 2, size[::-1], interpolation=cv2.INTER_AREA)
        logits = logits.reshape(*size, -1)
        grain = rng.normal(0, self.noise, (-(-size[0] // 4), -(-size[1] // 4), logits.shape[2]))
        logits = logits + np.kron(grain, np.ones((4, 4, 1)))[: size[0], : size[1]] + self.bias
        return (255 / (1 + np.exp(-logits))).round().astype(np.uint8)

    def of_values(self, row, rng):
        encoded = self.task.encode(self.data.truth.targets[[row]])[0].astype(np.float64)
        if self.task.kind == "values":
            return (self.data.truth.targets[row] + rng.normal(0, self.noise, self.task.outputs) + self.bias).astype(
                np.float32
            )
        logits = encoded * 2 - 1 + rng.normal(0, self.noise, len(encoded)) + self.bias
        probs = 1 / (1 + np.exp(-logits))
        return (probs / probs.sum() if self.task.kind == "labels" else probs).astype(np.float32)


def draw_attempt(space, name, noise, *changes, seed=0, bias=0.0, parent=None, folds=None):
    """An attempt with every fold run, none of them trained."""
    recipe = Recipe.load(space.root / "recipes/baseline.toml").with_overrides(list(changes))
    data = data_of(space, recipe)
    digest = data.folds.digest()
    attempt = space.attempts.create(name, recipe, parent, "drawn", digest)
    drawn = Drawn(data, recipe, noise, seed, bias)
    drawn.task.channels = data.channels
    images, store = data.images(recipe), data.stores.images
    for fold in range(space.competition.folds.k) if folds is None else folds:
        rows = [store.row[id] for id in data.folds.validation(fold)]
        with building(attempt.folder / fold_run_name(fold, 0)) as folder:
            measured = predict_out_of_fold(drawn, store.ids, images, data.truth, rows, folder, Ranks())
            score = write_judged(data, drawn.task, images, fold, rows, measured, folder)
            head = {"fold": fold, "seed": 0, "metric": space.competition.metric, "score": score, "samples": len(rows)}
            write_toml(folder / "run.toml", head)
            (folder / "best.pt").write_bytes(b"never trained")
    attempt = space.attempts.get(attempt.id)
    space.index.put(attempt)
    return attempt
