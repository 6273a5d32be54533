"""Real trainings put through the rule, each ledger as it was raced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from podium.ledger.simulate.trainings import BASELINE, Trainings
from podium.ledger.verdict import (
    Comparison,
    Decision,
    FoldSeed,
    Run,
    compare,
    decide,
    fold_order,
    run_noise,
)

ORDERS = 1000
"""More than a ledger has attempts: attempt a of ledger n trains its folds in the order of attempt 1000 n + a."""


@dataclass(frozen=True)
class Race:
    """One attempt, raced to its verdict.

    Attributes:
        kind: One of `KINDS`.
        comparison: The last, on which the verdict rests.
        runs: Its trainings in order.
        gain: Of the first fold run alone: over many attempts, the true gain on average.
    """

    ledger: int
    attempt: int
    kind: str
    decision: Decision
    comparison: Comparison
    runs: tuple[Run, ...]
    gain: float

    @property
    def yes(self) -> bool:
        """Whether it was accepted."""
        return self.decision.verdict == "YES"


Train = Callable[[int, int, FoldSeed], Run | None]
"""(ledger, attempt, fold and seed) to the fold run, if there is one."""


def race_ledger(ledger: int, kinds: Sequence[str], train: Train, k: int, *, up: bool) -> Iterator[Race]:
    """Race a ledger's attempts one after another against its baseline; each that is over tells of the run noise.

    The parent is always the baseline, also after a YES. Without a whole baseline nothing is raced; an attempt of which
    a fold run is missing is passed over.

    Args:
        up: Whether a greater score is better.
    """
    wanted = [train(ledger, BASELINE, FoldSeed(fold, seed)) for seed in range(2) for fold in range(k)]
    base = [run for run in wanted if run is not None]
    if len(base) < len(wanted):
        return
    trained, closed = [base], list[Comparison]()
    for attempt, kind in enumerate(kinds, 1):
        noise, order = run_noise(trained, closed), fold_order(k, ORDERS * ledger + attempt)
        runs, seen = list[Run](), [compare([], base, noise, greater_is_better=up)]
        decision = decide(seen[-1], order)
        while decision.next and (run := train(ledger, attempt, decision.next)):
            runs.append(run)
            seen.append(compare(runs, base, noise, greater_is_better=up))
            decision = decide(seen[-1], order)
        if decision.next:
            continue
        trained.append(runs)
        closed.append(seen[-1])
        yield Race(ledger, attempt, kind, decision, seen[-1], tuple(runs), seen[1].gain)


def race_all(kept: Trainings) -> list[Race]:
    """Every attempt of a file that its trainings decide."""
    up, k = kept.greater_is_better, kept.k
    return [race for n, kinds in enumerate(kept.plan) for race in race_ledger(n, kinds, kept.run, k, up=up)]
