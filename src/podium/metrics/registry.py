"""The metrics by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np

from podium.errors import ConfigError, DataError, nearest
from podium.metrics import classification as c
from podium.metrics import instances, regression
from podium.metrics import multiclass as m
from podium.metrics import overlap as o
from podium.metrics.overlap import Floats

Kind = Literal["overlap", "boundary", "confusion", "instances", "table"]
"""What a metric reads, of N samples.

overlap: `Counts` of foreground pixels. boundary: `Counts` of the pixels of `boundary_counts`. confusion: one matrix of
`confusion` a sample, int64 (N, C, C). instances: one table of `hits` a sample, int64 (N, 10, 3). table: two arrays,
truth and prediction, of shape (N,) or (N, columns).
"""

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Metric:
    """A score of predictions.

    Attributes:
        name: As `competition.toml` spells it.
        greater_is_better: The direction.
        kind: What it reads.
        description: One line for people; says how samples are put together.
        samples: One score a sample, float64 of shape (N,), where there is one; the score is then their mean.
        whole: The score of all samples together, where it is not that mean.
        relative: Whether errors count in proportion to the truth, as those of logarithms do.
        whole_numbers: Whether predicted numbers have to be whole.
    """

    name: str
    greater_is_better: bool
    kind: Kind
    description: str
    samples: Callable[..., Floats] | None = None
    whole: Callable[..., float] | None = None
    relative: bool = False
    whole_numbers: bool = False

    def __post_init__(self) -> None:
        if (self.samples is None) == (self.whole is None):
            raise ValueError(f"metric '{self.name}' must have either samples or whole")

    @property
    def mean_over_samples(self) -> bool:
        """Whether the score is the mean of one score a sample."""
        return self.samples is not None

    def per_sample(self, *inputs: Any) -> Floats:
        """One score a sample, float64 of shape (N,).

        Raises:
            ConfigError: if the metric has none, being of all samples together.
        """
        if self.samples is None:
            raise ConfigError(
                f"the metric '{self.name}' is of all samples together, none has a score of its own", where="metric"
            )
        return self.samples(*inputs)

    def score(self, *inputs: Any) -> float:
        """The score of a set of samples, from what its kind reads; NaN for none."""
        if self.samples is not None:
            return self.aggregate(self.samples(*inputs))
        assert self.whole is not None
        return float(self.whole(*inputs))

    def aggregate(self, values: Floats) -> float:
        """The score of a set of samples from `per_sample`: the mean; NaN for none."""
        return float(np.mean(values)) if len(values) else float("nan")

    def better(self, a: float, b: float) -> bool:
        """Whether a score of ``a`` is strictly better than one of ``b``."""
        return a > b if self.greater_is_better else a < b


def _f(name: str, description: str, beta: float, mean: Literal["binary", "micro", "macro"]) -> Metric:
    return Metric(name, True, "table", description, whole=partial(c.f_beta, beta=beta, mean=mean))


def _f_samples(name: str, beta: float) -> Metric:
    samples = partial(c.f_beta_samples, beta=beta)
    return Metric(name, True, "table", f"F{beta:g} of the labels of each sample, mean over samples", samples)


def _guesses(k: int) -> Metric:
    told = f"mean average precision of {k} guesses: 1/r where the r-th likeliest class is right (MAP@{k})"
    return Metric(f"map{k}", True, "table", told, partial(c.precision_of_guesses, k=k))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("dice", True, "overlap", "Dice coefficient, mean over the samples; two empty masks score 1", o.dice),
        Metric(
            "iou", True, "overlap", "intersection over union, mean over the samples; two empty masks score 1", o.iou
        ),
        Metric(
            "tgs_iou",
            True,
            "overlap",
            "share of the IoU thresholds .50:.05:.95 passed (TGS Salt), mean over samples",
            o.tgs_iou,
        ),
        Metric("dice_pooled", True, "overlap", "Dice coefficient of all pixels of all samples", whole=o.dice_pooled),
        Metric(
            "iou_pooled", True, "overlap", "intersection over union of all pixels of all samples", whole=o.iou_pooled
        ),
        Metric("boundary_iou", True, "boundary", "IoU of bands along the outlines, mean over samples", o.iou),
        Metric(
            "mean_iou",
            True,
            "confusion",
            "IoU of each class over all pixels of all samples, mean over the classes in the truth",
            whole=m.mean_iou,
        ),
        Metric("pixel_accuracy", True, "confusion", "share of all pixels that are right", whole=m.pixel_accuracy),
        Metric(
            "endovis_iou",
            True,
            "confusion",
            "IoU of each class in a sample's truth but background, mean over classes, then samples (EndoVis 2017)",
            m.endovis_iou,
        ),
        Metric(
            "dsb2018",
            True,
            "instances",
            "TP/(TP+FP+FN) of objects, mean over the IoU thresholds .50:.05:.95, then samples (Data Science Bowl 2018)",
            instances.dsb2018,
        ),
        *map(_guesses, (3, 5, 10)),
        Metric("accuracy", True, "table", "share of samples that are right; multi-label: in all labels", c.correct),
        Metric(
            "balanced_accuracy",
            True,
            "table",
            "share of samples that are right, mean over the classes",
            whole=c.balanced_accuracy,
        ),
        Metric(
            "log_loss", False, "table", "cross-entropy, clipped at 1e-15, mean over labels and samples", c.cross_entropy
        ),
        Metric(
            "auc", True, "table", "area under the ROC curve of all samples, mean over labels or classes", whole=c.auc
        ),
        _f("f1", "F1 of class 1 over all samples", 1, "binary"),
        _f("f1_micro", "F1 over all labels of all samples", 1, "micro"),
        _f("f1_macro", "F1 of each label over all samples, mean over labels", 1, "macro"),
        _f("f2_micro", "F2 over all labels of all samples", 2, "micro"),
        _f("f2_macro", "F2 of each label over all samples, mean over labels", 2, "macro"),
        _f_samples("f1_samples", 1),
        _f_samples("f2_samples", 2),
        Metric(
            "quadratic_kappa",
            True,
            "table",
            "quadratic weighted kappa of whole numbers, over all samples",
            whole=c.quadratic_kappa,
            whole_numbers=True,
        ),
        Metric("mae", False, "table", "absolute error, mean over columns and samples", regression.absolute_error),
        Metric(
            "mape",
            False,
            "table",
            "absolute error as a share of the truth, mean over columns and samples",
            regression.percentage_error,
            relative=True,
        ),
        Metric("rmse", False, "table", "root of the mean squared error, mean over columns", whole=regression.rmse),
        Metric(
            "rmsle", False, "table", "rmse of log(1 + value), mean over columns", whole=regression.rmsle, relative=True
        ),
        Metric("r2", True, "table", "coefficient of determination, mean over columns", whole=regression.r2),
    )
}
"""Every metric by name; add to it to make another one known."""


class Columns(Protocol):
    """Some columns of a table that are scored by themselves, and how much that counts."""

    @property
    def outputs(self) -> slice:
        """Which they are."""

    @property
    def weight(self) -> float:
        """All sum to 1."""


def weighted_mean(values: Floats, weights: Floats) -> Any:
    """The mean over the first axis of what is a number, by ``weights``; NaN where nothing is."""
    known = ~np.isnan(values)
    shares = np.where(known, weights.reshape(-1, *[1] * (values.ndim - 1)), 0.0)
    total = shares.sum(axis=0)
    found = (np.where(known, values, 0.0) * shares).sum(axis=0) / np.where(total > 0, total, np.nan)
    return found if found.ndim else float(found)


def of_each(metric: Metric, parts: Sequence[Columns]) -> Metric:
    """A metric of tables as the weighted mean over several targets, each of one class.

    Truth, 0 and 1, and predicted probabilities are (N, outputs); the columns of a part are the classes of one target.
    A target whose score is undefined, as an auc is where a class is absent, does not count.
    """
    if metric.kind != "table":
        raise ConfigError(
            f"the metric '{metric.name}' is of {metric.kind}, and there are several targets of a table",
            where="metric",
            expected="one of: " + ", ".join(sorted(name for name, m in METRICS.items() if m.kind == "table")),
        )

    def mean(function: Callable[..., Any], truth: Any, predicted: Any) -> Any:
        if np.shape(truth) != np.shape(predicted) or np.ndim(truth) != 2:
            raise DataError(f"truth of shape {np.shape(truth)}, prediction of shape {np.shape(predicted)}")
        both = [(np.asarray(truth)[:, p.outputs].argmax(axis=1), np.asarray(predicted)[:, p.outputs]) for p in parts]
        values = np.stack([np.asarray(function(*given), float) for given in both])
        weights = np.array([p.weight for p in parts])
        return weighted_mean(values, weights)

    return replace(
        metric,
        description=f"{metric.description}; mean over the targets",
        samples=partial(mean, metric.samples) if metric.samples else None,
        whole=partial(mean, metric.whole) if metric.whole else None,
    )


def get_metric(name: str, where: str = "metric", folder: Path | None = None, parts: Sequence[Columns] = ()) -> Metric:
    """The metric of that name; ``where`` says what names it.

    Args:
        name: One of `METRICS`; or a user's own, as ``path.py:function:max`` (or ``min``).
        where: The file and key that name it, for errors.
        folder: What a relative path is relative to; the current folder if none.
        parts: Several targets that it is the mean over, see `of_each`; none: there is one.

    Raises:
        ConfigError: listing the names, if there is none; or saying what is wrong with the user's own.
    """
    if parts:
        return of_each(get_metric(name, where, folder), parts)
    if name in METRICS:
        return METRICS[name]
    if ".py" in name:
        from podium.metrics.own import load

        return load(name, where, folder or Path())
    names = sorted(METRICS)
    raise ConfigError(
        f"no metric is called '{name}'",
        where=where,
        expected="one of: " + ", ".join(names) + "; or your own: path.py:function:max (or min)",
        remedy=nearest(name, names),
    )
