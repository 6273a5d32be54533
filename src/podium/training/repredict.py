"""A fold run that only predicts in another way: its weights are another's, and often its probabilities too."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.config import difference, write_toml
from podium.data.views import Images
from podium.errors import LedgerError
from podium.files import building, is_complete, share_file, write_atomic
from podium.ledger.fitted import write_fitted
from podium.ledger.fold_runs import FoldRun, fold_run_name
from podium.metrics import Measured
from podium.models.features import FrozenFeatures
from podium.progress import say
from podium.recipe import Recipe, prediction_only
from podium.training.choice import chosen
from podium.training.device import create_fabric, device_name
from podium.training.evaluate import Predictor, evaluate
from podium.training.facts import Phases, surroundings
from podium.training.features import FeaturePredictor, feature_store
from podium.training.fold_run import FoldData, run_head, write_judged
from podium.training.kept import Kept, lost
from podium.training.out_of_fold import predict_out_of_fold
from podium.training.presence import with_presence
from podium.training.ranks import Ranks
from podium.training.tasks import MaskTask, TableTask
from podium.training.trained import load_trained

SHARED = ("history.csv", "first_batch.jpg")
"""What is said of the training, beside its weights."""

INHERITED = ("batch_size", "epochs", "best_epoch")
"""Keys of run.toml that are about the training."""


def repredict_fold(
    data: FoldData, recipe: Recipe, source: FoldRun, attempt: Path, fitted: Mapping[str, Any] | None = None
) -> FoldRun:
    """The fold run of an attempt that changes [predict] alone, without training; a finished one is returned as it is.

    Where the same views of an image are averaged, the source's stored probabilities are scored anew and no network is
    run. Otherwise the source's weights predict the fold once more. The folder stands alone: weights, and predictions
    that are the same, are hard links or copies.

    Args:
        recipe: The attempt's.
        source: A fold run of the parent, whose recipe lies beside it.
        attempt: The attempt's folder; the run goes to `fold<fold>-seed<seed>` in it, whole or not at all.
        fitted: Values of [predict] where the recipe has "tuned", fitted without the fold's samples.

    Raises:
        LedgerError: if the recipes differ in what is trained, or the source's files are gone or of other samples.
    """
    folder, started = attempt / fold_run_name(source.fold, source.seed), time.monotonic()
    if is_complete(folder):
        return FoldRun.load(folder)
    recipe = recipe.with_overrides({"predict": dict(fitted)}) if fitted else recipe
    parent = _parent_recipe(source, recipe)
    weights = _weights(source, recipe)
    store, images, phases = data.stores.images, data.images(recipe), Phases()
    rows = [store.row[id] for id in data.folds.validation(source.fold)]
    with building(folder) as temporary:
        with phases.timed("predict"):
            task: MaskTask | TableTask
            if recipe.predict.passes == parent.predict.passes:
                kept = Kept(data, recipe, source)
                task, device = kept.task, ""
                measured: Measured | None = evaluate(kept, images, data.truth, rows)
                _share(source.folder / "oof", temporary / "oof")
            else:
                predictor = _predictor(data, recipe, images, weights)
                task, device = predictor.task, device_name(predictor.fabric)
                measured = predict_out_of_fold(predictor, store.ids, images, data.truth, rows, temporary, Ranks())
        assert measured is not None
        score = write_judged(data, task, images, source.fold, rows, measured, temporary)
        for file in (*weights, *(path for name in SHARED if (path := source.folder / name).exists())):
            share_file(file, temporary / file.name)
        write_fitted(temporary, fitted or {}, f"the samples of every fold but {source.fold}")
        seconds = time.monotonic() - started
        facts = run_head(data, source.fold, source.seed, score, len(rows)) | {"trained_in": source.trained_in}
        facts |= {key: source.facts[key] for key in INHERITED if key in source.facts}
        facts |= {"seconds": round(seconds, 2), "seconds_by_phase": {k: round(s, 2) for k, s in phases.seconds.items()}}
        write_toml(temporary / "run.toml", facts | surroundings(device, attempt))
        how = "predicted anew with the weights" if device else "from the stored predictions"
        line = f"  fold {source.fold}{f' seed {source.seed}' if source.seed else ''}: {data.metric.name} {score:.5f} "
        line += f"out of fold, {how} of {source.trained_in}"
        write_atomic(temporary / "log.txt", line + "\n")
    say(line)
    return FoldRun.load(folder)


def _parent_recipe(source: FoldRun, recipe: Recipe) -> Recipe:
    """The recipe that the source predicted with.

    Raises:
        LedgerError: if the other one trains otherwise.
    """
    parent = Recipe.load(source.folder.parent / "recipe.toml")
    other = [key for key in difference(recipe, parent) if not prediction_only([key])]
    if other:
        raise LedgerError(
            f"{', '.join(other)} changed, and its trainings are to be those of {source.folder.parent.name}",
            where=source.folder,
            expected="a change of [predict] alone",
            remedy="train the attempt",
        )
    return parent


def _weights(source: FoldRun, recipe: Recipe) -> list[Path]:
    files = chosen(source.folder, recipe.train.checkpoint)
    if not files or not all(file.is_file() for file in files):
        raise lost("its weights are gone", source)
    return files


def _predictor(data: FoldData, recipe: Recipe, images: Images, weights: Sequence[Path]) -> Predictor:
    """What a training predicts its fold with at its end."""
    fabric = create_fabric(recipe.train.precision)
    models, tasks = load_trained(weights, data.competition, data.metric, recipe, fabric)
    with_presence(tasks[0], recipe, weights[0], data.folds)
    model: Any = models[0]
    if isinstance(model, FrozenFeatures) and isinstance(tasks[0], TableTask):
        sources = list(data.stores.views.values()) or [data.stores.images]
        features = feature_store(model, sources, images, recipe, sources[0].folder.parent, fabric.device)
        return FeaturePredictor(features, fabric, model, tasks[0])
    return Predictor(fabric, models, tasks)


def _share(folder: Path, target: Path) -> None:
    target.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            share_file(file, target / file.name)
