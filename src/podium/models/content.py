"""The content of the file that `model.weights` names: its name alone says little."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from podium.errors import ModelError
from podium.ledger.changes import Change
from podium.ledger.weights import CONTENT, noted, write_note
from podium.models.origin import BEFORE, resolved
from podium.models.pretrained import find_file
from podium.recipe import Recipe


def weights_hash(recipe: Recipe, root: Path) -> str:
    """A hash of the file of weights that a recipe begins with; empty for none, an attempt's or published ones.

    Args:
        root: The workspace's folder, or one in it.

    Raises:
        ModelError: if the file is not there.
    """
    weights = recipe.model.weights
    if not weights or weights.startswith(BEFORE):
        return ""
    file = blake3().update_mmap(find_file(resolved(weights, root, 0)))
    return str(file.hexdigest(length=16))


def changed_weights(parent: Recipe, recipe: Recipe, attempt: Path) -> Change:
    """What changes where `model.weights` names the same file as in the parent, and there is something else in it now.

    Args:
        attempt: The parent's folder.
    """
    before = noted(attempt) if recipe.model.weights == parent.model.weights else ""
    found = weights_hash(recipe, attempt) if before else ""
    return {CONTENT: (before, found)} if found != before else {}


def check_same_weights(recipe: Recipe, attempt: Path) -> None:
    """Write down what an attempt begins with, or see that it still is what is written down.

    Args:
        attempt: The attempt's folder.

    Raises:
        ModelError: if the file of weights has other content than when the attempt began.
    """
    found, before = weights_hash(recipe, attempt), noted(attempt)
    if found and not before:
        write_note(attempt, str(recipe.model.weights), found)
    elif found != before:
        raise ModelError(
            f"this attempt began with other weights: '{recipe.model.weights}' has changed since",
            where=attempt.name,
            expected=f"the file as it was (blake3 {before})",
            remedy="put it back and run: podium resume; or give the new file a name of its own, for another attempt",
        )
