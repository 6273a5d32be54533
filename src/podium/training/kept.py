"""The out-of-fold predictions that a fold run left, read back as if its networks predicted once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from podium.data.preprocess import Preprocess
from podium.data.store import Store
from podium.data.views import Images
from podium.errors import DataError, LedgerError
from podium.ledger.fold_runs import OOF_VALUES, FoldRun
from podium.recipe import Recipe
from podium.training.evaluate import Array
from podium.training.fold_run import FoldData
from podium.training.presence import with_presence
from podium.training.tasks import MaskTask, TableTask, create_task


class Kept:
    """The out-of-fold predictions of a fold run, in the place of the networks that made them.

    Raises:
        LedgerError: if they are gone or of other samples.
    """

    def __init__(self, data: FoldData, recipe: Recipe, source: FoldRun) -> None:
        self.task: MaskTask | TableTask = create_task(data.competition, data.metric, recipe)
        self.task.channels = data.channels
        with_presence(self.task, recipe, source.folder, data.folds)
        self.recipe, self.preprocess = recipe, Preprocess.of(recipe.input)
        self._ids, self._folder = data.stores.images.ids, source.folder / "oof"
        try:
            ids = self._open()
        except (DataError, OSError, pl.exceptions.PolarsError, KeyError) as error:
            raise lost("its out-of-fold predictions cannot be read", source, error) from None
        if sorted(ids) != sorted(data.folds.validation(source.fold)):
            raise lost("its out-of-fold predictions are of other samples than the fold has now", source)

    def stream(
        self, images: Images, rows: Sequence[int], batch_size: int, inputs: Sequence[Sequence[str]] = ()
    ) -> Iterator[tuple[int, Array]]:
        """(row, prediction) as `Predictor.stream` gave it."""
        for row in rows:
            yield row, self._of(self._ids[row])

    def _open(self) -> list[str]:
        if self.task.dense:
            self._store = Store(self._folder, touch=False)
            return self._store.ids
        table = pl.read_parquet(self._folder / OOF_VALUES)
        values = table.select(self.task.names).to_numpy().astype(np.float32)
        self._values: dict[str, Array] = dict(zip(table["id"].to_list(), values, strict=True))
        return list(self._values)

    def _of(self, id: str) -> Array:
        return self._store.image(self._store.row[id]) if self.task.dense else self._values[id]


def lost(what: str, source: FoldRun, error: Exception | None = None) -> LedgerError:
    """That something of a fold run is gone or damaged, with what to do about it."""
    reason = f" ({str(error).splitlines()[0][:200]})" if error else ""
    return LedgerError(
        what + reason,
        where=source.folder,
        expected="a fold run as its training left it",
        remedy="restore it; or delete its folder and train the fold again: podium resume " + source.folder.parent.name,
    )
