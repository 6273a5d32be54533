"""The scenarios that the rule is held to, each with its bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from podium.ledger.simulate.ladder import REALISTIC
from podium.ledger.simulate.race import Field, Raced, closed_noise, noise_of, race
from podium.ledger.simulate.worlds import AucWorld, DiceWorld, Rng, World
from podium.ledger.verdict.formulas import CAREFUL, RULE, Floats, Rule

Measure = Literal["yes", "fold_runs", "gained", "false"]


@dataclass(frozen=True)
class Bound:
    """``measure`` is to be at most (or at least) ``limit``."""

    measure: Measure
    limit: float
    most: bool = True

    def holds(self, value: float) -> bool:
        """Whether a measured value is within the bound."""
        return value <= self.limit if self.most else value >= self.limit

    def __str__(self) -> str:
        name = {"yes": "YES", "fold_runs": "fold runs", "gained": "gain", "false": "false"}[self.measure]
        share = self.measure in ("yes", "false")
        return f"{name} {'≤' if self.most else '≥'} {self.limit:{'.0%' if share else 'g'}}"


@dataclass(frozen=True)
class Scenario:
    """Attempts of one kind in competitions of one kind.

    Attributes:
        effect: True gain of the attempts, in run-sds.
        same: The attempt is its parent, retrained: it suits each group as well as its parent does.
        later: The parent is a later champion with one seed a fold, of another recipe than the A/A runs.
        closed: Attempts that the ledger has closed before, against the same parent.
        main: Whether its bounds are part of the specification; else it is one more look.
    """

    name: str
    says: str
    bounds: tuple[Bound, ...] = ()
    world: World = field(default_factory=World)
    effect: float = 0.0
    same: bool = False
    later: bool = False
    closed: int = 0
    rule: Rule = RULE
    main: bool = False


def draw(s: Scenario, lanes: int, rng: Rng) -> tuple[Field, Floats, Floats]:
    """(fold runs, s2, df) of ``lanes`` attempts, each in a competition of its own."""
    world = s.world
    base, base_factor = world.recipes(rng, lanes), world.factors(rng, lanes)
    seeds = _runs(world, rng, base, base_factor, 2)
    top, bottom, free = noise_of(seeds)
    df = np.full(lanes, free)
    level, factor, parent = base, base_factor, seeds
    if s.later:
        level, factor = world.recipes(rng, lanes), world.factors(rng, lanes)
        parent = _runs(world, rng, level, factor, 1)
    if s.closed:
        more = _closed(s, parent, np.maximum(0, top / bottom), df, rng)
        top, bottom, df = top + more[0], bottom + more[1], df + more[2]
    if not s.same:
        level, factor = world.recipes(rng, lanes), world.factors(rng, lanes)
    attempt = _runs(world, rng, level + s.effect, factor, s.rule.seeds)
    return Field(attempt, parent), np.maximum(0, top / bottom), df


def _runs(world: World, rng: Rng, level: Floats, factor: Floats, seeds: int) -> Floats:
    """Trainings of recipes (lanes, K, G), shape (lanes, K, seeds, G)."""
    return world.run(rng, np.repeat(level[:, :, None], seeds, 2), factor[:, None, None])


def _closed(s: Scenario, parent: Floats, s2: Floats, df: Floats, rng: Rng) -> tuple[Floats, Floats, Floats]:
    """What ``s.closed`` attempts before this one say of the run noise, summed."""
    totals = (np.zeros(len(s2)), np.zeros(len(s2)), np.zeros(len(s2)))
    for _ in range(s.closed):
        effect = REALISTIC.effects(rng, len(s2))[:, None, None]
        level, factor = s.world.recipes(rng, len(s2)), s.world.factors(rng, len(s2))
        drawn = Field(_runs(s.world, rng, level + effect, factor, s.rule.seeds), parent)
        for total, more in zip(totals, closed_noise(drawn, race(drawn, s2, df, rng, s.rule)), strict=True):
            total += more
    return totals


def run_scenario(
    s: Scenario, attempts: int, seed: int = 0, look: Callable[[Field, Raced, Rng], None] | None = None, batch: int = 250
) -> Raced:
    """Race the scenario's attempts, batch by batch; ``look`` is shown every batch."""
    rng = np.random.default_rng([seed, *s.name.encode()])
    parts = []
    for start in range(0, attempts, batch):
        drawn, s2, df = draw(s, min(batch, attempts - start), rng)
        parts.append(race(drawn, s2, df, rng, s.rule))
        if look:
            look(drawn, parts[-1], rng)
    return Raced(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("code", "fold_runs", "gain", "order")))


_NOOP = (Bound("yes", 0.05), Bound("fold_runs", 1.7))
_FALSE = (Bound("yes", 0.05),)
_PLAIN = World()
_QUIET = World(image=0.1)
_RUNS = World(image=0.1, run_group=0.1, recipe_group=0.1)
_TAIL = World(sizes=(16,) * 16, tail=3)
_UNEQUAL = World(sizes=(1, 1, 1, 2, 2, 4, 8, 16, 32, 128) * 6)
_SINGLE = World(sizes=(1,) * 256)
_DICE = DiceWorld()
_AUC = AucWorld(sizes=(4,) * 32)
_SPREAD = World(spread=0.35)

SCENARIOS: dict[str, Scenario] = {
    s.name: s
    for s in (
        Scenario("no-op", "does nothing on average", _NOOP, main=True),
        Scenario("aa", "the same recipe, retrained", _NOOP, same=True, main=True),
        Scenario("quiet", "image noise nearly nil", _NOOP, _QUIET, main=True),
        Scenario("heavy-tails", "run noise of t3, 16 groups", (Bound("yes", 0.06),), _TAIL, main=True),
        Scenario("gain-2", "true gain of 2 run-sds", (Bound("yes", 0.58, False),), effect=2, main=True),
        Scenario("gain-3", "true gain of 3 run-sds", (Bound("yes", 0.85, False),), effect=3, main=True),
        Scenario("harmful", "true loss of 2 run-sds", (Bound("fold_runs", 1.2),), effect=-2, main=True),
        Scenario("careful", "no-op, careful mode", _FALSE, rule=CAREFUL),
        Scenario("careful-later", "no-op, careful mode, one seed a fold", _FALSE, rule=CAREFUL, later=True),
        Scenario("careful-gain-2", "gain of 2, careful mode", effect=2, rule=CAREFUL),
        Scenario("later", "no-op against a champion of one seed a fold", _FALSE, later=True),
        Scenario("later-gain-2", "gain of 2 against such a champion", effect=2, later=True),
        Scenario("later-gain-3", "gain of 3 against such a champion", effect=3, later=True),
        Scenario("only-runs", "no noise but that of the run", _FALSE, _RUNS),
        Scenario("only-runs-later", "the same, one seed a fold", _FALSE, _RUNS, later=True),
        Scenario("only-runs-careful", "the same, careful mode", _FALSE, _RUNS, later=True, rule=CAREFUL),
        Scenario("heavy-tails-later", "t3, 16 groups, one seed a fold", _FALSE, _TAIL, later=True),
        Scenario("unequal", "groups of 1 to 128 images", _FALSE, _UNEQUAL),
        Scenario("single", "256 groups of 1 image", _FALSE, _SINGLE),
        Scenario("four-groups", "4 groups a fold", _FALSE, World(sizes=(64,) * 4)),
        Scenario("one-group", "1 group a fold", _FALSE, World(sizes=(1024,))),
        Scenario("three-folds", "K = 3", _FALSE, replace(_PLAIN, folds=3)),
        Scenario("ten-folds", "K = 10", _FALSE, replace(_PLAIN, folds=10)),
        Scenario("one-fold", "K = 1", _FALSE, replace(_PLAIN, folds=1)),
        Scenario("dice", "Dice with empty masks, mass at 0 and 1", _FALSE, _DICE),
        Scenario("dice-gain-3", "the same, gain of 3", world=_DICE, effect=3),
        Scenario("auc", "AUC by jackknife, 32 groups of 4", _FALSE, _AUC),
        Scenario("auc-gain-3", "the same, gain of 3", world=_AUC, effect=3),
        Scenario("closed-40", "a ledger of 40 closed attempts", _FALSE, closed=40),
        Scenario("closed-40-gain-2", "the same, gain of 2", effect=2, closed=40),
        Scenario("recipe-noise", "run noise that depends on the recipe (x 0.5 to 2)", _FALSE, _SPREAD),
        Scenario("recipe-noise-later", "the same, one seed a fold", _FALSE, _SPREAD, later=True),
    )
}
"""By name."""
