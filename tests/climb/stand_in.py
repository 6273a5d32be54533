"""A ledger in a world where the truth is known: each change of the catalogue has a true gain, in run-sds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from podium.climb.catalog import Catalog
from podium.climb.claim import Claim
from podium.climb.guards import Place
from podium.climb.moves import changes_of
from podium.ledger.simulate.worlds import World
from podium.ledger.verdict import (
    CAREFUL,
    RULE,
    Run,
    Verdict,
    compare,
    decide,
    fold_order,
    noise_of_terms,
    replicate_noise,
)
from podium.recipe import Recipe

ANYWHERE = Place("segmentation", "planes", gpu=True, colour=True, check=lambda recipe: None)


@dataclass(frozen=True)
class Tried:
    """An attempt of the stand-in."""

    id: int
    name: str
    recipe: Recipe
    parent: int | None = None
    verdict: Verdict | None = None
    why: str = ""
    settings: tuple[str, ...] = ()

    def change_text(self) -> str:
        return ", ".join(self.settings)


@dataclass
class StandIn:
    """`podium.climb.ledger.Ledger`, with trainings drawn from a world.

    Attributes:
        effects: {change: true gain}; what is not named does nothing.
        killed: Called before each training; what it raises ends the process, as it were.
        refuses: {attempt's name: error}.
    """

    catalog: Catalog
    effects: dict[str, float]
    seed: int = 0
    world: World = field(default_factory=World)
    recipe: Recipe = field(default_factory=Recipe)
    killed: object = None
    refuses: dict[str, Exception] = field(default_factory=dict)

    def __post_init__(self):
        self.tried = [Tried(0, "baseline", self.recipe)]
        self.runs, self.height, self.level = {0: {}}, {0: 0.0}, {}
        self.best, self.calls, self.careful = 0, [], {}
        for seed in (0, 1):
            for fold in range(self.k):
                self._train(0, fold, seed)

    @property
    def k(self):
        return self.world.folds

    def champion(self):
        return self.tried[self.best]

    def attempts(self):
        return list(self.tried)

    def fold_runs(self, id=None):
        return sum(len(runs) for i, runs in self.runs.items() if id in (None, i))

    def seconds(self, id=None):
        return 60.0 * self.fold_runs(id)

    def attempt(self, name, settings, *, why, link, careful, seeds):
        self.calls.append((name, seeds))
        if name in self.refuses:
            raise self.refuses[name]
        assert name not in [a.name for a in self.tried], f"{name} is tried twice"
        champion, id = self.champion(), len(self.tried)
        recipe = champion.recipe.with_overrides(list(settings))
        self.tried.append(Tried(id, name, recipe, champion.id, None, why, tuple(settings)))
        gained = sum(self.effects.get(change, 0.0) for change in changes_of(name, self.catalog))
        self.runs[id], self.height[id] = {}, self.height[champion.id] + gained
        self.careful[id] = careful
        return self.resume(id, careful=False, seeds=seeds)

    def resume(self, id, *, careful, seeds):
        self.careful[id] |= careful
        rule = replace(CAREFUL if self.careful[id] else RULE, seeds=seeds)
        order, parent = fold_order(self.k, id), self.tried[self.tried[id].parent]
        while True:
            decision = self._judge(id, parent.id, order, rule)
            if decision.next is None:
                break
            self._train(id, *decision.next)
        if decision.verdict == "YES":
            for fold in decision.remaining:
                self._train(id, fold, 0)
            if self.best == parent.id:
                self.best = id
        return self.tried[id]

    def fresh(self, first, second, folds, seed):
        for id in (first, second):
            for fold in range(folds):
                self._train(id, fold, seed)
        sides = [[self._run(id, fold, seed) for fold in range(folds)] for id in (first, second)]
        means = [float(np.mean([run.values.mean() for run in side])) for side in sides]
        return Claim.of(compare(*sides, self._noise()), *means)

    def _judge(self, id, parent, order, rule):
        sides = [[self._run(i, *which) for which in self.runs[i]] for i in (id, parent)]
        comparison = compare(*sides, self._noise())
        decision = decide(comparison, order, rule)
        self.tried[id] = replace(self.tried[id], verdict=Verdict.of(decision, comparison))
        return decision

    def _noise(self):
        terms = [replicate_noise([self._run(i, *which) for which in runs]) for i, runs in self.runs.items()]
        return noise_of_terms([*terms, *(a.verdict.noise_terms() for a in self.tried if a.verdict)])

    def _run(self, id, fold, seed):
        values = self.runs[id][fold, seed]
        return Run(fold, seed, np.arange(len(values)), values)

    def _train(self, id, fold, seed):
        if (fold, seed) in self.runs[id]:
            return
        if callable(self.killed):
            self.killed()
        if id not in self.level:
            self.level[id] = self.world.recipes(np.random.default_rng([self.seed, id]))
        rng = np.random.default_rng([self.seed, id, fold, seed])
        self.runs[id][fold, seed] = self.world.run(rng, self.level[id][fold] + self.height[id])


def drawn_effects(catalog, rng, good=(2.0, 4.0)):
    """True gains: each kind has a share of good changes, drawn from the catalogue's prior; of the rest a half harms."""
    effects = {}
    shares = {name: rng.beta(kind.yes, kind.no) for name, kind in sorted(catalog.kinds.items())}
    for name, change in sorted(catalog.changes.items()):
        if rng.random() < shares[change.kind]:
            effects[name] = rng.uniform(*good)
        else:
            effects[name] = rng.choice([0.0, rng.uniform(0.1, 1.0), -rng.uniform(0.5, 5.0)], p=[0.4, 0.2, 0.4])
    return effects


def climb_by_mean_cv(ledger, budget, rng):
    """What people do instead: every fold of every change, in any order; the higher mean stays. Its true gain."""
    names = list(rng.permutation(sorted(ledger.catalog.changes)))
    kept, now, left = [], ledger.runs[0], budget
    while left >= ledger.k and names:
        name, left = names.pop(), left - ledger.k
        height = sum(ledger.effects[n] for n in (*kept, name))
        level = ledger.world.recipes(rng)
        runs = {(f, 0): ledger.world.run(rng, level[f] + height) for f in range(ledger.k)}
        if np.mean([runs[f, 0].mean() for f in range(ledger.k)]) > np.mean([now[f, 0].mean() for f in range(ledger.k)]):
            kept, now = [*kept, name], runs
    return sum(ledger.effects[n] for n in kept)
