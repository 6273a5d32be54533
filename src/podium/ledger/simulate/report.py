"""What the simulation found, as rows and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.errors import ConfigError, nearest
from podium.ledger.simulate.ladder import MODEST, REALISTIC, RIVALS, Climbed, Ideas, climb, climb_by
from podium.ledger.simulate.race import Field, Raced
from podium.ledger.simulate.rivals import corrected_t, folds_of, mean_cv, paired_t
from podium.ledger.simulate.scenarios import SCENARIOS, Bound, Scenario, run_scenario
from podium.ledger.simulate.worlds import Rng, World
from podium.ledger.verdict.formulas import UNSURE, YES

BUDGET = 100
"""Fold runs of a ladder."""

LADDERS: dict[str, tuple[str, Ideas, tuple[Bound, ...]]] = {
    "ladder": ("good ideas gain 2 to 4", REALISTIC, (Bound("gained", 8.8, False), Bound("false", 0.08))),
    "ladder-modest": ("good ideas gain 1.5 to 2.5", MODEST, (Bound("false", 0.08),)),
}


@dataclass(frozen=True)
class Measured:
    """One scenario, or one way to climb a ladder.

    Attributes:
        values: Of what was measured: shares, fold runs, gains in run-sds; None where it makes no sense.
        low, high: 95 % interval of the share of YES.
        bounds: (bound, whether it holds).
    """

    name: str
    says: str
    attempts: int
    values: dict[str, float | None]
    low: float = 0.0
    high: float = 0.0
    bounds: tuple[tuple[str, bool], ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every bound holds."""
        return all(holds for _, holds in self.bounds)

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        head = {"name": self.name, "says": self.says, "attempts": self.attempts, **self.values}
        return head | {"yes_95": [self.low, self.high], "bounds": [{"bound": b, "holds": h} for b, h in self.bounds]}


def measure(s: Scenario, attempts: int, seed: int = 0) -> Measured:
    """Race a scenario's attempts, and let the rivals judge the same ones."""
    rivals: dict[str, list[float]] = {name: [] for name in RIVALS}

    def look(drawn: Field, raced: Raced, rng: Rng) -> None:
        folds, n = folds_of(drawn), len(raced.code)
        rivals["mean CV"].append(n * float(mean_cv(folds).mean()))
        if folds.shape[1] > 1:
            rivals["corrected t"].append(n * float(corrected_t(folds).mean()))
        if type(s.world) is World:
            rivals["paired t"].append(n * float(paired_t(drawn, s.world, rng).mean()))

    raced = run_scenario(s, attempts, seed, look)
    values: dict[str, float | None] = {
        "yes": float(np.mean(raced.code == YES)),
        "no": float(np.mean(raced.code < UNSURE)),
        "unsure": float(np.mean(raced.code == UNSURE)),
        "fold_runs": float(raced.fold_runs.mean()),
    }
    values |= {name: sum(found) / attempts if found else None for name, found in rivals.items()}
    return Measured(s.name, s.says, attempts, values, *wilson(values["yes"] or 0.0, attempts), _held(s.bounds, values))


def measure_ladder(name: str, ladders: int, seed: int = 0) -> list[Measured]:
    """Climb by our rule and by each rival, under 100 fold runs."""
    says, ideas, bounds = LADDERS[name]
    found = []
    for way in ("podium", *RIVALS):
        rng, parts = np.random.default_rng([seed, *name.encode(), *way.encode()]), []
        for start in range(0, ladders, 250):
            lanes = min(250, ladders - start)
            ours = way == "podium"
            parts.append(
                climb(World(), lanes, BUDGET, rng, ideas) if ours else climb_by(way, World(), lanes, BUDGET, rng, ideas)
            )
        found.append(_climbed(f"{name}: {way}", says, parts, bounds if way == "podium" else ()))
    return found


def _climbed(name: str, says: str, parts: Sequence[Climbed], bounds: tuple[Bound, ...]) -> Measured:
    gained, attempts, accepted, false = (
        np.concatenate([getattr(p, field) for p in parts]) for field in ("gained", "attempts", "accepted", "false")
    )
    values: dict[str, float | None] = {
        "gained": float(gained.mean()),
        "attempts": float(attempts.mean()),
        "accepted": float(accepted.mean()),
        "false": float(false.sum() / max(1, accepted.sum())),
    }
    return Measured(name, says, len(gained), values, bounds=_held(bounds, values))


def measure_all(attempts: int, only: str | None = None, seed: int = 0) -> Iterator[Measured]:
    """Every scenario and ladder, or one.

    Raises:
        ConfigError: listing the names, if there is none of that one.
    """
    names = [*SCENARIOS, *LADDERS]
    if only is not None and only not in names:
        raise ConfigError(f"no scenario is called '{only}'", where="--scenario", remedy=nearest(only, names))
    for name in [only] if only else names:
        if name in SCENARIOS:
            yield measure(SCENARIOS[name], attempts, seed)
        else:
            yield from measure_ladder(name, max(20, attempts // 10), seed)


def _held(bounds: tuple[Bound, ...], values: dict[str, float | None]) -> tuple[tuple[str, bool], ...]:
    return tuple((str(b), b.holds(values[b.measure] or 0.0)) for b in bounds)


def wilson(share: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share. Source: Wilson 1927."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, middle - half), min(1.0, middle + half)
