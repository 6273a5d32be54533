"""Test predictions in one streamed pass: images in, the submission file out; stopped, it goes on where it was."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from podium.config import read_toml, write_toml
from podium.data.competition import Competition
from podium.data.store import Item, StoreWriter
from podium.files import building, is_complete
from podium.inference.contents import Content, Table
from podium.inference.on_device import OnDevice
from podium.inference.parts import Parts, summed, write_counts
from podium.inference.pipeline import Found, Pipeline
from podium.inference.plan import Plan
from podium.inference.setup import Options, Setup, prepare
from podium.inference.sources import TestSet
from podium.ledger.attempts import CODE, Attempt
from podium.ledger.fold_runs import OOF_VALUES
from podium.ledger.submissions import file_in
from podium.metrics import Metric
from podium.plugins import kept_files
from podium.progress import duration, say, say_if, track
from podium.training.evaluate import Predictor
from podium.training.out_of_fold import write_values
from podium.training.tasks import MaskTask

Array = NDArray[Any]

PROBS = "probs"
"""Of a prediction's folder, the probabilities that were asked for: as the `oof/` of a fold run has them."""


@dataclass(frozen=True)
class Prediction:
    """A finished submission file and what it is made of: `submissions/NNNN-name/`.

    Attributes:
        rows: Samples in the file.
        empty: Those without a foreground pixel or an object; None where values are predicted, or classes.
        foretold: Seconds that it was said to take at first; None if that was not asked, or it had been stopped.
    """

    folder: Path
    attempt: int
    name: str
    cv: float | None
    rows: int
    empty: int | None
    images_per_s: float
    foretold: float | None = None

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
    with kept_files(attempt.folder / CODE):
        setup = prepare(attempt, competition, metric, ids, test, options)
        work = work or folder.parent / ".parts"
        plan = _fitted(setup, options, work)
        if plan:
            setup.reduce(plan.models, plan.views)
        compared = setup.check_precision()
        name = f"predict-{setup.key(options)}"
        parts = Parts(work / name, ids, attempt.recipe.train.val_batch)
        before = parts.samples_done
        _predict(Job(setup.predictor, setup.content, test, parts, keep=options.save_probs))
    counts, content, predictor = summed(parts.finished), setup.content, setup.predictor
    empty = int(counts["empty"]) if content.empties else None
    rate = len(ids) / max(counts["seconds"], 1e-9)
    with building(folder) as temporary:
        content.finish(parts.finished, ids, temporary)
        _finish_probs(content, parts, ids, temporary, predictor, keep=options.save_probs)
        facts = {"attempt": attempt.id, "name": attempt.name, "rows": len(ids), "images_per_s": rate}
        facts |= {"cv": attempt.cv, "models": len(predictor.models), "views": len(predictor.views)}
        facts |= {} if empty is None else {"empty": empty}
        facts |= {"left_out": plan.cut} if plan and plan.cut else {}
        facts |= {"precision": str(compared)} if compared else {}
        write_toml(temporary / "prediction.toml", facts)
    parts.remove()
    _fit_file(setup, options, work).unlink(missing_ok=True)
    told = "" if empty is None else f", {empty} predicted empty"
    gone_on = f", {before} of them before it was stopped" if before else ""
    say(f"  {len(ids)} images in {duration(time.monotonic() - started)}{gone_on}{told}")
    foretold = plan.seconds if plan and not before else None
    return Prediction(folder, attempt.id, attempt.name, attempt.cv, len(ids), empty, rate, foretold)


def plan_prediction(
    attempt: Attempt,
    competition: Competition,
    metric: Metric,
    ids: Sequence[str],
    test: TestSet,
    options: Options | None = None,
) -> Plan:
    """How long `predict_test` would take and how large its file would be, from a few images; nothing is written.

    Raises:
        ConfigError: if nothing fits into the time limit.
    """
    options = options or Options()
    with kept_files(attempt.folder / CODE):
        return prepare(attempt, competition, metric, ids, test, options).plan(options)


def _fitted(setup: Setup, options: Options, work: Path) -> Plan | None:
    """What fits the time; None without a limit. A prediction that goes on keeps to what was found when it began."""
    if options.time_limit is None:
        if not options.foretell:
            return None
        plan = setup.plan(options)
        say(f"  {plan}")
        return plan
    file = _fit_file(setup, options, work)
    if file.exists():
        plan = Plan(**read_toml(file))
    else:
        plan = setup.plan(options)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_toml(file, asdict(plan))
    say(f"  {plan}")
    say_if(plan.cut)
    return plan


def _fit_file(setup: Setup, options: Options, work: Path) -> Path:
    return work / f"fit-{setup.whole}-{options.time_limit or 0:.0f}.toml"


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
