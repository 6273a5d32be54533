"""The race: one attempt, trained fold run by fold run until its verdict. Who trains, it does not know."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podium.errors import LedgerError
from podium.ledger.attempt import Attempt
from podium.ledger.attempts import Attempts
from podium.ledger.decimals import digits
from podium.ledger.judge import Judge
from podium.ledger.verdict import Decision, FoldSeed, Rule, Verdict
from podium.ledger.verdict.sentence import in_words
from podium.progress import say, say_if

Train = Callable[[Attempt, FoldSeed, int], None]
"""Leaves a finished fold run in the attempt's folder; the number: fold runs that may be left, for an outlook."""


@dataclass(frozen=True)
class Race:
    """Trains attempts to their verdicts.

    Attributes:
        train: Trains one fold run; an attempt's that only predicts in another way, from its parent's.
        changed: Called when an attempt's folder has changed, for the index.
    """

    attempts: Attempts
    judge: Judge
    train: Train
    changed: Callable[[Attempt], None]

    def baseline(self, attempt: Attempt) -> Attempt:
        """Train every fold, then, for the noise floor, each again with other seeds."""
        for seed in range(attempt.race.seeds):
            if seed == 1 and len(attempt.trained_folds(1)) < self.judge.k:
                say("  every fold is trained; now each again with another seed, to see how far luck moves the score")
                say("  (Ctrl-C stops; podium predict works already; the same command, or podium resume, goes on)")
            attempt = self.complete(attempt, seed)
        return attempt

    def complete(self, attempt: Attempt, seed: int = 0) -> Attempt:
        """Train what is missing of the K folds with one seed."""
        for fold in range(self.judge.k):
            if fold not in attempt.trained_folds(seed):
                attempt = self._train(attempt, FoldSeed(fold, seed), self.judge.k - len(attempt.trained_folds(seed)))
        return attempt

    def run(self, attempt: Attempt) -> Attempt:
        """Train fold runs until the verdict; on YES the other folds too, and it becomes the champion.

        An attempt that was stopped goes on; a verdict that stands is not asked again.
        """
        assert attempt.parent is not None
        parent = self.attempts.get(attempt.parent)
        order = self.judge.order(attempt)
        while not (attempt.verdict and attempt.verdict.final):
            try:
                decision, verdict = self.judge.judge(attempt, parent)
            except LedgerError as error:
                if not attempt.runs:
                    raise
                say(f"  {error}")
                return attempt.decided(Verdict.incomparable(len(attempt.trained_folds()), str(error).splitlines()[0]))
            if decision.folds:
                attempt = attempt.decided(verdict)
                self.changed(attempt)
                self._tell(attempt, parent, decision)
            if decision.next is None:
                break
            only = attempt.race.folds
            left = [fold for fold in order if not only or fold in only]
            if decision.next.fold not in left or (decision.next.seed and only):
                say(f"  stopped after {_folds(left)}, as asked; to go on: podium resume {attempt.id} --folds all")
                break
            if decision.next.fold not in parent.trained_folds():
                say(f"  attempt {parent.id} ({parent.name}), its parent, is trained on fold {decision.next.fold} first")
                parent = self._train(parent, FoldSeed(decision.next.fold, 0), 1)
            attempt = self._train(attempt, decision.next, 1)
        return self._crown(attempt, parent) if attempt.verdict and attempt.verdict.verdict == "YES" else attempt

    def judged_at_once(self, attempt: Attempt) -> Attempt:
        """An attempt with its parent's trainings: every fold run of it is predicted anew, then comes the verdict."""
        assert attempt.parent is not None
        parent = self.attempts.get(attempt.parent)
        for run in parent.runs:
            if run.fold not in attempt.trained_folds(run.seed):
                attempt = self._train(attempt, FoldSeed(run.fold, run.seed), 0)
        decision, verdict = self.judge.judge(attempt, parent, shared_training=True)
        attempt = attempt.decided(verdict)
        self.changed(attempt)
        _explain(decision, attempt.race.rule)
        return self._crown(attempt, parent) if decision.verdict == "YES" else attempt

    def crown(self, attempt: Attempt, why: str) -> Attempt:
        """Make it the champion by a person's word; folds that are missing are trained first."""
        attempt = self.complete(attempt).crowned(why, "person")
        self.changed(attempt)
        return attempt

    def _crown(self, attempt: Attempt, parent: Attempt) -> Attempt:
        attempt = self.complete(attempt)
        if attempt.crown is None and self.attempts.champion().id == parent.id:
            assert attempt.verdict is not None
            attempt = attempt.crowned(attempt.verdict.sentence, "verdict")
            say(f"  attempt {attempt.id} ({attempt.name}) is the new champion")
            self.changed(attempt)
        return attempt

    def _train(self, attempt: Attempt, what: FoldSeed, left: int) -> Attempt:
        self.train(attempt, what, left)
        attempt = Attempt.load(attempt.folder)
        self.changed(attempt)
        return attempt

    def _tell(self, attempt: Attempt, parent: Attempt, d: Decision) -> None:
        """What the last fold run says, beside its parent's, and what all say together."""
        last = max(attempt.runs, key=lambda run: (run.folder / "COMPLETE").stat().st_mtime_ns)
        base = [run.score for run in parent.runs if run.fold == last.fold]
        if base:
            mean = sum(base) / len(base)
            n = digits(d.noise_floor, d.gain) + 1
            seeds = "" if len(base) == 1 else f" (mean of {len(base)} seeds)"
            of = f"fold {last.fold}" + (f" seed {last.seed}" if last.seed else "")
            say(f"  {of}: {last.score:.{n}f}; its parent there: {mean:.{n}f}{seeds}")
        _explain(d, attempt.race.rule)
        if d.next is not None and math.isfinite(d.se):
            say("  (Ctrl-C stops here and loses nothing: podium resume goes on)")


def _explain(d: Decision, rule: Rule) -> None:
    """The verdict, and what its numbers mean."""
    say(f"  {d.sentence}")
    say_if(in_words(d, 1 / rule.alpha, rule.d_min))


def _folds(folds: Sequence[int]) -> str:
    return f"fold{'s' * (len(folds) != 1)} {', '.join(map(str, sorted(folds)))}"
