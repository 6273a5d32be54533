"""Which trainings predict together: the folds of an attempt, its seeds, and the snapshots of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.data.competition import Competition
from podium.errors import LedgerError
from podium.ledger.attempts import Attempt
from podium.ledger.fitted import settled
from podium.ledger.fold_runs import FoldRun
from podium.metrics import Metric
from podium.training.choice import chosen
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.trained import load_trained


@dataclass(frozen=True)
class Bag:
    """Checkpoints that predict together, each as much as any other.

    Attributes:
        runs: The fold runs they are of.
        files: One a run, or several snapshots of each.
    """

    runs: list[FoldRun]
    files: list[Path]

    @classmethod
    def of(cls, attempt: Attempt, *, all_seeds: bool = False) -> Bag:
        """The trainings of every fold: of the first seed, or of all.

        Without ``all_seeds`` each fold counts once, whatever was trained again to measure the noise.

        Raises:
            LedgerError: if nothing is trained.
        """
        runs = sorted((r for r in attempt.runs if all_seeds or r.seed == 0), key=lambda r: (r.seed, r.fold))
        if not runs:
            raise LedgerError(f"attempt {attempt.id} has no trained fold", remedy=f"run: podium resume {attempt.id}")
        how = attempt.recipe.train.checkpoint
        return cls(runs, [file for run in runs for file in chosen(run.folder, how)])

    def first(self, n: int) -> Bag:
        """Its first ``n`` checkpoints: first seeds before second ones."""
        files = self.files[:n]
        return Bag([run for run in self.runs if any(f.parent == run.folder for f in files)], files)

    def told(self) -> str:
        """``5 folds x 2 seeds``."""
        folds, seeds = len({r.fold for r in self.runs}), len({r.seed for r in self.runs})
        text = f"{folds} fold{'s' * (folds != 1)}"
        if seeds > 1:
            text += f", {seeds} seeds"
        return text + (f", {len(self.files)} snapshots" if len(self.files) > len(self.runs) else "")


def load_models(attempt: Attempt, competition: Competition, metric: Metric, bag: Bag | None = None) -> Predictor:
    """A predictor over the models of a bag: of every fold's first seed, if none is given.

    Raises:
        LedgerError: if nothing is trained.
    """
    files: Sequence[Path] = (bag or Bag.of(attempt)).files
    fabric = create_fabric(attempt.recipe.train.precision)
    recipe = settled(attempt.recipe, attempt.folder)
    return Predictor(fabric, *load_trained(files, competition, metric, recipe, fabric))
