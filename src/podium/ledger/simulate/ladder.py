"""Attempt after attempt under a budget of fold runs; an accepted one becomes the parent of the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from podium.ledger.simulate.race import Ints, noise_of
from podium.ledger.simulate.rivals import Bools, corrected_t, mean_cv, paired_t_of
from podium.ledger.simulate.worlds import Rng, World
from podium.ledger.verdict.formulas import RULE, UNSURE, YES, Floats, closed_terms, fold_stats, outcome, summary

RIVALS = ("paired t", "mean CV", "corrected t")


@dataclass(frozen=True)
class Ideas:
    """True gains of ideas, in run-sds: 35 % exactly nil, 35 % harmful, 20 % tiny, 10 % good; evenly within a range.

    Attributes:
        harmful, tiny, good: (least, most) size.
    """

    harmful: tuple[float, float] = (0.5, 5.0)
    tiny: tuple[float, float] = (0.1, 1.0)
    good: tuple[float, float] = (2.0, 4.0)

    def effects(self, rng: Rng, n: int) -> Floats:
        """The gains of ``n`` ideas."""
        kind = rng.choice(4, n, p=(0.35, 0.35, 0.20, 0.10))
        sizes = (np.zeros(n), -rng.uniform(*self.harmful, n), rng.uniform(*self.tiny, n), rng.uniform(*self.good, n))
        return np.choose(kind, sizes)


REALISTIC = Ideas()
MODEST = Ideas(tiny=(0.1, 0.5), good=(1.5, 2.5))


@dataclass
class Climbed:
    """Totals over the ladders, shape (lanes,) each: true gain in run-sds, attempts closed, accepted, falsely."""

    gained: Floats
    attempts: Ints
    accepted: Ints
    false: Ints

    def count(self, lanes: Ints, effect: Floats) -> None:
        """Add accepted attempts."""
        self.gained[lanes] += effect
        self.accepted[lanes] += 1
        self.false[lanes] += effect <= 0


def _start(lanes: int) -> Climbed:
    return Climbed(np.zeros(lanes), *(np.zeros(lanes, np.int64) for _ in range(3)))


def climb(world: World, lanes: int, budget: int, rng: Rng, ideas: Ideas = REALISTIC) -> Climbed:
    """Ladders by our rule. The run noise comes from the baseline's A/A runs and from all closed attempts.

    The folds that a YES still trains count in the budget; what is not finished at its end is not accepted.
    """
    k, g = world.folds, len(world.sizes)
    every = np.arange(lanes)
    total = _start(lanes)
    base = world.run(rng, np.repeat(world.recipes(rng, lanes)[:, :, None], 2, 2))
    top, bottom, free = noise_of(base)
    df = np.full(lanes, free)
    parent, parent_n, height = base.mean(2), np.full((lanes, k), 2), np.zeros(lanes)
    effect, level = ideas.effects(rng, lanes), world.recipes(rng, lanes)
    order = rng.permuted(np.tile(np.arange(k), (lanes, 1)), axis=1)
    mean, n, step = np.zeros((lanes, k, g)), np.zeros((lanes, k), int), np.zeros(lanes, int)
    code = np.zeros(lanes, np.int8)
    for _ in range(budget):
        fold = order[every, step % k]
        run = world.run(rng, level[every, fold] + (height + effect)[:, None])
        mean[every, fold] += (run - mean[every, fold]) / (n[every, fold] + 1)[:, None]
        n[every, fold] += 1
        step += 1
        d, v = fold_stats(mean - parent)
        c = 1 / np.maximum(n, 1) + 1 / parent_n
        s2 = np.maximum(0, top / bottom)
        for m in range(1, k + 1):
            i = np.flatnonzero((np.minimum(step, k) == m) & (code != YES))
            folds = i[:, None], order[i, :m]
            found = summary(d[folds], v[folds], c[folds], s2[i], df[i])
            code[i], _ = outcome(*found, m == k, RULE)
        over = np.where(code == YES, step >= k, (code != UNSURE) | (step == RULE.seeds * k))
        for m in range(2, k + 1):
            i = np.flatnonzero(over & (np.minimum(step, k) == m))
            folds = i[:, None], order[i, :m]
            more = closed_terms(d[folds], v[folds], c[folds])
            top[i], bottom[i], df[i] = top[i] + more[0], bottom[i] + more[1], df[i] + more[2]
        won, i = np.flatnonzero(over & (code == YES)), np.flatnonzero(over)
        parent[won], parent_n[won] = mean[won], n[won]
        height[won] += effect[won]
        total.count(won, effect[won])
        total.attempts[i] += 1
        effect[i], level[i] = ideas.effects(rng, len(i)), world.recipes(rng, len(i))
        order[i] = rng.permuted(order[i], axis=1)
        mean[i], n[i], step[i], code[i] = 0, 0, 0, UNSURE
    return total


def climb_by(rival: str, world: World, lanes: int, budget: int, rng: Rng, ideas: Ideas = REALISTIC) -> Climbed:
    """Ladders by what people do instead: "paired t", "mean CV" or "corrected t"; no A/A runs are needed."""
    k, total = world.folds, _start(lanes)
    parent, height = world.run(rng, world.recipes(rng, lanes)), np.zeros(lanes)
    left = np.full(lanes, budget)
    while (left >= k).any():
        effect = ideas.effects(rng, lanes)
        runs = world.run(rng, world.recipes(rng, lanes) + (height + effect)[:, None, None])
        if rival == "paired t":
            yes: Bools = paired_t_of(runs[:, 0] - parent[:, 0], world, rng)
            cost = np.where(yes, k, 1)
        else:
            difference = (runs - parent).mean(-1)
            yes = mean_cv(difference) if rival == "mean CV" else corrected_t(difference)
            cost = np.full(lanes, k)
        alive = left >= cost
        won = np.flatnonzero(yes & alive)
        parent[won] = runs[won]
        height[won] += effect[won]
        total.count(won, effect[won])
        total.attempts += alive
        left -= np.where(alive, cost, left)
    return total
