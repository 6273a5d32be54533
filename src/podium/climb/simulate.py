"""A ledger in a world where the truth is known: each change of the catalogue has a true gain, in run-sds.

Verdicts are those of the real ledger; only the trainings are drawn. Tests and benchmarks climb in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from podium.climb.catalog import Catalog
from podium.climb.claim import Claim
from podium.climb.guards import Place
from podium.climb.moves import changes_of
from podium.ledger.simulate.ladder import REALISTIC, Ideas
from podium.ledger.simulate.worlds import Rng, World
from podium.ledger.verdict import (
    CAREFUL,
    RULE,
    Decision,
    FoldSeed,
    Rule,
    Run,
    RunNoise,
    Verdict,
    compare,
    decide,
    fold_order,
    noise_of_terms,
    replicate_noise,
)
from podium.ledger.verdict.formulas import Floats
from podium.recipe import Recipe, prediction_only

ANYWHERE = Place("segmentation", "planes", gpu=True, colour=True, check=lambda recipe: None)
"""A place where nothing of a segmentation's catalogue is out of the question."""


@dataclass(frozen=True)
class Tried:
    """An attempt, with what `podium.ledger.attempts.Attempt` has and climbing reads.

    Attributes:
        height: True gain over the baseline, in run-sds.
        free: It only predicts in another way, with its parent's trainings.
    """

    id: int
    name: str
    recipe: Recipe
    parent: int | None = None
    settings: tuple[str, ...] = ()
    careful: bool = False
    height: float = 0.0
    free: bool = False
    verdict: Verdict | None = None

    def change_text(self) -> str:
        """The change in words."""
        return ", ".join(self.settings)


@dataclass
class Simulated:
    """`podium.climb.ledger.Ledger`. A fold run is drawn from the ledger's seed, the attempt, its fold and its seed.

    Attributes:
        effects: {change: true gain}; what is not named does nothing.
        before: Called before each training; what it raises ends the process, as it were.
        refuses: {attempt's name: error}.
    """

    catalog: Catalog
    effects: Mapping[str, float]
    seed: int = 0
    world: World = field(default_factory=World)
    recipe: Recipe = field(default_factory=Recipe)
    before: Callable[[], None] = lambda: None
    refuses: Mapping[str, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tried = [Tried(0, "baseline", self.recipe)]
        self.runs: dict[int, dict[FoldSeed, Floats]] = {0: {}}
        self.levels: dict[int, Floats] = {}
        self.trained = Counter[int]()
        self.best = 0
        for seed in (0, 1):
            for fold in range(self.k):
                self._train(self.tried[0], FoldSeed(fold, seed))

    @property
    def k(self) -> int:
        """Number of folds."""
        return self.world.folds

    def champion(self) -> Tried:
        """The attempt that stands."""
        return self.tried[self.best]

    def attempts(self) -> list[Tried]:
        """Every attempt, by number."""
        return list(self.tried)

    def fold_runs(self, id: int | None = None) -> int:
        """Trainings so far."""
        return self.trained.total() if id is None else self.trained[id]

    def seconds(self, id: int | None = None) -> float:
        """A minute each."""
        return 60.0 * self.fold_runs(id)

    def attempt(self, name: str, settings: Sequence[str], *, why: str, link: str, careful: bool, seeds: int) -> Tried:
        """Race a change of the champion."""
        if name in self.refuses:
            raise self.refuses[name]
        if name in {a.name for a in self.tried}:
            raise AssertionError(f"{name} is tried twice")
        champion, id = self.champion(), len(self.tried)
        recipe, free = (
            champion.recipe.with_overrides(list(settings)),
            prediction_only(s.split("=")[0] for s in settings),
        )
        height = height_of((*self._made(champion), *changes_of(name, self.catalog)), self.effects, self.catalog)
        self.tried.append(Tried(id, name, recipe, champion.id, tuple(settings), careful, height, free))
        self.runs[id] = {}
        return self.resume(id, careful=False, seeds=seeds)

    def _made(self, attempt: Tried) -> list[str]:
        """The changes that an attempt has come by, in order."""
        before = [] if attempt.parent is None else self._made(self.tried[attempt.parent])
        return [*before, *changes_of(attempt.name, self.catalog)]

    def resume(self, id: int, *, careful: bool, seeds: int) -> Tried:
        """Race it to its verdict."""
        self.tried[id] = attempt = replace(self.tried[id], careful=careful or self.tried[id].careful)
        parent = self.tried[attempt.parent or 0]
        rule = replace(CAREFUL if attempt.careful else RULE, seeds=seeds)
        for what in self.runs[parent.id] if attempt.free else ():
            self._train(attempt, what)
        while not self._accepted(id):
            following = self._judged(attempt, parent, rule).next
            if following is None:
                break
            self._train(attempt, following)
        if self._accepted(id):
            for fold in range(self.k):
                self._train(attempt, FoldSeed(fold, 0))
            if self.best == parent.id:
                self.best = id
        return self.tried[id]

    def missing(self, id: int) -> int:
        """Folds that an attempt is not trained on."""
        return self.k - len({what.fold for what in self.runs[id]})

    def complete(self, id: int) -> Tried:
        """Train the folds that an attempt lacks, and judge it again."""
        for fold in range(self.k):
            self._train(self.tried[id], FoldSeed(fold, 0))
        return self.resume(id, careful=True, seeds=1)

    def _accepted(self, id: int) -> bool:
        """A YES stands; the folds that it completes say nothing more of it."""
        verdict = self.tried[id].verdict
        return verdict is not None and verdict.verdict == "YES"

    def fresh(self, first: int, second: int, folds: int, seed: int) -> Claim:
        """Train two attempts anew and compare what these trainings alone say."""
        wanted = [FoldSeed(fold, seed) for fold in range(folds)]
        for id in (first, second):
            for what in wanted:
                self._train(replace(self.tried[id], free=False), what)
        champion, baseline = ([self._run(id, what) for what in wanted] for id in (first, second))
        means = (float(np.mean([run.values.mean() for run in side])) for side in (champion, baseline))
        return Claim.of(compare(champion, baseline, self._noise()), *means)

    def _judged(self, attempt: Tried, parent: Tried, rule: Rule) -> Decision:
        ours, base = ([self._run(side.id, what) for what in self.runs[side.id]] for side in (attempt, parent))
        noise = RunNoise(0.0, np.inf) if attempt.free else self._noise(but=attempt.id)
        comparison = compare(ours, base, noise, shared_training=attempt.free)
        decision = decide(comparison, fold_order(self.k, attempt.id), rule)
        self.tried[attempt.id] = replace(attempt, verdict=Verdict.of(decision, comparison))
        return decision

    def _noise(self, but: int | None = None) -> RunNoise:
        known = [a for a in self.tried if a.id != but]
        terms = [replicate_noise([self._run(a.id, w) for w in self.runs[a.id]]) for a in known if not a.free]
        return noise_of_terms([*terms, *(a.verdict.noise_terms() for a in known if a.verdict)])

    def _run(self, id: int, what: FoldSeed) -> Run:
        values = self.runs[id][what]
        return Run(*what, np.arange(len(values)), values)

    def _train(self, attempt: Tried, what: FoldSeed) -> None:
        if what in self.runs[attempt.id]:
            return
        rng = np.random.default_rng([self.seed, attempt.id, *what])
        if attempt.free:
            gain = attempt.height - self.tried[attempt.parent or 0].height
            self.runs[attempt.id][what] = (
                self.runs[attempt.parent or 0][what] + gain + self._level(attempt.id)[what.fold]
            )
            return
        self.before()
        self.trained[attempt.id] += 1
        self.runs[attempt.id][what] = self.world.run(rng, self._level(attempt.id)[what.fold] + attempt.height)

    def _level(self, id: int) -> Floats:
        if id not in self.levels:
            self.levels[id] = self.world.recipes(np.random.default_rng([self.seed, id]))
        return self.levels[id]


def height_of(changes: Sequence[str], effects: Mapping[str, float], catalog: Catalog) -> float:
    """True gain of a recipe over the baseline: the sum of its changes' gains.

    One that sets a key that a later one sets anew is undone by it, unless the later one is made to come after it.
    """
    made = [catalog.changes[name] for name in changes]
    undone = {
        i
        for i, one in enumerate(made)
        for later in made[i + 1 :]
        if one.set.keys() & later.set.keys() and later.after != changes[i]
    }
    return float(sum(effects.get(name, 0.0) for i, name in enumerate(changes) if i not in undone))


def drawn_effects(catalog: Catalog, rng: Rng, ideas: Ideas = REALISTIC) -> dict[str, float]:
    """True gains of the changes, of which kinds say nothing: drawn as `Ideas` are."""
    names = sorted(catalog.changes)
    return dict(zip(names, map(float, ideas.effects(rng, len(names))), strict=True))


def effects_by_kind(catalog: Catalog, rng: Rng, ideas: Ideas = REALISTIC) -> dict[str, float]:
    """True gains where kinds differ: of each a share is good, drawn from the catalogue's prior; the rest is as ever."""
    shares = {name: rng.beta(kind.yes, kind.no) for name, kind in sorted(catalog.kinds.items())}
    effects = drawn_effects(catalog, rng, ideas)
    for name, gain in effects.items():
        good = rng.random() < shares[catalog.changes[name].kind]
        if good or gain >= ideas.good[0]:
            effects[name] = float(rng.uniform(*ideas.good)) if good else 0.0
    return effects
