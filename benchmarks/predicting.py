"""The streamed prediction: its whole way against the bare network, and the way of masks into the file."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.formats import pasted_encode
from benchmarks.harness import Benchmark, Pair
from benchmarks.scenes import car_mask
from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.data.samples import Sample
from podium.data.store import ordered_map
from podium.formats import bits
from podium.inference.contents import Rows
from podium.inference.parts import Parts
from podium.inference.pipeline import Found
from podium.inference.predict import Job, _predict
from podium.inference.sources import DecodedImages, TestSet
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training.device import create_fabric, to_device
from podium.training.evaluate import Predictor
from podium.training.tasks import create_task

COMPETITION = {"name": "bench", "data": {"train_images": "*.jpg", "train_masks": "{id}.png"}}


def _predictor(tiny: bool) -> Predictor:
    side = 64 if tiny else 256
    recipe = Recipe().with_overrides(["model.arch=unet", f"input.size=[{side},{side}]", "train.batch_size=4"])
    competition = Competition.from_tree(COMPETITION)
    torch.manual_seed(0)
    fabric, task = create_fabric("auto"), create_task(competition, get_metric("dice"), recipe)
    return Predictor(fabric, [to_device(task.create_model(), fabric)], task)


def _photos(folder: Path, n: int, side: int) -> list[Sample]:
    rng, samples = np.random.default_rng(0), []
    for i in range(n):
        coarse = rng.integers(0, 256, (16, 16, 3), np.uint8)
        path = folder / f"p{i:03d}.jpg"
        cv2.imwrite(str(path), cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))
        samples.append(Sample(path.stem, path))
    return samples


def predict(tiny: bool, folder: Path) -> Pair:
    """The network alone on batches in memory (ours) against everything from JPEG files to a submission (peer)."""
    predictor, n = _predictor(tiny), 16 if tiny else 32
    samples = _photos(folder, n, 128 if tiny else 512)
    images = DecodedImages(samples, predictor.preprocess)
    test = TestSet(images, {s.id: i for i, s in enumerate(samples)})
    batch = predictor.recipe.train.val_batch
    ready = [torch.from_numpy(np.stack([images.image(i) for i in range(at, at + batch)])) for at in range(0, n, batch)]
    content = Rows(predictor.task, predictor.task.competition, predictor.preprocess)  # type: ignore[arg-type]
    ids, number = [s.id for s in samples], itertools.count()

    def bare() -> None:
        for pixels in ready:
            predictor.on_device(pixels).cpu()

    def whole() -> Path:
        at = folder / f"run{next(number)}"
        parts = Parts(at / "parts", ids, batch)
        _predict(Job(predictor, content, test, parts))
        return content.finish(parts.finished, ids, at)

    (folder / "check").mkdir()
    assert whole().stat().st_size > 100
    return Pair(bare, whole, f"{n} JPEG files of {images.original(0)[0]} a side, network at {images.shape(0)[0]}")


def masks(tiny: bool, folder: Path) -> Pair:
    """Masks of a bit a pixel, as the device decides them, to a gzipped submission; the peer's are bytes already."""
    import pandas as pd

    count = 8 if tiny else 1000
    pictures = [car_mask(tiny, seed) for seed in range(min(count, 20))]
    packed = [bits.pack(m)[None] for m in pictures]
    (height, width), ids = pictures[0].shape, [f"{n:016x}" for n in range(count)]
    competition = Competition.from_tree(COMPETITION)
    task = create_task(competition, get_metric("dice"), Recipe())
    content = Rows(task, competition, Preprocess())  # type: ignore[arg-type]
    parts, out = folder / "part", folder / "out"
    parts.mkdir()
    out.mkdir()

    def answer(n: int) -> tuple[str, bytes]:
        return ids[n], content.answer(ids[n], (height, width), Found(None, packed[n % len(packed)]))[0]

    def ours() -> Path:
        content.write_part(parts, ordered_map(answer, range(count), workers=2, ahead=8))
        return content.finish([parts], ids, out)

    def peer() -> Path:
        rows = [(id, pasted_encode(pictures[n % len(pictures)])) for n, id in enumerate(ids)]
        options: dict[str, Any] = {"compression": {"method": "gzip", "compresslevel": 1}}
        pd.DataFrame(rows, columns=["id", "rle_mask"]).to_csv(folder / "peer.csv.gz", index=False, **options)
        return folder / "peer.csv.gz"

    one, other = (pd.read_csv(way(), keep_default_na=False) for way in (ours, peer))
    assert one.equals(other)
    return Pair(ours, peer, f"{count:,} masks of {width}x{height}")


BENCHMARKS = (
    Benchmark("predict", "the bare network, UNet", "files to submission", 1.25, predict, "wall", at_most=True),
    Benchmark("predict_masks", "packed masks to a submission, gzipped", "the pasted version", 25, masks, "wall"),
)
