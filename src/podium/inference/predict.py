"""Test predictions in one streamed pass: images in, rows of the submission file out, nothing kept in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.store import ordered_map
from podium.errors import DataError, LedgerError
from podium.files import building
from podium.formats.mask_archive import MaskArchive
from podium.formats.submission import SubmissionWriter
from podium.inference.answers import Answer, answers_of_masks, answers_of_values, numbers_of_masks
from podium.inference.sources import TestSet
from podium.ledger.attempts import CODE, Attempt
from podium.ledger.fitted import settled
from podium.ledger.submissions import ARCHIVE, TABLE, file_in
from podium.metrics import Metric
from podium.plugins import kept_files
from podium.progress import duration, say, track
from podium.training.choice import chosen
from podium.training.device import create_fabric, device_name
from podium.training.evaluate import Predictor
from podium.training.tasks import ClassMapTask, MaskTask, TableTask
from podium.training.trained import load_trained

Array = NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Prediction:
    """A finished submission file and what it is made of: `submissions/NNNN-name/`.

    Attributes:
        rows: Samples in the file.
        empty: Those without a foreground pixel or an object; None where values are predicted, or classes.
    """

    folder: Path
    attempt: int
    name: str
    cv: float | None
    rows: int
    empty: int | None
    images_per_s: float

    @property
    def file(self) -> Path:
        """The submission file."""
        return file_in(self.folder)


def load_models(attempt: Attempt, competition: Competition, metric: Metric) -> Predictor:
    """A predictor over the models of every fold of an attempt, of its first seed: one a fold, whatever was reseeded.

    Raises:
        LedgerError: if nothing is trained.
    """
    runs = [run for run in attempt.runs if run.seed == 0]
    if not runs:
        raise LedgerError(f"attempt {attempt.id} has no trained fold", remedy=f"run: podium resume {attempt.id}")
    fabric = create_fabric(attempt.recipe.train.precision)
    files = [file for run in runs for file in chosen(run.folder, attempt.recipe.train.checkpoint)]
    recipe = settled(attempt.recipe, attempt.folder)
    return Predictor(fabric, *load_trained(files, competition, metric, recipe, fabric))


def predict_test(
    attempt: Attempt, competition: Competition, metric: Metric, ids: Sequence[str], test: TestSet, folder: Path
) -> Prediction:
    """Predict every test image with the mean of the attempt's folds and write the submission file.

    Args:
        ids: Sample ids in the order the file wants them. One without a row in ``test`` has an empty mask, or the mean
            of what is predicted for the others.
        folder: Gets `submission.csv.gz`, or `submission.zip`, and `prediction.toml`, finished or not at all.
    """
    with kept_files(attempt.folder / CODE):
        predictor = load_models(attempt, competition, metric)
    say(f"  {len(predictor.models)} models on {device_name(predictor.fabric)}")
    started, task = time.monotonic(), predictor.task
    with building(folder) as temporary:
        if isinstance(task, TableTask):
            empty = None
            _write_values(temporary / TABLE, predictor, competition, ids, test)
        elif competition.submission.format == "png":
            empty = _write_pngs(temporary / ARCHIVE, predictor, competition, ids, test)
        else:
            empty = _write_masks(temporary / TABLE, predictor, competition, ids, test)
        rate = len(ids) / max(time.monotonic() - started, 1e-9)
        facts = {"attempt": attempt.id, "name": attempt.name, "rows": len(ids), "images_per_s": rate}
        facts |= {"cv": attempt.cv, "models": len(predictor.models)} | ({} if empty is None else {"empty": empty})
        write_toml(temporary / "prediction.toml", facts)
    told = "" if empty is None else f", {empty} predicted empty"
    say(f"  {len(ids)} images in {duration(time.monotonic() - started)}{told}")
    return Prediction(folder, attempt.id, attempt.name, attempt.cv, len(ids), empty, rate)


def _decided(
    predictor: Predictor, ids: Sequence[str], test: TestSet, decide: Callable[[Array, tuple[int, int]], T]
) -> Iterator[T]:
    """What is decided of the probabilities of each id that has an image, in order; a few images are in memory."""
    known = [test.rows[id] for id in ids if id in test.rows]
    stream = predictor.stream(test.images, known, predictor.recipe.train.val_batch)

    def of(item: tuple[int, Array]) -> T:
        return decide(item[1], test.images.original(item[0]))

    return ordered_map(of, track(stream, "predicting", len(known)), workers=2, ahead=8)


def _write_masks(
    path: Path, predictor: Predictor, competition: Competition, ids: Sequence[str], test: TestSet
) -> int | None:
    """Write run-length masks; how many are empty, where a sample may be that."""
    task, fmt = predictor.task, competition.submission
    assert isinstance(task, MaskTask)
    found = _decided(predictor, ids, test, answers_of_masks(task, fmt, predictor.preprocess))
    nothing: Answer = () if fmt.format == "rle_objects" else ("",) * fmt.width
    empty = 0
    with SubmissionWriter(path, fmt) as writer:
        for id in ids:
            answer = next(found) if id in test.rows else nothing
            writer.write(id, *answer)
            empty += not any(answer)
    return None if isinstance(task, ClassMapTask) else empty


def _write_pngs(
    path: Path, predictor: Predictor, competition: Competition, ids: Sequence[str], test: TestSet
) -> int | None:
    """Write a zip of PNG masks; how many are empty, where there is one class alone."""
    task = predictor.task
    assert isinstance(task, MaskTask)
    found = _decided(predictor, ids, test, numbers_of_masks(task, predictor.preprocess))
    empty = 0
    with MaskArchive(path, competition.submission) as archive:
        for id in ids:
            if id not in test.rows:
                raise DataError(
                    f"the test image '{id}' is excluded, and a PNG mask needs its size",
                    where="exclude.csv",
                    remedy="mend the image and take it out of exclude.csv",
                )
            mask = next(found)
            archive.write(id, mask)
            empty += not mask.any()
    return None if isinstance(task, ClassMapTask) else empty


def _write_values(
    path: Path, predictor: Predictor, competition: Competition, ids: Sequence[str], test: TestSet
) -> None:
    """Write a row of values a sample."""
    task = predictor.task
    assert isinstance(task, TableTask)
    if task.width and not all(any(texts) for texts in test.inputs):
        raise DataError(
            f"there are no {', '.join(competition.data.inputs)} for the test images, and the model was trained with",
            where="competition.toml: data.inputs_csv",
            expected="a CSV file with these columns and a row for each training and test image",
            remedy="set data.inputs_csv and data.inputs_id_column",
        )
    answer_of = answers_of_values(task, competition.submission)
    known = [id for id in ids if id in test.rows]
    stream = predictor.stream(
        test.images, [test.rows[id] for id in known], predictor.recipe.train.val_batch, test.inputs
    )
    found = {id: values for id, (_, values) in zip(known, track(stream, "predicting", len(known)), strict=True)}
    mean = np.mean(list(found.values()), axis=0) if found else np.zeros(task.outputs)
    with SubmissionWriter(path, competition.submission) as writer:
        for id in ids:
            writer.write(id, *answer_of(found.get(id, mean)))
