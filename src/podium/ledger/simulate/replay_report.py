"""What the replay of real trainings found, as rows: A/A attempts as raced and dealt anew, then planted effects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.ledger.simulate.dealt import Pools, aa_pools, deal, paired_t
from podium.ledger.simulate.kinds import AA, KINDS
from podium.ledger.simulate.ladder import RIVALS
from podium.ledger.simulate.race import Raced
from podium.ledger.simulate.replay import Race, race_all
from podium.ledger.simulate.report import Measured, wilson
from podium.ledger.simulate.rivals import Bools
from podium.ledger.simulate.scenarios import Bound
from podium.ledger.simulate.trainings import BASELINE, Scores, Trained, Trainings
from podium.ledger.verdict import CAREFUL, RULE, Decision, Rule, Run, RunNoise, run_noise
from podium.ledger.verdict.formulas import UNSURE, WORSE, YES, Floats

BLOCKS = 10
"""Parts without a training in common that the A/A trainings are dealt within: their scatter gives the interval."""
DEALT = 2000
"""Races of dealt trainings, about."""

FALSE_YES = Bound("yes", 0.05)
BOUNDS = {"gain": (Bound("yes", 0.5, False),), "loss": (FALSE_YES, Bound("fold_runs", 1.2))}


@dataclass(frozen=True)
class Replayed:
    """One file of trainings put through the rule.

    Attributes:
        noise: Of retraining, from all A/A trainings together; the unit of gains is its root, the run-sd.
        sampling: Variance that a fold's finite groups give the gain of one training over another, on average.
        score: Mean of the A/A trainings.
        fold_runs: Trainings in the file.
        unfinished: Attempts that were begun and that these trainings do not decide.
        aa, planted: What was measured.
    """

    about: dict[str, Any]
    noise: RunNoise
    sampling: float
    score: float
    fold_runs: int
    ledgers: int
    unfinished: int
    aa: list[Measured]
    planted: list[Measured]

    @property
    def rows(self) -> list[Measured]:
        """All of them."""
        return [*self.aa, *self.planted]

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        keys = ("about", "score", "sampling", "fold_runs", "ledgers", "unfinished")
        noise = {"run_noise": self.noise.s2, "run_noise_df": self.noise.df}
        return {key: getattr(self, key) for key in keys} | noise | {"rows": [row.tree() for row in self.rows]}


def replay(kept: Trainings, seed: int = 0) -> Replayed:
    """Race everything in a file again, from the scores."""
    races, pools = race_all(kept), aa_pools(kept)
    noise, means = _noise_of(kept, pools)
    begun = sum(attempt != BASELINE for _, attempt in kept.attempts())
    same = [race for race in races if race.kind == AA]
    rows = [_raced(kept, same)] if same else []
    blocks = _blocks(pools)
    rows += [_dealt(kept, blocks, rule, seed) for rule in (RULE, CAREFUL) if len(blocks) > 1]
    planted = [
        _planted(kept, name, [race for race in races if race.kind == name], noise.s2**0.5)
        for name in KINDS
        if name != AA and any(race.kind == name for race in races)
    ]
    variances = [float(np.mean(race.comparison.variances)) for race in same]
    return Replayed(
        kept.about,
        noise,
        float(np.mean(variances)) if variances else float("nan"),
        float(np.mean(means)),
        len(kept.scores),
        len({race.ledger for race in races}),
        begun - len(races),
        rows,
        planted,
    )


def _noise_of(kept: Trainings, pools: Sequence[Sequence[Trained]]) -> tuple[RunNoise, list[float]]:
    """(run noise of all A/A trainings, the score of each)."""
    runs = [Run.of_scores(t.fold, n, kept.scores[t], kept.groups[t.fold]) for pool in pools for n, t in enumerate(pool)]
    return run_noise([runs]), [float(kept.scores[t].mean()) for pool in pools for t in pool]


def _raced(kept: Trainings, races: Sequence[Race]) -> Measured:
    yes, count = defaultdict[int, int](int), defaultdict[int, int](int)
    for race in races:
        yes[race.ledger] += race.yes
        count[race.ledger] += 1
    low, high = clustered([yes[n] for n in count], [*count.values()], len(races))
    values = _verdicts([race.decision for race in races]) | {"paired t": _paired_share(kept, races)}
    says = f"in {len(count)} ledgers, each with its own baseline, one attempt after another"
    return _row("as raced", says, values, (low, high), (FALSE_YES,), len(races))


def _blocks(pools: Sequence[Sequence[Trained]]) -> list[list[list[Trained]]]:
    """The pools of all folds in up to ten parts of at least eight trainings a fold."""
    n = min(BLOCKS, min(map(len, pools)) // 8)
    return [[list(pool[part::n]) for pool in pools] for part in range(n)]


def _dealt(kept: Trainings, blocks: Sequence[Sequence[Sequence[Trained]]], rule: Rule, seed: int) -> Measured:
    rng, raced, rivals = np.random.default_rng(seed), list[Raced](), list[dict[str, Bools]]()
    for block in blocks:
        pools = Pools.of(kept, block)
        hands = deal(pools.sizes, rng, DEALT // len(blocks))
        raced.append(pools.race(hands, rng, rule))
        rivals.append(pools.rivals(hands, raced[-1].order[:, 0]))
    code, runs = (np.concatenate([getattr(r, name) for r in raced]) for name in ("code", "fold_runs"))
    trainings = sum(len(pool) for block in blocks for pool in block)
    interval = clustered([int((r.code == YES).sum()) for r in raced], [len(r.code) for r in raced], trainings)
    shares = {"yes": code == YES, "no": code < UNSURE, "unsure": code == UNSURE, "worse": code == WORSE}
    shares |= {name: np.concatenate([r[name] for r in rivals]) for name in RIVALS}
    values: dict[str, float | None] = {name: float(said.mean()) for name, said in shares.items()}
    careful = " (careful)" if rule is CAREFUL else ""
    says = f"the same {trainings} trainings at random as parent and attempt, each in a young ledger"
    return _row(
        f"dealt anew{careful}", says, values | {"fold_runs": float(runs.mean())}, interval, (FALSE_YES,), len(code)
    )


def _planted(kept: Trainings, name: str, races: Sequence[Race], sd: float) -> Measured:
    n = len(races)
    values = _verdicts([race.decision for race in races]) | {"paired t": _paired_share(kept, races)}
    gains = np.array([race.gain for race in races]) / sd if sd else np.full(n, np.nan)
    values |= {"gain": float(gains.mean()), "gain_se": float(gains.std(ddof=1) / np.sqrt(n)) if n > 1 else None}
    kind = KINDS[name]
    return _row(name, kind.says, values, wilson(values["yes"] or 0.0, n), BOUNDS[kind.truth], n)


def _row(
    name: str,
    says: str,
    values: dict[str, float | None],
    interval: tuple[float, float],
    bounds: tuple[Bound, ...],
    attempts: int,
) -> Measured:
    held = tuple((str(b), b.holds(values[b.measure] or 0.0)) for b in bounds)
    return Measured(name, says, attempts, values, *interval, held)


def _verdicts(found: Sequence[Decision]) -> dict[str, float | None]:
    shares = {word.lower(): float(np.mean([d.verdict == word for d in found])) for word in ("YES", "NO", "UNSURE")}
    worse = float(np.mean([d.reason == "worse" for d in found]))
    return {**shares, "worse": worse, "fold_runs": float(np.mean([d.fold_runs for d in found]))}


def clustered(yes: Sequence[int], count: Sequence[int], most: int) -> tuple[float, float]:
    """95 % interval of a share of YES whose cases hang together within clusters.

    Wilson's, for as many cases as would scatter alike if each stood alone. Source: Korn & Graubard 1998.

    Args:
        yes, count: Of each cluster.
        most: Cases that it may count as at most.
    """
    y, n = np.array(yes, np.float64), np.array(count, np.float64)
    share, clusters = float(y.sum() / n.sum()), len(n)
    if clusters < 2:
        return 0.0, 1.0
    variance = clusters / (clusters - 1) * float(((y - share * n) ** 2).sum()) / float(n.sum()) ** 2
    alone = share * (1 - share) / variance if variance > 0 else most
    return wilson(share, max(1.0, min(alone, most)))


def _paired_share(kept: Trainings, races: Sequence[Race]) -> float:
    """Share of attempts that a paired t test calls a gain: their first fold run beside the parent's first seed."""
    said = []
    for race in races:
        fold, seed = race.runs[0].fold, race.runs[0].seed
        mine, base = Trained(race.ledger, race.attempt, fold, seed), Trained(race.ledger, BASELINE, fold, 0)
        said.append(bool(paired_t(_difference(kept, mine, base))))
    return float(np.mean(said))


def _difference(kept: Trainings, attempt: Trained, parent: Trained) -> Floats:
    """Gain of each sample."""
    scores: list[Scores] = [kept.scores[t].astype(np.float64) for t in (attempt, parent)]
    return np.asarray(scores[0] - scores[1] if kept.greater_is_better else scores[1] - scores[0], np.float64)
