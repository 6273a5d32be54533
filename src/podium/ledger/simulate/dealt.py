"""The trainings of one recipe dealt anew, at random, to parents and attempts: many A/A races of a few hundred runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from podium.ledger.simulate.kinds import AA
from podium.ledger.simulate.race import Ints, Raced, race_folds
from podium.ledger.simulate.rivals import LEVEL, Bools, corrected_t, mean_cv
from podium.ledger.simulate.trainings import BASELINE, Trained, Trainings
from podium.ledger.simulate.worlds import Rng
from podium.ledger.verdict import RULE, Rule, Run
from podium.ledger.verdict.formulas import Floats, fold_stats, replicate_terms

Hands = list[npt.NDArray[np.int64]]
"""Of each fold the places of four trainings, two of the parent, then two of the attempt: shape (hands, 4)."""


def aa_pools(kept: Trainings) -> list[list[Trained]]:
    """Of each fold all trainings of the unchanged recipe: those of the baselines and of the A/A attempts."""
    same = [t for t in sorted(kept.scores) if t.attempt == BASELINE or kept.plan[t.ledger][t.attempt - 1] == AA]
    return [[t for t in same if t.fold == fold] for fold in range(kept.k)]


def deal(sizes: Sequence[int], rng: Rng, least: int = 1) -> Hands:
    """Deal the trainings of each fold, four to a hand, each once until a fold runs out; then again, to ``least`` hands.

    Args:
        sizes: Trainings of each fold, four or more.
    """
    each = min(sizes) // 4
    times = -(-least // each)
    return [np.concatenate([rng.permutation(n)[: 4 * each].reshape(each, 4) for _ in range(times)]) for n in sizes]


@dataclass(frozen=True)
class Pools:
    """The trainings of each fold, signed so that more is better.

    Attributes:
        scores: Of each sample, shape (trainings, N), a fold each.
        values: Of each group, shape (trainings, G), a fold each.
    """

    scores: list[Floats]
    values: list[Floats]

    @classmethod
    def of(cls, kept: Trainings, pools: Sequence[Sequence[Trained]]) -> Pools:
        """Of trainings, a list for each fold."""
        sign, scores, values = 1.0 if kept.greater_is_better else -1.0, [], []
        for pool in pools:
            scores.append(sign * np.stack([kept.scores[t] for t in pool]).astype(np.float64))
            runs = [Run.of_scores(t.fold, 0, own, kept.groups[t.fold]) for t, own in zip(pool, scores[-1], strict=True)]
            values.append(np.stack([run.values for run in runs]))
        return cls(scores, values)

    @property
    def sizes(self) -> list[int]:
        """Trainings of each fold."""
        return [len(scores) for scores in self.scores]

    def race(self, hands: Hands, rng: Rng, rule: Rule = RULE) -> Raced:
        """Race each hand's attempt in a ledger that has seen nothing but its parent."""
        n, k = len(hands[0]), len(hands)
        d, v, top = np.empty((n, 2, k)), np.empty((n, 2, k)), np.zeros(n)
        for fold, (values, four) in enumerate(zip(self.values, hands, strict=True)):
            parent, attempt = values[four[:, :2]], values[four[:, 2:]]
            top += replicate_terms(parent)[0]
            for seeds in (1, 2):
                found = fold_stats(attempt[:, :seeds].mean(1) - parent.mean(1))
                d[:, seeds - 1, fold], v[:, seeds - 1, fold] = found
        c = np.broadcast_to(1 / np.array([[1.0], [2.0]]) + 1 / 2, d.shape)
        return race_folds(d, v, c, np.maximum(0, top / k), float(k), rng, rule)

    def rivals(self, hands: Hands, first: Ints) -> dict[str, Bools]:
        """YES by what people do instead, each with one training a fold.

        Args:
            first: The fold that each hand's paired test over samples looks at.
        """
        folds = np.stack(
            [(s.mean(1)[h[:, 2]] - s.mean(1)[h[:, 0]]) for s, h in zip(self.scores, hands, strict=True)], 1
        )
        paired = np.zeros(len(first), bool)
        for fold, (scores, four) in enumerate(zip(self.scores, hands, strict=True)):
            here = np.flatnonzero(first == fold)
            paired[here] = paired_t(scores[four[here, 2]] - scores[four[here, 0]])
        return {"paired t": paired, "mean CV": mean_cv(folds), "corrected t": corrected_t(folds)}


def paired_t(gains: Floats) -> Bools:
    """One-sided paired t test over samples at 5 %: whether it calls the gain significant. Gains of shape (…, N)."""
    n = gains.shape[-1]
    error = gains.std(-1, ddof=1) / np.sqrt(n)
    return np.asarray(gains.mean(-1) > stdtrit(n - 1, 1 - LEVEL) * error, np.bool_)
