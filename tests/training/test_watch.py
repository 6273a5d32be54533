"""Trouble in a training is seen once, and a healthy training is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from operator import gt

from podium.training.watch import Watcher


@dataclass
class E:
    loss: float
    score: float | None = 0.5
    lr: float = 1e-3
    data_wait: float = 0.0
    seconds: float = 30.0


def said(rows: list[E]) -> list[str]:
    watcher = Watcher(gt)
    return [line for n in range(1, len(rows) + 1) for line in watcher.look(rows[:n])]


def test_a_healthy_training_is_left_alone() -> None:
    assert said([E(1 / n, 1 - 1 / n) for n in range(1, 30)]) == []


def test_a_noisy_healthy_training_is_left_alone() -> None:
    losses = [1.0, 0.7, 0.72, 0.6, 0.61, 0.55, 0.56, 0.5]
    assert (
        said([E(loss, score) for loss, score in zip(losses, [0.1, 0.3, 0.2, 0.4, 0.35, 0.5, 0.45, 0.52], strict=True)])
        == []
    )


def test_a_starving_device_is_told_once() -> None:
    lines = said([E(1 / n, n / 9, data_wait=0.3) for n in range(1, 9)])
    assert len(lines) == 1
    assert "waits 30% of the time" in lines[0]


def test_only_augmentations_that_are_on_are_blamed() -> None:
    rows = [E(1 / n, n / 9, data_wait=0.3) for n in range(1, 9)]
    (line,) = Watcher(gt, costly=["elastic"]).look(rows)
    assert "(elastic)" in line
    (line,) = Watcher(gt).look(rows)
    assert "augmentation" not in line


def test_seconds_in_all_are_not_worth_a_line() -> None:
    assert said([E(1 / n, n / 9, data_wait=0.3, seconds=0.5) for n in range(1, 9)]) == []


def test_the_first_epoch_may_wait() -> None:
    assert said([E(1, 0.1, data_wait=0.9), E(0.5, 0.2), E(0.4, 0.3)]) == []


def test_a_loss_that_does_not_move_is_told() -> None:
    (line,) = said([E(0.6931 - 1e-5 * n) for n in range(6)])
    assert "has not moved in 5 epochs" in line
    assert "lr-find" in line


def test_a_loss_that_stays_low_after_falling_is_no_dead_rate() -> None:
    assert said([E(1.0), *(E(0.1) for _ in range(10))]) == []


def test_a_climbing_loss_is_told() -> None:
    (line,) = said([E(1.0), E(0.8), E(1.5)])
    assert "the loss climbs: 1.5000, its lowest was 0.8000" in line


def test_overfitting_is_told() -> None:
    rows = [E(1.0, 0.3), E(0.8, 0.5)] + [E(0.8 - 0.1 * n, 0.5 - 0.01 * n) for n in range(1, 8)]
    (line,) = said(rows)
    assert "best 5 epochs ago (0.5000)" in line


def test_epochs_without_a_score_do_not_count() -> None:
    assert said([E(1 / n, None) for n in range(1, 20)]) == []
