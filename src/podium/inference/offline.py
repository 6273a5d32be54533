"""Predicting from an offline bundle: a data folder in, the submission file out, nothing asked of a network."""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from podium.errors import DataError, PodiumError
from podium.files import open_atomic
from podium.ledger.submissions import ARCHIVE
from podium.progress import duration, say, seconds_of

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
"""Environment variables that keep libraries from looking for news."""


def predict_bundle(bundle: Path, data: Path, out: Path, *, time_limit: float | None = None) -> Path:
    """Predict the test images below ``data`` with a bundle's attempt; gives the file that was written.

    Args:
        bundle: Of `podium export --format bundle`; it is only read.
        data: The competition's data: images where `competition.toml` says, and the sample submission, if it names one.
        out: `submission.csv`, or `….csv.gz`; masks as PNG become a `.zip` beside it.
        time_limit: Seconds that it may take: views and models are left out to fit.
    """
    os.environ.update(dict.fromkeys(OFFLINE, "1"))
    from podium.data.competition import Competition
    from podium.data.samples import test_samples, wanted_ids
    from podium.inference.bundle import SPEC
    from podium.inference.predict import predict_test
    from podium.inference.setup import Options
    from podium.inference.sources import open_test_images
    from podium.ledger.attempt import Attempt
    from podium.metrics import get_metric

    began = time.monotonic()
    competition = Competition.load(bundle / SPEC)
    metric = get_metric(competition.metric, f"{bundle / SPEC}: metric", bundle, competition.parts)
    (folder,) = (bundle / "attempts").iterdir()
    attempt, samples = Attempt.load(folder), test_samples(competition, data)
    if not samples:
        patterns = competition.data.test_images
        raise DataError("no test image found", where=f"{data}/{patterns}", remedy="check the data folder")
    ids, options = wanted_ids(competition, data, samples), Options(time_limit=time_limit, foretell=True)
    with tempfile.TemporaryDirectory(prefix="podium-") as temporary:
        cache = Path(temporary) / "cache"
        test = open_test_images(competition, bundle, samples, attempt.recipe.input, cache=cache, keep=False)
        before = time.monotonic() - began
        work = out.resolve().parent / ".podium-parts"
        done = predict_test(attempt, competition, metric, ids, test, Path(temporary) / "done", options, work=work)
        written = _copied(done.file, out)
    shutil.rmtree(work, ignore_errors=True)
    took = time.monotonic() - began
    told = f"  {written}: {done.rows} rows; took {duration(took)}"
    if done.foretold is not None:
        foretold = before + done.foretold
        told += f", foretold {duration(foretold)} ({took / foretold:.2f}x)"
    say(told)
    return written


def _copied(file: Path, out: Path) -> Path:
    """The file under its final name; unpacked, unless a packed one is asked for."""
    if file.name == ARCHIVE:
        out = out.with_suffix(".zip")
    with open(file, "rb") as source, open_atomic(out) as target:
        if file.suffix == ".gz" and out.suffix != ".gz":
            with gzip.open(source) as unpacked:
                shutil.copyfileobj(unpacked, target, 1 << 20)
        else:
            shutil.copyfileobj(source, target, 1 << 20)
    return out


def main(bundle: Path, words: Sequence[str]) -> None:
    """The bundle's `predict.py`: exit 1 with one message where it fails."""
    parser = argparse.ArgumentParser(prog="predict.py", description="Predict test images, without network.")
    parser.add_argument("data", type=Path, help="the competition's data folder")
    parser.add_argument("--out", type=Path, default=Path("submission.csv"), help="the file to write")
    parser.add_argument("--time-limit", metavar="TIME", help="leave out views and models to fit: 8h")
    options = parser.parse_args(words)
    try:
        limit = seconds_of(options.time_limit, "--time-limit") if options.time_limit else None
        print(predict_bundle(bundle, options.data, options.out, time_limit=limit))
    except PodiumError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
