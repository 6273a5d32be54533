"""What is known of an attempt against its parent: YES, NO or UNSURE. Pure functions over scores; no files, no clocks.

Retraining the very same recipe with another seed moves a whole fold's score, by the same amount for all its samples.
So a paired test over the samples of one training takes luck for a gain. Here the noise of retraining is measured
(`run_noise`), an attempt is compared with its parent fold by fold (`compare`), and the verdict is reached as early as
it can be (`decide`). `tables` feeds them from `scores.parquet`.
"""

from podium.ledger.verdict.compare import Comparison, compare
from podium.ledger.verdict.decide import Decision, FoldSeed, decide, fold_order
from podium.ledger.verdict.formulas import CAREFUL, RULE, Rule
from podium.ledger.verdict.noise import RunNoise, Terms, noise_of_terms, replicate_noise, run_noise
from podium.ledger.verdict.record import Verdict
from podium.ledger.verdict.runs import Run
from podium.ledger.verdict.tables import paired_runs

__all__ = [
    "CAREFUL",
    "RULE",
    "Comparison",
    "Decision",
    "FoldSeed",
    "Rule",
    "Run",
    "RunNoise",
    "Terms",
    "Verdict",
    "compare",
    "decide",
    "fold_order",
    "noise_of_terms",
    "paired_runs",
    "replicate_noise",
    "run_noise",
]
