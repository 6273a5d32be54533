"""Temperatures, thresholds of labels, ratings: by hand, by scipy and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from podium.data.adjust import rated, shifted, tempered
from podium.metrics import METRICS

share = st.floats(0.01, 0.99)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5), st.floats(0.2, 5))
def test_temperature_divides_the_logits(logits: list[float], temperature: float) -> None:
    found = tempered(softmax([logits], axis=1), temperature, exclusive=True)
    np.testing.assert_allclose(found, softmax(np.divide([logits], temperature), axis=1), atol=1e-6)


def test_temperature_of_labels_by_hand() -> None:
    """Odds of 4 : 1 are 2 : 1 at a temperature of 2."""
    np.testing.assert_allclose(tempered(np.array([[0.8, 0.5]]), 2, exclusive=False), [[2 / 3, 0.5]])


@given(share, share, share)
def test_a_threshold_comes_to_be_one_half_and_the_order_stays(p: float, q: float, t: float) -> None:
    a, b = shifted(np.array([[p], [q]]), t)[:, 0]
    assert (a > 0.5) == (p > t)
    assert (a < b) == (p < q) or a == pytest.approx(b)
    assert 0 <= a <= 1


def test_thresholds_of_each_label() -> None:
    found = shifted(np.array([[0.3, 0.3]]), [0.2, 0.4])
    assert (found > 0.5).tolist() == [[True, False]]
    assert METRICS["f1_micro"].score(np.array([[1, 0]]), found) == 1


def test_ratings_by_hand() -> None:
    assert rated(np.array([-1, 0.4, 0.5, 1.7, 9]), [0.5, 1.5, 2.5], 1).tolist() == [1, 1, 2, 3, 4]
