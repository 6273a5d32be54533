"""What the ledger's attempts say of one: their scores, read from the files, put before the verdict's pure functions."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Self

from pydantic import Field

from podium.config import Config, write_toml
from podium.errors import LedgerError, PodiumError
from podium.ledger.attempt import Attempt
from podium.ledger.attempts import Attempts
from podium.ledger.verdict import (
    Run,
    RunNoise,
    Terms,
    Verdict,
    compare,
    decide,
    fold_order,
    noise_of_terms,
    paired_runs,
    replicate_noise,
)
from podium.ledger.verdict.decide import Decision
from podium.metrics import Metric

REPLICATES = "replicates.toml"


class Replicates(Config):
    """`replicates.toml`: what an attempt's second seeds say of the run noise, so that scores are read once."""

    runs: list[str] = Field(description="The fold runs it is made of.")
    numerator: float = Field(description="Scatter of the seeds of a fold, less what finite groups explain.")
    denominator: float = Field(description="Degrees of freedom.")
    noise_floor: float | None = Field(None, description="How far one fold's score moves with nothing but the seed.")

    @classmethod
    def of(cls, attempt: Attempt, metric: Metric) -> Self | None:
        """Of all fold runs that it trained itself; None if no fold has two seeds.

        Raises:
            LedgerError: if the metric has no value without one of the groups.
        """
        own = attempt.own_runs
        folds = [run.fold for run in own]
        names = [run.folder.name for run in own if folds.count(run.fold) > 1]
        if not names:
            return None
        path = attempt.folder / REPLICATES
        if path.exists():
            known = cls.load(path)
            if known.runs == names:
                return known
        tables = {(run.fold, run.seed): run.scores() for run in attempt.runs if run.folder.name in names}
        runs, _, _ = paired_runs(tables, {}, metric)
        terms = replicate_noise(runs)
        found = cls(
            runs=names, numerator=terms.numerator, denominator=terms.denominator, noise_floor=_floor(runs, terms)
        )
        write_toml(path, found.tree())
        return found

    @property
    def terms(self) -> Terms:
        """For `noise_of_terms`."""
        return Terms(self.numerator, self.denominator, self.denominator)


def _floor(runs: list[Run], terms: Terms) -> float | None:
    """The noise floor, from a second seed beside the first as if it were an attempt beside its parent."""
    first = {run.fold: run for run in reversed(runs)}  # of each fold the one that comes first
    second = {run.fold: run for run in runs if run is not first[run.fold]}
    found = compare(second.values(), [first[fold] for fold in second], noise_of_terms([terms]))
    return found.noise_floor if math.isfinite(found.noise_floor) else None


class Judge:
    """Verdicts of the attempts of one ledger.

    Args:
        k: Number of folds.
    """

    def __init__(self, attempts: Attempts, metric: Metric, k: int) -> None:
        self.attempts, self.metric, self.k = attempts, metric, k

    def noise(self, but: int | None = None) -> RunNoise:
        """The run noise as the ledger knows it; an attempt is left out that is damaged, or scored by another metric.

        Args:
            but: The attempt that is being judged: its own folds say nothing before it is over.
        """
        terms: list[Terms | None] = []
        for row in self.attempts.index.rows():
            if row.damage or row.id == but or (row.metric and row.metric != self.metric.name):
                continue
            if row.replicated:
                with contextlib.suppress(PodiumError):
                    found = Replicates.of(Attempt.load(self.attempts.folder / row.folder), self.metric)
                    terms += [found.terms] if found else []
            terms += [Terms(*json.loads(row.noise))] if row.noise else []
        return noise_of_terms(terms)

    def order(self, attempt: Attempt) -> tuple[int, ...]:
        """The order in which it trains the folds: those that were asked for come first."""
        order, asked = fold_order(self.k, attempt.id), attempt.race.folds
        return tuple(sorted(order, key=lambda fold: fold not in asked)) if asked else order

    def judge(self, attempt: Attempt, parent: Attempt, *, shared_training: bool = False) -> tuple[Decision, Verdict]:
        """The verdict after the fold runs so far.

        Args:
            shared_training: It only predicts in another way with its parent's trainings.

        Raises:
            LedgerError: if the two have no sample of a fold in common, or the metric has no value there.
        """
        sides = [{(run.fold, run.seed): run.scores() for run in side.runs} for side in (attempt, parent)]
        mine, base, left_out = paired_runs(sides[0], sides[1], self.metric)
        noise = None if shared_training else self.noise(but=attempt.id)
        up = self.metric.greater_is_better
        comparison = compare(mine, base, noise, greater_is_better=up, shared_training=shared_training)
        decision = decide(comparison, self.order(attempt), attempt.race.rule)
        return decision, Verdict.of(decision, comparison, left_out=left_out)


def same_assignment(attempt: Attempt, fold: dict[str, int]) -> None:
    """Refuse to compare an attempt with one whose samples lie in other folds.

    Args:
        fold: {sample: fold} as it is now.

    Raises:
        LedgerError: naming a sample that moved.
    """
    for run in attempt.runs:
        for id in run.scores()["id"]:
            if fold.get(id, run.fold) != run.fold:
                raise LedgerError(
                    f"attempt {attempt.id} ({attempt.name}) was trained on other folds: '{id}' was in fold {run.fold} "
                    f"and is in fold {fold[id]}",
                    where="folds.csv",
                    expected="the folds it was trained on; otherwise scores cannot be compared",
                    remedy="restore folds.csv, or start a new baseline in another workspace",
                )
