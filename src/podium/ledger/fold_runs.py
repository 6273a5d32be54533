"""A finished fold run, as the ledger reads it from its folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from podium.config import read_toml
from podium.errors import LedgerError
from podium.files import is_complete
from podium.metrics import Measured, Metric

OOF_VALUES = "values.parquet"
"""In `oof/`, the predictions of a table's samples: id, and a column an output."""

_NAME = re.compile(r"fold(\d+)-seed(\d+)")


def fold_run_name(fold: int, seed: int) -> str:
    """`fold0-seed0`."""
    return f"fold{fold}-seed{seed}"


@dataclass(frozen=True)
class FoldRun:
    """One training of one recipe on one fold with one seed.

    Attributes:
        score: The metric over the fold's samples, at original resolution.
        facts: The rest of `run.toml`: seconds, device, versions, best epoch.
    """

    folder: Path
    fold: int
    seed: int
    score: float
    facts: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a finished fold run.

        Raises:
            LedgerError: if it is not finished or its `run.toml` is damaged.
        """
        if not is_complete(folder):
            raise LedgerError("this fold run is not finished", where=folder)
        facts = read_toml(folder / "run.toml")
        try:
            return cls(folder, int(facts["fold"]), int(facts["seed"]), float(facts["score"]), facts)
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(
                f"run.toml is damaged ({error})", where=folder, remedy="delete the folder and run: podium resume"
            ) from None

    def scores(self) -> pl.DataFrame:
        """One row a sample: id, group, fold, score, and the columns of `metrics.Measured`.

        The score is null for a metric that is of all samples together.

        Raises:
            LedgerError: if the file is missing or damaged.
        """
        try:
            return pl.read_parquet(self.folder / "scores.parquet")
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0][:200]
            raise LedgerError(
                f"scores.parquet cannot be read ({reason})",
                where=self.folder,
                remedy="restore the file; or delete this folder and train the fold again: podium resume",
            ) from None


def pooled_score(table: pl.DataFrame, metric: Metric | None) -> float:
    """The metric over the samples of several folds, from `FoldRun.scores` of each.

    The mean of the samples' scores where there is one each, else of their raw material together.
    """
    if metric is None or table["score"].null_count() == 0:
        return float(table["score"].mean())  # type: ignore[arg-type]
    return Measured.of_columns(metric.kind, table.to_dict(as_series=False)).score(metric)


def finished_runs(attempt: Path) -> list[FoldRun]:
    """Every finished fold run of an attempt's folder, by fold and seed."""
    folders = (f for f in attempt.iterdir() if _NAME.fullmatch(f.name) and is_complete(f))
    return sorted((FoldRun.load(f) for f in folders), key=lambda run: (run.fold, run.seed))
