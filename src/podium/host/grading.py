"""Grading: a submission's score against hidden labels, from runs alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podium.formats import rle
from podium.formats.preflight import inspect, refuse
from podium.formats.submission import SubmissionFormat
from podium.host.solution import Solution
from podium.metrics import Counts, Metric


@dataclass(frozen=True)
class Grade:
    """The scores of a submission.

    Attributes:
        public: The metric over the public samples.
        private: The metric over the private samples.
        per_sample: The score of each sample.
    """

    public: float
    private: float
    per_sample: dict[str, float]


def grade(path: Path, solution: Solution, metric: Metric, fmt: SubmissionFormat) -> Grade:
    """Check and score a submission in one pass over its rows; no pixel is decoded.

    Raises:
        SubmissionError: listing what a board refuses, if it is not in order.
    """
    truth = dict(zip(solution.ids, solution.runs, strict=True))
    counts: dict[str, tuple[int, int, int]] = {}

    def count(sample: str, runs: rle.Runs) -> None:
        if sample in truth:  # else ignored
            true = truth[sample]
            counts[sample] = rle.intersection(runs, true), rle.area(runs), rle.area(true)

    refuse(path, inspect(path, fmt, [*solution.ids, *solution.ignored], solution.shapes, count))
    scores = metric.per_sample(Counts.of([counts[sample] for sample in solution.ids]))
    public = np.array([usage == "Public" for usage in solution.usage])
    return Grade(
        public=metric.aggregate(scores[public]),
        private=metric.aggregate(scores[~public]),
        per_sample=dict(zip(solution.ids, scores.tolist(), strict=True)),
    )
