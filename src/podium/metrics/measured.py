"""What a metric reads of each sample, in arrays that can be stored, joined over folds and scored again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from podium.metrics.overlap import Counts, Floats
from podium.metrics.registry import Kind, Metric

Array = npt.NDArray[Any]

COUNTS = ("intersection", "predicted", "truth")


@dataclass(frozen=True)
class Measured:
    """The raw material of a metric's score, of N samples.

    Attributes:
        kind: What the metric reads.
        arrays: Shape (N, …) each. overlap and boundary: intersection, predicted, truth of shape (N,), or (N, K) of K
            classes, each scored by itself. confusion: confusion (N, C, C). instances: hits (N, 10, 3). table: truth
            and predicted, (N,) or (N, columns).
    """

    kind: Kind
    arrays: dict[str, Array]

    @classmethod
    def of_counts(cls, kind: Kind, rows: Array) -> Measured:
        """From an array with a row a sample: (N, 3), (N, K, 3), (N, C, C) or (N, 10, 3), as ``kind`` has it."""
        if kind == "confusion":
            return cls(kind, {"confusion": rows})
        if kind == "instances":
            return cls(kind, {"hits": rows})
        return cls(kind, {name: rows[..., i] for i, name in enumerate(COUNTS)})

    @classmethod
    def of_table(cls, truth: Array, predicted: Array) -> Measured:
        """From values: (N,) or (N, columns) each."""
        return cls("table", {"truth": truth, "predicted": predicted})

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays of this kind: columns of `scores.parquet`."""
        return tuple(self.arrays)

    def take(self, rows: Array) -> Measured:
        """Some of the samples: indices, or a mask."""
        return Measured(self.kind, {name: a[rows] for name, a in self.arrays.items()})

    def per_sample(self, metric: Metric) -> Floats | None:
        """One score a sample, shape (N,), the mean over its classes; None if the metric has no such thing."""
        if not metric.mean_over_samples:
            return None
        return np.asarray(np.mean([metric.per_sample(*given) for given in self._inputs()], axis=0), np.float64)

    def score(self, metric: Metric) -> float:
        """The score of all samples together, the mean over the classes; NaN of no sample."""
        if not len(self):
            return float("nan")
        return float(np.mean([metric.score(*given) for given in self._inputs()]))

    def _inputs(self) -> list[tuple[Any, ...]]:
        """What the metric is called with, once a class."""
        if self.kind in ("overlap", "boundary"):
            columns = [a.astype(np.int64).reshape(len(a), -1) for a in self.arrays.values()]
            return [(Counts(*(c[:, k] for c in columns)),) for k in range(columns[0].shape[1])]
        if self.kind == "table":
            return [(self.arrays["truth"], self.arrays["predicted"])]
        return [(next(iter(self.arrays.values())),)]

    def columns(self) -> dict[str, list[Any]]:
        """As columns of a table: a number a sample, or a list of them."""
        flat = {name: a.reshape(len(a), -1) if a.ndim > 2 else a for name, a in self.arrays.items()}
        return {name: a.tolist() for name, a in flat.items()}

    @classmethod
    def of_columns(cls, kind: Kind, columns: Mapping[str, Sequence[Any]]) -> Measured:
        """The inverse of `columns`."""
        names = {"confusion": ("confusion",), "instances": ("hits",), "table": ("truth", "predicted")}
        arrays = {name: np.asarray(columns[name]) for name in names.get(kind, COUNTS)}
        if kind == "confusion":
            side = round(arrays["confusion"].shape[-1] ** 0.5)
            arrays["confusion"] = arrays["confusion"].reshape(-1, side, side)
        if kind == "instances":
            arrays["hits"] = arrays["hits"].reshape(len(arrays["hits"]), -1, 3)
        return cls(kind, arrays)
