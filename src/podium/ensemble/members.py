"""Members of a blend: attempts of the workspace, and folders or files of predictions from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.folds import read_list
from podium.data.preprocess import Preprocess
from podium.data.store import Store
from podium.ensemble.outside import FILES, TABLES, FileStack, read_values
from podium.errors import DataError, LedgerError
from podium.ledger.attempts import Attempt, Attempts
from podium.ledger.fold_runs import OOF_VALUES
from podium.recipe import Recipe

Array = NDArray[Any]
Pixels = NDArray[np.uint8]


class Predictions(Protocol):
    """What a member predicts of some samples."""

    @property
    def ids(self) -> set[str]:
        """Of the samples."""

    def pixels(self, id: str, shape: tuple[int, int]) -> Pixels:
        """Probabilities at the original size, uint8 (H, W, outputs), 255 = 1."""

    def values(self, id: str) -> Array:
        """Of a table: float32 (outputs,)."""


@dataclass(frozen=True)
class StoredPixels:
    """Probabilities in pixel stores at an attempt's input size."""

    stores: Sequence[Store]
    preprocess: Preprocess
    where: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for n, store in enumerate(self.stores):
            self.where.update({id: (n, row) for id, row in store.row.items()})

    @property
    def ids(self) -> set[str]:
        """Of the samples."""
        return set(self.where)

    def pixels(self, id: str, shape: tuple[int, int]) -> Pixels:
        """See `Predictions.pixels`."""
        n, row = self.where[id]
        found = self.preprocess.restore(self.stores[n].image(row), shape)
        return np.asarray(found.reshape(*shape, -1), np.uint8)

    def values(self, id: str) -> Array:
        """There are none."""
        raise TypeError("these are pixels")


@dataclass(frozen=True)
class StoredValues:
    """Predictions of a table's samples."""

    found: dict[str, Array]

    @property
    def ids(self) -> set[str]:
        """Of the samples."""
        return set(self.found)

    def values(self, id: str) -> Array:
        """See `Predictions.values`."""
        return self.found[id]

    def pixels(self, id: str, shape: tuple[int, int]) -> Pixels:
        """There are none."""
        raise TypeError("these are values")


@dataclass(frozen=True)
class Member:
    """One of those that are blended.

    Attributes:
        attempt: None for predictions from elsewhere.
        oof: Predictions of training samples by models that had not seen them; None if there are none.
        test: Predictions of test samples; None: to be made by the attempt's networks, or there are none.
        fold: {id: fold} that the out-of-fold predictions were made with; empty if nobody knows.
    """

    name: str
    attempt: Attempt | None = None
    oof: Predictions | None = None
    test: Predictions | None = None
    fold: dict[str, int] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe | None:
        """The attempt's."""
        return self.attempt.recipe if self.attempt else None


def of_attempt(attempt: Attempt, names: Sequence[str], *, dense: bool) -> Member:
    """An attempt with the out-of-fold predictions of its first seed.

    Args:
        names: What its outputs are.

    Raises:
        LedgerError: if they are gone or damaged, or nothing is trained.
    """
    runs = [run for run in attempt.runs if run.seed == 0]
    if not runs:
        raise LedgerError(f"attempt {attempt.id} has no trained fold", remedy=f"run: podium resume {attempt.id}")
    oof: Predictions
    try:
        if dense:
            stores = [Store(run.folder / "oof", touch=False) for run in runs]
            oof = StoredPixels(stores, Preprocess.of(attempt.recipe.input))
            fold = {id: run.fold for run, store in zip(runs, stores, strict=True) for id in store.ids}
        else:
            tables = [pl.read_parquet(run.folder / "oof" / OOF_VALUES) for run in runs]
            rows = [(t["id"].to_list(), t.select(names).to_numpy().astype(np.float32)) for t in tables]
            oof = StoredValues({id: v for ids, values in rows for id, v in zip(ids, values, strict=True)})
            fold = {id: run.fold for run, (ids, _) in zip(runs, rows, strict=True) for id in ids}
    except (DataError, OSError, pl.exceptions.PolarsError) as error:
        raise LedgerError(
            f"the out-of-fold predictions of attempt {attempt.id} cannot be read ({str(error).splitlines()[0][:160]})",
            where=attempt.folder,
            remedy="restore them; or delete the fold run's folder and train it again: podium resume",
        ) from None
    return Member(attempt.folder.name, attempt, oof, None, fold)


def from_elsewhere(path: Path, competition: Competition, names: Sequence[str], *, dense: bool) -> Member:
    """A folder with `oof/` or `oof.csv`, `test/` or `test.csv`, and `folds.csv`; or one file or folder of test samples.

    Raises:
        DataError: saying what is missing or cannot be read.
    """

    def read(part: Path) -> Predictions | None:
        if dense:
            return FileStack.of(part, len(names)) if part.is_dir() else None
        file = next((f for suffix in TABLES if (f := part.with_suffix(suffix)).is_file()), None)
        return StoredValues(read_values(file, competition, names)) if file else None

    if path.is_file():
        if dense:
            raise DataError("one file", where=path, expected=f"a folder with a file for each id ({', '.join(FILES)})")
        return Member(path.stem, test=StoredValues(read_values(path, competition, names)))
    oof, test = read(path / "oof"), read(path / "test")
    if oof is None and test is None and dense and any(path.glob("*.*")):
        test = FileStack.of(path, len(names))
    if oof is None and test is None:
        wanted = "oof/ and test/ with a file for each id" if dense else "oof.csv and test.csv, or .parquet"
        raise DataError("no predictions in it", where=path, expected=wanted)
    fold = read_list(path / "folds.csv") if (path / "folds.csv").is_file() else {}
    return Member(path.name, None, oof, test, fold)


def find_members(
    references: Sequence[str], attempts: Attempts, competition: Competition, names: Sequence[str], *, dense: bool
) -> list[Member]:
    """The members that are named: attempts by number or name, folders and files by path. Sorted, each once.

    Raises:
        LedgerError: if fewer than two are named, or one is not found.
    """
    found: dict[str, Member] = {}
    for reference in references:
        path = Path(reference)
        if path.exists() and (path.suffix or len(path.parts) > 1 or path.is_dir()):
            member = from_elsewhere(path, competition, names, dense=dense)
        else:
            member = of_attempt(attempts.get(reference), names, dense=dense)
        found[member.name] = member
    if len(found) < 2:
        raise LedgerError(
            "a blend of one" if found else "nothing to blend",
            expected="two members or more: numbers or names of attempts, or folders of predictions",
            remedy="look at them: podium attempts",
        )
    return [found[name] for name in sorted(found)]
