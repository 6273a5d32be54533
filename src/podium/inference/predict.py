"""Test predictions in one streamed pass: images in, the submission file out; stopped, it goes on where it was."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3
from numpy.typing import NDArray

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.store import Item, StoreWriter
from podium.errors import DataError
from podium.files import building, is_complete
from podium.inference.bag import Bag, load_models
from podium.inference.contents import Content, Table, content_of
from podium.inference.on_device import OnDevice
from podium.inference.parts import Parts, summed, write_counts
from podium.inference.pipeline import Found, Pipeline
from podium.inference.sources import TestSet
from podium.ledger.attempts import CODE, Attempt
from podium.ledger.fold_runs import OOF_VALUES
from podium.ledger.submissions import file_in
from podium.metrics import Metric
from podium.plugins import kept_files
from podium.progress import duration, say, track
from podium.training.device import device_name
from podium.training.evaluate import Predictor
from podium.training.out_of_fold import write_values
from podium.training.tasks import MaskTask, TableTask

Array = NDArray[Any]

PROBS = "probs"
"""Of a prediction's folder, the probabilities that were asked for: as the `oof/` of a fold run has them."""

VERSION = 1
"""Part of every key: raised when parts are made differently."""


@dataclass(frozen=True)
class Options:
    """How an attempt predicts, beside its recipe.

    Attributes:
        all_seeds: The trainings of all seeds predict, not only of the first.
        save_probs: Keep probabilities in `probs/`, as the `oof/` of a fold run does.
        time_limit: Seconds that it may take; views and models are left out to fit.
    """

    all_seeds: bool = False
    save_probs: bool = False
    time_limit: float | None = None


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


def predict_test(
    attempt: Attempt,
    competition: Competition,
    metric: Metric,
    ids: Sequence[str],
    test: TestSet,
    folder: Path,
    options: Options | None = None,
    *,
    work: Path | None = None,
) -> Prediction:
    """Predict every test image with the mean of the attempt's models and write the submission file.

    What is done is kept in parts until the file is written: the same call goes on after a kill.

    Args:
        ids: Sample ids in the order the file wants them. One without a row in ``test`` has an empty mask, or the mean
            of what is predicted for the others.
        folder: Gets `submission.csv.gz`, or `submission.zip`, and `prediction.toml`, finished or not at all.
        work: Where parts are kept meanwhile; beside ``folder``, if not given.
    """
    options, started = options or Options(), time.monotonic()
    bag = Bag.of(attempt, all_seeds=options.all_seeds)
    with kept_files(attempt.folder / CODE):
        predictor = load_models(attempt, competition, metric, bag)
        say(f"  {bag.told()} on {device_name(predictor.fabric)}")
        _check_inputs(predictor.task, test, competition)
        content = content_of(predictor.task, competition, predictor.preprocess, test)
        name = f"predict-{_key(attempt, competition, bag, predictor, ids, test, options)}"
        parts = Parts((work or folder.parent / ".parts") / name, ids, attempt.recipe.train.val_batch)
        before = parts.samples_done
        _predict(Job(predictor, content, test, parts, keep=options.save_probs))
    counts = summed(parts.finished)
    empty = int(counts["empty"]) if content.empties else None
    rate = len(ids) / max(counts["seconds"], 1e-9)
    with building(folder) as temporary:
        content.finish(parts.finished, ids, temporary)
        _finish_probs(content, parts, ids, temporary, predictor, keep=options.save_probs)
        facts = {"attempt": attempt.id, "name": attempt.name, "rows": len(ids), "images_per_s": rate}
        facts |= {"cv": attempt.cv, "models": len(predictor.models), "views": len(predictor.views)}
        write_toml(temporary / "prediction.toml", facts | ({} if empty is None else {"empty": empty}))
    parts.remove()
    told = "" if empty is None else f", {empty} predicted empty"
    gone_on = f", {before} of them before it was stopped" if before else ""
    say(f"  {len(ids)} images in {duration(time.monotonic() - started)}{gone_on}{told}")
    return Prediction(folder, attempt.id, attempt.name, attempt.cv, len(ids), empty, rate)


@dataclass
class Job:
    """A streamed pass over the parts that are left.

    Attributes:
        keep: Whether probabilities are kept.
        on_device: Whether masks are decided on the device, where they can be; None: on a GPU, not on a CPU, whose
            threads decide faster one by one.
    """

    predictor: Predictor
    content: Content
    test: TestSet
    parts: Parts
    keep: bool = False
    on_device: bool | None = None


def _predict(job: Job) -> None:
    """Make every part that is not there yet."""
    parts, task = job.parts, job.predictor.task
    if parts.done == parts.count and (not job.keep or not task.dense or is_complete(parts.folder / PROBS)):
        return
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(_probs_store(job)) if job.keep and task.dense else None
        if parts.samples_done and parts.done < parts.count:
            say(f"  going on from {parts.samples_done}/{len(parts.ids)}")
        answers = _answers(job, range(parts.done, parts.count))
        shown = iter(track(answers, "predicting", len(parts.ids) - parts.samples_done))
        for n in range(parts.done, parts.count):
            began, empties = time.monotonic(), [0]

            def of_part(n: int = n, empties: list[int] = empties) -> Iterator[tuple[str, bytes]]:
                for id, (content, empty), probs in (next(shown) for _ in parts[n]):
                    empties[0] += empty
                    if store and probs is not None:
                        store.add(Item(id, probs, {}))
                    yield id, content

            with parts.making(n) as folder:
                job.content.write_part(folder, of_part())
                if store:
                    store.commit()  # before the part is there: what is kept of a part is never less than the part
                write_counts(folder, empty=empties[0], seconds=time.monotonic() - began)
        for _ in shown:  # it has nothing left, but a line to end
            pass
    if store:
        store.finish()


def _answers(job: Job, numbers: range) -> Iterator[tuple[str, tuple[bytes, bool], Array | None]]:
    """(id, answer, probabilities if they are kept) of each sample of some parts, in order; images are read ahead."""
    test, parts, task, content = job.test, job.parts, job.predictor.task, job.content
    decide, on_gpu = None, job.predictor.fabric.device.type != "cpu"
    if isinstance(task, MaskTask) and (on_gpu if job.on_device is None else job.on_device):
        decide = OnDevice.of(task, job.predictor.preprocess)
    pipeline = Pipeline(job.predictor, test, decide=decide, keep=job.keep)
    names = {row: id for id, row in test.rows.items()}

    def answer(row: int, found: Found) -> tuple[tuple[bytes, bool], Array | None]:
        shape = test.images.original(row) if task.dense else (0, 0)
        return content.answer(names[row], shape, found), found.values if job.keep else None

    batch = job.predictor.recipe.train.val_batch
    rows = ([test.rows[id] for id in parts[n] if id in test.rows] for n in numbers)
    chunks = (chunk for part in rows for chunk in pipeline.chunks(part, batch))
    found = (each for some in pipeline.run(chunks, answer) for each in some)
    for n in numbers:
        for id in parts[n]:
            if id in test.rows:
                yield id, *next(found)
            else:
                yield id, content.nothing(id), None
    for _ in found:
        raise AssertionError("more predictions than images")


def _probs_store(job: Job) -> StoreWriter:
    """The store of probabilities, with those of the finished parts alone; parts whose probabilities are gone are
    made again."""
    known = [id for id in job.parts.ids[: job.parts.samples_done] if id in job.test.rows]
    writer = StoreWriter(job.parts.folder / PROBS, known)
    if len(writer.rows) < len(known):
        with writer:
            job.parts.forget(0)
        return StoreWriter(job.parts.folder / PROBS, [])
    return writer


def _finish_probs(
    content: Content, parts: Parts, ids: Sequence[str], folder: Path, predictor: Predictor, *, keep: bool
) -> None:
    """Put the probabilities beside the submission file."""
    if not keep:
        return
    if isinstance(content, Table):
        write_values(folder / PROBS / OOF_VALUES, content.values(parts.finished, ids), predictor.task.names)
    else:
        (parts.folder / PROBS).rename(folder / PROBS)


def _check_inputs(task: MaskTask | TableTask, test: TestSet, competition: Competition) -> None:
    if isinstance(task, TableTask) and task.width and not all(any(texts) for texts in test.inputs):
        raise DataError(
            f"there are no {', '.join(competition.data.inputs)} for the test images, and the model was trained with",
            where="competition.toml: data.inputs_csv",
            expected="a CSV file with these columns and a row for each training and test image",
            remedy="set data.inputs_csv and data.inputs_id_column",
        )


def _key(
    attempt: Attempt,
    competition: Competition,
    bag: Bag,
    predictor: Predictor,
    ids: Sequence[str],
    test: TestSet,
    options: Options,
) -> str:
    """Of all that a part depends on."""
    digest = blake3()
    said = [VERSION, attempt.folder.name, attempt.code, attempt.recipe.to_toml(), competition.to_toml()]
    computed = [predictor.fabric.device.type, str(predictor.fabric._precision.precision)]
    said += [predictor.views, options.save_probs, computed, list(ids), test.content]
    digest.update(repr([*said, sorted(test.rows.items())]).encode())
    for file in bag.files:
        digest.update_mmap(file)
    return digest.hexdigest(length=8)
