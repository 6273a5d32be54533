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
    """A weighted sum of the members' logits (classes, labels, pixels) or numbers, and a constant of each output.

    Attributes:
        weights: >= 0, (M,).
        constant: (outputs,).
        edge: Probabilities are kept so far from 0 and 1.
    """

    kind: Kind
    weights: Floats
    constant: Floats
    edge: float = EDGE

    @classmethod
    def fit(
        cls,
        kind: Kind,
        values: Floats,
        target: Floats,
        *,
        counts: Floats | None = None,
        edge: float = EDGE,
        ridge: float = RIDGE,
    ) -> Stack:
        """The least cross-entropy, or squared error, with weights that are not negative: logistic, linear regression.

        Args:
            values: (M, N, outputs).
            target: (N, outputs): 0 and 1, or numbers.
            counts: How many each of the N stands for, (N,).
            ridge: How strongly weights are pulled to those of the plain mean.

        Source: Wolpert 1992, Stacked generalization; the constraint as Breiman 1996.
        """
        from scipy.optimize import minimize

        members, _, outputs = values.shape
        spread = 1.0 if kind != "values" else float(target.std()) or 1.0
        middle = np.zeros(outputs) if kind != "values" else target.mean(axis=0)
        x, y = (values if kind == "values" else _logits(values, kind, edge)), target
        share = None if counts is None else counts[:, None] * (len(counts) / counts.sum())
        if kind == "values":
            x, y = (x - middle) / spread, (y - middle) / spread
        start = np.concatenate([np.full(members, 1 / members), np.zeros(outputs)])

        def loss(p: Floats) -> tuple[float, Floats]:
            score = np.tensordot(p[:members], x, axes=1) + p[members:]
            value, slope = _loss(kind, score, y, share)
            away = p - start
            grad = np.concatenate([np.tensordot(x, slope, axes=([1, 2], [0, 1])), slope.sum(axis=0)])
            return value + ridge * float(away @ away) / 2, grad + ridge * away

        bounds = [(0.0, None)] * members + [(None, None)] * outputs
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
        weights, constant = np.asarray(found.x[:members]), np.asarray(found.x[members:])
        if kind == "values":
            constant = middle + spread * constant - weights.sum() * middle
        return cls(kind, weights, constant, edge)

    def __call__(self, values: Floats) -> Floats:
        x = values if self.kind == "values" else _logits(values, self.kind, self.edge)
        score = np.tensordot(self.weights, x, axes=1) + self.constant
        if self.kind == "values":
            return score
        return _softmax(score) if self.kind == "labels" else np.asarray(1 / (1 + np.exp(-score)))

    def pixels(self, planes: Sequence[Pixels]) -> Pixels:
        """8-bit probabilities (H, W, outputs) of each member, put together."""
        of_level = _logits(np.arange(256) / 255, self.kind, self.edge).astype(np.float32)
        score = np.zeros(planes[0].shape, np.float32) + self.constant.astype(np.float32)
        for weight, plane in zip(self.weights, planes, strict=True):
            if weight:
                score += (np.float32(weight) * of_level)[plane]
        found = _softmax(score) if self.kind == "labels" else 1 / (1 + np.exp(-score))
        return np.asarray(np.rint(255 * found), np.uint8)


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


@dataclass(frozen=True)
class Each:
    """A combiner for each of several targets, of which every sample has one class: its outputs still sum to 1.

    Attributes:
        outputs: Of each target.
    """

    outputs: list[slice]
    combiners: list[Stack | Boost]

    @classmethod
    def fit(cls, kind: type[Stack | Boost], outputs: Sequence[slice], values: Floats, target: Floats) -> Each:
        """One for each target, of what is predicted for it: ``values`` (M, N, outputs), ``target`` (N, outputs)."""
        return cls(list(outputs), [kind.fit("labels", values[:, :, of], target[:, of]) for of in outputs])

    def __call__(self, values: Floats) -> Floats:
        each = zip(self.outputs, self.combiners, strict=True)
        return np.concatenate([combiner(values[:, :, of]) for of, combiner in each], axis=1)


def _probability(model: Any, x: Floats) -> Floats:
    """Of a label's being there; of one that always or never is, just that."""
    found = np.asarray(model.predict_proba(x), np.float64)
    return found[:, 1] if found.shape[1] == 2 else np.full(len(x), float(model.classes_[0]))


def _features(values: Floats) -> Floats:
    return np.moveaxis(values, 0, 1).reshape(values.shape[1], -1)


def _logits(values: Floats, kind: Kind, edge: float) -> Floats:
    p = np.clip(np.asarray(values, np.float64), edge, 1 - edge)
    return np.asarray(np.log(p) if kind == "labels" else np.log(p) - np.log1p(-p))


def _softmax(score: Any) -> Any:
    """Over the last axis."""
    powers = np.exp(score - score.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _loss(kind: Kind, score: Floats, y: Floats, share: Floats | None = None) -> tuple[float, Floats]:
    """(mean loss, its slope by the score) of a batch.

    Args:
        share: How much each row counts, (N, 1), the mean 1.
    """
    s: Any = (1.0 if share is None else share) / len(y)
    if kind == "values":
        off = score - y
        return float((s * off**2).sum()) / 2, s * off
    if kind == "labels":
        p = _softmax(score)
        return float(-(s * y * np.log(np.maximum(p, 1e-300))).sum()), s * (p - y)
    p = 1 / (1 + np.exp(-score))
    return float((s * (np.logaddexp(0, score) - y * score)).sum()), s * (p - y)
