"""Schedules: their shapes, their range, and that they are functions of the step alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import ConfigError
from podium.recipe import ScheduleConfig
from podium.training.schedule import FLOOR, SCHEDULES, create_schedule


def values(name: str, steps: int = 101, **settings: object) -> list[float]:
    schedule = create_schedule(ScheduleConfig.from_tree({"name": name, **settings}), steps)
    return [schedule(step) for step in range(steps)]


def falls(numbers: list[float]) -> bool:
    return all(a >= b for a, b in pairwise(numbers))


@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    steps=st.integers(1, 500),
    step=st.integers(-3, 600),
    warmup=st.floats(0, 1),
)
def test_every_multiplier_is_above_zero_and_at_most_one(name: str, steps: int, step: int, warmup: float) -> None:
    settings = {"warmup": warmup} if "warmup" in SCHEDULES[name].reads else {}
    schedule = create_schedule(ScheduleConfig.from_tree({"name": name, **settings}), steps)
    assert FLOOR * (1 - 1e-9) <= schedule(step) <= 1 + 1e-9
    assert schedule(step) == schedule(step)
    assert schedule(steps + 5) == schedule(max(1, steps - 1))


def test_constant() -> None:
    assert set(values("constant")) == {1.0}


def test_one_cycle() -> None:
    lr = values("one_cycle", warmup=0.25)
    assert lr[0] == pytest.approx(1 / 25)
    assert lr[25] == pytest.approx(1)
    assert lr[-1] == pytest.approx(1e-4)
    assert falls(lr[25::-1])
    assert falls(lr[25:])


@pytest.mark.parametrize(("warmup", "first", "last"), [(0.0, 1, 1e-4), (1.0, 1 / 25, 1)])
def test_one_cycle_without_one_of_its_halves(warmup: float, first: float, last: float) -> None:
    lr = values("one_cycle", warmup=warmup)
    assert (lr[0], lr[-1]) == pytest.approx((first, last))


def test_cosine() -> None:
    lr = values("cosine")
    assert (lr[0], lr[50], lr[-1]) == pytest.approx((1, 0.5, 1e-4), abs=1e-4)
    assert falls(lr)


def test_poly() -> None:
    lr = values("poly")
    assert (lr[0], lr[50], lr[-1]) == pytest.approx((1, 0.5**0.9, 1e-4))
    assert falls(lr)


def test_triangular() -> None:
    lr = values("triangular")
    assert (lr[0], lr[25], lr[50], lr[100]) == pytest.approx((0.1, 0.1, 0.1, 0.1))
    assert max(lr) == pytest.approx(1, abs=0.05)
    assert sum(b > a for a, b in pairwise(lr)) == pytest.approx(50, abs=4)


def test_step() -> None:
    lr = values("step")
    assert (lr[0], lr[49], lr[50], lr[74], lr[75], lr[-1]) == (1, 1, 0.1, 0.1, 0.01, 0.01)


def test_a_warmup_that_would_do_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup: cosine does not read(.|\n)*default, 0\.25"):
        values("cosine", warmup=0.1)


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.name(.|\n)*constant, one_cycle, cosine(.|\n)*'cosine'"):
        values("cosin")
