"""Pseudo-labels of a blend for the training: of each fold those by networks that never saw the fold's samples.

The mean over the networks of all folds must not label samples for a training that is then validated: four of five of
them were trained on the validation samples, and carry what they know of them over. So each fold gets labels of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from podium.config import write_toml
from podium.ensemble.combine import Combiner
from podium.ensemble.ground import Blended
from podium.ensemble.members import Member
from podium.ensemble.test_set import Tested
from podium.errors import LedgerError
from podium.files import building
from podium.progress import counted, say, track
from podium.recipe import PseudoConfig, Recipe
from podium.training.pseudo import choose, mask_of, sureness
from podium.training.tasks import MaskTask, NumbersTask, TableTask, create_task


def export_pseudo(
    tested: Tested,
    members: Sequence[Member],
    combiner: Combiner,
    recipe: Recipe,
    held: dict[int, list[str]],
    config: PseudoConfig,
    folder: Path,
) -> int:
    """Write `fold<n>/<id>.npz` (target, see `mask_of`), or `fold<n>.csv`, and `pseudo.csv`; how many there are.

    Args:
        held: {fold: its validation samples}.
        folder: Finished or not at all.

    Raises:
        LedgerError: for members from elsewhere, and for numbers, of which nobody knows how sure they are.
    """
    task = create_task(tested.competition, tested.metric, recipe)
    if isinstance(task, NumbersTask):
        raise LedgerError("numbers have no sureness to choose by", expected="masks, classes or labels")
    if task.competition.parts:
        raise LedgerError("there are several targets, not all as sure", expected="one target")
    if strange := [m.name for m in members if m.attempt is None]:
        raise LedgerError(
            f"nobody knows what '{strange[0]}' was trained on",
            expected="attempts of this workspace alone: pseudo-labels must not know the validation samples",
        )
    rows = []
    labelled = sum(map(len, held.values()))
    with building(folder) as temporary:
        for fold, validation in held.items():
            sources = [tested.predictions(member, task.names, fold) for member in members]
            test = tested.images(recipe)
            names = {row: id for id, row in test.rows.items()}
            by_row = [names.get(row, "") for row in range(max(names, default=-1) + 1)]
            blended = Blended(task, sources, combiner, by_row, test.images.original)
            sure = {
                id: sureness(_probs(task, blended.of(row)), task.kind)
                for id, row in track(test.rows.items(), f"pseudo-labels of fold {fold}", len(test.rows))
                if id not in validation
            }
            chosen = choose(sure, labelled, config)
            _write(temporary / f"fold{fold}", task, {id: blended.of(test.rows[id]) for id in chosen}, config)
            rows += [{"id": id, "fold": fold, "confidence": round(sure[id], 5)} for id in chosen]
            say(f"  fold {fold}: {counted(len(chosen), 'pseudo-label')} of {counted(len(sure), 'test sample')}")
        schema = {"id": pl.String, "fold": pl.Int64, "confidence": pl.Float64}
        pl.DataFrame(rows, schema=schema).write_csv(temporary / "pseudo.csv")
        write_toml(temporary / "pseudo.toml", {"members": [m.name for m in members], "pseudo": config.tree()})
    return len(rows)


def _write(folder: Path, task: MaskTask | TableTask, found: dict[str, Any], config: PseudoConfig) -> None:
    if task.dense:
        folder.mkdir()
        for id, probs in found.items():
            np.savez_compressed(folder / f"{id}.npz", target=mask_of(_probs(task, probs), task.kind, config))
        return
    values = np.stack(list(found.values())) if found else np.zeros((0, task.outputs), np.float32)
    table = pl.DataFrame(values, schema=list(task.names)).insert_column(
        0, pl.Series("id", list(found), dtype=pl.String)
    )
    table.write_csv(folder.with_suffix(".csv"))


def _probs(task: MaskTask | TableTask, prediction: Any) -> Any:
    """In [0, 1], where masks come as uint8."""
    return prediction.astype(np.float32) / 255 if task.dense else np.asarray(prediction, np.float32)
