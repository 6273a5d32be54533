"""Thousands of attempts raced to their verdicts at once, by the formulas that `podium.ledger.verdict` uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from podium.ledger.simulate.worlds import Rng
from podium.ledger.verdict.formulas import (
    RULE,
    UNSURE,
    Floats,
    Rule,
    closed_terms,
    fold_stats,
    outcome,
    replicate_terms,
    summary,
)

Ints = npt.NDArray[Any]


@dataclass(frozen=True)
class Raced:
    """The verdicts of many attempts, shape (lanes,) each.

    Attributes:
        code: YES, UNSURE (final), SMALL, WORSE or LUCK.
        fold_runs: Trainings until the verdict; the folds that a YES still trains are not counted.
        gain: At the verdict.
        order: Of the folds, shape (lanes, K).
    """

    code: Ints
    fold_runs: Ints
    gain: Floats
    order: Ints


@dataclass(frozen=True)
class Field:
    """Attempts beside their parents, all fold runs drawn; values of shape (lanes, K, seeds, G)."""

    attempt: Floats
    parent: Floats


def noise_of(values: Floats) -> tuple[Floats, Floats, float]:
    """(numerator, denominator, df) of the run noise from replicates of shape (lanes, K, n, G)."""
    top, free = replicate_terms(values)
    folds = values.shape[-3]
    return top.sum(-1), np.full(top.shape[:-1], float(free * folds)), float(free * folds)


def race(field: Field, s2: Floats, df: Any, rng: Rng, rule: Rule = RULE) -> Raced:
    """Race each attempt over its folds in random order.

    Args:
        s2: Run noise as known before, shape (lanes,).
    """
    return race_folds(*_stats(field), s2, df, rng, rule)


def race_folds(d: Floats, v: Floats, c: Floats, s2: Floats, df: Any, rng: Rng, rule: Rule = RULE) -> Raced:
    """`race`, from what `fold_stats` says of each fold with 1, 2, … seeds of the attempt.

    Args:
        d, v, c: Gain, variance and run weight, shape (lanes, seeds, K).
    """
    lanes, seeds, k = d.shape
    order = rng.permuted(np.tile(np.arange(k), (lanes, 1)), axis=1)
    d, v, c = (np.take_along_axis(x, order[:, None], -1) for x in (d, v, c))
    code, runs, gain = np.zeros(lanes, np.int8), np.full(lanes, seeds * k), np.zeros(lanes)
    for look in range(1, seeds * k + 1):
        full, extra = divmod(look, k)
        m = min(look, k)
        with_seed = np.where(np.arange(m) < extra, full, full - 1) if full else np.zeros(m, int)
        now = with_seed, np.arange(m)
        found = summary(d[:, *now], v[:, *now], c[:, *now], s2, df)
        verdict, _ = outcome(*found, look >= k, rule)
        open_ = code == UNSURE
        done = open_ & (verdict != UNSURE)
        code[done], runs[done] = verdict[done], look
        gain[open_] = found[0][open_]
    return Raced(code, runs, gain, order)


def _stats(field: Field) -> tuple[Floats, Floats, Floats]:
    """(d, v, c) with 1, 2, … seeds of the attempt, shape (lanes, seeds, K)."""
    base = field.parent.mean(2)
    n = field.parent.shape[2]
    pairs = [fold_stats(field.attempt[:, :, : s + 1].mean(2) - base) for s in range(field.attempt.shape[2])]
    d, v = (np.stack([p[i] for p in pairs], 1) for i in (0, 1))
    c = np.empty_like(d)
    c[:] = (1 / np.arange(1, d.shape[1] + 1) + 1 / n)[None, :, None]
    return d, v, c


def closed_noise(field: Field, raced: Raced) -> tuple[Floats, Floats, Floats]:
    """(numerator, denominator, df) that each attempt, once over, gives the run noise; nothing below two folds."""
    d, v, c = (np.take_along_axis(x[:, 0], raced.order, -1) for x in _stats(field))
    top, bottom, free = np.zeros(len(d)), np.zeros(len(d)), np.zeros(len(d))
    for m in range(2, d.shape[1] + 1):
        has = np.minimum(raced.fold_runs, d.shape[1]) == m
        top[has], bottom[has], free[has] = closed_terms(d[has, :m], v[has, :m], c[has, :m])
    return top, bottom, free
