"""What the views know of each attempt: its row of the index, the public score of its best submission, the champion."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median
from typing import Any, NamedTuple

from podium.ledger.decimals import digits


class Entry(NamedTuple):
    """One attempt. Gains are positive when better, whatever the metric's direction.

    A tuple, and of plain values, since a ledger may have ten thousand of them.

    Attributes:
        change: In words.
        folds, fold_runs: Folds that have the first seed, and fold runs in all.
        trained: Fold runs that it trained itself; fewer where it predicts with its parent's trainings.
        runs: `scores` as JSON.
        gain: The shrunk gain over its parent; the raw one while no noise floor is known.
        crowned: When it became the champion, UTC.
        crowned_by: "verdict" or "person".
        final: Whether the verdict stands; None without one.
        finished: Whether nothing is left to train.
        public: Of its best submission.
    """

    id: int
    folder: str
    name: str
    parent: int | None
    created: str
    change: str
    why: str
    link: str
    cv: float | None
    folds: int
    fold_runs: int
    trained: int
    runs: str
    seconds: float
    verdict: str | None
    reason: str | None
    gain: float | None
    raw_gain: float | None
    se: float | None
    noise_floor: float | None
    evidence: float | None
    crowned: str | None
    crowned_by: str | None
    final: bool | None
    finished: bool
    public: float | None = None

    @property
    def scores(self) -> list[tuple[int, int, float]]:
        """(fold, seed, score) of each training."""
        return [(fold, seed, score) for fold, seed, score in json.loads(self.runs)]

    @property
    def judged(self) -> bool:
        """Whether it has a verdict that stands."""
        return self.parent is not None and self.verdict is not None and bool(self.final)

    @property
    def overruled(self) -> bool:
        """Whether a person made it the champion against its verdict."""
        return self.crowned_by == "person" and self.verdict != "YES"

    def fold_means(self) -> dict[int, float]:
        """{fold: mean score of its seeds}."""
        folds: dict[int, list[float]] = defaultdict(list)
        for fold, _, score in self.scores:
            folds[fold].append(score)
        return {fold: fmean(scores) for fold, scores in sorted(folds.items())}

    def mean_and_sd(self) -> tuple[float, float | None] | None:
        """Mean and standard deviation (n - 1) of the folds' scores; None before the first."""
        means = list(self.fold_means().values())
        if not means:
            return None
        mean = fmean(means)
        squares = math.fsum((score - mean) ** 2 for score in means)
        return mean, math.sqrt(squares / (len(means) - 1)) if len(means) > 1 else None

    def standing(self) -> str:
        """Its verdict in a word or two, and what else has to be known of it."""
        words = [self.verdict] if self.verdict and self.final else []
        words += ["overruled"] if self.overruled else []
        words += [] if self.finished else ["unfinished"]
        return ", ".join(words)

    def tree(self) -> dict[str, Any]:
        """For a program."""
        tree = self._asdict() | {"scores": self.scores, "state": "done" if self.finished else "unfinished"}
        tree["final"] = None if self.final is None else bool(self.final)
        return {name: value for name, value in tree.items() if name not in ("runs", "finished")}


@dataclass(frozen=True)
class Ledger:
    """Every attempt, by number, and what their scores mean.

    Attributes:
        k: Number of folds.
    """

    entries: tuple[Entry, ...]
    metric: str
    greater_is_better: bool
    k: int

    def tree(self) -> dict[str, Any]:
        """For a program."""
        about = {"metric": self.metric, "greater_is_better": self.greater_is_better, "k": self.k}
        rows = [entry.tree() | {"champion": entry is self.champion} for entry in self.entries]
        return about | {"attempts": rows}

    @cached_property
    def by_id(self) -> dict[int, Entry]:
        """{number: attempt}."""
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def champion(self) -> Entry | None:
        """The recipe that stands: the attempt that was crowned last, else the first baseline."""
        crowned = [entry for entry in self.entries if entry.crowned]
        if crowned:
            return max(crowned, key=lambda entry: str(entry.crowned))
        return next((entry for entry in self.entries if entry.parent is None), None)

    def told(self) -> str:
        """Which attempt stands, and what it scores."""
        champion = self.champion
        if champion is None or champion.cv is None:
            return ""
        first = next((e for e in self.entries if e.parent is None), champion)
        before = "" if first is champion or first.cv is None else f" (attempt {first.id}: {first.cv:.5f})"
        by = ", made so by hand" if champion.overruled else ""
        return f"★ champion: {champion.id} {champion.name}{by}, CV {self.metric} {champion.cv:.5f}{before}"

    @cached_property
    def decimals(self) -> int:
        """With how many decimals gains are shown, all alike: to the first digit of the usual noise floor."""
        floors = [entry.noise_floor for entry in self.entries if entry.noise_floor]
        gains = [abs(entry.gain) for entry in self.entries if entry.gain]
        return digits(median(floors) if floors else 0.0, median(gains) if gains else 0.0)


def best_public(scores: Sequence[tuple[str, float]], greater_is_better: bool) -> dict[str, float]:
    """{attempt's folder: public score of its best submission}.

    Args:
        scores: (attempt's folder, public score) of each submission.
    """
    best: dict[str, float] = {}
    for folder, score in scores:
        if folder and not math.isnan(score):
            known = best.get(folder, score)
            best[folder] = max(known, score) if greater_is_better else min(known, score)
    return best
