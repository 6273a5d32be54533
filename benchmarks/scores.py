"""Metrics and grading."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.formats import pasted_decode
from benchmarks.harness import Benchmark, Pair
from benchmarks.scenes import car_mask, class_maps, nuclei
from podium.formats import rle
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter
from podium.host.grading import grade
from podium.host.solution import Solution
from podium.metrics import Counts, confusion, get_metric, hits

ROWS = 1000
"""Of the 20,000 of the goal, unless --full: the cost is the same for every row."""


def dice_runs(tiny: bool, folder: Path) -> Pair:
    pairs = [(car_mask(tiny, n), np.roll(car_mask(tiny, n), 3, axis=1)) for n in range(3 if tiny else 16)]
    runs = [(rle.runs_of(a), rle.runs_of(b)) for a, b in pairs]
    dice = get_metric("dice")

    def ours() -> float:
        return dice.score(Counts.of([rle.overlap(a, b) for a, b in runs]))

    def one(a, b) -> float:
        a, b = a.astype(np.float64), b.astype(np.float64)
        return 2.0 * (a * b).sum() / (a.sum() + b.sum())

    def peer() -> float:
        return float(np.mean([one(a, b) for a, b in pairs]))

    assert abs(ours() - peer()) < 1e-12
    return Pair(ours, peer, f"{len(pairs)} pairs of masks")


def confusion_12(tiny: bool, folder: Path) -> Pair:
    truth, predicted = class_maps(tiny)

    def fast_hist(a, b, n):  # of FCN's and many later repositories
        k = (a >= 0) & (a < n)
        return np.bincount(n * a[k].astype(int) + b[k], minlength=n**2).reshape(n, n)

    np.testing.assert_array_equal(confusion(truth, predicted, 12), fast_hist(truth, predicted, 12))
    return Pair(
        lambda: confusion(truth, predicted, 12),
        lambda: fast_hist(truth, predicted, 12),
        f"{truth.shape[1]}x{truth.shape[0]}, {(truth != predicted).mean():.0%} wrong",
    )


def instance_map(tiny: bool, folder: Path) -> Pair:
    truth, predicted = nuclei(tiny)
    metric = get_metric("dsb2018")

    def kernel(labels, y_pred):  # "Example Metric Implementation" of Data Science Bowl 2018
        true_objects, pred_objects = len(np.unique(labels)), len(np.unique(y_pred))
        intersection = np.histogram2d(labels.flatten(), y_pred.flatten(), bins=(true_objects, pred_objects))[0]
        area_true = np.histogram(labels, bins=true_objects)[0]
        area_pred = np.histogram(y_pred, bins=pred_objects)[0]
        union = np.expand_dims(area_true, -1) + np.expand_dims(area_pred, 0) - intersection
        iou = intersection[1:, 1:] / union[1:, 1:]
        prec = []
        for t in np.arange(0.5, 1.0, 0.05):
            matches = iou > t
            tp = np.sum(np.sum(matches, axis=1) == 1)
            fp = np.sum(np.sum(matches, axis=0) == 0)
            fn = np.sum(np.sum(matches, axis=1) == 0)
            prec.append(tp / (tp + fp + fn))
        return np.mean(prec)

    def ours() -> float:
        return metric.score(hits(truth, predicted)[None])

    assert abs(ours() - kernel(truth, predicted)) < 1e-9
    return Pair(ours, lambda: kernel(truth, predicted), f"{truth.max()} objects, {truth.shape[1]}x{truth.shape[0]}")


def score(tiny: bool, folder: Path) -> Pair:
    import pandas as pd

    count = 8 if tiny else ROWS
    masks = [car_mask(tiny, seed) for seed in range(min(count, 20))]
    shape = masks[0].shape
    true = [rle.runs_of(m) for m in masks]
    texts = [rle.encode(np.roll(m, 2, axis=1)) for m in masks]
    ids = [f"{n:016x}" for n in range(count)]
    fmt = SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg")
    solution = Solution(
        tuple(ids),
        dict.fromkeys(ids, shape),
        tuple((true[n % len(true)],) for n in range(count)),
        tuple("Private" if n % 4 else "Public" for n in range(count)),
    )
    with SubmissionWriter(folder / "submission.csv", fmt) as writer:
        for n, id in enumerate(ids):
            writer.write(id, texts[n % len(texts)])
    truth = [rle.format_runs(runs) for (runs,) in solution.truth]
    metric = get_metric("dice")

    def ours() -> tuple[float, float]:
        found = grade(folder / "submission.csv", solution, metric, fmt)
        return found.public, found.private

    def peer() -> tuple[float, float]:
        table = pd.read_csv(folder / "submission.csv", keep_default_na=False)
        texts = dict(zip(table["img"], table["rle_mask"], strict=True))
        scores = []
        for id, true_text in zip(ids, truth, strict=True):
            a, b = pasted_decode(true_text, shape).astype(bool), pasted_decode(texts[f"{id}.jpg"], shape).astype(bool)
            scores.append(2 * (a & b).sum() / (a.sum() + b.sum()))
        public = np.array([usage == "Public" for usage in solution.usage])
        return float(np.array(scores)[public].mean()), float(np.array(scores)[~public].mean())

    np.testing.assert_allclose(ours(), peer(), rtol=0, atol=1e-12)
    return Pair(ours, peer, f"{count:,} rows")


BENCHMARKS = [
    Benchmark("dice_runs", "Dice of masks from their runs", "numpy float64 on pixels", 500, dice_runs),
    Benchmark("confusion", "confusion matrix of 12 classes", "np.bincount (fast_hist)", 5, confusion_12),
    Benchmark("instance_map", "mean AP over IoU thresholds of label maps", "np.histogram2d", 15, instance_map),
    Benchmark("score", "run-length submission graded", "pandas, decode, compare pixels", 50, score),
]
