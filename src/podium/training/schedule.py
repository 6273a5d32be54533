"""Learning-rate schedules: pure functions of the step, so a resumed training needs no state of theirs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from podium.errors import ConfigError, nearest
from podium.recipe import ScheduleConfig

FLOOR = 1e-4
"""The lowest multiplier: a step at a rate of 0 would be a step for nothing."""

Curve = Callable[[float, float], float]


@dataclass(frozen=True)
class Schedule:
    """One schedule: its curve, and the keys of `[schedule]`, besides `name`, that the curve reads."""

    curve: Curve
    reads: tuple[str, ...] = ()


SCHEDULES: dict[str, Schedule] = {}


def register_schedule(name: str, *, reads: tuple[str, ...] = ()) -> Callable[[Curve], Curve]:
    """Decorate ``(done, warmup) -> multiplier`` to add it to `SCHEDULES`.

    `done` is the share of the training that is over, 0 at the first step and 1 at the last; the multiplier of
    `optim.lr` lies in [FLOOR, 1]. A key that is not in `reads` must keep its default.
    """

    def register(curve: Curve) -> Curve:
        SCHEDULES[name] = Schedule(curve, reads)
        return curve

    return register


@register_schedule("constant")
def constant(done: float, warmup: float) -> float:
    """1, always."""
    return 1.0


@register_schedule("one_cycle", reads=("warmup",))
def one_cycle(done: float, warmup: float) -> float:
    """From 1/25 up to 1 over the share `warmup`, then down to 1e-4, both by cosine.

    Source: Smith & Topin 2017 (arXiv 1708.07120), with the cosines of fast.ai.
    """
    if done < warmup:
        return _cosine(1 / 25, 1.0, done / warmup)
    return _cosine(1.0, FLOOR, (done - warmup) / (1 - warmup)) if warmup < 1 else 1.0


@register_schedule("cosine")
def cosine(done: float, warmup: float) -> float:
    """From 1 down to 1e-4 by half a cosine, without warm-up or restarts.

    Source: Loshchilov & Hutter 2016 (arXiv 1608.03983), eq. 5.
    """
    return _cosine(1.0, FLOOR, done)


@register_schedule("poly")
def poly(done: float, warmup: float) -> float:
    """(1 - done)^0.9, but not below 1e-4.

    Source: Chen et al. 2016, DeepLab (arXiv 1606.00915), sec. 4.1.
    """
    return max(FLOOR, (1 - done) ** 0.9)


@register_schedule("triangular")
def triangular(done: float, warmup: float) -> float:
    """Four cycles, each straight up from 0.1 to 1 and down again.

    Source: Smith 2015 (arXiv 1506.01186), fig. 2.
    """
    return 1 - 0.9 * abs(2 * (4 * done % 1) - 1)


@register_schedule("step")
def step(done: float, warmup: float) -> float:
    """1, a tenth from half of the training on, a hundredth from three quarters.

    Source: He et al. 2015 (arXiv 1512.03385), sec. 4.2: at 32k and 48k of 64k steps.
    """
    return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def create_schedule(config: ScheduleConfig, total_steps: int) -> Callable[[int], float]:
    """The function from a step (0 to total_steps - 1) to what `optim.lr` is multiplied by; the ends hold beyond.

    Raises:
        ConfigError: for a name that `SCHEDULES` lacks, or a key set away from its default that the schedule ignores.
    """
    schedule = SCHEDULES.get(config.name)
    if schedule is None:
        raise ConfigError(
            f"unknown schedule '{config.name}'",
            where="schedule.name",
            expected="one of: " + ", ".join(SCHEDULES),
            remedy=nearest(config.name, list(SCHEDULES)),
        )
    _check_reads(schedule, config)
    last = max(1, total_steps - 1)
    return lambda step: schedule.curve(min(max(step, 0), last) / last, config.warmup)


def _check_reads(schedule: Schedule, config: ScheduleConfig) -> None:
    """Refuse a setting that would change nothing: an attempt made of it would be judged on noise alone."""
    for key, field in ScheduleConfig.model_fields.items():
        value = getattr(config, key)
        if key != "name" and key not in schedule.reads and value != field.default:
            raise ConfigError(
                f"{config.name} does not read '{key}' (set to {value!r}), so it would change nothing",
                where=f"schedule.{key}",
                expected=f"{config.name} reads: {', '.join(schedule.reads) or 'no other key'}",
                remedy=f"set schedule.{key} to its default, {field.default!r}",
            )
