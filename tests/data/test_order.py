"""The samples of an epoch: each once by default, whatever is asked for otherwise, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.data.order import Hardness, batch_key, class_weights, epoch_rows, epoch_size
from podium.errors import ConfigError
from podium.recipe import Recipe, SamplingConfig

ROWS = np.arange(100, 117)


@given(seed=st.integers(0, 2**31), epoch=st.integers(1, 1000))
def test_by_default_each_once_in_the_order_of_the_epoch(seed: int, epoch: int) -> None:
    found = epoch_rows(ROWS, SamplingConfig(), seed, epoch)
    assert sorted(found) == sorted(ROWS)
    assert (found == ROWS[np.random.default_rng([seed, epoch]).permutation(len(ROWS))]).all()


@given(size=st.integers(1, 60), epochs=st.integers(1, 12), seed=st.integers(0, 99))
def test_without_replacement_none_comes_twice_before_all_came_once(size: int, epochs: int, seed: int) -> None:
    config = SamplingConfig(per_epoch=size)
    drawn = np.concatenate([epoch_rows(ROWS, config, seed, e) for e in range(1, epochs + 1)])
    assert len(drawn) == size * epochs
    for start in range(0, len(drawn) - len(ROWS) + 1, len(ROWS)):
        assert sorted(drawn[start : start + len(ROWS)]) == sorted(ROWS)


def test_with_replacement_by_weights() -> None:
    config = SamplingConfig(per_epoch=20_000, replacement=True)
    assert epoch_size(17, config) == 20_000
    weights = np.zeros(17)
    weights[3], weights[5] = 1, 3
    found = epoch_rows(ROWS, config, 0, 1, weights)
    assert set(found) == {103, 105}
    assert (found == 105).mean() == pytest.approx(0.75, abs=0.02)
    assert (found == epoch_rows(ROWS, config, 0, 1, weights)).all()
    assert (found != epoch_rows(ROWS, config, 0, 2, weights)).any()


def test_what_seeds_augmentation_differs_where_samples_repeat() -> None:
    assert batch_key(SamplingConfig(), 7, 3) == 7
    keys = {batch_key(SamplingConfig(replacement=True), e, b) for e in range(50) for b in range(50)}
    assert len(keys) == 2500


def test_rare_classes_come_more_often() -> None:
    presence = np.zeros((100, 2), bool)
    presence[:90, 0] = True
    presence[85:95, 1] = True  # five have both, five have none
    weights = class_weights(presence, 1.0)
    assert weights.mean() == pytest.approx(1)
    assert len({round(w, 9) for w in weights[85:95]}) == 1
    assert weights[85] / weights[0] == pytest.approx(0.9 / 0.1)
    assert weights[99] / weights[0] == pytest.approx(0.9 / 0.05)
    assert class_weights(presence, 0.5)[85] / class_weights(presence, 0.5)[0] == pytest.approx(3)


def test_hard_samples_come_more_often() -> None:
    hardness, rows = Hardness(), np.array([3, 7, 8, 9])
    assert hardness.weights(rows, 1.0).tolist() == [1, 1, 1, 1]
    hardness.update([3, 7, 8], [1.0, 2.0, 0.0])
    assert hardness.weights(rows, 1.0).tolist() == [1, 1, 1, 1]  # within an epoch nothing changes
    hardness.begin_epoch()
    weights = hardness.weights(rows, 1.0)
    assert weights[1] == weights[3] == pytest.approx(2 / 1.25)
    assert weights[2] == 0.1
    again = Hardness()
    again.load_state(hardness.state())
    assert (again.weights(rows, 1.0) == weights).all()


@pytest.mark.parametrize(
    "change", ["sampling.by=class", "sampling.power=1", "sampling.per_epoch=0", "sampling.by=rare"]
)
def test_settings_that_do_not_fit(change: str) -> None:
    with pytest.raises(ConfigError, match="sampling"):
        Recipe().with_overrides([change])
