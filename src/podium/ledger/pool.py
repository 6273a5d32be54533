"""The verdicts of several people on the same change, pooled: a random-effects mean with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Z95 = 1.959964


@dataclass(frozen=True)
class Opinion:
    """What one person's attempt says of a change.

    Attributes:
        who: The person.
        gain: The raw gain over their parent, positive is better.
        se: Its standard error; NaN if it is not known.
        verdict: YES, NO or UNSURE.
        name: What they called it.
    """

    who: str
    gain: float
    se: float
    verdict: str
    name: str = ""


@dataclass(frozen=True)
class Pooled:
    """Several people's gains as one.

    Attributes:
        gain: The mean.
        se: Its standard error; NaN where no gain has one.
        between: Standard deviation of the true gain between people: what suits one champion may not suit another.
        people: How many.
        verdicts: {YES, NO, UNSURE: how many}.
    """

    gain: float
    se: float
    between: float
    people: int
    verdicts: dict[str, int]

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %."""
        return self.gain - Z95 * self.se, self.gain + Z95 * self.se

    def __str__(self) -> str:
        counts = " ".join(f"{self.verdicts[v]} {v}" for v in ("YES", "NO", "UNSURE") if self.verdicts.get(v))
        digits = 4 if math.isnan(self.se) or self.se == 0 else min(6, max(2, -math.floor(math.log10(self.se))))
        error = "" if math.isnan(self.se) else f" ± {self.se:.{digits}f}"
        people = f"{self.people} {'person' if self.people == 1 else 'people'}"
        return f"{self.gain:+.{digits}f}{error} over {people}, {counts}"


def random_effects(gains: Floats, ses: Floats) -> tuple[float, float, float]:
    """(mean, standard error, standard deviation between studies) of DerSimonian and Laird.

    Args:
        gains, ses: Of each study, shape (k,), every error above 0.

    Source: DerSimonian & Laird 1986, Controlled Clinical Trials 7:177, eqs. 5 to 9.
    """
    w = 1 / ses**2
    fixed = float((w * gains).sum() / w.sum())
    q, k = float((w * (gains - fixed) ** 2).sum()), len(gains)
    spare = float(w.sum() - (w**2).sum() / w.sum())
    tau2 = max(0.0, (q - (k - 1)) / spare) if k > 1 and spare > 0 else 0.0
    v = 1 / (ses**2 + tau2)
    return float((v * gains).sum() / v.sum()), float(v.sum() ** -0.5), math.sqrt(tau2)


def pool(opinions: Sequence[Opinion]) -> Pooled:
    """One mean of one change's opinions; several of one person are first put together, with fixed effects.

    Those without a standard error count only in the verdicts, unless none has one: then the mean is the plain one.
    """
    verdicts = dict(Counter(o.verdict for o in opinions))
    people = list(dict.fromkeys(o.who for o in opinions))
    known = [o for o in opinions if math.isfinite(o.se) and o.se > 0 and math.isfinite(o.gain)]
    if not known:
        gain = float(np.mean([o.gain for o in opinions])) if opinions else math.nan
        return Pooled(gain, math.nan, math.nan, len(people), verdicts)
    gains, ses = [], []
    for who in dict.fromkeys(o.who for o in known):
        w = np.array([1 / o.se**2 for o in known if o.who == who])
        gains.append(float((w * [o.gain for o in known if o.who == who]).sum() / w.sum()))
        ses.append(float(w.sum() ** -0.5))
    mean, se, between = random_effects(np.array(gains), np.array(ses))
    return Pooled(mean, se, between, len(people), verdicts)
