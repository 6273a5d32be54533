"""Classification: single-label (class numbers, shape (N,)) and multi-label (0 and 1, shape (N, L)).

Predictions are class numbers or probabilities; each function says which. Shapes and values that make no sense raise
`DataError`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from podium.errors import DataError
from podium.metrics.overlap import Floats
from podium.metrics.tables import Table, columns, indicators, labels

CLIP = 1e-15
"""Probabilities are kept this far from 0 and 1, as Kaggle does."""


def correct(truth: Table, predicted: Table) -> Floats:
    """1 for each sample whose class is right, else 0, shape (N,); multi-label: whose labels are all right."""
    if np.ndim(truth) == 2:
        true, guessed = indicators(truth, predicted)
        return np.asarray((true == guessed).all(axis=1), np.float64)
    classes, guesses = labels(truth, predicted)
    return np.asarray(classes == guesses, np.float64)


def precision_of_guesses(truth: Table, predicted: Table, k: int) -> Floats:
    """1/r of each sample whose class is the r-th likeliest of at most ``k`` guesses, 0 of the others, shape (N,).

    Of classes that are as likely the first counts as likelier, as in a submission; what has the probability 0 is no
    guess. The mean over samples is the mean average precision at k, since a sample has one class.

    Args:
        truth: Class numbers, shape (N,).
        predicted: Probabilities, shape (N, C), or class numbers, which are one guess.
    """
    if np.ndim(predicted) != 2:
        return correct(truth, predicted)
    true = labels(truth, predicted)[0]
    probs = np.asarray(predicted, np.float64)
    if true.min() < 0 or true.max() >= probs.shape[1]:
        raise DataError(f"class {true.max()} of {probs.shape[1]}", expected="class numbers from 0")
    own = np.take_along_axis(probs, true[:, None], axis=1)
    before = np.arange(probs.shape[1]) < true[:, None]
    rank = 1 + (probs > own).sum(axis=1) + ((probs == own) & before).sum(axis=1)
    return np.where((rank <= k) & (own[:, 0] > 0), 1 / rank, 0.0)


def balanced_accuracy(truth: Table, predicted: Table) -> float:
    """Mean over the classes present in the truth of the share of their samples that are right."""
    classes, guesses = labels(truth, predicted)
    return float(np.mean([(guesses[classes == c] == c).mean() for c in np.unique(classes)]))


def cross_entropy(truth: Table, predicted: Table) -> Floats:
    """Minus the natural logarithm of the probability given to what is true, of each sample, shape (N,).

    Probabilities are clipped to [1e-15, 1 - 1e-15].

    Args:
        truth: Class numbers, or 0 and 1 a label.
        predicted: Probabilities: (N, C) of classes, of which each row is divided by its sum first; (N,) of class 1;
            (N, L) of labels, over which the mean is taken.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted, np.float64)
    if truth.ndim == 1 and predicted.ndim == 2:
        return _cross_entropy_of_classes(truth, predicted)
    true, probs = columns(truth, predicted)
    if not np.isin(true, (0, 1)).all():
        raise DataError("the truth has values beside 0 and 1", expected="0 and 1, or one probability a class")
    probs = _clipped(probs)
    return np.asarray(-(true * np.log(probs) + (1 - true) * np.log1p(-probs)).mean(axis=1))


def auc(truth: Table, predicted: Table) -> float:
    """Area under the ROC curve, mean over the columns; ties count one half.

    A column whose truth is all 0 or all 1 has no such area and is left out; NaN if that is every one.

    Args:
        truth: 0 and 1, shape (N,) or (N, L); or class numbers, shape (N,).
        predicted: Scores, larger for 1, same shape; for class numbers (N, C), each class against the rest.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.ndim == 1 and predicted.ndim == 2:
        if predicted.shape[1] == 2:
            predicted = predicted[:, 1]
        else:
            truth = truth[:, None] == np.arange(predicted.shape[1])
    true, scores = columns(truth, predicted)
    if not np.isin(true, (0, 1)).all():
        raise DataError("the truth has values beside 0 and 1", expected="0 and 1, or one score a class")
    areas = [_area(t, s) for t, s in zip(true.T == 1, scores.T, strict=True)]
    known = [a for a in areas if not np.isnan(a)]
    return float(np.mean(known)) if known else float("nan")


def f_beta(
    truth: Table, predicted: Table, *, beta: float = 1.0, mean: Literal["binary", "micro", "macro", "samples"]
) -> float:
    """(1 + β²) TP / ((1 + β²) TP + β² FN + FP); 0 where there is neither truth nor prediction.

    Args:
        truth, predicted: Class numbers, or 0 and 1 a label; predicted probabilities are cut at one half.
        beta: How many times recall weighs as much as precision.
        mean: "binary": of class 1; "micro": over all counts together; "macro": mean over the classes that occur;
            "samples": mean over the samples.
    """
    if mean == "samples":
        return float(f_beta_samples(truth, predicted, beta=beta).mean())
    true, guessed = indicators(truth, predicted)
    if mean == "binary":
        classes, guesses = labels(truth, predicted)
        true, guessed = (classes == 1)[:, None], (guesses == 1)[:, None]
    axis = None if mean == "micro" else 0
    return float(np.mean(_f_beta(true, guessed, beta, axis)))


def f_beta_samples(truth: Table, predicted: Table, *, beta: float = 1.0) -> Floats:
    """`f_beta` of the labels of each sample, shape (N,)."""
    true, guessed = indicators(truth, predicted)
    return _f_beta(true, guessed, beta, 1)


def quadratic_kappa(truth: Table, predicted: Table) -> float:
    """Agreement of two ratings beyond chance: 1 - Σ w O / Σ w E with w = (i - j)², over all samples together.

    1 if both are the same constant. Predictions must be whole numbers: round them first, with tuned thresholds. Of
    probabilities of the classes, (N, C), the likeliest class counts.

    Source: Cohen 1968, Weighted kappa.
    """
    if np.ndim(truth) == 1 and np.ndim(predicted) == 2:
        predicted = np.asarray(predicted).argmax(axis=1)
    true, guessed = columns(truth, predicted)
    if true.shape[1] != 1 or (true % 1 != 0).any() or (guessed % 1 != 0).any():
        raise DataError("ratings are not whole numbers", expected="one whole number a sample")
    a, b = true[:, 0], guessed[:, 0]
    apart = ((a - b) ** 2).mean()
    expected = a.var() + b.var() + (a.mean() - b.mean()) ** 2  # the mean of (i - j)² over all pairs
    return float(1 - apart / expected) if expected else 1.0


def _cross_entropy_of_classes(truth: Table, probs: Floats) -> Floats:
    classes, _ = labels(truth, truth)
    if len(classes) != len(probs) or classes.min() < 0 or classes.max() >= probs.shape[1]:
        raise DataError(
            f"the prediction has shape {probs.shape}", expected=f"({len(classes)}, {classes.max() + 1}) or more columns"
        )
    whole = probs.sum(axis=1)
    if not np.isfinite(probs).all() or (whole <= 0).any():
        raise DataError("probabilities are not finite, or those of a sample sum to 0")
    return np.asarray(-np.log(_clipped(probs[np.arange(len(probs)), classes] / whole)))


def _clipped(probs: Floats) -> Floats:
    return np.clip(probs, CLIP, 1 - CLIP)


def _area(true: Table, scores: Floats) -> float:
    """The share of pairs of a 1 and a 0 that are in order (Mann and Whitney's U)."""
    positive, negative = int(true.sum()), int((~true).sum())
    if not positive or not negative:
        return float("nan")
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[index.reshape(-1)]
    return float((ranks[true].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _f_beta(true: Table, guessed: Table, beta: float, axis: int | None) -> Floats:
    hit = (true & guessed).sum(axis=axis)
    whole = beta**2 * true.sum(axis=axis) + guessed.sum(axis=axis)
    return np.asarray((1 + beta**2) * hit / np.where(whole > 0, whole, 1), np.float64)
