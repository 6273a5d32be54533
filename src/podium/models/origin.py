"""Which file `model.weights` means where it names an attempt: that of the same fold, so that nothing leaks."""

from __future__ import annotations

from pathlib import Path

from podium.errors import LedgerError, ModelError
from podium.ledger.attempts import Attempt, Attempts
from podium.recipe import Recipe

BEFORE = "attempt:"


def resolved(weights: str, root: Path, fold: int) -> str:
    """The path that ``attempt:0007``, ``attempt:../salt/0007`` or a path seen from the workspace stands for.

    Of an attempt of the same workspace it is the run of the same fold: its network has not seen the samples that
    validate. Of another workspace's it is the first finished run.

    Args:
        root: The workspace's folder, or one in it.
        fold: The fold to be trained.

    Raises:
        ModelError: if there is no such attempt, or that fold of it is not trained.
    """
    root = workspace_above(root)
    if not weights.startswith(BEFORE):
        return str(path) if (path := root / Path(weights).expanduser()).exists() else weights
    root = root.resolve()
    place, attempt = named(weights, root, "model.weights")
    own = place == root
    run = next((r for r in attempt.runs if r.fold == fold or not own), None)
    if run is None:
        raise ModelError(
            f"attempt {attempt.id} has no finished run" + (f" of fold {fold}" if own else ""),
            where="model.weights",
            expected="a run of the same fold, which has not seen the samples that validate" if own else "",
            remedy=f"train it: podium resume {attempt.id}",
        )
    which = attempt.recipe.train.checkpoint
    snapshots = sorted(run.folder.glob("snapshot*.pt")) if which == "snapshots" else []
    return str(snapshots[-1] if snapshots else run.folder / f"{which}.pt")


def named(reference: str, root: Path, where: str) -> tuple[Path, Attempt]:
    """The workspace and the attempt that ``attempt:0007`` or ``attempt:../salt/0007`` stands for.

    Args:
        root: The workspace's folder that it is written in.
        where: The key that it is the value of.

    Raises:
        ModelError: if there is no such workspace or attempt.
    """
    root = root.resolve()
    folder, _, name = reference.removeprefix(BEFORE).rstrip("/").rpartition("/")
    places = [root / folder, root.parent / folder] if folder else [root]
    place = next((p.resolve() for p in places if not folder or (p / "attempts").is_dir()), None)
    if place is None:
        raise ModelError(
            f"there is no workspace for '{reference}'",
            where=where,
            expected=f"attempts in {places[0] / 'attempts'}",
            remedy="write attempt:0007 for one of this workspace, attempt:../salt/0007 for another's",
        )
    try:
        return place, Attempts(place / "attempts").get(name)
    except LedgerError as error:
        raise ModelError(error.found, where=f"{where} = {reference}", remedy=error.remedy) from None


def workspace_above(folder: Path) -> Path:
    """The folder of the workspace that a folder lies in; itself, if it lies in none."""
    return next((p for p in (folder, *folder.parents) if (p / "competition.toml").is_file()), folder)


def with_own_weights(recipe: Recipe, attempt: Path, fold: int) -> Recipe:
    """The recipe to train a fold with: `model.weights` is the file that it stands for, in this fold.

    Args:
        attempt: The folder of the attempt to be trained.
    """
    if not recipe.model.weights:
        return recipe
    path = resolved(recipe.model.weights, attempt, fold)
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"weights": path})})
