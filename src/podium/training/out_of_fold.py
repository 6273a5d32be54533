"""What a fold run leaves of its validation fold: predictions and scores, each sample exactly once."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from podium.data.folds import Folds
from podium.data.store import Item, Store, StoreWriter
from podium.data.views import Images
from podium.files import write_atomic
from podium.ledger.fold_runs import OOF_VALUES
from podium.metrics import Measured, Metric
from podium.training.evaluate import Predictor, evaluate, joined
from podium.training.ranks import Ranks
from podium.training.tasks import Values


def predict_out_of_fold(
    predictor: Predictor,
    ids: Sequence[str],
    images: Images,
    truth: Store | Values,
    rows: Sequence[int],
    folder: Path,
    ranks: Ranks,
) -> Measured | None:
    """Predict a fold, keep the predictions in `oof/`, and measure them at original size.

    Of pixels they are probabilities as uint8 (H, W, outputs) at the input size, in a store; else a table with a column
    an output.

    Args:
        ids: Of every item of ``images``.
        rows: The fold's samples; of several processes, each one's `share_of` them.
        folder: The fold run's.

    Returns:
        What was measured of the fold; None, but in the first process.
    """
    if predictor.task.dense:
        return _predict_pixels(predictor, ids, images, truth, rows, folder, ranks)
    kept: dict[str, Any] = {}
    measured = evaluate(predictor, images, truth, rows, keep=lambda row, values: kept.update({ids[row]: values}))
    kept = {id: values for part in ranks.collect(kept) for id, values in part.items()}
    if ranks.first:
        shutil.rmtree(folder / "oof", ignore_errors=True)
        write_values(folder / "oof" / OOF_VALUES, kept, predictor.task.names)
    return joined(measured, ranks)


def write_values(path: Path, values: Mapping[str, Any], names: Sequence[str]) -> None:
    """Write the predictions of a table's samples: id, and a column an output.

    Args:
        values: {id: float32 (outputs,)}.
    """
    table = pl.DataFrame(np.stack(list(values.values())), schema=list(names))
    write_table(path, table.insert_column(0, pl.Series("id", list(values))))


def _predict_pixels(
    predictor: Predictor,
    ids: Sequence[str],
    images: Images,
    truth: Store | Values,
    rows: Sequence[int],
    folder: Path,
    ranks: Ranks,
) -> Measured | None:
    """Each process writes a store of its own; the first puts the others' behind its own, in order."""
    parts = [folder / (f"oof.{rank}" if rank else "oof") for rank in range(ranks.size)]
    own = parts[ranks.rank]
    shutil.rmtree(own, ignore_errors=True)
    with StoreWriter(own, []) as oof:
        measured = evaluate(predictor, images, truth, rows, keep=lambda row, probs: oof.add(Item(ids[row], probs, {})))
        if ranks.first:
            ranks.wait()
            for part in parts[1:]:
                store = Store(part)
                for i, id in enumerate(store.ids):
                    oof.add(Item(id, store.image(i), {}))
                shutil.rmtree(part)
    oof.finish()
    if not ranks.first:
        ranks.wait()
    return joined(measured, ranks)


def write_scores(folder: Path, folds: Folds, metric: Metric, fold: int, ids: Sequence[str], measured: Measured) -> None:
    """Write `scores.parquet`: a row for each of the fold's samples, ``ids``, with what its score is made of."""
    scores = measured.per_sample(metric)
    table = {
        "id": list(ids),
        "group": [folds.group[id] for id in ids],
        "fold": [fold] * len(ids),
        "score": pl.Series([None] * len(ids) if scores is None else scores, dtype=pl.Float64),
    }
    write_table(folder / "scores.parquet", pl.DataFrame(table | measured.columns()))


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file, whole or not at all."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_atomic(path, buffer.getvalue())
