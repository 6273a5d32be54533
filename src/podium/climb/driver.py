"""The climb: choose, race, ratchet, again, until the budget is spent; then what it proposes and the baseline anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from podium.climb.catalog import Catalog
from podium.climb.guards import Fit, Place
from podium.climb.journal import Journal
from podium.climb.ledger import Ledger
from podium.climb.moves import Move, State, changes_of
from podium.climb.policy import Rates, choose, updated
from podium.errors import BusyError, PodiumError, StorageError
from podium.ledger.verdict import RULE
from podium.progress import counted, duration, say

KEEP_BACK = 0.1
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
        self._known: dict[tuple[int, str], Fit] = {}
        trained = self.ledger.seconds() - self._seconds_before()
        self._spent, self._since = max(self.journal.seconds, trained), self.clock()

    def run(self) -> Journal:
        """Climb to the end of the budget, and check what was gained."""
        try:
            if not (self.journal.done or self.journal.ending):
                self._go_on()
                while move := self.next():
                    self._race(move)
                self._note(ending=True, now=None)
            if not self.journal.done:
                self._propose()
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
            self._known,
        )

    def rates(self, state: State) -> Rates:
        """How often each kind of changes helps, as far as is known."""
        prior = {name: (kind.yes, kind.no) for name, kind in self.catalog.kinds.items()}
        elsewhere = [(self.catalog.changes[name].kind, verdict) for name, verdict in self.learnt]
        return updated(prior, [*elsewhere, *((o.kind, o.verdict) for o in state.outcomes)])

    def next(self) -> Move | None:
        """What is to be tried next; None if nothing is left, or too little of the budget."""
        state, left = self.state(), self.left()
        moves = state.moves()
        within = {m.option.name: m for m in moves if self._fits(m, left)}
        if not within:
            why = "what is left of the budget is kept for the last check" if moves else "nothing is left to try"
            say(f"climb: {why}")
            return None
        j = self.journal
        rng = np.random.default_rng([j.seed, len(state.attempts), len(j.left_out), len(j.retried)])
        return within[choose([m.option for m in within.values()], self.rates(state), rng).name]

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
        """What is left of the budget without what is kept back, in fold runs as long as the champion's.

        While nothing is accepted one fold is kept back, for what is proposed then.
        """
        kept = min(float(self.ledger.k), max(1.0, KEEP_BACK / 2 * self._budget()))
        return self._unspent() - 2 * (1 if self.ledger.champion().id == self.journal.stood else int(kept))

    def _budget(self) -> float:
        j = self.journal
        return float(j.fold_runs or 0) if j.hours is None else j.hours * 3600 / self._each()

    def _unspent(self) -> float:
        used = self.spent() if self.journal.hours is None else self.seconds() / self._each()
        return self._budget() - used

    def _each(self) -> float:
        """Seconds of a fold run of the champion."""
        champion = self.ledger.champion().id
        return max(1e-3, self.ledger.seconds(champion) / max(1, self.ledger.fold_runs(champion)))

    def _seconds_before(self) -> float:
        return sum(self.ledger.seconds(a.id) for a in self.ledger.attempts() if a.id < self.journal.first)

    def _fits(self, move: Move, left: float) -> bool:
        """Whether a YES could still be completed: with less than K fold runs nothing can become the champion."""
        if move.resumes is None:
            return left >= self.ledger.k * move.length
        return left + self.ledger.fold_runs(move.resumes) >= RULE.seeds * self.ledger.k * move.length

    def _seeds(self, length: float, left: float, trained: int = 0) -> int:
        """Most trainings of a fold that are within the budget, for an attempt that has had ``trained`` fold runs."""
        return RULE.seeds if left + trained >= RULE.seeds * self.ledger.k * length else 1

    # ------------------------------------------------------------------ racing

    def _go_on(self) -> None:
        """What was stopped goes on first: its fold runs so far and what is left are what it began with."""
        j = self.journal
        for attempt in self.ledger.attempts():
            changes = changes_of(attempt.name, self.catalog)
            stopped = attempt.verdict is None or not attempt.verdict.final or attempt.name == j.now
            if not changes or not stopped or attempt.name in j.left_out:
                continue
            length, left, trained = self.state().length(changes), self.left(), self.ledger.fold_runs(attempt.id)
            if left + trained >= self.ledger.k * length:
                careful, seeds = j.careful and attempt.name == j.now, self._seeds(length, left, trained)
                self._try(attempt.name, partial(self.ledger.resume, attempt.id, careful=careful, seeds=seeds))

    def _race(self, move: Move) -> None:
        name, left = move.option.name, self.left()
        say(f"climb: {name} ({move.option.kind}), {self._left_in_words(left)}: {move.why}")
        if move.resumes is not None:
            self._note(now=name, careful=True, retried=sorted({*self.journal.retried, name}))
            seeds = self._seeds(move.length, left, self.ledger.fold_runs(move.resumes))
            self._try(name, partial(self.ledger.resume, move.resumes, careful=True, seeds=seeds))
            return
        self._note(now=name, careful=False)
        how: dict[str, Any] = {"why": move.why, "link": move.source, "careful": move.careful}
        how |= {"seeds": self._seeds(move.length, left)}
        self._try(name, partial(self.ledger.attempt, name, move.settings, **how))

    def _try(self, name: str, race: Callable[[], Any]) -> None:
        """Race it; what fails is left out, and the climb goes on."""
        before = self.ledger.champion().id
        try:
            attempt = race()
            if attempt.verdict is not None and not self.ledger.fold_runs(attempt.id):
                say(f"  {attempt.verdict.sentence}")  # judged at once: nothing else has told
            if self.ledger.champion().id != before:
                say(f"climb: {name} is the champion now; what comes next is made to it")
        except (BusyError, StorageError):
            raise
        except PodiumError as error:
            say(f"climb: {name} is left out: {error.found}")
            self._note(left_out=self.journal.left_out | {name: error.found})
        self._note(now=None, careful=False)

    def _left_in_words(self, left: float) -> str:
        if self.journal.hours is None:
            return f"{counted(int(left), 'fold run')} left"
        return f"{duration(left * self._each())} left"

    def _note(self, **changes: object) -> None:
        self.journal = self.journal.noted(self.folder, seconds=round(self.seconds(), 1), **changes)

    # ------------------------------------------------------------------ the end

    def _propose(self) -> None:
        """Settle what to submit: the champion, or what was made to it and has gained more in all likelihood.

        A verdict guards what the next changes are made to. Nothing is made to what comes last: there a gain that is
        only likely is worth having. If folds of it are missing, they are trained as far as the budget goes, and what is
        known then decides.
        """
        while self.journal.proposed is None:
            state, left = self.state(), self.left()
            stopped = next((a for a in state.attempts if a.name == self.journal.now), None)
            best = stopped or next((a for a in state.likeliest if self._lacks(a, state) <= left), state.champion)
            if best is state.champion or not (stopped or self._lacks(best, state)):
                self._note(proposed=best.id)
                return
            say(f"climb: {best.name} got no YES, but is the likeliest to help: its other folds are trained")
            self._note(now=best.name, retried=sorted({*self.journal.retried, best.name}))
            self._try(best.name, partial(self.ledger.complete, best.id))

    def _lacks(self, attempt: Any, state: State) -> float:
        """What its other folds cost, in fold runs of the champion."""
        return self.ledger.missing(attempt.id) * state.length(changes_of(attempt.name, self.catalog))

    def _check(self) -> None:
        """Retrain what is proposed and the baseline with a seed that neither was judged by, with what is left."""
        j = self.journal
        baseline = next(a for a in self.ledger.attempts() if a.parent is None)
        folds = j.check_folds or min(self.ledger.k, int(self._unspent()) // 2)
        if j.proposed in (None, j.stood, baseline.id) or folds < 1:
            self._note(done=True)
            return
        seed = FRESH + j.first
        self._note(check_seed=seed, check_folds=folds)
        told = "the champion" if j.proposed == self.ledger.champion().id else "what it proposes"
        say(f"climb: {told} and the baseline are trained anew on {counted(folds, 'fold')}, with seed {seed}")
        claim = self.ledger.fresh(j.proposed, baseline.id, folds, seed)
        self._note(claim=claim, done=True)


FRESH = 1000
"""Seeds of the last check begin here: no race gets there."""
