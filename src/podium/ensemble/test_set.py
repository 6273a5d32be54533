"""The test set as a blend sees it: what each member predicts of it, put together and written as a submission."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.data.samples import Sample, list_samples, wanted_ids
from podium.data.store import Item, Store, StoreWriter, ordered_map
from podium.ensemble.ground import Blended
from podium.ensemble.members import Member, Predictions, StoredPixels, StoredValues
from podium.errors import DataError
from podium.files import building, is_complete
from podium.formats.mask_archive import MaskArchive
from podium.formats.submission_file import SubmissionWriter
from podium.inference.answers import Answer, answers_of_masks, answers_of_values, numbers_of_masks
from podium.inference.sources import TestSet, open_test_images
from podium.ledger.attempts import CODE, Attempt
from podium.ledger.fold_runs import OOF_VALUES
from podium.ledger.submissions import ARCHIVE, TABLE
from podium.metrics import Metric
from podium.plugins import kept_files
from podium.progress import counted, say, track
from podium.recipe import Recipe
from podium.training.choice import chosen
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.tasks import ClassMapTask, MaskTask, TableTask
from podium.training.trained import load_trained

Array = NDArray[Any]


@dataclass(frozen=True)
class Tested:
    """The test samples of a workspace.

    Attributes:
        ids: In the order of the submission.
        found: The samples that there are.
        work: Where predictions are kept between blends.
    """

    competition: Competition
    metric: Metric
    root: Path
    ids: list[str]
    found: list[Sample]
    work: Path

    @classmethod
    def of(cls, competition: Competition, metric: Metric, root: Path) -> Tested | None:
        """None if the competition has no test images."""
        found = list_samples(competition, root / "data").test
        if not found:
            return None
        ids = wanted_ids(competition, root / "data", found)
        return cls(competition, metric, root, ids, found, root / ".podium" / "blend")

    def images(self, recipe: Recipe) -> TestSet:
        """The test images as a recipe has them read."""
        return open_test_images(self.competition, self.root, self.found, recipe.input)

    def predictions(self, member: Member, names: Sequence[str], fold: int | None = None) -> Predictions:
        """What a member predicts of the test samples; an attempt's networks are run once, and what they say is kept.

        Args:
            names: What its outputs are.
            fold: Of the network of this fold alone; else the mean of those of all folds.

        Raises:
            DataError: if there are none, or some are missing.
        """
        if member.attempt is not None:
            return self._of_attempt(member.attempt, names, fold)
        if member.test is None:
            raise DataError(
                f"'{member.name}' has no predictions of the test samples",
                where=member.name,
                expected="test/ with a file for each id; or test.csv",
                remedy="add them; or see the score alone: --score-only",
            )
        if missing := [id for id in self.ids if id not in member.test.ids]:
            raise DataError(
                f"'{member.name}' lacks {counted(len(missing), 'test sample')}, the first: '{missing[0]}'",
                where=member.name,
                expected="a prediction of each",
            )
        return member.test

    def _of_attempt(self, attempt: Attempt, names: Sequence[str], fold: int | None) -> Predictions:
        runs = [run for run in attempt.runs if run.seed == 0 and fold in (None, run.fold)]
        files = [file for run in runs for file in chosen(run.folder, attempt.recipe.train.checkpoint)]
        said = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        told = repr([said, attempt.recipe.predict.passes, self.ids])
        key = hashlib.sha256(told.encode()).hexdigest()[:12]
        folder = self.work / f"{attempt.folder.name}-{key}"
        pixels = self.competition.task in ("segmentation", "instances")
        if not is_complete(folder):
            say(f"  {attempt.folder.name}: {counted(len(files), 'network')} predict the test images")
            with kept_files(attempt.folder / CODE):
                self._predict(attempt, files, folder)
        if pixels:
            return StoredPixels([Store(folder, touch=False)], Preprocess.of(attempt.recipe.input))
        table = pl.read_parquet(folder / OOF_VALUES)
        values = table.select(names).to_numpy().astype(np.float32)
        return StoredValues(dict(zip(table["id"].to_list(), values, strict=True)))

    def _predict(self, attempt: Attempt, files: Sequence[Path], folder: Path) -> None:
        fabric = create_fabric(attempt.recipe.train.precision)
        predictor = Predictor(fabric, *load_trained(files, self.competition, self.metric, attempt.recipe, fabric))
        test, task = self.images(attempt.recipe), predictor.task
        if isinstance(task, TableTask) and task.width and not all(any(texts) for texts in test.inputs):
            raise DataError(
                f"there are no {', '.join(self.competition.data.inputs)} for the test images",
                where="competition.toml: data.inputs_csv",
                expected="a CSV file with these columns and a row for each training and test image",
                remedy="set data.inputs_csv and data.inputs_id_column",
            )
        known = [id for id in self.ids if id in test.rows]
        rows = [test.rows[id] for id in known]
        stream = predictor.stream(test.images, rows, attempt.recipe.train.val_batch, test.inputs)
        found = zip(known, (values for _, values in track(stream, "predicting", len(rows))), strict=True)
        if task.dense:
            with StoreWriter(folder, []) as store:
                for id, probs in found:
                    store.add(Item(id, probs, {}))
            store.finish()
            return
        with building(folder) as temporary:
            pairs = dict(found)
            table = pl.DataFrame(np.stack(list(pairs.values())), schema=list(task.names))
            table.insert_column(0, pl.Series("id", list(pairs))).write_parquet(temporary / OOF_VALUES)

    # ------------------------------------------------------------------ the file

    def write(self, blended: Blended, test: TestSet, folder: Path) -> int | None:
        """Write the submission file; how many masks are empty, where a sample may be that.

        Args:
            blended: Whose rows are those of ``test``.
        """
        task, fmt = blended.task, self.competition.submission
        if isinstance(task, TableTask):
            self._write_values(folder / TABLE, blended, task, test)
            return None
        if fmt.format == "png":
            empty = self._write_pngs(folder / ARCHIVE, blended, task, test)
        else:
            nothing: Answer = () if fmt.format == "rle_objects" else ("",) * fmt.width
            answer, empty = answers_of_masks(task, fmt, blended.preprocess), 0
            with SubmissionWriter(folder / TABLE, fmt) as writer:
                found = self._decided(blended, test, lambda probs, shape: answer(probs, shape))
                for id in self.ids:
                    said = next(found) if id in test.rows else nothing
                    writer.write(id, *said)
                    empty += not any(said)
        return None if isinstance(task, ClassMapTask) else empty

    def _decided(self, blended: Blended, test: TestSet, decide: Any) -> Iterator[Any]:
        known, task = [id for id in self.ids if id in test.rows], blended.task
        assert isinstance(task, MaskTask)

        def of(id: str) -> Any:
            row = test.rows[id]
            return decide(task.seen(id, blended.of(row)), test.images.original(row))

        return ordered_map(of, track(known, "blending", len(known)), workers=2, ahead=8)

    def _write_pngs(self, path: Path, blended: Blended, task: MaskTask, test: TestSet) -> int:
        labels, empty = numbers_of_masks(task, blended.preprocess), 0
        found = self._decided(blended, test, lambda probs, shape: labels(probs, shape))
        with MaskArchive(path, self.competition.submission) as archive:
            for id in self.ids:
                if id not in test.rows:
                    raise DataError(
                        f"the test image '{id}' is excluded, and a PNG mask needs its size",
                        where="exclude.csv",
                        remedy="mend the image and take it out of exclude.csv",
                    )
                mask = next(found)
                archive.write(id, mask)
                empty += not mask.any()
        return empty

    def _write_values(self, path: Path, blended: Blended, task: TableTask, test: TestSet) -> None:
        answer = answers_of_values(task, self.competition.submission)
        found = {id: blended.of(test.rows[id]) for id in self.ids if id in test.rows}
        mean = np.mean(list(found.values()), axis=0) if found else np.zeros(task.outputs)
        with SubmissionWriter(path, self.competition.submission) as writer:
            for id in self.ids:
                writer.write(id, *answer(found.get(id, mean)))
