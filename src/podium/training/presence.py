"""What a classifier says of masks being there (`predict.empty_by`): read back out of fold, or predicted of test images.

Where most masks are empty, the best thing to know of an image is whether there is anything to find: a network that
is trained on that alone says it better than one whose loss is of pixels. So did winners of Severstal's steel defects,
SIIM's pneumothorax and TGS' salt. The classifier is an attempt of the workspace that `podium new presence --from
masks:.` makes: its own ledger, the same samples, the same folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.folds import Folds
from podium.data.targets import class_order
from podium.errors import ConfigError, LedgerError
from podium.ledger.attempts import Attempt
from podium.ledger.fold_runs import OOF_VALUES
from podium.models.origin import BEFORE, named, workspace_above
from podium.recipe import Recipe
from podium.training.tasks import MaskTask, Task

Said = Mapping[str, NDArray[np.float32]]
"""{id: how likely each output is there}, float32 (outputs,), or (1,) for all of them."""

KEY = "predict.empty_by"

T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class Classifier:
    """An attempt that says which classes an image has.

    Attributes:
        place: Its workspace.
        names: Its outputs, in the order of the masks' task.
    """

    place: Path
    attempt: Attempt
    competition: Competition
    names: list[str]

    @classmethod
    def of(cls, recipe: Recipe, task: MaskTask, root: Path) -> Classifier:
        """The one that a recipe names.

        Args:
            root: The masks' workspace, or a folder in it.

        Raises:
            ConfigError: if the attempt named is no classifier of the very classes.
            ModelError: if there is no such attempt.
        """
        reference = str(recipe.predict.empty_by)
        remedy = "make a workspace for it: podium new presence --from masks:.; train there; then attempt:presence/0000"
        if not reference.startswith(BEFORE):
            raise ConfigError(f"'{reference}'", where=KEY, expected="attempt:presence/0003", remedy=remedy)
        place, attempt = named(reference, workspace_above(root), KEY)
        competition = Competition.load(place / "competition.toml")
        wanted = class_order(task.competition)
        fits = competition.task == "classification" and sorted(class_order(competition)) == sorted(wanted)
        if not fits or (competition.labels == "one" and len(wanted) > 1):
            raise ConfigError(
                f"attempt {attempt.id} in {place} does not say whether an image has {', '.join(wanted)}",
                where=KEY,
                expected="an attempt of a classifier whose labels are the classes of the masks",
                remedy=remedy,
            )
        return cls(place, attempt, competition, wanted)

    def out_of_fold(self, folds: Folds | None = None) -> dict[str, NDArray[np.float32]]:
        """What it says of every training sample, each by the network that had not seen it.

        Args:
            folds: Of the masks; an honest score needs them to be the classifier's, too. None: nobody scores.

        Raises:
            LedgerError: if its folds are others, or a sample is not predicted.
        """
        found: dict[str, NDArray[np.float32]] = {}
        fold = {} if folds is None else folds.fold
        for run in self.attempt.runs:
            if run.seed != 0:
                continue
            try:
                table = pl.read_parquet(run.folder / "oof" / OOF_VALUES)
            except (OSError, pl.exceptions.PolarsError) as error:
                raise LedgerError(f"damaged ({str(error).splitlines()[0]})", where=run.folder / "oof") from None
            ids = table["id"].to_list()
            if moved := next((id for id in ids if fold.get(id, run.fold) != run.fold), None):
                raise LedgerError(
                    f"'{moved}' is in fold {run.fold} of the classifier, and here in fold {fold[moved]}",
                    where=self.place / "folds.csv",
                    expected="the same folds: its networks may have seen what is scored here",
                    remedy="make its workspace anew: podium new presence --from masks:.",
                )
            found |= dict(zip(ids, table.select(self.names).to_numpy().astype(np.float32), strict=True))
        if missing := [id for id in fold if id not in found]:
            raise LedgerError(
                f"attempt {self.attempt.id} in {self.place} says nothing of '{missing[0]}'"
                + (f" and {len(missing) - 1} others" if len(missing) > 1 else ""),
                where=KEY,
                expected="a prediction of each training sample, out of fold",
                remedy=f"train its folds: podium -C {self.place} resume {self.attempt.id} --folds all",
            )
        return found


def with_presence(task: T, recipe: Recipe, root: Path, folds: Folds) -> T:
    """The task, with what the recipe's classifier says of training samples; as it is where none is named.

    Args:
        root: The workspace's folder, or one in it.
        folds: Of the masks.
    """
    if recipe.predict.empty_by is not None and isinstance(task, MaskTask):
        task.presence = Classifier.of(recipe, task, root).out_of_fold(folds)
    return task


def check_presence(recipe: Recipe, task: Task, root: Path) -> None:
    """Refuse a classifier that is not there, or not one of these classes, before anything is trained.

    Raises:
        ConfigError: if it says nothing of these masks.
        ModelError: if there is no such attempt.
    """
    if recipe.predict.empty_by is not None and isinstance(task, MaskTask):
        Classifier.of(recipe, task, root)
