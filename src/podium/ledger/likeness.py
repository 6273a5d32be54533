"""Whether what is predicted of the test set is like what the same attempt predicts in validation.

A submission may be in perfect order and yet wrong: masks at half size, a threshold that is not that of validation,
rows in another order than the images. It shows in figures of each sample whose means differ by more than chance.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from podium.formats.preflight import Values
from podium.formats.submission import SubmissionFormat
from podium.metrics import Measured, Metric

Floats = npt.NDArray[np.float64]
Figures = dict[str, list[float]]

SURE = 4.0
"""Standard errors that two means must differ by to be told."""
WORTH = 0.15
"""And share of the mean in validation; of shares that are told in per cent, a tenth of the whole."""


@dataclass(frozen=True)
class Unlike:
    """One figure that differs.

    Attributes:
        figure: Its name.
        test: Its mean over the test samples.
        validation: Its mean over the out-of-fold samples.
        z: The difference in standard errors.
    """

    figure: str
    test: float
    validation: float
    z: float

    def __str__(self) -> str:
        kind, _, of = self.figure.partition(":")
        if kind in ("empty", "share"):
            what = "of your test masks are empty" if kind == "empty" else f"of your test samples are '{of}'"
            return f"{100 * self.test:.0f} % {what}, and {100 * self.validation:.0f} % in validation"
        more = "larger" if kind == "area" else "more"
        less = "smaller" if kind == "area" else "fewer"
        what = {"area": "masks", "objects": "images"}.get(kind, "predictions")
        whose = f" of '{of}'" if of else ""
        if kind in ("area", "objects") and self.validation > 0:
            change = 100 * (self.test / self.validation - 1)
            than = f"{abs(change):.0f} % {more if change > 0 else less}"
            subject = (
                f"your test {what}{whose} are {than}" if kind == "area" else f"your test images have {than} objects"
            )
            return f"{subject} than in validation"
        return f"the mean of your test {what}{whose} is {self.test:.4g}, and {self.validation:.4g} in validation"


@dataclass
class Tally:
    """Figures of the samples of a submission, as its rows are read: `preflight.inspect` calls it.

    Args:
        fmt: How it is written.
        shapes: (height, width) of each sample, where targets are masks.
    """

    fmt: SubmissionFormat
    shapes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    figures: Figures = field(default_factory=lambda: defaultdict(list))

    def __call__(self, sample: str, values: Values) -> None:
        """Take in the values of a sample."""
        if self.fmt.choices:
            for target, value in zip(self.fmt.targets, values, strict=True):
                for name in self.fmt.known_names(target):
                    self.figures[f"share:{target}:{name}"].append(float(value == name))
        elif self.fmt.format == "names":
            names = str(values[0]).split(self.fmt.separator) if self.fmt.separator else [str(values[0])]
            for name in self.fmt.classes or names:
                self.figures[f"share:{name}"].append(float(name in [n.strip() for n in names]))
        elif not self.fmt.format.startswith("rle"):
            for name, value in zip(self.fmt.targets, values, strict=False):
                self.figures[f"mean:{name}"].append(float(value))  # type: ignore[arg-type]
        else:
            self.areas(sample, [int(np.asarray(runs)[:, 1].sum()) for runs in values])

    def areas(self, sample: str, areas: list[int]) -> None:
        """Take in a sample's masks, or objects, of so many pixels."""
        if sample not in self.shapes:  # one that is not scored
            return
        height, width = self.shapes[sample]
        if self.fmt.format == "rle_objects":
            self.figures["objects"].append(len(areas))
            self.figures["empty"].append(float(not areas))
            return
        several = len(areas) > 1
        for name, area in zip(self.fmt.targets, areas, strict=True):
            self.figures[f"area:{name}" if several else "area"].append(area / (height * width))
        self.figures["empty"].append(float(not any(areas)))


def validation_figures(
    table: pl.DataFrame, metric: Metric, fmt: SubmissionFormat, pixels: float, names: Sequence[str] = ()
) -> Figures:
    """The same figures of the out-of-fold predictions, from `scores.parquet`; {} where they do not tell.

    Args:
        table: Of all folds.
        pixels: Mean size of an image of theirs.
        names: Of the classes, in their order.
    """
    if metric.kind not in ("overlap", "instances", "table") or fmt.format == "png":
        return {}
    given = Measured.of_columns(metric.kind, table.to_dict(as_series=False)).arrays
    if metric.kind == "instances":
        found = given["hits"][:, 0, :2].sum(axis=1)
        return {"objects": found.tolist(), "empty": (found == 0).astype(float).tolist()}
    predicted = given["predicted"].astype(np.float64).reshape(len(table), -1)
    if metric.kind == "overlap":
        several = predicted.shape[1] > 1
        named = zip(fmt.targets, predicted.T, strict=False)
        of = {f"area:{name}" if several else "area": c / pixels for name, c in named}
        return {k: v.tolist() for k, v in of.items()} | {"empty": (predicted.sum(1) == 0).astype(float).tolist()}
    return _of_table(predicted, fmt, names)


def _of_table(predicted: Floats, fmt: SubmissionFormat, names: Sequence[str]) -> Figures:
    if fmt.choices:
        ends = np.cumsum([len(known) for known in fmt.choices])
        chosen = [p.argmax(axis=1) for p in np.split(predicted, ends[:-1], axis=1)]
        return {
            f"share:{target}:{name}": (of == k).astype(float).tolist()
            for target, of in zip(fmt.targets, chosen, strict=True)
            for k, name in enumerate(fmt.known_names(target))
        }
    if fmt.format == "names":
        labels = fmt.classes or tuple(names)
        if predicted.shape[1] != len(labels):
            return {}
        chosen = predicted.argmax(axis=1)
        return {f"share:{name}": (chosen == k).astype(float).tolist() for k, name in enumerate(labels)}
    labels = fmt.targets
    if len(labels) == 1 and predicted.shape[1] == 2:  # one probability is written, of two
        predicted = predicted[:, 1:]
    if predicted.shape[1] != len(labels):
        return {}
    return {f"mean:{name}": column.tolist() for name, column in zip(labels, predicted.T, strict=True)}


def unlike(test: Figures, validation: Figures) -> list[Unlike]:
    """The figures whose means differ by more than chance and enough to matter, the most certain first."""
    found = []
    for name in test.keys() & validation.keys():
        a, b = np.asarray(test[name], np.float64), np.asarray(validation[name], np.float64)
        if min(len(a), len(b)) < 8:
            continue
        se = math.sqrt(_variance(a) / len(a) + _variance(b) / len(b)) or 1e-12
        gap, z = float(a.mean() - b.mean()), float((a.mean() - b.mean()) / se)
        as_share = name.partition(":")[0] in ("empty", "share")
        spread = float(b.std())
        least = (
            0.1 if as_share else max(WORTH * abs(b.mean()), 0.0 if "area" in name or name == "objects" else spread / 4)
        )
        if abs(z) > SURE and abs(gap) > least:
            found.append(Unlike(name, float(a.mean()), float(b.mean()), z))
    return sorted(found, key=lambda u: -abs(u.z))


def _variance(x: Floats) -> float:
    """Of a mean's samples; at least that of a share with one more of each kind, so that all alike is not certain."""
    n = len(x)
    p = (x.sum() + 1) / (n + 2)
    return max(float(x.var(ddof=1)), p * (1 - p) / 4 if np.isin(x, (0, 1)).all() else 0.0)
