"""From the predictions of several members to one: means by shares, logistic and linear stacking, boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from podium.ensemble.shares import Shares
from podium.errors import ConfigError
from podium.training.losses import Kind

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

EDGE = 1e-6
RIDGE = 1e-2
"""How strongly the weights of a stack are pulled to those of the plain mean."""


class Combiner(Protocol):
    """Makes one prediction of several."""

    def __call__(self, values: Floats) -> Floats:
        """Of a table: (M, N, outputs) to (N, outputs)."""


@dataclass(frozen=True)
class Mean:
    """The mean by shares."""

    shares: Shares

    def __call__(self, values: Floats) -> Floats:
        return np.asarray(np.tensordot(self.shares / self.shares.sum(), values, axes=1))

    def pixels(self, planes: Sequence[Pixels]) -> Pixels:
        """8-bit probabilities of any shape, rounded half up: the same bits in whatever order they come."""
        parts = int(self.shares.sum())
        total = np.zeros(planes[0].shape, np.int32)
        for share, plane in zip(self.shares, planes, strict=True):
            if share:
                total += plane * np.int32(share)
        return np.asarray((2 * total + parts) // (2 * parts), np.uint8)


@dataclass(frozen=True)
class Stack:
    """A weighted sum of the members' logits (classes, labels) or numbers, and a constant of each output.

    Attributes:
        weights: >= 0, (M,).
        constant: (outputs,).
    """

    kind: Kind
    weights: Floats
    constant: Floats

    @classmethod
    def fit(cls, kind: Kind, values: Floats, target: Floats) -> Stack:
        """The least cross-entropy, or squared error, with weights that are not negative.

        Args:
            values: (M, N, outputs).
            target: (N, outputs): 0 and 1, or numbers.

        Source: Wolpert 1992, Stacked generalization; the constraint as Breiman 1996.
        """
        from scipy.optimize import minimize

        members, _, outputs = values.shape
        spread = 1.0 if kind != "values" else float(target.std()) or 1.0
        middle = np.zeros(outputs) if kind != "values" else target.mean(axis=0)
        x, y = (values if kind == "values" else _logits(values, kind)), target
        if kind == "values":
            x, y = (x - middle) / spread, (y - middle) / spread
        start = np.concatenate([np.full(members, 1 / members), np.zeros(outputs)])

        def loss(p: Floats) -> tuple[float, Floats]:
            score = np.tensordot(p[:members], x, axes=1) + p[members:]
            value, slope = _loss(kind, score, y)
            away = p - start
            grad = np.concatenate([np.tensordot(x, slope, axes=([1, 2], [0, 1])), slope.sum(axis=0)])
            return value + RIDGE * float(away @ away) / 2, grad + RIDGE * away

        bounds = [(0.0, None)] * members + [(None, None)] * outputs
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
        weights, constant = np.asarray(found.x[:members]), np.asarray(found.x[members:])
        if kind == "values":
            constant = middle + spread * constant - weights.sum() * middle
        return cls(kind, weights, constant)

    def __call__(self, values: Floats) -> Floats:
        x = values if self.kind == "values" else _logits(values, self.kind)
        score = np.tensordot(self.weights, x, axes=1) + self.constant
        if self.kind == "values":
            return score
        return _softmax(score) if self.kind == "labels" else np.asarray(1 / (1 + np.exp(-score)))


@dataclass(frozen=True)
class Boost:
    """Trees on the predictions of all members, by LightGBM."""

    kind: Kind
    models: list[Any]

    @classmethod
    def fit(cls, kind: Kind, values: Floats, target: Floats) -> Boost:
        """Small trees, slowly: what there is to be learnt above a mean is little.

        Args:
            values: (M, N, outputs).
            target: (N, outputs).

        Raises:
            ConfigError: if LightGBM is not installed.
        """
        try:
            import lightgbm
        except ImportError:
            raise ConfigError(
                "LightGBM is not installed", where="--weights boost", remedy="pip install 'podium[boost]'"
            ) from None
        x = _features(values)
        how: dict[str, Any] = {
            "n_estimators": 150,
            "learning_rate": 0.04,
            "num_leaves": 7,
            "min_child_samples": max(5, len(x) // 50),
        }
        how |= {"subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.8, "reg_lambda": 5.0}
        how |= {"random_state": 0, "n_jobs": 1, "verbose": -1, "deterministic": True, "force_row_wise": True}
        if kind == "labels":
            return cls(kind, [lightgbm.LGBMClassifier(**how).fit(x, target.argmax(axis=1))])
        kind_of = lightgbm.LGBMRegressor if kind == "values" else lightgbm.LGBMClassifier
        columns = target.T if kind == "values" else target.T > 0.5
        return cls(kind, [kind_of(**how).fit(x, column) for column in columns])

    def __call__(self, values: Floats) -> Floats:
        x, outputs = _features(values), values.shape[2]
        if self.kind == "values":
            return np.stack([m.predict(x) for m in self.models], axis=1)
        if self.kind == "labels":
            found = np.zeros((len(x), outputs))  # a class that a fold has none of is never predicted
            found[:, self.models[0].classes_] = self.models[0].predict_proba(x)
            return found
        return np.stack([_probability(m, x) for m in self.models], axis=1)


def _probability(model: Any, x: Floats) -> Floats:
    """Of a label's being there; of one that always or never is, just that."""
    found = np.asarray(model.predict_proba(x), np.float64)
    return found[:, 1] if found.shape[1] == 2 else np.full(len(x), float(model.classes_[0]))


def _features(values: Floats) -> Floats:
    return np.moveaxis(values, 0, 1).reshape(values.shape[1], -1)


def _logits(values: Floats, kind: Kind) -> Floats:
    p = np.clip(np.asarray(values, np.float64), EDGE, 1 - EDGE)
    return np.asarray(np.log(p) if kind == "labels" else np.log(p) - np.log1p(-p))


def _softmax(score: Floats) -> Floats:
    powers = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _loss(kind: Kind, score: Floats, y: Floats) -> tuple[float, Floats]:
    """(mean loss, its slope by the score) of a batch."""
    n = len(y)
    if kind == "values":
        off = score - y
        return float((off**2).sum()) / (2 * n), off / n
    if kind == "labels":
        p = _softmax(score)
        return float(-(y * np.log(np.maximum(p, 1e-300))).sum()) / n, (p - y) / n
    p = 1 / (1 + np.exp(-score))
    return float((np.logaddexp(0, score) - y * score).sum()) / n, (p - y) / n
