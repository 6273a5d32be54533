"""The number of threads that is fastest now is found, kept, and looked for again."""

from __future__ import annotations

from podium.training.threads import SHARE, Threads


class Machine:
    """Steps take what ``cost`` says for the number of threads in use."""

    def __init__(self, cost: dict[int, float]) -> None:
        self.cost, self.threads, self.now = cost, 2, 0.0
        self.chooser = Threads([2, 1], self._use, lambda: self.now)
        self.used: list[int] = []

    def _use(self, n: int) -> None:
        self.threads = n

    def steps(self, n: int) -> None:
        for _ in range(n):
            self.used.append(self.threads)
            self.now += self.cost[self.threads]
            self.chooser.took(self.cost[self.threads])


def test_all_threads_where_they_are_faster() -> None:
    machine = Machine({2: 0.6, 1: 1.0})
    machine.steps(40)
    assert machine.threads == 2
    assert machine.used.count(1) < 6


def test_one_thread_where_the_others_only_wait() -> None:
    machine = Machine({2: 20.0, 1: 1.0})
    machine.steps(200)
    assert machine.threads == 1
    assert machine.used[20:].count(2) == 0  # the choice holds for long, as it took long


def test_it_notices_when_the_machine_changes() -> None:
    machine = Machine({2: 5.0, 1: 1.0})
    machine.steps(20)
    assert machine.threads == 1
    machine.cost = {2: 0.6, 1: 1.0}
    machine.steps(1000)
    assert machine.threads == 2


def test_trying_takes_a_small_share_of_the_time() -> None:
    machine = Machine({2: 0.5, 1: 3.0})
    machine.steps(10_000)
    assert sum(machine.cost[n] for n in machine.used if n == 1) < 2 / SHARE * machine.now


def test_nothing_to_choose_nothing_is_set() -> None:
    def never(n: int) -> None:
        raise AssertionError

    for numbers in ([], [1]):
        chooser = Threads(numbers, never)
        for _ in range(50):
            chooser.took(1.0)
