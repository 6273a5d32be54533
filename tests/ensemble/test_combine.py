"""Stacks and trees: they find what was planted, and honest scores stay honest."""

from __future__ import annotations

import numpy as np
import pytest

from podium.ensemble.blend import weights_of
from podium.ensemble.combine import Boost, Each, Mean, Stack
from podium.ensemble.survey import Survey


def labels(seed: int, n: int = 400, noise: tuple[float, ...] = (1.0, 2.0, 30.0)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (n, 1)).astype(float)
    logits = np.stack([2 * truth - 1 + rng.normal(0, s, truth.shape) for s in noise])
    return 1 / (1 + np.exp(-logits)), truth


def loss(p: np.ndarray, y: np.ndarray) -> float:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())


@pytest.mark.parametrize("kind", [Stack, Boost])
def test_a_stack_beats_the_mean_on_samples_it_has_not_seen(kind: type) -> None:
    (x, y), (new, truth) = labels(0), labels(1)
    fitted = kind.fit("planes", x, y)
    assert loss(fitted(new), truth) < loss(Mean(np.ones(3, np.int64))(new), truth)


def test_a_stack_weighs_those_that_know() -> None:
    weights = Stack.fit("planes", *labels(0)).weights
    assert weights[0] > weights[1] > weights[2]
    assert weights.min() >= 0


def test_a_stack_of_numbers_finds_the_mixture_and_the_constant() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(50, 10, (3, 400, 1))
    y = 0.6 * x[0] + 0.3 * x[2] + 7
    fitted = Stack.fit("values", x, y)
    np.testing.assert_allclose(fitted(x), y, atol=0.6)
    np.testing.assert_allclose(fitted.weights, [0.6, 0, 0.3], atol=0.05)


@pytest.mark.parametrize("kind", [Stack, Boost])
def test_probabilities_of_classes_sum_to_one(kind: type) -> None:
    rng = np.random.default_rng(0)
    truth = np.eye(4)[rng.integers(0, 3, 200)]  # the fourth class never occurs
    powers = np.exp(truth * 2 + rng.normal(0, 1, (2, 200, 4)))
    x = powers / powers.sum(2, keepdims=True)
    found = kind.fit("labels", x, truth)(x)
    np.testing.assert_allclose(found.sum(1), 1)
    assert (found.argmax(1) == truth.argmax(1)).mean() > 0.8


@pytest.mark.parametrize("kind", [Stack, Boost])
def test_several_targets_are_stacked_one_by_one(kind: type) -> None:
    rng = np.random.default_rng(0)
    targets = [np.eye(n)[rng.integers(0, n, 300)] for n in (3, 2)]
    noisy = [np.exp(t * 2 + rng.normal(0, 1, (2, *t.shape))) for t in targets]
    x = np.concatenate([powers / powers.sum(2, keepdims=True) for powers in noisy], axis=2)
    truth, outputs = np.concatenate(targets, axis=1), [slice(0, 3), slice(3, 5)]
    both = Each.fit(kind, outputs, x, truth)
    found = both(x)
    for of in outputs:
        np.testing.assert_allclose(found[:, of].sum(1), 1)
        np.testing.assert_array_equal(found[:, of], kind.fit("labels", x[:, :, of], truth[:, of])(x[:, :, of]))
    weights = weights_of(both)
    assert (weights is None) == (kind is Boost)
    assert weights is None or weights == pytest.approx(np.mean([c.weights for c in both.combiners], axis=0))


def test_trees_of_a_label_that_never_occurs() -> None:
    x = np.random.default_rng(0).random((2, 50, 2))
    truth = np.stack([(x[0, :, 0] > 0.5), np.zeros(50)], 1).astype(float)
    found = Boost.fit("planes", x, truth)(x)
    assert found[:, 1].max() < 1e-9


def test_correlation_and_disagreement_are_numpys() -> None:
    rng = np.random.default_rng(0)
    predicted, survey = rng.random((3, 90)), Survey(3)
    for fold in range(3):
        own = predicted[:, 30 * fold : 30 * fold + 30]
        survey.add(fold, own, rng.random(30), own > 0.5)
    np.testing.assert_allclose(survey.correlation, np.corrcoef(predicted))
    hard = predicted > 0.5
    assert survey.disagreement[0, 2] == pytest.approx((hard[0] != hard[2]).mean())
    assert survey.disagreement[1, 1] == 0
    gram, _ = survey.least_squares(but=1)
    kept = np.delete(predicted, slice(30, 60), axis=1)
    np.testing.assert_allclose(gram, kept @ kept.T)


@pytest.mark.parametrize("counted", [False, True])
def test_a_stack_is_the_logistic_regression_of_scikit_learn(counted: bool) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = labels(0, noise=(1.0, 1.5, 2.0))
    counts = np.random.default_rng(3).integers(1, 9, len(y)).astype(float) if counted else None
    found = Stack.fit("planes", x, y, counts=counts, ridge=0.0)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    logits = np.log(x / (1 - x))[:, :, 0].T
    theirs.fit(logits, y[:, 0], sample_weight=counts)
    assert theirs.coef_.min() > 0
    np.testing.assert_allclose(found.weights, theirs.coef_[0], atol=2e-3)
    np.testing.assert_allclose(found.constant, theirs.intercept_, atol=2e-3)
    np.testing.assert_allclose(found(x)[:, 0], theirs.predict_proba(logits)[:, 1], atol=1e-3)


@pytest.mark.parametrize("kind", ["planes", "labels"])
def test_pixels_are_put_together_as_values_are(kind: str) -> None:
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, (3, 7, 5, 2)).astype(np.uint8)
    stack = Stack(kind, np.array([0.7, 0.0, 0.5]), np.array([0.3, -0.2]), 0.5 / 255)  # type: ignore[arg-type]
    values = stack(planes.reshape(3, 35, 2) / 255)
    assert np.abs(stack.pixels(list(planes)).reshape(35, 2).astype(float) - 255 * values).max() < 0.51
