"""An attempt written for others: graphs of its networks, or all that predicts in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np

from podium.data.competition import Competition
from podium.data.ready import Prepared
from podium.errors import ConfigError, nearest
from podium.files import is_complete
from podium.inference.bag import Bag, load_models
from podium.inference.bundle import size_of, write_bundle
from podium.inference.export import Kind, export
from podium.ledger.attempts import CODE, Attempt
from podium.metrics import Metric
from podium.plugins import kept_files
from podium.progress import say
from podium.recipe import Recipe
from podium.training.fold_run import FoldData
from podium.training.tasks import Values

IMAGES = 4
"""That a graph is compared on."""


def export_attempt(
    attempt: Attempt,
    competition: Competition,
    metric: Metric,
    root: Path,
    prepare: Callable[[Recipe], Prepared],
    folder: Path,
    kind: str,
    *,
    each: bool = False,
    all_seeds: bool = False,
) -> Path:
    """Write an attempt's models; see `Workspace.export`.

    Args:
        prepare: Gives the training images, a few of which a graph is compared on.
    """
    kinds = [*get_args(Kind), "bundle"]
    if kind not in kinds:
        raise ConfigError(f"there is no format '{kind}'", where="--format", remedy=nearest(kind, kinds))
    if folder.exists() and (not is_complete(folder) and any(folder.iterdir())):
        raise ConfigError("this folder is in use", where=folder, remedy="name another with --to, or delete it")
    if attempt.recipe.predict.empty_by is not None:
        raise ConfigError(
            f"attempt {attempt.id} has another workspace's classifier empty masks, which cannot be written with it",
            where="predict.empty_by",
            remedy=f"export its parent, and the classifier by itself: podium -C presence export; or predict here: "
            f"podium predict {attempt.id}",
        )
    bag = Bag.of(attempt, all_seeds=all_seeds)
    if kind == "bundle":
        written = write_bundle(attempt, competition, root, bag, folder)
        say(f"  {bag.told()}, {size_of(written)}")
        return written
    with kept_files(attempt.folder / CODE):
        predictor = load_models(attempt, competition, metric, bag)
        prepared = prepare(attempt.recipe)
        data = FoldData(competition, prepared.stores, prepared.folds, metric, samples=prepared.samples)
        images, truth = data.images(attempt.recipe), data.truth
        rows = [data.stores.images.row[id] for id in prepared.folds.fold][: 4 * IMAGES]
        shape = images.shape(rows[0])
        few = [row for row in rows if images.shape(row) == shape][:IMAGES]
        frame = predictor.preprocess.canvas(shape)
        pixels = np.stack([frame.place(images.image(row)) for row in few])
        inputs = [truth.inputs[row] for row in few] if isinstance(truth, Values) and truth.inputs else []
        graph: Kind = "torch" if kind == "torch" else "onnx"
        return export(predictor, bag, pixels, inputs, folder, graph, each=each).folder
