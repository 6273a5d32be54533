"""Competitions that never were: attempts with a true worth, validated, shown on a public board, decided on a private.

Attempt i scores on group g: worth_i + difficulty_g + own_ig. CV is the mean over the validation groups and has the
noise of retraining; public and private scores are means over groups of their own, with worth_i moved by what shifts
between validation and test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from podium.ledger.agreement_expected import Expected
from podium.ledger.agreement_noise import covariance_of


@dataclass(frozen=True)
class World:
    """Spreads are standard deviations."""

    submissions: int = 10
    groups_cv: int = 300
    groups_public: int = 90
    groups_private: int = 210
    own: float = 1.0
    difficulty: float = 2.0
    run: float = 0.14
    folds: int = 5
    worth: float = 0.15

    @property
    def expected(self) -> Expected:
        """The noise, as it is."""
        level = float(np.hypot(self.difficulty, self.own))
        return Expected(
            2**0.5 * self.own, self.run**2, self.groups_cv, self.groups_public, level, self.folds
        )  # fmt: skip

    def play(self, rng, level=0.0, ranking=0.0):
        """(CV, public, private) of each submission.

        Args:
            level: How much kinder the test set is to all.
            ranking: Spread of what attempts gain or lose on the test set, each by itself.
        """
        n = self.submissions
        worth = rng.normal(0, self.worth, n)
        there = worth + level + rng.normal(0, ranking, n)
        cv = worth + rng.normal(0, self.run / self.folds**0.5, n) + self._mean(rng, self.groups_cv)
        return cv, there + self._mean(rng, self.groups_public), there + self._mean(rng, self.groups_private)

    def _mean(self, rng, groups):
        own = rng.normal(0, self.own / groups**0.5, self.submissions)
        return own + rng.normal(0, self.difficulty / groups**0.5)


@dataclass(frozen=True)
class Families(World):
    """Attempts that differ in how much they differ: two families, whose members go together, each with its own spread.

    As a ledger has them: a network and what was changed at it a little, another network and its like.
    """

    alike: float = 0.8

    def drawn(self, rng):
        """(covariance of the attempts' scores between groups, a score of each attempt on each validation group)."""
        n = self.submissions
        sd, family = rng.uniform(0.2, 1.6, n) * self.own, rng.integers(0, 2, n)
        together = np.where(family[:, None] == family, self.alike, 0.0) + (1 - self.alike) * np.eye(n)
        covariance = together * np.outer(sd, sd)
        return covariance, rng.multivariate_normal(np.zeros(n), covariance, self.groups_cv)

    def play_known(self, rng, ranking=0.0):
        """(CV, public, what the ledger knows of the noise) of one competition."""
        covariance, scores = self.drawn(rng)
        n, names = self.submissions, tuple(map(str, range(self.submissions)))
        worth = rng.normal(0, self.worth, n)
        cv = worth + scores.mean(axis=0) + rng.normal(0, self.run / self.folds**0.5, n)
        hard = rng.normal(0, self.difficulty, 2) / np.sqrt([self.groups_cv, self.groups_public])
        lb = worth + rng.normal(0, ranking, n)
        lb += rng.multivariate_normal(np.zeros(n), covariance / self.groups_public) + hard[1]
        between = (scores - scores[:, :1])[:, 1:].var(axis=0, ddof=1).mean() ** 0.5
        folds = np.array_split(scores, self.folds)
        differences = {name: [fold[:, k] - fold[:, 0] for fold in folds] for k, name in enumerate(names) if k}
        known = covariance_of(names[0], differences)
        level = float(np.hypot(self.difficulty, self.own))
        given = (float(between), self.run**2, self.groups_cv, self.groups_public, level, self.folds)
        return cv + hard[0], lb, Expected(*given, **known).of(names)
