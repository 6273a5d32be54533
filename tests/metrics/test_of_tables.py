"""Classification and regression against scikit-learn, and by hand where it has another rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import DataError
from podium.metrics import get_metric

seeds = st.integers(0, 9999)
sklearn = pytest.importorskip("sklearn.metrics")


def score(name, truth, predicted):
    return get_metric(name).score(np.asarray(truth), np.asarray(predicted))


def multilabel(seed, rows=20, columns=4):
    rng = np.random.default_rng(seed)
    return rng.random((rows, columns)) < 0.4, rng.random((rows, columns)).round(1)


@given(seeds)
def test_single_label(seed):
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, rng.integers(1, 6), 25), rng.integers(0, 5, 25)
    assert score("accuracy", truth, guess) == pytest.approx(sklearn.accuracy_score(truth, guess))
    recalls = [(guess[truth == c] == c).mean() for c in set(truth.tolist())]
    assert score("balanced_accuracy", truth, guess) == pytest.approx(np.mean(recalls))
    for name, mean in (("f1_micro", "micro"), ("f1_macro", "macro")):
        assert score(name, truth, guess) == pytest.approx(sklearn.f1_score(truth, guess, average=mean))
    assert score("f2_macro", truth, guess) == pytest.approx(sklearn.fbeta_score(truth, guess, beta=2, average="macro"))
    one, other = truth == 1, guess == 1
    assert score("f1", one, other) == pytest.approx(sklearn.f1_score(one, other, zero_division=0))
    if len(set(truth.tolist()) | set(guess.tolist())) > 1:
        kappa = sklearn.cohen_kappa_score(truth, guess, labels=range(5), weights="quadratic")
        assert score("quadratic_kappa", truth, guess) == pytest.approx(kappa, abs=1e-12)


@given(seeds)
def test_probabilities_of_classes(seed):
    rng = np.random.default_rng(seed)
    truth, probs = rng.permutation(np.arange(24) % 4), rng.dirichlet(np.ones(4), 24)
    assert score("log_loss", truth, probs) == pytest.approx(sklearn.log_loss(truth, probs))
    assert score("log_loss", truth, 7 * probs) == pytest.approx(sklearn.log_loss(truth, probs))
    assert score("auc", truth, probs) == pytest.approx(sklearn.roc_auc_score(truth, probs, multi_class="ovr"))
    assert score("accuracy", truth, probs) == pytest.approx((probs.argmax(axis=1) == truth).mean())
    p = probs[:, 0].round(1).clip(0.05, 0.95)
    assert score("log_loss", truth == 0, p) == pytest.approx(sklearn.log_loss(truth == 0, p))
    assert score("auc", truth == 0, p) == pytest.approx(sklearn.roc_auc_score(truth == 0, p))
    assert score("auc", (truth == 0) * 1, np.stack([1 - p, p], 1)) == pytest.approx(score("auc", truth == 0, p))
    assert score("accuracy", (truth == 0) * 1, p) == pytest.approx(((p > 0.5) == (truth == 0)).mean())


@given(seeds)
def test_multi_label(seed):
    truth, probs = multilabel(seed)
    guess = probs > 0.5
    for beta in (1, 2):
        for mean in ("micro", "macro", "samples"):
            expected = sklearn.fbeta_score(truth, guess, beta=beta, average=mean, zero_division=0)
            assert score(f"f{beta}_{mean}", truth, probs) == pytest.approx(expected)
    assert score("accuracy", truth, probs) == pytest.approx(sklearn.accuracy_score(truth, guess))
    columns = [c for c in range(4) if 0 < truth[:, c].sum() < len(truth)]
    expected = np.mean([sklearn.roc_auc_score(truth[:, c], probs[:, c]) for c in columns])
    assert score("auc", truth, probs) == pytest.approx(expected)
    p = probs.clip(0.01, 0.99)
    expected = np.mean([sklearn.log_loss(truth[:, c], p[:, c], labels=[0, 1]) for c in range(4)])
    assert score("log_loss", truth * 1, p) == pytest.approx(expected)


@given(seeds)
def test_regression(seed):
    rng = np.random.default_rng(seed)
    truth, guess = rng.random((2, 15, 3)) * 100 + 0.1
    for name, of in (
        ("mae", sklearn.mean_absolute_error),
        ("mape", sklearn.mean_absolute_percentage_error),
        ("rmse", sklearn.root_mean_squared_error),
        ("rmsle", sklearn.root_mean_squared_log_error),
        ("r2", sklearn.r2_score),
    ):
        assert score(name, truth, guess) == pytest.approx(of(truth, guess))
        assert score(name, truth[:, 0], guess[:, 0]) == pytest.approx(of(truth[:, 0], guess[:, 0]))
        assert score(name, truth[:, :1], guess[:, 0]) == pytest.approx(of(truth[:, 0], guess[:, 0]))


@pytest.mark.parametrize(
    ("name", "truth", "predicted", "expected"),
    [
        (
            "log_loss",
            [1, 0],
            [0.0, 1.0],
            -(math.log(1e-15) + math.log1p(-(1 - 1e-15))) / 2,
        ),  # sure and wrong: clipped, not infinite
        ("log_loss", [0, 1], [[1.0, 0.0], [0.0, 1.0]], 0.0),
        ("auc", [0, 1, 1], [0.5, 0.5, 0.5], 0.5),
        ("auc", [[0, 1], [1, 1]], [[0.1, 0.3], [0.9, 0.4]], 1.0),  # the column without a 0 is left out
        ("auc", [1, 1], [0.1, 0.9], math.nan),
        ("f1_samples", [[0, 0], [1, 0]], [[0, 0], [1, 0]], 0.5),  # nothing there, nothing found: 0
        ("quadratic_kappa", [2, 2], [2, 2], 1.0),
        ("quadratic_kappa", [0, 4], [4, 0], -1.0),
        ("r2", [3, 3], [3, 3], 1.0),
        ("r2", [3, 3], [3, 4], 0.0),
        ("rmse", [[0, 0], [0, 0]], [[3, 0], [3, 2]], (3 + math.sqrt(2)) / 2),  # column by column
        ("rmsle", [0], [math.e - 1], 1.0),
        ("mape", [-10, 20], [-11, 20], 0.05),
    ],
)
def test_by_hand(name, truth, predicted, expected):
    assert score(name, truth, predicted) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "f2_samples", "mae", "mape"])
def test_per_sample_means_to_the_score(name):
    truth, probs = multilabel(1)
    truth, probs = (truth + 1.0, probs) if name in ("mae", "mape") else (truth, probs)
    metric = get_metric(name)
    values = metric.per_sample(truth, probs)
    assert values.shape == (20,)
    assert values.dtype == np.float64
    assert metric.aggregate(values) == metric.score(truth, probs)


@pytest.mark.parametrize(
    ("name", "truth", "predicted", "said"),
    [
        ("mae", [1, 2], [1], r"shape \(1, 1\).*\n.*\(2, 1\)"),
        ("mae", [1.0], [math.nan], "prediction has 1 values that are not finite"),
        ("mae", [], [], "at least one sample"),
        ("mape", [0, 1], [1, 1], "1 true values are 0"),
        ("rmsle", [1, 1], [-1, 1], "clip"),
        ("log_loss", [2, 0], [0.5, 0.5], "0 and 1"),
        ("log_loss", [0, 5], [[0.5, 0.5], [0.5, 0.5]], r"\(2, 6\)"),
        ("log_loss", [0, 1], [[0, 0], [0.5, 0.5]], "sum to 0"),
        ("auc", [0, 3], [0.1, 0.2], "0 and 1"),
        ("accuracy", [0.5, 1], [1, 1], "whole numbers"),
        ("quadratic_kappa", [0, 1], [0.4, 1], "whole numbers"),
        ("balanced_accuracy", [[0, 1]], [[1, 1]], "one class a sample"),
    ],
)
def test_what_makes_no_sense(name, truth, predicted, said):
    with pytest.raises(DataError, match=said):
        score(name, truth, predicted)


@given(seeds)
def test_average_precision_of_guesses(seed):
    """By the definition: the guesses in order, 1/r for the first that is right."""
    rng = np.random.default_rng(seed)
    truth, probs = rng.integers(0, 6, 9), rng.random((9, 6)).round(1)
    for k in (3, 5, 10):
        expected = []
        for t, p in zip(truth, probs, strict=True):
            guesses = sorted((c for c in range(6) if p[c] > 0), key=lambda c: (-p[c], c))[:k]
            expected.append(1 / (1 + guesses.index(t)) if t in guesses else 0.0)
        np.testing.assert_allclose(get_metric(f"map{k}").per_sample(truth, probs), expected)
    assert score("map5", truth, truth) == 1.0
    assert score("map5", truth, (truth + 1) % 6) == 0.0


def test_guesses_of_too_few_classes_are_refused():
    with pytest.raises(DataError, match="class 3 of 2"):
        score("map3", [0, 3], np.ones((2, 2)))
