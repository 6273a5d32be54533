"""Learning-rate schedules: pure functions of how much is done, so a resumed training needs no state of theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podium.errors import ConfigError, nearest
from podium.recipe import ScheduleConfig

FLOOR = 1e-4
"""The lowest multiplier: a step at a rate of 0 would be a step for nothing."""

START = 1 / 25
"""Where a warm-up begins."""


Scores = Sequence[float | None]
"""Validation scores, one an epoch, such that greater is better; None where an epoch was not validated."""


@dataclass(frozen=True)
class Moment:
    """When: what a schedule depends on.

    Attributes:
        done: Share of the schedule's time that is over: 0 at the first step, 1 at the last.
        epochs: Epochs that the schedule lasts; ``done * epochs`` are over.
        scores: Of the epochs so far.
    """

    done: float
    epochs: float = 1.0
    scores: Scores = ()

    @property
    def epoch(self) -> int:
        """Whole epochs that are over, at most ``epochs - 1``."""
        return max(0, min(int(self.done * self.epochs), math.ceil(self.epochs) - 1))

    def passed(self, point: float) -> bool:
        """Whether a point is over: epochs, or below 1 a share of the time."""
        return self.done >= point if point < 1 else self.epoch >= point


Curve = Callable[[Moment, ScheduleConfig], float]


@dataclass(frozen=True)
class ScheduleSpec:
    """One schedule: its curve, and the keys of `[schedule]`, besides `name` and `warmup`, that the curve reads."""

    curve: Curve
    reads: tuple[str, ...] = ()
    own_warmup: bool = False


SCHEDULES: dict[str, ScheduleSpec] = {}


def register_schedule(name: str, *, reads: tuple[str, ...] = (), own_warmup: bool = False) -> Callable[[Curve], Curve]:
    """Decorate ``(moment, config) -> multiplier`` of `optim.lr`, in [FLOOR, 1], to add it to `SCHEDULES`.

    A key that is not in `reads` must keep its default. `own_warmup`: the curve itself climbs over `schedule.warmup`;
    any other is multiplied, while that lasts, by what climbs from 1/25 to 1 in a straight line.
    """

    def register(curve: Curve) -> Curve:
        SCHEDULES[name] = ScheduleSpec(curve, reads, own_warmup)
        return curve

    return register


@register_schedule("constant")
def constant(now: Moment, config: ScheduleConfig) -> float:
    """1, always."""
    return 1.0


@register_schedule("one_cycle", reads=("low",), own_warmup=True)
def one_cycle(now: Moment, config: ScheduleConfig) -> float:
    """From 1/25 up to 1 over the share `warmup` (0.25), then down to `low` (1e-4), both by cosine.

    Source: Smith & Topin 2017 (arXiv 1708.07120), with the cosines of fast.ai.
    """
    warmup = 0.25 if config.warmup is None else config.warmup
    if now.done < warmup:
        return _cosine(START, 1.0, now.done / warmup)
    return _cosine(1.0, config.low or FLOOR, (now.done - warmup) / (1 - warmup)) if warmup < 1 else 1.0


@register_schedule("cosine", reads=("cycles", "mult", "low"))
def cosine(now: Moment, config: ScheduleConfig) -> float:
    """From 1 down to `low` (1e-4) by half a cosine, in each of `cycles` (1), each `mult` times as long as the last.

    Source: Loshchilov & Hutter 2016, SGDR (arXiv 1608.03983), eq. 5.
    """
    return _cosine(1.0, config.low or FLOOR, cycle_at(now.done, config.cycles or 1, config.mult)[1])


@register_schedule("poly", reads=("power", "low"))
def poly(now: Moment, config: ScheduleConfig) -> float:
    """(1 - done)^`power`, but not below `low` (1e-4).

    Source: Chen et al. 2016, DeepLab (arXiv 1606.00915), sec. 4.1.
    """
    return max(config.low or FLOOR, (1 - now.done) ** config.power)


@register_schedule("triangular", reads=("cycles", "low"))
def triangular(now: Moment, config: ScheduleConfig) -> float:
    """`cycles` (4) cycles, each straight up from `low` (0.1) to 1 and down again.

    Source: Smith 2015 (arXiv 1506.01186), fig. 2.
    """
    return _triangle(now, config, 1.0)


@register_schedule("triangular2", reads=("cycles", "low"))
def triangular2(now: Moment, config: ScheduleConfig) -> float:
    """Triangular, each cycle half as high above `low` as the one before.

    Source: Smith 2015 (arXiv 1506.01186), sec. 3.2.
    """
    return _triangle(now, config, 0.5 ** cycle_at(now.done, config.cycles or 4)[0])


@register_schedule("exp_range", reads=("cycles", "low", "gamma"))
def exp_range(now: Moment, config: ScheduleConfig) -> float:
    """Triangular, the height above `low` falling by `gamma`^done, to `gamma` (0.1) at the end.

    Source: Smith 2015 (arXiv 1506.01186), sec. 3.2.
    """
    return _triangle(now, config, (config.gamma or 0.1) ** now.done)


@register_schedule("stepped", reads=("rates",))
def stepped(now: Moment, config: ScheduleConfig) -> float:
    """The `rates` of one epoch each, repeated: [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5] is a cycle of five epochs.

    Source: the Carvana winners' code (github.com/asanakoy/kaggle_carvana_segmentation), streams 1, 2 and 4.
    """
    rates = config.rates or [1.0]
    return max(FLOOR, rates[now.epoch % len(rates)] / max(rates))


@register_schedule("step", reads=("every", "gamma"))
def step(now: Moment, config: ScheduleConfig) -> float:
    """1, then multiplied by `gamma` (0.1) `every` so many epochs; unset, at half and three quarters of the training.

    Source: He et al. 2015 (arXiv 1512.03385), sec. 4.2: at 32k and 48k of 64k steps.
    """
    if config.every is None:
        falls = sum(now.passed(point) for point in (0.5, 0.75))
    else:
        falls = int(now.done / config.every + 1e-9) if config.every < 1 else int(now.epoch / config.every)
    return max(FLOOR, (config.gamma or 0.1) ** falls)


@register_schedule("multistep", reads=("milestones", "gamma"))
def multistep(now: Moment, config: ScheduleConfig) -> float:
    """1, then multiplied by `gamma` (0.1) at each of the `milestones`: epochs that are over, or shares below 1."""
    return max(FLOOR, (config.gamma or 0.1) ** sum(now.passed(point) for point in config.milestones or [0.5, 0.75]))


@register_schedule("plateau", reads=("patience", "gamma"))
def plateau(now: Moment, config: ScheduleConfig) -> float:
    """1, then multiplied by `gamma` (0.1) whenever the score has not become better for `patience` epochs.

    Epochs count whether they were validated or not; only a validation shows that the score is no better. A function of
    all scores so far: what a resumed training needs is in its history. NaN is not better.
    """
    best, waited, falls = -math.inf, 0, 0
    for score in now.scores:
        waited += 1
        if score is not None and score > best:
            best, waited = score, 0
        if score is not None and waited >= config.patience:
            falls, waited = falls + 1, 0
    return max(FLOOR, (config.gamma or 0.1) ** falls)


def cycle_at(done: float, cycles: int, mult: float = 1.0) -> tuple[int, float]:
    """(number of the cycle from 0, share of it that is over) of ``cycles`` that fill the time, each ``mult`` longer."""
    if done >= 1:
        return cycles - 1, 1.0
    if mult == 1:
        return int(done * cycles), done * cycles % 1
    first = (mult - 1) / (mult**cycles - 1)
    number = min(cycles - 1, int(math.log1p(done / first * (mult - 1)) / math.log(mult) + 1e-12))
    begun = first * (mult**number - 1) / (mult - 1)
    return number, min(1.0, max(0.0, (done - begun) / (first * mult**number)))


def _triangle(now: Moment, config: ScheduleConfig, height: float) -> float:
    low = config.low or 0.1
    return low + (1 - low) * height * (1 - abs(2 * cycle_at(now.done, config.cycles or 4)[1] - 1))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


# ---------------------------------------------------------------------- of a recipe


@dataclass(frozen=True)
class Schedule:
    """The schedule of a recipe: a function from a moment to what `optim.lr` is multiplied by."""

    spec: ScheduleSpec
    config: ScheduleConfig
    epochs: float

    def at(self, done: float, scores: Scores = ()) -> float:
        """The multiplier, in [FLOOR, 1]; the ends hold beyond.

        Args:
            done: Share of the schedule's time that is over, by steps or by the clock.
            scores: Of the epochs so far (plateau).
        """
        now = Moment(min(max(done, 0.0), 1.0), self.epochs, scores)
        value = self.spec.curve(now, self.config)
        warmup = 0.0 if self.spec.own_warmup else self.config.warmup or 0.0
        climb = START + (1 - START) * now.done / warmup if now.done < warmup else 1.0
        return max(FLOOR, climb * value)


def create_schedule(config: ScheduleConfig, epochs: float = 1.0) -> Schedule:
    """The schedule of a recipe over a number of epochs.

    Raises:
        ConfigError: for a name that `SCHEDULES` lacks, or a key set away from its default that the schedule ignores.
    """
    spec = SCHEDULES.get(config.name)
    if spec is None:
        raise ConfigError(
            f"unknown schedule '{config.name}'",
            where="schedule.name",
            expected="one of: " + ", ".join(SCHEDULES),
            remedy=nearest(config.name, list(SCHEDULES)),
        )
    _check_reads(spec, config)
    return Schedule(spec, config, epochs)


def _check_reads(spec: ScheduleSpec, config: ScheduleConfig) -> None:
    """Refuse a setting that would change nothing: an attempt made of it would be judged on noise alone."""
    for key, field in ScheduleConfig.model_fields.items():
        value = getattr(config, key)
        if key not in ("name", "warmup", *spec.reads) and value != field.default:
            others = ", ".join(name for name, other in SCHEDULES.items() if key in other.reads)
            raise ConfigError(
                f"{config.name} does not read '{key}' (set to {value!r}), so it would change nothing",
                where=f"schedule.{key}",
                expected=f"{config.name} reads: {', '.join(('warmup', *spec.reads))}",
                remedy=f"leave it out, or choose one that reads it: {others}",
            )
    if config.name == "stepped" and config.rates is None:
        raise ConfigError(
            "stepped needs its rates", where="schedule.rates", remedy="for instance schedule.rates=[1, 1, 0.5, 0.25]"
        )
