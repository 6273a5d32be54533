"""What is known of the noise of CV and LB: of one comparison of two submissions, and of all submissions together.

Submissions are not alike: one that only cuts masks at another threshold hardly differs from the first on any group of
samples, another network does on all. Where the ledger has the scores of the attempts behind them, how much each two of
them differ from group to group is known, and every gap between CV and LB is measured against its own noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIGNIFICANT = 0.99
"""More scatter than the noise has with this probability is a ranking shift."""
SEEN = 0.95
"""How surely a shift is to be seen, where it is told what shift would be."""

LEAST = 0.02
"""Of the mean variance of a difference: no submission is taken to be nearer to the others."""


@dataclass(frozen=True)
class Expected:
    """What is known of the noise of one comparison of two submissions.

    Attributes:
        between: Standard deviation between groups of the paired difference of two attempts, s.
        run: Variance of retraining, s2.
        groups_cv: Groups of all validation folds.
        groups_public: Groups of the public part.
        groups_level: Standard deviation between groups of one attempt's score; NaN: not known.
        folds: K.
        attempts: Whose covariance is known, the first one's first.
        covariance: Between groups, of the differences of these attempts from the first, (M, M): its own row is 0.
    """

    between: float
    run: float
    groups_cv: int
    groups_public: int
    groups_level: float = math.nan
    folds: int = 5
    attempts: tuple[str, ...] = ()
    covariance: Floats | None = field(default=None, compare=False, repr=False)

    @property
    def variance(self) -> float:
        """Of ΔLB - ΔCV: s² (1/G_cv + 1/G_public) + 2 s2 / K."""
        return self.var_cv + self.var_lb

    @property
    def var_cv(self) -> float:
        """Of ΔCV about the true gain."""
        return self.between**2 / max(1, self.groups_cv) + 2 * self.run / self.folds

    @property
    def var_lb(self) -> float:
        """Of ΔLB about the true gain of the very same models."""
        return self.between**2 / max(1, self.groups_public)

    @property
    def sd(self) -> float:
        """Standard deviation of ΔLB - ΔCV: how far the two may lie apart by chance."""
        return math.sqrt(self.variance)

    @property
    def level_sd(self) -> float:
        """Standard deviation of LB - CV of one attempt: both sides are samples of groups."""
        s = self.between if math.isnan(self.groups_level) else self.groups_level
        return math.sqrt(s**2 * (1 / max(1, self.groups_cv) + 1 / max(1, self.groups_public)) + self.run / self.folds)

    def of(self, attempts: Sequence[str]) -> Expected:
        """The same for submissions of these attempts.

        What is not known of one, a blend or a second file of the same attempt, is as of the others on average. None
        differs from the rest by less than a fiftieth of that: its file may differ where its validation does not.
        """
        if self.covariance is None:
            return self
        first = {name: attempts.index(name) for name in set(attempts)}
        place = {name: n for n, name in enumerate(self.attempts)}
        known = [place.get(name, -1) if first[name] == i else -1 for i, name in enumerate(attempts)]
        among = self.covariance
        own = float(np.diag(among)[1:].mean())
        pairs = among[1:, 1:][~np.eye(len(among) - 1, dtype=bool)]
        shared = float(pairs.mean()) if len(pairs) else own / 2
        found = np.full((len(known), len(known)), shared)
        for i, a in enumerate(known):
            for j, b in enumerate(known):
                if a >= 0 and b >= 0:
                    found[i, j] = among[a, b]
                elif 0 in (a, b):
                    found[i, j] = 0.0
                elif i == j:
                    found[i, j] = own
        values, vectors = np.linalg.eigh(found)
        return replace(
            self, attempts=tuple(attempts), covariance=(vectors * np.maximum(values, LEAST * own)) @ vectors.T
        )

    def noise(self, n: int) -> Floats:
        """Covariance of the gaps LB - CV of n submissions, up to what is the same in all of them, (n, n).

        The level that all have in common is left out: compare differences.
        """
        if self.covariance is None or len(self.covariance) != n:
            return np.eye(n) * self.variance / 2
        spread = self.covariance * (1 / max(1, self.groups_cv) + 1 / max(1, self.groups_public))
        return np.asarray(spread + np.eye(n) * self.run / self.folds, np.float64)

    def scatter(self, gap: Floats) -> tuple[float, float]:
        """How much gaps LB - CV of two submissions or more scatter, in variances of their noise, and the bound of it.

        Differences from the first are measured in the metric of their covariance. With equal and independent noise
        that is the sum of squared residuals over its variance, χ² with n - 1 degrees of freedom: of tests that look at
        the gaps alone none sees an equally wide shift of each attempt more often. A covariance that was itself measured
        on G groups makes it Hotelling's T² (Hotelling 1931, Ann. Math. Stat. 2:360).
        """
        from scipy.stats import chi2, f

        p, measured = len(gap) - 1, self.covariance is not None and len(self.covariance) == len(gap)
        difference = np.hstack([-np.ones((p, 1)), np.eye(p)])
        spread, z = difference @ self.noise(len(gap)) @ difference.T, difference @ gap
        if not np.any(z):
            return 0.0, math.inf
        scale = float(np.trace(spread)) / p
        if scale <= 0:
            return math.inf, float(chi2.ppf(SIGNIFICANT, p))
        statistic = float(z @ np.linalg.solve(spread + 1e-9 * scale * np.eye(p), z))
        left = self.groups_cv - self.folds - p + 1
        if not measured or left < 2:
            return statistic, float(chi2.ppf(SIGNIFICANT, p))
        return statistic, float(f.ppf(SIGNIFICANT, p, left)) * (left + p - 1) * p / left

    def residual(self, n: int) -> float:
        """The mean square of n gaps about their mean that noise explains, in the measure of n - 1."""
        noise = self.noise(n)
        return float(np.trace(noise) - noise.sum() / n) / max(1, n - 1)

    def seen(self, n: int) -> float:
        """The shift, as a standard deviation of what each attempt gains or loses by it, that n submissions show.

        One so large is warned of in 95 of 100 competitions; inf for one submission.
        """
        from scipy.stats import chi2

        if n < 2:
            return math.inf
        ratio = float(chi2.ppf(SIGNIFICANT, n - 1) / chi2.ppf(1 - SEEN, n - 1))
        return math.sqrt(self.residual(n) * (ratio - 1))
