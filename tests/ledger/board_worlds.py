"""Competitions that never were: attempts with a true worth, validated, shown on a public board, decided on a private.

Attempt i scores on group g: worth_i + difficulty_g + own_ig. CV is the mean over the validation groups and has the
noise of retraining; public and private scores are means over groups of their own, with worth_i moved by what shifts
between validation and test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from podium.ledger.agreement import Expected


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
