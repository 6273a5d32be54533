"""The end of a training by epochs and by the clock."""

from __future__ import annotations

import pytest

from podium.training.budget import FIRST_GUESS, MARGIN, Budget


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_by_epochs_the_first_step_is_at_0_and_the_last_at_1() -> None:
    budget = Budget(epochs=3)
    shares = [budget.done(step / 5, steps=5) for step in range(15)]
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert shares == sorted(shares)
    assert not budget.over(14 / 5)
    assert budget.over(15 / 5)


def test_one_step_in_all_is_no_division_by_zero() -> None:
    assert Budget(epochs=1).done(0, steps=1) == 0


def test_by_the_clock_the_share_is_that_of_the_time_that_may_be_trained() -> None:
    clock = Clock()
    budget = Budget(epochs=1, seconds=100, clock=clock)
    assert budget.done(0) == 0
    clock.now += 47
    assert budget.done(10) == pytest.approx(47 / (100 * (1 - FIRST_GUESS)))
    budget.validated(10)
    assert budget.done(10) == pytest.approx(47 / (100 - 10 * MARGIN))
    assert not budget.over(10)
    clock.now += 42
    assert budget.over(10)
    assert budget.done(10) == 1


def test_what_was_spent_before_counts() -> None:
    clock = Clock()
    budget = Budget(epochs=1, seconds=100, spent=60, clock=clock)
    assert budget.elapsed == 60
    clock.now += 35
    assert budget.over(0.1)


def test_an_end_longer_than_the_whole_time_leaves_half_of_it() -> None:
    clock = Clock()
    budget = Budget(epochs=10, seconds=10, clock=clock)
    budget.validated(500)
    assert not budget.over(1)
    clock.now += 5
    assert budget.over(1)


def test_by_epochs_every_so_many_are_validated_and_the_last() -> None:
    budget = Budget(epochs=7)
    assert [e for e in range(1, 8) if budget.validates(e, 3, last=e == 7)] == [3, 6, 7]


def test_by_the_clock_validation_takes_a_small_share() -> None:
    clock = Clock()
    budget, spent = Budget(epochs=1, seconds=1000, clock=clock), 0
    for epoch in range(1, 10_000):
        clock.now += 1  # an epoch
        if budget.over(epoch):
            break
        if budget.validates(epoch, 1, last=False):
            clock.now += 5
            spent += 5
            budget.validated(5)
    assert 10 <= spent <= 100
    assert 990 <= budget.elapsed + 5 * MARGIN <= 1010


def test_the_time_left_follows_the_pace() -> None:
    clock = Clock()
    budget = Budget(epochs=2, clock=clock)
    clock.now += 5
    assert budget.left(0.5) == pytest.approx(15)
    assert budget.left(0) != budget.left(0)


def test_where_the_last_weights_may_not_be_chosen_they_are_judged_in_time() -> None:
    clock = Clock()
    budget = Budget(epochs=1, seconds=100, validation=4, passes=2, judged=True, clock=clock)
    clock.now += 86
    assert not budget.over(1)
    clock.now += 1
    assert budget.over(1)  # 3 validations, and a tenth more, are left
    assert budget.validates(7, 1, last=True)
    assert not Budget(epochs=1, seconds=100, clock=clock).validates(7, 1, last=True)
