"""One training of one recipe on one fold with one seed: all that the ledger knows of training."""

from __future__ import annotations

import io
import platform
import resource
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from podium.config import write_toml
from podium.data.folds import Folds
from podium.data.loader import TrainLoader
from podium.data.prepare import TrainStores
from podium.data.store import Item, StoreWriter
from podium.errors import DataError, storage_error
from podium.files import is_complete, mark_complete, remove_leftovers, write_atomic
from podium.ledger.fold_runs import FoldRun, fold_run_name
from podium.metrics import Counts, Metric
from podium.models import create_model
from podium.progress import listening, say
from podium.recipe import Recipe
from podium.training import checkpoint
from podium.training.device import create_fabric, device_name, to_device
from podium.training.evaluate import Predictor, evaluate
from podium.training.loop import Trained, train


@dataclass(frozen=True)
class FoldData:
    """What every fold run of a workspace reads."""

    stores: TrainStores
    folds: Folds
    metric: Metric


def run_fold(data: FoldData, recipe: Recipe, fold: int, seed: int, attempt: Path) -> FoldRun:
    """Train, validate out of fold, and leave a finished folder; a finished one is returned as it is.

    A folder that a killed run left is resumed from its last epoch.

    Args:
        attempt: The attempt's folder; the run goes to `fold<fold>-seed<seed>` in it.
    """
    folder = attempt / fold_run_name(fold, seed)
    if is_complete(folder):
        return FoldRun.load(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with open(folder / "log.txt", "a", encoding="utf-8") as log:
            with listening(lambda line: print(line, file=log, flush=True)):
                _train_fold(data, recipe, fold, seed, folder)
    except OSError as error:
        raise storage_error(error, folder) or error from error
    return FoldRun.load(folder)


def derived_seed(*parts: int) -> int:
    """One seed of several numbers, well mixed."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _train_fold(data: FoldData, recipe: Recipe, fold: int, seed: int, folder: Path) -> None:
    started = time.monotonic()
    images, truth = data.stores.images, data.stores.truth
    train_rows = [images.row[id] for id in data.folds.training(fold)]
    val_rows = [images.row[id] for id in data.folds.validation(fold)]
    if not train_rows or not val_rows:
        raise DataError(f"fold {fold} has {len(val_rows)} validation and {len(train_rows)} training samples")

    mixed = derived_seed(recipe.train.seed, seed, fold)
    torch.manual_seed(mixed)
    fabric = create_fabric(recipe.train.precision)
    model = to_device(create_model(recipe.model), fabric)
    quick, final = (Predictor(fabric, [model], recipe, tta=tta) for tta in (False, True))

    def validate() -> float:
        counts = evaluate(quick, images, truth, val_rows)
        return data.metric.aggregate(data.metric.per_sample(counts))

    loader = TrainLoader(images, data.stores.masks, train_rows, recipe)
    label = f"fold {fold}" + (f" seed {seed}" if seed else "")
    trained = train(
        fabric,
        model,
        loader,
        validate,
        recipe,
        folder,
        seed=mixed,
        metric=data.metric,
        label=label,
    )
    if recipe.train.checkpoint == "best" and trained.best_epoch != recipe.train.epochs:
        checkpoint.load_weights(folder / "best.pt", model, fabric.device)
    counts = _out_of_fold(final, data, val_rows, folder)
    scores = data.metric.per_sample(counts)
    _write_scores(folder, data, fold, val_rows, counts, scores)
    score = data.metric.aggregate(scores)
    facts = _facts(trained, recipe, time.monotonic() - started, device_name(fabric))
    write_toml(folder / "run.toml", {"fold": fold, "seed": seed, "score": score, "samples": len(val_rows)} | facts)
    say(f"  {label}: {data.metric.name} {score:.5f} out of fold, best epoch {trained.best_epoch}")
    mark_complete(folder)


def _out_of_fold(predictor: Predictor, data: FoldData, rows: list[int], folder: Path) -> Counts:
    """Predict the fold, keep its probabilities (uint8, input size) in `oof/`, and count at original size."""
    images = data.stores.images
    shutil.rmtree(folder / "oof", ignore_errors=True)
    with StoreWriter(folder / "oof", []) as oof:
        counts = evaluate(
            predictor,
            images,
            data.stores.truth,
            rows,
            keep=lambda row, probs: oof.add(Item(images.ids[row], probs[:, :, None], {})),
        )
    oof.finish()
    return counts


def _write_scores(
    folder: Path, data: FoldData, fold: int, rows: list[int], counts: Counts, scores: NDArray[np.float64]
) -> None:
    ids = [data.stores.images.ids[row] for row in rows]
    table = pl.DataFrame(
        {
            "id": ids,
            "group": [data.folds.group[id] for id in ids],
            "fold": [fold] * len(ids),
            "score": scores,
            "intersection": counts.intersection,
            "predicted": counts.predicted,
            "truth": counts.truth,
        }
    )
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_atomic(folder / "scores.parquet", buffer.getvalue())


def _facts(trained: Trained, recipe: Recipe, seconds: float, device: str) -> dict[str, Any]:
    return {
        "epochs": recipe.train.epochs,
        "best_epoch": trained.best_epoch,
        "seconds": round(sum(e.seconds for e in trained.history) or seconds, 2),
        "data_wait": round(float(np.mean([e.data_wait for e in trained.history])), 4),
        "device": device,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": {"podium": version("podium"), "torch": torch.__version__, "python": platform.python_version()},
    }
