"""Metrics against hand-worked cases and against the pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from podium.errors import ConfigError
from podium.metrics import METRICS, Counts, get_metric
from podium.metrics.registry import KINDS

GOLDEN = [
    # intersection, predicted, truth, dice, iou, tgs_iou
    (0, 0, 0, 1.0, 1.0, 1.0),
    (0, 5, 0, 0.0, 0.0, 0.0),
    (0, 0, 5, 0.0, 0.0, 0.0),
    (4, 4, 4, 1.0, 1.0, 1.0),
    (0, 3, 4, 0.0, 0.0, 0.0),
    (2, 4, 2, 2 / 3, 0.5, 0.0),  # IoU is exactly 0.50: not above the first threshold
    (2, 2, 4, 2 / 3, 0.5, 0.0),
    (11, 20, 11, 22 / 31, 0.55, 0.1),  # above 0.50 only, 0.55 itself does not count
    (19, 20, 19, 38 / 39, 0.95, 0.9),
    (3, 4, 3, 6 / 7, 0.75, 0.5),
    (99, 100, 99, 198 / 199, 0.99, 1.0),
    (7, 10, 7, 14 / 17, 0.7, 0.4),  # 0.7 is not representable: whole numbers decide, not rounding
]


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize(("column", "name"), [(3, "dice"), (4, "iou"), (5, "tgs_iou")])
def test_by_hand(case, column, name):
    values = get_metric(name).per_sample(Counts.of([case[:3]]))
    assert values.dtype == np.float64
    assert values[0] == pytest.approx(case[column], abs=1e-15)


@given(st.data())
@settings(deadline=None)
def test_against_the_pixels(data):
    shape = (data.draw(st.integers(1, 6)), 5, 7)
    predicted = data.draw(hnp.arrays(np.bool_, shape))
    truth = data.draw(hnp.arrays(np.bool_, shape)) | (data.draw(st.booleans()) & predicted)
    counts = Counts.of(
        [(int((p & t).sum()), int(p.sum()), int(t.sum())) for p, t in zip(predicted, truth, strict=True)]
    )
    got = {name: get_metric(name).per_sample(counts) for name in ("iou", "dice", "tgs_iou")}
    assert get_metric("iou").score(counts) == got["iou"].mean()
    both, either = Fraction(int((predicted & truth).sum())), Fraction(int((predicted | truth).sum()))
    pooled = both / either if either else Fraction(1)
    assert get_metric("iou_pooled").score(counts) == pytest.approx(float(pooled), abs=1e-15)
    assert get_metric("dice_pooled").score(counts) == pytest.approx(float(2 * pooled / (1 + pooled)), abs=1e-15)
    for i, (p, t) in enumerate(zip(predicted, truth, strict=True)):
        both, either = Fraction(int((p & t).sum())), Fraction(int((p | t).sum()))
        ratio = both / either if either else Fraction(1)
        assert got["iou"][i] == pytest.approx(float(ratio), abs=1e-15)
        assert got["dice"][i] == pytest.approx(float(2 * ratio / (1 + ratio)), abs=1e-15)
        passed = sum(ratio > Fraction(50 + 5 * k, 100) for k in range(10)) / 10
        assert got["tgs_iou"][i] == (passed if t.any() else float(not p.any()))


def test_every_metric_names_itself_its_kind_and_its_direction():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.description
        assert metric.kind in KINDS
        assert metric.better(1.0, 0.5) == metric.greater_is_better
        assert metric.aggregate(np.array([0.0, 1.0, 0.5])) == 0.5
        assert np.isnan(metric.aggregate(np.array([])))
        if metric.kind == "overlap" and metric.mean_over_samples:
            assert metric.per_sample(Counts.of([])).shape == (0,)
            assert np.isnan(metric.score(Counts.of([])))
        if not metric.mean_over_samples:
            with pytest.raises(ConfigError, match=f"'{name}' is of all samples together"):
                metric.per_sample()


def test_less_is_better():
    assert {n for n, m in METRICS.items() if not m.greater_is_better} == {"log_loss", "mae", "mape", "rmse", "rmsle"}


def test_a_miss_lists_the_names():
    with pytest.raises(ConfigError, match=r"(?s)auc, .*dice, .*iou.*path.py:function.*did you mean 'dice'"):
        get_metric("dicee")
