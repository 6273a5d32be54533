"""What the classifier of `predict.empty_by` says of test images: predicted once, and kept in its workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import polars as pl

from podium.errors import DataError
from podium.inference.bag import Bag, load_models
from podium.inference.sources import open_test_set
from podium.ledger.attempts import CODE
from podium.ledger.fold_runs import OOF_VALUES
from podium.metrics import get_metric
from podium.plugins import kept_files
from podium.progress import counted, say, track
from podium.recipe import Recipe
from podium.training.out_of_fold import write_values
from podium.training.presence import KEY, Classifier, Said
from podium.training.tasks import MaskTask


def said_of_test(recipe: Recipe, task: MaskTask, root: Path, ids: Collection[str]) -> Said:
    """{id: how likely each output is there} of test images, the mean over the classifier's folds.

    Args:
        recipe: Of the masks, with `predict.empty_by`.
        root: The masks' workspace, or a folder in it.
        ids: Of the images that are to be predicted.

    Raises:
        DataError: if the classifier's workspace lacks one of them.
    """
    classifier = Classifier.of(recipe, task, root)
    table = pl.read_parquet(_predicted(classifier))
    found = dict(zip(table["id"].to_list(), table.select(classifier.names).to_numpy().astype(np.float32), strict=True))
    if missing := sorted(id for id in ids if id not in found):
        raise DataError(
            f"the classifier's workspace lacks the test image '{missing[0]}'"
            + (f" and {len(missing) - 1} others" if len(missing) > 1 else ""),
            where=classifier.place,
            expected="the test images that masks are predicted of",
            remedy=f"make it anew ({KEY}): podium new presence --from masks:.",
        )
    return found


def _predicted(classifier: Classifier) -> Path:
    """The table of what it predicts, made where it is not there yet."""
    attempt, place, spec = classifier.attempt, classifier.place, classifier.competition
    bag, (ids, test) = Bag.of(attempt), open_test_set(spec, place, attempt.recipe.input)
    files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in bag.files]
    told = repr([files, attempt.recipe.predict.passes, test.content, ids])
    key = hashlib.sha256(told.encode()).hexdigest()[:12]
    path = place / ".podium" / "said" / f"{attempt.folder.name}-{key}" / OOF_VALUES
    if path.is_file():
        return path
    say(f"  {attempt.folder.name} of {place.name}: {counted(len(bag.files), 'network')} say which masks are empty")
    with kept_files(attempt.folder / CODE):
        predictor = load_models(attempt, spec, get_metric(spec.metric, folder=place, parts=spec.parts), bag)
        known = [id for id in ids if id in test.rows]
        rows = [test.rows[id] for id in known]
        stream = predictor.stream(test.images, rows, attempt.recipe.train.val_batch, test.inputs)
        found = {id: values for id, (_, values) in zip(known, track(stream, "looking", len(rows)), strict=True)}
    write_values(path, found, predictor.task.names)
    return path
