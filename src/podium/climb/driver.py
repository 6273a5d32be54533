"""The climb: choose, race, ratchet, again, until the budget is spent; then the champion and the baseline once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from podium.climb.catalog import Catalog
from podium.climb.guards import Place
from podium.climb.journal import Journal
from podium.climb.ledger import Ledger
from podium.climb.moves import Move, State, changes_of
from podium.climb.policy import Rates, choose, updated
from podium.errors import BusyError, PodiumError, StorageError
from podium.progress import counted, duration, say

KEEP_BACK = 0.15
"""Share of the fold runs kept back for the last check: of two attempts, on one fold at least and on K at most."""


@dataclass
class Climb:
    """One climb in one workspace.

    Attributes:
        folder: Where `climb.toml` is.
        journal: As it was read or begun.
        learnt: (change, verdict) of other ledgers.
        clock: Seconds.
    """

    ledger: Ledger
    catalog: Catalog
    place: Place
    folder: Path
    journal: Journal
    learnt: tuple[tuple[str, str], ...] = ()
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        trained = self.ledger.seconds() - self._seconds_before()
        self._spent, self._since = max(self.journal.seconds, trained), self.clock()

    def run(self) -> Journal:
        """Climb to the end of the budget, and check what was gained."""
        try:
            self._go_on()
            while not self.journal.done and self.journal.check_seed is None and (move := self.next()):
                self._race(move)
            if not self.journal.done:
                self._check()
        finally:
            self._note()
        return self.journal

    # ------------------------------------------------------------------ choosing

    def state(self) -> State:
        """The ledger as it is now."""
        j = self.journal
        return State(
            self.catalog,
            self.place,
            self.ledger.champion(),
            self.ledger.attempts(),
            j.retried,
            j.left_out,
            self._seen(),
            j.hours is not None,
        )

    def rates(self, state: State) -> Rates:
        """How often each kind of changes helps, as far as is known."""
        prior = {name: (kind.yes, kind.no) for name, kind in self.catalog.kinds.items()}
        elsewhere = [(self.catalog.changes[name].kind, verdict) for name, verdict in self.learnt]
        return updated(prior, [*elsewhere, *((o.kind, o.verdict) for o in state.outcomes)])

    def next(self) -> Move | None:
        """What is to be tried next; None if nothing is left, or too little of the budget."""
        state = self.state()
        if not self._affordable(1.0):
            say("climb: what is left of the budget is kept for the last check")
            return None
        moves = {m.option.name: m for m in state.moves() if self._affordable(m.time)}
        if not moves:
            say("climb: nothing of the catalogue is left to try")
            return None
        j, rates = self.journal, self.rates(state)
        rng = np.random.default_rng([j.seed, len(state.attempts), len(j.left_out), len(j.retried)])
        return moves[choose([m.option for m in moves.values()], rates, rng).name]

    def _seen(self) -> Mapping[str, tuple[float, float]]:
        seen: dict[str, tuple[float, float]] = {}
        for name, verdict in self.learnt:
            seen[name] = updated({"": seen.get(name, (0.0, 0.0))}, [("", verdict)])[""]
        return seen

    # ------------------------------------------------------------------ the budget

    def spent(self) -> int:
        """Fold runs since it began."""
        return self.ledger.fold_runs() - self.journal.runs_before

    def seconds(self) -> float:
        """Time since it began, that of earlier sessions included."""
        return self._spent + self.clock() - self._since

    def left(self) -> float:
        """What is left of the budget without what is kept back, in fold runs as long as the champion's."""
        return self._budget() - self._used() - 2 * self._check_folds()

    def _budget(self) -> float:
        j = self.journal
        return float(j.fold_runs or 0) if j.hours is None else j.hours * 3600 / self._each()

    def _used(self) -> float:
        return float(self.spent()) if self.journal.hours is None else self.seconds() / self._each()

    def _check_folds(self) -> int:
        return int(min(self.ledger.k, max(1, KEEP_BACK / 2 * self._budget())))

    def _each(self) -> float:
        champion = self.ledger.champion().id
        return max(1e-3, self.ledger.seconds(champion) / max(1, self.ledger.fold_runs(champion)))

    def _seconds_before(self) -> float:
        return sum(self.ledger.seconds(a.id) for a in self.ledger.attempts() if a.id < self.journal.first)

    def _affordable(self, times: float) -> bool:
        """Whether a YES could still be completed: with less than K fold runs nothing can become the champion."""
        longer = times if self.journal.hours is not None else 1.0
        return self.left() >= self.ledger.k * longer

    # ------------------------------------------------------------------ racing

    def _go_on(self) -> None:
        """What was stopped goes on first."""
        j = self.journal
        for attempt in self.ledger.attempts():
            ours = bool(changes_of(attempt.name, self.catalog)) and attempt.name not in j.left_out
            stopped = attempt.verdict is None or not attempt.verdict.final or attempt.name == j.now
            if ours and stopped and not j.done and j.check_seed is None and self._affordable(1.0):
                careful = j.careful and attempt.name == j.now
                self._try(attempt.name, partial(self.ledger.resume, attempt.id, careful=careful))

    def _race(self, move: Move) -> None:
        name, resumed = move.option.name, move.resumes is not None
        self._note(now=name, careful=resumed)
        say(f"climb: {name} ({move.option.kind}), {self._left_in_words()}: {move.why}")
        if move.resumes is not None:
            self._note(retried=sorted({*self.journal.retried, name}))
            self._try(name, partial(self.ledger.resume, move.resumes, careful=True))
            return
        why, link, careful = move.why, move.source, move.careful
        self._try(name, partial(self.ledger.attempt, name, move.settings, why=why, link=link, careful=careful))

    def _try(self, name: str, race: Callable[..., object]) -> None:
        """Race it; what fails is left out, and the climb goes on."""
        try:
            race(most=self._most())
        except (BusyError, StorageError):
            raise
        except PodiumError as error:
            self._leave_out(name, error)
        self._note(now=None, careful=False)

    def _left_in_words(self) -> str:
        if self.journal.hours is None:
            return f"{counted(int(self.left()), 'fold run')} left"
        return f"{duration(self.journal.hours * 3600 - self.seconds())} left"

    def _leave_out(self, name: str, error: PodiumError) -> None:
        say(f"climb: {name} is left out: {error.found}")
        self._note(left_out=self.journal.left_out | {name: error.found})

    def _most(self) -> int | None:
        """Fold runs that an attempt may take: what is left, where that is less than every seed of every fold."""
        left = int(self.left())
        return max(self.ledger.k, left) if left < 2 * self.ledger.k else None

    def _note(self, **changes: object) -> None:
        self.journal = self.journal.noted(self.folder, seconds=round(self.seconds(), 1), **changes)

    # ------------------------------------------------------------------ the end

    def _check(self) -> None:
        """Retrain champion and baseline with a seed that neither has been judged by."""
        champion = self.ledger.champion()
        baseline = next(a for a in self.ledger.attempts() if a.parent is None)
        if champion.id == baseline.id:
            self._note(done=True)
            return
        folds = self.journal.check_folds or int(min(self.ledger.k, self._check_folds() + max(0.0, self.left()) // 2))
        seed = self.journal.check_seed or FRESH + self.journal.first
        self._note(check_seed=seed, check_folds=folds)
        say(f"climb: champion and baseline are trained anew on {counted(folds, 'fold')}, with seed {seed}")
        claim = self.ledger.fresh(champion.id, baseline.id, folds, seed)
        self._note(claim=claim, done=True)


FRESH = 1000
"""Seeds of the last check begin here: no race gets there."""
