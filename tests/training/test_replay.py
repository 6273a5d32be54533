"""Hard-batch replay: the worst batch since the last time, every so many steps."""

from __future__ import annotations

from podium.training.replay import Replay


def test_the_worst_since_the_last_time_comes_again() -> None:
    replay: Replay[int] = Replay(3)
    losses = [0.1, 0.9, 0.3, 0.2, 0.1, 0.05, 0.5, 0.4, 0.3]
    assert [replay.after(n, loss) for n, loss in enumerate(losses)] == [None, None, 1, None, None, 3, None, None, 6]


def test_what_cannot_be_found_again_is_forgotten() -> None:
    replay: Replay[int] = Replay(4)
    replay.begin((0, 1))
    replay.after(0, 9.0)
    replay.begin((0, 1))
    replay.after(1, 1.0)
    replay.begin((0, 2))
    replay.after(2, 3.0)
    assert replay.after(3, 2.0) == 2


def test_never() -> None:
    replay: Replay[int] = Replay(None)
    assert [replay.after(n, 1.0) for n in range(20)] == [None] * 20


def test_a_resumed_one_goes_on() -> None:
    one: Replay[list[int]] = Replay(4)
    for n in range(3):
        one.after([n], 1.0 / (1 + n))
    two: Replay[list[int]] = Replay(4)
    two.load_state(one.state())
    assert two.after([3], 0.1) == one.after([3], 0.1) == [0]
