"""A finished fold run, as the ledger reads it from its folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl

from podium.config import read_toml
from podium.errors import LedgerError
from podium.files import is_complete
from podium.metrics import Measured, Metric

OOF_VALUES = "values.parquet"
"""In `oof/`, the predictions of a table's samples: id, and a column an output."""

_TYPES: dict[str, tuple[Any, ...]] = {
    "id": (pl.String,),
    "group": (pl.String,),
    "fold": (pl.Int64,),
    "score": (pl.Float64, pl.Null),
}
"""The columns of `scores.parquet` that every metric has."""
_Table = TypeVar("_Table", pl.DataFrame, Mapping[str, Any])

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
        """Read a finished fold run; of its table only what columns it has.

        Raises:
            LedgerError: if it is not finished, or its `run.toml` or `scores.parquet` is damaged.
        """
        if not is_complete(folder):
            raise LedgerError("this fold run is not finished", where=folder)
        facts = read_toml(folder / "run.toml")
        try:
            run = cls(folder, int(facts["fold"]), int(facts["seed"]), float(facts["score"]), facts)
            if folder.name != (own := fold_run_name(run.fold, run.seed)):
                raise ValueError(f"it is that of {own}")
            if run.seconds < 0 or run.samples < 0:
                raise ValueError("seconds and samples cannot be negative")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise LedgerError(
                f"run.toml is damaged ({error})", where=folder, remedy="delete the folder and run: podium resume"
            ) from None
        run._read_table(pl.read_parquet_schema)
        return run

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float(self.facts.get("seconds", 0))

    @property
    def samples(self) -> int:
        """How many samples the score is of; 0: unknown."""
        return int(self.facts.get("samples", 0))

    @property
    def trained_in(self) -> str:
        """The fold run whose training it is, "0000-baseline/fold0-seed0": another's, if it only predicts anew."""
        return str(self.facts.get("trained_in") or f"{self.folder.parent.name}/{self.folder.name}")

    def scores(self) -> pl.DataFrame:
        """One row a sample: id, group, fold, score, and the columns of `metrics.Measured`.

        The score is null for a metric that is of all samples together.

        Raises:
            LedgerError: if the file is missing or damaged.
        """
        return self._read_table(pl.read_parquet)

    def _read_table(self, read: Callable[[Path], _Table]) -> _Table:
        """`scores.parquet`, or the types of its columns."""
        try:
            table = read(self.folder / "scores.parquet")
            columns = dict(table if isinstance(table, Mapping) else table.schema)
            wrong = [name for name, types in _TYPES.items() if columns.get(name) not in types]
            reason = f"no column '{wrong[0]}' of the right type" if wrong else ""
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = str(error).splitlines()[0][:200]
        if reason:
            raise LedgerError(
                f"scores.parquet cannot be read ({reason})",
                where=self.folder,
                remedy="restore the file; or delete this folder and train the fold again: podium resume",
            )
        return table


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
