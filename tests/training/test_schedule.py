"""Schedules: their shapes, their range, and that they are functions of what is done alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import ConfigError
from podium.recipe import Recipe, ScheduleConfig
from podium.training.phases import Course
from podium.training.schedule import FLOOR, SCHEDULES, START, create_schedule, cycle_at

NEEDED: dict[str, dict[str, Any]] = {"stepped": {"rates": [1.0, 0.5]}}


def values(name: str, steps: int = 101, epochs: float = 10, **settings: object) -> list[float]:
    schedule = create_schedule(ScheduleConfig.from_tree({"name": name, **settings}), epochs)
    return [schedule.at(step / (steps - 1)) for step in range(steps)]


def by_epoch(epochs: int, steps: int = 7, **settings: Any) -> list[float]:
    """The rate of each epoch, as a training of that many steps an epoch asks for it; every step of one agrees."""
    lr = settings.pop("lr", 1.0)
    course = Course(Recipe.from_tree({"schedule": settings, "optim": {"lr": lr}, "train": {"epochs": epochs}}))
    rates = [course.lr(step / (epochs * steps - 1)) for step in range(epochs * steps)]
    assert all(len(set(rates[e * steps : (e + 1) * steps])) == 1 for e in range(epochs))
    return rates[::steps]


def falls(numbers: list[float]) -> bool:
    return all(a >= b for a, b in pairwise(numbers))


@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    epochs=st.floats(1, 500),
    done=st.floats(-0.1, 1.1),
    warmup=st.none() | st.floats(0, 1),
    scores=st.lists(st.floats(0, 1), max_size=30),
)
def test_every_multiplier_is_above_zero_and_at_most_one(
    name: str, epochs: float, done: float, warmup: float | None, scores: list[float]
) -> None:
    settings = {"name": name, "warmup": warmup, **NEEDED.get(name, {})}
    schedule = create_schedule(ScheduleConfig.from_tree(settings), epochs)
    assert FLOOR * (1 - 1e-9) <= schedule.at(done, scores) <= 1 + 1e-9
    assert schedule.at(done, scores) == schedule.at(done, scores)
    assert schedule.at(1.5) == schedule.at(1)


def test_constant() -> None:
    assert set(values("constant")) == {1.0}


def test_one_cycle() -> None:
    lr = values("one_cycle")
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
    assert values("cosine", low=0.2)[-1] == pytest.approx(0.2)


def test_cosine_with_restarts_against_torch() -> None:
    lr = values("cosine", 141, cycles=3, mult=2.0, low=1e-4)  # cycles of 20, 40 and 80 steps
    theirs = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, T_0=20, T_mult=2, eta_min=1e-4)
    for step in range(140):
        assert lr[step] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-6), step
        theirs.step()
        schedule.step()
    assert lr[140] == pytest.approx(1e-4)


def test_poly() -> None:
    lr = values("poly")
    assert (lr[0], lr[50], lr[-1]) == pytest.approx((1, 0.5**0.9, 1e-4))
    assert falls(lr)
    assert values("poly", power=2.0)[50] == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["triangular", "triangular2", "exp_range"])
def test_cyclic_against_torch(name: str) -> None:
    lr = values(name, 201, cycles=5, low=0.2)  # 40 steps a cycle
    theirs = torch.optim.SGD([torch.zeros(1)], lr=1.0, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CyclicLR(
        theirs, base_lr=0.2, max_lr=1.0, step_size_up=20, mode=name, gamma=0.1 ** (1 / 200)
    )
    for step in range(200):
        assert lr[step] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-6), step
        theirs.step()
        schedule.step()


def test_triangular_by_default() -> None:
    lr = values("triangular")
    assert (lr[0], lr[25], lr[50], lr[100]) == pytest.approx((0.1, 0.1, 0.1, 0.1))
    assert sum(b > a for a, b in pairwise(lr)) == pytest.approx(50, abs=4)


def test_stepped_cycles_are_rates_of_whole_epochs() -> None:
    cycle = [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5]
    assert by_epoch(12, name="stepped", rates=cycle, lr=1e-4) == pytest.approx([*cycle, *cycle, 1e-4, 1e-4])
    assert by_epoch(5, name="stepped", rates=[1, 1, 0.5, 0.5, 0.25], lr=1e-4) == pytest.approx(cycle)


@pytest.mark.parametrize("steps", [1, 2, 7, 200])
@pytest.mark.parametrize("epochs", [3, 52, 333])
def test_an_epoch_begins_and_ends_with_its_own_rate(epochs: int, steps: int) -> None:
    rates = [0.2, 0.4, 0.6, 0.8, 1.0]
    assert by_epoch(epochs, steps, name="stepped", rates=rates) == pytest.approx([rates[e % 5] for e in range(epochs)])


def test_step_and_multistep() -> None:
    lr = values("step")
    assert (lr[0], lr[49], lr[50], lr[74], lr[75], lr[-1]) == pytest.approx((1, 1, 0.1, 0.1, 0.01, 0.01))
    assert by_epoch(250, 3, name="step", every=100, gamma=0.5) == [1] * 100 + [0.5] * 100 + [0.25] * 50
    assert values("step", every=0.25, gamma=0.5)[::25] == pytest.approx([1, 0.5, 0.25, 0.125, 0.0625])
    assert by_epoch(20, name="multistep", milestones=[10]) == pytest.approx([1] * 10 + [0.1] * 10)
    halves = values("multistep", milestones=[0.5], gamma=0.3)
    assert (halves[49], halves[50]) == pytest.approx((1, 0.3))


def test_plateau_is_a_function_of_the_scores() -> None:
    schedule = create_schedule(ScheduleConfig.from_tree({"name": "plateau", "patience": 2, "gamma": 0.5}))
    scores = [0.1, 0.2, 0.2, 0.19, 0.3, float("nan"), 0.3, 0.3, 0.3, 0.4]
    rates = [schedule.at(0.5, scores[:n]) for n in range(len(scores) + 1)]
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_plateau_waits_for_epochs_also_where_not_all_are_validated() -> None:
    schedule = create_schedule(ScheduleConfig.from_tree({"name": "plateau", "patience": 2, "gamma": 0.5}))
    scores = [None, 0.1, None, 0.2, None, 0.2, None, None, 0.2]
    rates = [schedule.at(0.5, scores[:n]) for n in range(len(scores) + 1)]
    assert rates == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("name", [n for n, s in SCHEDULES.items() if not s.own_warmup])
def test_a_warmup_for_all(name: str) -> None:
    plain, warm = (values(name, warmup=w, **NEEDED.get(name, {})) for w in (None, 0.2))
    assert warm[0] == pytest.approx(max(FLOOR, START * plain[0]))
    assert warm[10] == pytest.approx((1 + START) / 2 * plain[10])
    assert warm[20:] == plain[20:]


@given(done=st.floats(0, 1), cycles=st.integers(1, 12), mult=st.floats(1, 3))
def test_cycles_fill_the_time(done: float, cycles: int, mult: float) -> None:
    number, share = cycle_at(done, cycles, mult)
    assert 0 <= number < cycles
    assert 0 <= share <= 1
    lengths = [mult**n for n in range(cycles)]
    assert (sum(lengths[:number]) + share * lengths[number]) / sum(lengths) == pytest.approx(done, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "constant", "low": 0.1}, r"schedule\.low: constant does not read(.|\n)*one that reads it: one_cycle"),
        ({"name": "cosine", "rates": [1.0]}, r"schedule\.rates: cosine does not read(.|\n)*stepped"),
        ({"name": "cosin"}, r"schedule\.name(.|\n)*constant, one_cycle, cosine(.|\n)*'cosine'"),
        ({"name": "stepped"}, r"schedule\.rates: stepped needs its rates"),
    ],
)
def test_what_would_change_nothing_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        create_schedule(ScheduleConfig.from_tree(settings))
