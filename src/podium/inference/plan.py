"""How long a prediction will take and how large its file will be, and what to leave out so that it fits the time."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podium.errors import ConfigError
from podium.files import size_text
from podium.inference.contents import Content
from podium.inference.pipeline import Found, Pipeline
from podium.inference.sources import TestSet
from podium.progress import duration
from podium.training.evaluate import Predictor

SECONDS = 4.0
"""That a measurement takes, about, each of two."""

MARGIN = 1.1
"""By which an estimate is raised before it must fit."""


@dataclass(frozen=True)
class Pace:
    """What was measured.

    Attributes:
        fixed: Seconds of an image, whatever predicts it: reading, decisions, rows.
        each: Seconds of an image for each model and view.
        start: Seconds until the first image.
        bytes: Of the file, a sample.
        probs: Bytes of the probabilities of a sample.
    """

    fixed: float
    each: float
    start: float
    bytes: float
    probs: float

    def seconds(self, images: int, models: int, views: int) -> float:
        """Of a whole prediction."""
        return self.start + images * (self.fixed + self.each * models * views)


@dataclass(frozen=True)
class Plan:
    """A prediction to come.

    Attributes:
        images: To be predicted.
        rows: Samples of the file.
        models, views: That predict.
        all_models, all_views: Before anything was left out.
        probs_bytes: Of what `save_probs` keeps; 0 without.
        start: Of the seconds, those until the first image: models are loaded, loops compiled.
    """

    images: int
    rows: int
    models: int
    views: int
    all_models: int
    all_views: int
    seconds: float
    images_per_s: float
    bytes: int
    probs_bytes: int = 0
    start: float = 0.0

    def __str__(self) -> str:
        passes = f"{self.models} model{'s' * (self.models != 1)} x {self.views} view{'s' * (self.views != 1)}"
        told = f"{self.images} images, {passes}: about {duration(self.seconds)} at {self.images_per_s:.3g} images/s"
        told += f"; the file about {size_text(self.bytes)}"
        return told + (f", probabilities {size_text(self.probs_bytes)}" if self.probs_bytes else "")

    @property
    def cut(self) -> str:
        """What is left out, and why; "" if nothing is."""
        parts = []
        if self.views < self.all_views:
            parts.append(f"{self.all_views - self.views} of {self.all_views} views")
        if self.models < self.all_models:
            parts.append(f"{self.all_models - self.models} of {self.all_models} models")
        return f"left out to fit the time: {', '.join(parts)}" if parts else ""


def measure(predictor: Predictor, content: Content, test: TestSet, ids: Sequence[str]) -> Pace:
    """Predict some images, with everything and with one model and view, and throw the answers away."""
    begun = time.monotonic()
    known = [id for id in ids if id in test.rows]
    batch = predictor.recipe.train.val_batch
    one = predictor.reduced(1, 1)
    _timed(one, content, test, known[: min(2, batch)], 0)  # kernels are chosen, loops compiled
    start = time.monotonic() - begun
    passes = len(predictor.models) * len(predictor.views)
    single, _ = _timed(one, content, test, known, SECONDS)
    whole, some = (single, known[:batch]) if passes == 1 else _timed(predictor, content, test, known, SECONDS)
    each = (whole - single) / (passes - 1) if passes > 1 else 0.0
    each = max(each, single * 0.05)  # two measurements of a busy machine may cross
    bytes, probs = _sizes(one, content, test, some)
    return Pace(max(0.0, whole - each * passes), each, start, bytes, probs)


def _timed(
    predictor: Predictor, content: Content, test: TestSet, ids: Sequence[str], seconds: float
) -> tuple[float, list[str]]:
    """Seconds of an image in a long stream, and which were predicted: evenly spread batches, about so long."""
    batch = predictor.recipe.train.val_batch
    groups = [ids[at : at + batch] for at in range(0, len(ids), batch)]
    order = _spread(len(groups))
    done: list[str] = []
    streams: list[tuple[int, float]] = []
    names, pipeline = {test.rows[id]: id for id in ids}, Pipeline(predictor, test)
    began = time.monotonic()

    def answer(row: int, found: Found) -> str:
        content.answer(names[row], test.images.original(row) if predictor.task.dense else (0, 0), found)
        return names[row]

    for some in _few(order):
        rows = [test.rows[id] for n in some for id in groups[n]]
        at = time.monotonic()
        for each in pipeline.run(pipeline.chunks(rows, batch), answer):
            done += each
        streams.append((len(rows), time.monotonic() - at))
        if time.monotonic() - began >= seconds:
            break
    return _slope(streams), done


def _slope(streams: Sequence[tuple[int, float]]) -> float:
    """Seconds of an image in a stream without end, of streams of so many images that took so long.

    A stream takes a while to fill and to run empty, which a long one does once: the least squares of a + b * images,
    with a and b not negative, each stream weighed by its images, which its noise grows with.
    """
    if not streams:
        return 0.0
    n, took = np.array([s[0] for s in streams], float), np.array([s[1] for s in streams], float)
    mean_n, mean_took, root = np.average(n, weights=n), np.average(took, weights=n), n.sum()
    spread = float((n * (n - mean_n) ** 2).sum())
    plain = float(took.sum() / root)
    if spread <= 0:
        return plain
    slope = float((n * (n - mean_n) * (took - mean_took)).sum()) / spread
    return min(max(slope, plain / 2), plain)  # two cores hide at most half of it


def _spread(n: int) -> list[int]:
    """0 to n - 1, so that the first few lie everywhere."""
    step = next((s for s in range(max(1, round(n * 0.618)), n) if math.gcd(s, n) == 1), 1)
    return [i * step % n for i in range(n)]


def _few(order: Sequence[int]) -> list[Sequence[int]]:
    """1, 2, 4, … of them at a time, for streams that are long enough to be like the real one."""
    found, at, size = [], 0, 1
    while at < len(order):
        found.append(order[at : at + size])
        at, size = at + size, 2 * size
    return found


def _sizes(predictor: Predictor, content: Content, test: TestSet, ids: Sequence[str]) -> tuple[float, float]:
    """Bytes of the file and of the probabilities, a sample."""
    few = [id for id in ids[:64] if id in test.rows]
    if not few:
        return 0.0, 0.0
    names, pipeline, probs = {test.rows[id]: id for id in few}, Pipeline(predictor, test), [0]

    def answer(row: int, found: Found) -> tuple[str, bytes]:
        assert found.values is not None
        probs[0] += found.values.nbytes
        shape = test.images.original(row) if predictor.task.dense else (0, 0)
        return names[row], content.answer(names[row], shape, found)[0]

    chunks = pipeline.chunks([test.rows[id] for id in few], predictor.recipe.train.val_batch)
    answers = [each for batch in pipeline.run(chunks, answer) for each in batch]
    with tempfile.TemporaryDirectory() as folder:
        part, out = Path(folder) / "part", Path(folder) / "out"
        part.mkdir()
        out.mkdir()
        content.write_part(part, iter(answers))
        size = content.finish([part], few, out).stat().st_size
    return size / len(few), probs[0] / len(few)


def plan_of(
    pace: Pace, images: int, rows: int, models: int, views: int, *, save_probs: bool = False, limit: float | None = None
) -> Plan:
    """What a prediction takes; with a limit, of what still fits: views are left out first, then models.

    Models trained on other folds differ by more than views of one image do, and so their mean gains more.

    Raises:
        ConfigError: if not even one model fits.
    """
    used = (models, views)
    if limit is not None and MARGIN * pace.seconds(images, models, views) > limit:
        room = (limit / MARGIN - pace.start) / max(1, images) - pace.fixed
        passes = int(room / pace.each)
        if passes < 1:
            least = duration(MARGIN * pace.seconds(images, 1, 1))
            raise ConfigError(
                f"one model without other views takes about {least}, and the limit is {duration(limit)}",
                where="--time-limit",
                remedy=f"--time-limit {least} at least; or another attempt, with a smaller network or input.size",
            )
        used = (models, passes // models) if passes >= models else (passes, 1)
    seconds = pace.seconds(images, *used)
    probs = round(pace.probs * images) if save_probs else 0
    return Plan(
        *(images, rows, *used, models, views),
        *(seconds, images / max(seconds - pace.start, 1e-9), round(pace.bytes * rows), probs, pace.start),
    )
