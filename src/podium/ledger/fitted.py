"""`fitted.toml`: the values that "tuned" stands for in an attempt's [predict], beside what they were fitted on.

In a fold run's folder they were fitted without its samples, so that its score stays honest; in an attempt's folder on
all of them, for the test set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.config import read_toml, write_toml
from podium.errors import LedgerError
from podium.recipe import Recipe

FITTED = "fitted.toml"


def write_fitted(folder: Path, values: Mapping[str, Any], on: str) -> None:
    """Write what the keys of [predict] were fitted to, and on what; nothing if there are none."""
    if values:
        write_toml(folder / FITTED, {"on": on, "predict": dict(values)})


def read_fitted(folder: Path) -> dict[str, Any]:
    """{key of [predict]: value} of a fold run or an attempt; empty if nothing was fitted.

    Raises:
        LedgerError: if the file is damaged.
    """
    path = folder / FITTED
    if not path.exists():
        return {}
    values = read_toml(path).get("predict")
    if not isinstance(values, dict):
        raise LedgerError("damaged (it has no section [predict])", where=path, remedy="restore the file")
    return values


def settled(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with each "tuned" replaced by what `fitted.toml` of the folder says.

    Raises:
        LedgerError: if it does not say.
    """
    tuned = recipe.predict.tuned
    if not tuned:
        return recipe
    values = read_fitted(folder)
    if missing := [key for key in tuned if key not in values]:
        raise LedgerError(
            f'predict.{missing[0]} is "tuned", and has not been fitted',
            where=folder,
            remedy=f"podium resume {folder.name if folder.parent.name == 'attempts' else folder.parent.name}",
        )
    return recipe.with_overrides({"predict": values})
