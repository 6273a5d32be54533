"""What learns from features: ridge or logistic regression, or the boosted trees of LightGBM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from podium.models.features import BoostedTrees, Floats, FrozenFeatures, LinearLearner, lightgbm
from podium.progress import say
from podium.training.losses import Kind

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""C of the logistic regressions that are tried; ridge tries their inverse. The rows are standardised."""

UNTRIED = 1e-2
"""C where there are no groups to choose it by."""

TREES: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 191,
    "max_depth": 7,
    "feature_fraction": 0.46,
    "bagging_fraction": 0.69,
    "bagging_freq": 1,
    "verbose": -1,
    "num_threads": 0,
    "deterministic": True,
    "force_row_wise": True,
}
"""As published, but that bagging is switched on. Source: github.com/alexander-rakhlin/ICIAR2018, train_lgbm.py."""

ROUNDS = 70


@dataclass(frozen=True)
class Rows:
    """What a learner is fitted on; the rows of one sample, its variants, stand together.

    Attributes:
        features: (N, F).
        targets: (N, outputs), encoded as the task has them.
        groups: Rows that must not be parted when a setting is chosen, (N,).
    """

    features: Floats
    targets: Floats
    groups: NDArray[np.int64]


def fit(model: FrozenFeatures, rows: Rows, kind: Kind, seed: int, parts: Sequence[slice] = ()) -> None:
    """Fit the learner of a model, by `model.learner`.

    Args:
        kind: Of the task: planes, labels or values.
        seed: Of the boosted trees.
        parts: The outputs of each of several targets, which are learnt one by one; none: there is one.
    """
    each = [Rows(rows.features, rows.targets[:, of], rows.groups) for of in parts or [slice(None)]]
    if isinstance(model.learner, LinearLearner):
        _fit_linear(model.learner, each, kind)
    else:
        assert isinstance(model.learner, BoostedTrees)
        model.learner.models = [
            [trees for part in each for trees in _boosted(part, kind, seed + n)]
            for n in range(model.config.learner_seeds)
        ]


def _fit_linear(learner: LinearLearner, each: Sequence[Rows], kind: Kind) -> None:
    """Ridge or logistic regression on standardised features, of the targets of each of ``each``."""
    features = each[0].features
    mean, sd = features.mean(0), features.std(0)
    sd = np.where(sd > 1e-6, sd, 1).astype(np.float32)
    x = (features - mean) / sd
    found = [_fitted(x, rows, kind) for rows in each]
    weight, bias = (np.concatenate(values) for values in zip(*found, strict=True))
    with torch.no_grad():
        for tensor, values in (
            *((learner.mean, mean), (learner.sd, sd)),
            *((learner.linear.weight, weight), (learner.linear.bias, bias)),
        ):
            tensor.copy_(torch.from_numpy(np.asarray(values, np.float32)))


def _fitted(x: Floats, rows: Rows, kind: Kind) -> tuple[Floats, Floats]:
    """Weights and biases of standardised features, the strength chosen on a third of the groups left out."""
    outside = rows.groups % 3 == 0
    strength = UNTRIED
    if outside.any() and not outside.all() and _all_known(rows.targets[~outside], kind):
        errors = [
            _error(_solve(x[~outside], rows.targets[~outside], kind, s), x[outside], rows.targets[outside], kind)
            for s in STRENGTHS
        ]
        strength = STRENGTHS[int(np.argmin(errors))]
    say(f"  linear model on {x.shape[1]} features of {len(x)} rows, strength {strength:g}")
    return _solve(x, rows.targets, kind, strength)


def _all_known(targets: Floats, kind: Kind) -> bool:
    """Whether each class is there to be learnt from."""
    if kind == "values":
        return True
    several = bool((targets > 0.5).any(0).all())
    return several and (kind == "labels" or bool((targets <= 0.5).any(0).all()))


def _solve(x: Floats, y: Floats, kind: Kind, strength: float) -> tuple[Floats, Floats]:
    """Weights (outputs, F) and biases (outputs,)."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if kind == "values":
        ridge = Ridge(alpha=1 / strength).fit(x, y)
        return np.atleast_2d(ridge.coef_), np.atleast_1d(ridge.intercept_)
    outputs = y.shape[1]
    weight, bias = np.zeros((outputs, x.shape[1]), np.float32), np.zeros(outputs, np.float32)
    classes = y.argmax(1)
    for k in range(1 if kind == "labels" else outputs):
        target = classes if kind == "labels" else (y[:, k] > 0.5).astype(int)
        present = np.unique(target)
        if len(present) == 1:  # nothing to tell apart
            bias[k if kind == "planes" else present[0]] = 10.0 if kind == "labels" or present[0] else -10.0
            continue
        found = LogisticRegression(C=strength, max_iter=500).fit(x, target)
        if kind == "planes":
            weight[k], bias[k] = found.coef_[0], found.intercept_[0]
        elif len(present) == 2:
            bias[:] = -30.0
            weight[present[1]], bias[present[0]], bias[present[1]] = found.coef_[0], 0.0, found.intercept_[0]
        else:
            bias[:] = -30.0  # classes that are not there
            weight[present], bias[present] = found.coef_, found.intercept_
    return weight, bias


def _error(solution: tuple[Floats, Floats], x: Floats, y: Floats, kind: Kind) -> float:
    return mean_loss(x @ solution[0].T + solution[1], y, kind)


def mean_loss(out: NDArray[Any], y: NDArray[Any], kind: Kind) -> float:
    """Mean squared error of values, mean log-loss of the logits of classes; both (N, outputs)."""
    if kind == "values":
        return float(((out - y) ** 2).mean())
    if kind == "planes":
        return float((np.logaddexp(0, out) - y * out).mean())
    return float((np.logaddexp.reduce(out, axis=1) - (out * y).sum(1)).mean())


def _boosted(rows: Rows, kind: Kind, seed: int) -> list[Any]:
    """One ensemble for all classes, or one an output."""
    library, outputs = lightgbm(), rows.targets.shape[1]
    settings = TREES | {"seed": seed}
    if kind == "labels":
        data = library.Dataset(rows.features, rows.targets.argmax(1))
        return [library.train(settings | {"objective": "multiclass", "num_class": outputs}, data, ROUNDS)]
    objective = "regression" if kind == "values" else "binary"
    ensembles = []
    for k in range(outputs):
        target = rows.targets[:, k] if kind == "values" else (rows.targets[:, k] > 0.5).astype(np.float32)
        data = library.Dataset(rows.features, target)
        ensembles.append(library.train(settings | {"objective": objective}, data, ROUNDS))
    return ensembles
