"""Weights that a training begins with: tried before anything is written, and the same from first fold to last."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from podium.errors import LedgerError, ModelError
from podium.ledger.attempts import Attempt
from podium.models import create_model
from podium.recipe import ModelConfig
from podium.workspace import Workspace

TINY = ["model.arch=unet", "model.width=0.125", "model.depth=2", "train.epochs=1", "input.size=none"]


@pytest.fixture
def space(tmp_path: Path, tiny_competition) -> Workspace:
    tiny = tiny_competition(tmp_path / "source", n_groups=4, test_groups=0)
    return Workspace.new(tmp_path / "space", tiny.folder, ["folds.k=2"])


def save_weights(path: Path, seed: int = 0, width: float = 0.125) -> None:
    torch.manual_seed(seed)
    torch.save(create_model(ModelConfig(arch="unet", width=width, depth=2)).state_dict(), path)


def run(space: Workspace, *changes: str) -> Attempt:
    return space.baseline("smoke", [*TINY, *changes])


def nothing_begun(space: Workspace) -> bool:
    return not list((space.root / "attempts").glob("*"))


def test_damaged_weights_are_refused_before_an_attempt_is_written(space: Workspace) -> None:
    save_weights(space.root / "own.pt")
    whole = (space.root / "own.pt").read_bytes()
    (space.root / "own.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"own\.pt: not weights that can be read"):
        run(space, "model.weights=own.pt")
    assert nothing_begun(space)


def test_weights_that_do_not_fit_are_refused_before_an_attempt_is_written(space: Workspace) -> None:
    save_weights(space.root / "own.pt", width=0.5)
    with pytest.raises(ModelError, match=r"of the model's .* tensors are in these weights"):
        run(space, "model.weights=own.pt")
    assert nothing_begun(space)


def test_an_attempt_goes_on_with_the_weights_it_began_with(space: Workspace) -> None:
    """Half of its folds from one file and half from another would be an attempt of neither."""
    save_weights(space.root / "own.pt")
    attempt = run(space, "model.weights=own.pt")
    (attempt.folder / "fold1-seed0/COMPLETE").unlink()
    (attempt.folder / "fold1-seed0/last.pt").unlink()
    first = (space.root / "own.pt").read_bytes()
    save_weights(space.root / "own.pt", seed=1)
    with pytest.raises(ModelError, match=r"0000-baseline: this attempt began with other weights: 'own\.pt'"):
        space.resume(0)
    (space.root / "own.pt").write_bytes(first)
    assert space.resume(0).trained_folds() == {0, 1}


def test_another_file_of_the_same_name_is_another_attempt(space: Workspace) -> None:
    save_weights(space.root / "own.pt")
    run(space, "model.weights=own.pt")
    with pytest.raises(LedgerError, match="this changes nothing"):
        space.attempt("again", ["model.weights=own.pt"], why="the same file")
    save_weights(space.root / "own.pt", seed=1)
    attempt = space.attempt("again", ["model.weights=own.pt"], why="trained for longer")
    assert list(attempt.change) == ["model.weights.content"]
    save_weights(space.root / "own.pt", seed=2)
    third = space.attempt("third", ["model.weights=own.pt"], why="and longer")
    assert third.id == 2
    save_weights(space.root / "own.pt", seed=1)
    with pytest.raises(LedgerError, match="that is attempt 1"):
        space.attempt("fourth", ["model.weights=own.pt"], why="as before")
