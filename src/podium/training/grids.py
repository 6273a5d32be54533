"""Which values are tried for each key of [predict] that is "tuned", and which of them is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from podium.metrics import METRICS, Measured, Metric, of_each
from podium.recipe import PredictConfig
from podium.training.fold_run import FoldData
from podium.training.tasks import MaskTask, NumbersTask, ObjectsTask, PlanesTask, TableTask
from podium.training.tasks.masks import SMALLEST_OBJECT

Task = MaskTask | TableTask
Values = dict[str, Any]
Ints = NDArray[np.intp]
Rows = Sequence[int]

EVEN = 1e-9
"""Scores this near to each other are equal; of equals the value nearest to the default is taken."""

AREAS = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
"""Pixels: the larger ones only where they are a small part of the image."""


class Tunes(Protocol):
    """What scores a [predict]."""

    @property
    def task(self) -> Task:
        """What its predictions are of."""

    @property
    def metric(self) -> Metric:
        """By which it scores."""

    def measured(self, config: PredictConfig) -> Measured:
        """What the metric reads of every sample."""

    def with_values(self, values: Mapping[str, Any]) -> PredictConfig:
        """[predict] with these values in the place of "tuned"."""


def _levels(data: FoldData, task: Task, rows: Rows) -> list[float]:
    return [round(0.05 * n, 2) for n in range(1, 20)]


def _rims(data: FoldData, task: Task, rows: Rows) -> list[float]:
    return [round(0.1 * n, 1) for n in range(1, 10)]


def _peaks(data: FoldData, task: Task, rows: Rows) -> list[float]:
    return [0.01, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98]


def _presences(data: FoldData, task: Task, rows: Rows) -> list[float]:
    return [0.0, 0.01, 0.02, *(round(0.05 * n, 2) for n in range(1, 20)), 0.98, 0.99]


def _smooths(data: FoldData, task: Task, rows: Rows) -> list[float]:
    return [0.0, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def _temperatures(data: FoldData, task: Task, rows: Rows) -> list[float]:
    return [round(float(t), 3) for t in np.exp(np.linspace(np.log(0.25), np.log(8), 61))] + [1.0]


def _areas(data: FoldData, task: Task, rows: Rows) -> list[int]:
    truth = data.truth
    shapes = np.asarray(getattr(truth, "shapes", np.zeros((1, 2))))
    most = 0.05 * float(np.median(shapes[:, 0].astype(np.float64) * shapes[:, 1]))
    first = SMALLEST_OBJECT if isinstance(task, ObjectsTask) else 1
    return [first, *(area for area in AREAS if first < area <= most)]


def _clips(data: FoldData, task: Task, rows: Rows) -> list[list[float]]:
    assert isinstance(task, NumbersTask)
    truth = _numbers(task, data, rows).astype(np.float64)
    lows, highs = np.quantile(truth, [0, 0.01, 0.02, 0.05]), np.quantile(truth, [1, 0.99, 0.98, 0.95])
    return [[float(low), float(high)] for low in lows for high in highs if low <= high]


def _numbers(task: NumbersTask, data: FoldData, rows: Rows) -> NDArray[Any]:
    """The true values of some items of the stores: never of the samples that are scored with what is found."""
    targets = getattr(data.truth, "targets")  # noqa: B009 - a Store has none
    return np.asarray(task.truth(targets[rows]))


_GRIDS: dict[str, Callable[[FoldData, Task, Rows], Sequence[Any]]] = {
    "threshold": _levels,
    "rim": _rims,
    "empty_peak": _peaks,
    "empty_below": _presences,
    "smooth": _smooths,
    "temperature": _temperatures,
    "min_area": _areas,
    "empty_area": _areas,
    "clip": _clips,
}


def _ratings(task: Task, data: FoldData, rows: Rows) -> tuple[int, int]:
    """The lowest and the highest rating of some samples."""
    assert isinstance(task, NumbersTask)
    truth = _numbers(task, data, rows)
    return int(truth.min()), int(truth.max())


def _halves(task: Task, data: FoldData, rows: Rows) -> Values:
    low, high = _ratings(task, data, rows)
    return {"cuts": [r + 0.5 for r in range(low, max(high, low + 1))], "lowest": low}


START: dict[str, Callable[[Task, FoldData, Rows], Values]] = {
    "threshold": lambda task, data, rows: {"threshold": 0.5},
    "rim": lambda task, data, rows: {"rim": 0.5},
    "empty_peak": lambda task, data, rows: {"empty_peak": 0.01},
    "smooth": lambda task, data, rows: {"smooth": 0.0},
    "temperature": lambda task, data, rows: {"temperature": 1.0},
    "min_area": lambda task, data, rows: {"min_area": _areas(data, task, rows)[0]},
    "empty_area": lambda task, data, rows: {"empty_area": 1},
    "empty_below": lambda task, data, rows: {"empty_below": 0.0},
    "clip": lambda task, data, rows: {"clip": _clips(data, task, rows)[0]},
    "cuts": _halves,
}
"""What each key begins with: what it is by default."""


def candidates(key: str, task: Task, data: FoldData, rows: Rows) -> list[Values]:
    """The values to try for a key; of cut points none, they are moved one by one.

    Args:
        rows: Of the samples that they are fitted on, in the stores.
    """
    if key == "cuts":
        return []
    return [{key: value} for value in _GRIDS[key](data, task, rows)]


def best_on(tunes: Tunes, key: str, values: Values, tried: Sequence[Values], use: Ints) -> Values:
    """The candidate that scores best on some samples, with the other values as they are; of each class its own.

    Args:
        use: Indices of the samples.
    """
    if key == "cuts":
        return _best_cuts(tunes, values, use)
    if key == "temperature":  # the order of classes stays, so that most metrics do not see it
        parts, plain = tunes.task.competition.parts, METRICS["log_loss"]
        return _best(tunes, values, tried, use, of_each(plain, parts) if parts else plain)
    classes = tunes.task.outputs
    apart = isinstance(tunes.task, PlanesTask) and classes > 1  # each class is scored by itself
    if apart and key in ("threshold", "min_area", "empty_area", "empty_below"):
        return _best_of_each_class(tunes, key, values, tried, use)
    if isinstance(tunes.task, TableTask) and classes > 1 and key == "threshold":
        return _one_by_one(tunes, key, values, [c[key] for c in tried], use)
    if isinstance(tunes.task, ObjectsTask) and key in ("threshold", "rim"):
        return _coarse_to_fine(tunes, values, tried, use)
    return _best(tunes, values, tried, use, tunes.metric)


def _coarse_to_fine(tunes: Tunes, values: Values, tried: Sequence[Values], use: Ints) -> Values:
    """Every second value, the present one among them; then the neighbours of the best: each costs a watershed."""
    first = _near(tried, values)[0] % 2
    coarse = _best(tunes, values, tried[first::2], use, tunes.metric)
    at = tried.index(coarse)
    return _best(tunes, values, tried[max(0, at - 1) : at + 2], use, tunes.metric)


def _best(tunes: Tunes, values: Values, tried: Sequence[Values], use: Ints, metric: Metric) -> Values:
    scores = [tunes.measured(tunes.with_values(values | one)).take(use).score(metric) for one in tried]
    return tried[_first_best(scores, metric, _near(tried, values))]


def _first_best(scores: Sequence[float], metric: Metric, order: Sequence[int]) -> int:
    """The index of the best score; of equals the one that ``order`` names first."""
    signed = [(s if metric.greater_is_better else -s) if np.isfinite(s) else -np.inf for s in scores]
    top = max(signed)
    return next(i for i in order if signed[i] >= top - EVEN)


def _near(tried: Sequence[Values], values: Values) -> list[int]:
    """Indices of the candidates, those nearest to the present values first."""

    def distance(i: int) -> float:
        return sum(
            float(np.abs(np.subtract(one, values[key])).sum()) for key, one in tried[i].items() if one is not None
        )

    return sorted(range(len(tried)), key=distance)


def _best_of_each_class(tunes: Tunes, key: str, values: Values, tried: Sequence[Values], use: Ints) -> Values:
    """One pass over the candidates serves all classes."""
    found = []
    measured = [tunes.measured(tunes.with_values(values | one)).take(use) for one in tried]
    for k in range(tunes.task.outputs):
        now = values[key][k] if isinstance(values[key], list) else values[key]
        own = [Measured(m.kind, {name: a[:, k] for name, a in m.arrays.items()}) for m in measured]
        order = _near([{key: one[key]} for one in tried], {key: now})
        found.append(tried[_first_best([m.score(tunes.metric) for m in own], tunes.metric, order)][key])
    return {key: found}


def _one_by_one(tunes: Tunes, key: str, values: Values, grid: Sequence[Any], use: Ints) -> Values:
    """A value of each label, one label after another, twice: the metric may look at all labels together."""
    now = values[key] if isinstance(values[key], list) else [values[key]] * tunes.task.outputs
    for _ in range(2):
        for k in range(len(now)):
            tried = [{key: [*now[:k], value, *now[k + 1 :]]} for value in grid]
            now = _best(tunes, values | {key: now}, tried, use, tunes.metric)[key]
    return {key: now}


def _best_cuts(tunes: Tunes, values: Values, use: Ints) -> Values:
    """Each cut moved between its neighbours to where the metric is best, one after another, until none moves."""
    cuts, lowest = list(values["cuts"]), values["lowest"]
    for _ in range(5):
        before = list(cuts)
        for k in range(len(cuts)):
            low = cuts[k - 1] if k else cuts[k] - 1.0
            high = cuts[k + 1] if k + 1 < len(cuts) else cuts[k] + 1.0
            places = sorted({cuts[k], *(round(float(v), 4) for v in np.linspace(low, high, 21)[1:-1])})
            tried = [{"cuts": [*cuts[:k], place, *cuts[k + 1 :]], "lowest": lowest} for place in places]
            cuts = list(_best(tunes, values | {"cuts": cuts}, tried, use, tunes.metric)["cuts"])
        if cuts == before:
            break
    return {"cuts": cuts, "lowest": lowest}
