"""Test predictions in one streamed pass: images in, rows of the submission file out, nothing kept in between."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.geometry import mask_at
from podium.data.store import ordered_map
from podium.errors import LedgerError
from podium.files import building
from podium.formats import rle
from podium.formats.submission import SubmissionWriter
from podium.inference.sources import TestImages
from podium.ledger.attempts import Attempt
from podium.models import create_model
from podium.progress import duration, say, track
from podium.training import checkpoint
from podium.training.device import create_fabric, device_name, to_device
from podium.training.evaluate import Predictor

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """A finished submission file and what it is made of: `submissions/NNNN-name/`."""

    folder: Path
    attempt: int
    name: str
    cv: float | None
    rows: int
    empty: int
    images_per_s: float

    @property
    def file(self) -> Path:
        """The submission file."""
        return self.folder / "submission.csv.gz"


def load_models(attempt: Attempt) -> Predictor:
    """A predictor over the models of every fold of an attempt.

    Raises:
        LedgerError: if nothing is trained.
    """
    if not attempt.runs:
        raise LedgerError(f"attempt {attempt.id} has no trained fold", remedy=f"run: podium resume {attempt.id}")
    fabric = create_fabric(attempt.recipe.train.precision)
    which = f"{attempt.recipe.train.checkpoint}.pt"
    models = []
    for run in attempt.runs:
        model = create_model(attempt.recipe.model)
        checkpoint.load_weights(run.folder / which, model)
        models.append(to_device(model, fabric))
    return Predictor(fabric, models, attempt.recipe)


def predict_test(
    attempt: Attempt,
    competition: Competition,
    ids: Sequence[str],
    source: TestImages,
    rows: dict[str, int],
    folder: Path,
) -> Prediction:
    """Predict every test image with the mean of the attempt's folds and write the submission file.

    Args:
        ids: Sample ids in the order the file wants them.
        source: The test images (StoredImages or DecodedImages).
        rows: {id: row in ``source``}; an id without a row is written as empty.
        folder: Gets `submission.csv.gz` and `prediction.toml`, finished or not at all.
    """
    predictor = load_models(attempt)
    recipe, order = attempt.recipe, competition.submission.order
    say(f"  {len(predictor.models)} models on {device_name(predictor.fabric)}")
    known = [id for id in ids if id in rows]
    by_row = {rows[id]: id for id in known}

    def mask(row: int, probs: Pixels) -> NDArray[np.bool_]:
        return mask_at(probs, source.original(row), recipe.predict.threshold, predictor.preprocess.spatial)

    def encode(item: tuple[int, Pixels]) -> tuple[str, str]:
        row, probs = item
        return by_row[row], rle.encode(mask(row, probs), order)

    started, empty, written = time.monotonic(), 0, iter(ids)
    with building(folder) as temporary:
        with SubmissionWriter(temporary / "submission.csv.gz", competition.submission) as writer:
            stream = predictor.stream(source, [rows[id] for id in known], 2 * recipe.train.batch_size)
            encoded = ordered_map(encode, track(stream, "predicting", len(known)), workers=2, ahead=16)
            for id, text in _with_missing(encoded, written, rows):
                writer.write(id, text)
                empty += not text
        rate = len(ids) / max(time.monotonic() - started, 1e-9)
        facts = {"attempt": attempt.id, "name": attempt.name, "rows": len(ids), "empty": empty, "images_per_s": rate}
        facts |= {"cv": attempt.cv, "models": len(predictor.models)}
        write_toml(temporary / "prediction.toml", facts)
    say(f"  {len(ids)} images in {duration(time.monotonic() - started)}, {empty} predicted empty")
    return Prediction(folder, attempt.id, attempt.name, attempt.cv, len(ids), empty, rate)


def _with_missing(
    encoded: Iterator[tuple[str, str]], ids: Iterator[str], rows: dict[str, int]
) -> Iterator[tuple[str, str]]:
    """``encoded``, with an empty mask put in for every id that has no image."""
    for id in ids:
        yield next(encoded) if id in rows else (id, "")
