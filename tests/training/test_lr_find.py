"""The range test on losses whose answer is known, its steps on data, and its pictures."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from podium.errors import TrainingError
from podium.recipe import Recipe
from podium.training import lr_run
from podium.training.fold_run import FoldData
from podium.training.lr_find import DIVERGED, endless, judged, range_test, smoothed
from podium.training.lr_plot import to_svg, to_text


def curve(rate: float) -> float:
    """Flat, falls around 1e-3, lowest at about 1e-2, explodes from 0.1 on."""
    x = math.log10(rate)
    return 1 - 0.6 / (1 + math.exp(-4 * (x + 3))) + (30 * (x + 1.5) ** 2 if x > -1.5 else 0)


def test_it_finds_where_the_loss_falls_and_stops_where_it_explodes() -> None:
    asked = []

    def step(rate: float) -> float:
        asked.append(rate)
        return curve(rate) + 0.02 * math.sin(37 * len(asked))

    test = range_test(step, low=1e-7, high=10, steps=160)
    assert test.steepest == pytest.approx(1e-3, rel=0.6)
    assert 1e-3 < test.tenth < 5e-3
    assert test.suggestion == pytest.approx(min(test.steepest, test.tenth), rel=0.05)
    assert asked[-1] < 1
    assert test.losses[-1] > DIVERGED * test.smooth.min() / 2
    assert np.allclose(np.diff(np.log10(asked)), np.log10(asked[1] / asked[0]))


def test_real_gradient_descent() -> None:
    """f = w² / 2 by gradient descent: rates above 2 diverge, and what is suggested converges."""
    w = 5.0

    def step(rate: float) -> float:
        nonlocal w
        loss, w = w * w / 2, w - rate * w
        return loss

    test = range_test(step, low=1e-4, high=10, steps=100)
    assert 0.005 < test.suggestion < 1


def test_an_infinite_loss_ends_it() -> None:
    test = range_test(lambda rate: curve(rate) if rate < 0.05 else math.nan, low=1e-7, high=10, steps=100)
    assert test.rates[-1] < 0.05
    with pytest.raises(TrainingError, match="not finite after 0 steps"):
        range_test(lambda rate: math.inf)


@pytest.mark.parametrize("losses", [np.ones(50), np.linspace(1, 3, 50), np.linspace(1, 0.99, 50)])
def test_where_nothing_falls_nothing_is_suggested(losses: np.ndarray) -> None:
    with pytest.raises(TrainingError, match="fell at none of the rates from 1e-06 to 1e"):
        judged(np.geomspace(1e-6, 1, 50), losses)


def test_noise_alone_suggests_nothing_and_does_not_mislead() -> None:
    rng, rates = np.random.default_rng(0), np.geomspace(1e-7, 1, 100)
    with pytest.raises(TrainingError, match="more than batches differ"):
        judged(rates, 1 + 0.3 * rng.normal(size=100))
    for _ in range(20):
        losses = np.array([curve(rate) for rate in rates]) + 0.1 * rng.normal(size=100)
        assert 3e-5 < judged(rates, losses).suggestion < 1e-2


def test_smoothing_shifts_nothing() -> None:
    line = np.linspace(3, 1, 40)
    assert smoothed(line)[10:-10] == pytest.approx(line[10:-10], abs=1e-4)
    peak = np.zeros(41)
    peak[20] = 1
    assert smoothed(peak).argmax() == 20


def test_batches_without_end() -> None:
    batches = endless(lambda epoch: iter([epoch * 10, epoch * 10 + 1]))
    assert [next(batches) for _ in range(5)] == [10, 11, 20, 21, 30]


def test_steps_are_those_of_the_training_in_batches_of_its_own_size_and_clipped(
    fold_data: FoldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    sgd = [
        "optim.name=sgd",
        "optim.weight_decay=0",
        "train.batch_size=auto",
        "train.precision=fp32",
        "model.width=0.25",
        "model.depth=3",
    ]

    def losses(rate: float, *changes: str) -> list[float]:
        monkeypatch.setattr(lr_run, "range_test", lambda step, **_: [step(rate) for _ in range(3)])
        found: Any = lr_run.find_lr(fold_data, Recipe().with_overrides([*sgd, *changes]))
        return list(found)

    still, clipped = losses(0.0), losses(1.0, "train.clip_value=1e-12")
    assert clipped == pytest.approx(still, abs=1e-5)
    assert losses(1.0, "train.grad_clip=0.1", "train.clip_value=1e-12") == pytest.approx(still, abs=1e-5)
    assert losses(1.0)[1:] != pytest.approx(still[1:], abs=1e-3)


def test_pictures() -> None:
    test = range_test(curve, low=1e-7, high=10, steps=100)
    svg = ET.fromstring(to_svg(test, "lr-find: a < b & c"))
    texts = [e.text for e in svg.iter() if e.tag.endswith("text")]
    assert "lr-find: a < b & c" in texts
    assert f"steepest {test.steepest:.1e}" in texts
    assert "1e-4" in texts
    assert len([e for e in svg.iter() if e.tag.endswith("circle")]) == len(test.rates)
    text = to_text(test, 40, 10).splitlines()
    assert len(text) == 11
    assert all(len(line) <= 9 + 40 for line in text)
    assert sum(line.count("*") for line in text) == 40
