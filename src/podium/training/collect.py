"""Fold runs of which nothing but the scores is kept: for `podium verdict --collect`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from podium.errors import ConfigError
from podium.recipe import Recipe
from podium.training.fold_run import FoldData, run_fold


def scores_only(
    data: FoldData, folder: Path
) -> Callable[[Recipe, int, int], tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """What trains (recipe, fold, seed) and gives score and group code of each sample of the fold, in order of ids.

    Args:
        folder: For what a stopped training needs to go on; a finished one is removed.

    Raises:
        ConfigError: if the metric has no score a sample.
    """
    if not data.metric.mean_over_samples:
        raise ConfigError(
            f"the metric '{data.metric.name}' is of all samples together, none has a score of its own",
            where="competition.toml: metric",
            expected="a mean over samples, for instance accuracy, log_loss, dice",
            remedy="collect in a workspace of its own: podium new DIR --from DATA --set metric=accuracy",
        )

    def train(recipe: Recipe, fold: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        digest = hashlib.sha256(recipe.to_toml().encode()).hexdigest()[:12]
        run = run_fold(data, recipe, fold, seed, folder / digest)
        table = run.scores().sort("id")
        shutil.rmtree(run.folder)
        return table["score"].to_numpy(), table["group"].rank("dense").to_numpy().astype(np.int64) - 1

    return train
