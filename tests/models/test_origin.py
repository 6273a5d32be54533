"""Which file an attempt in `model.weights` stands for."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch

from podium.config import write_toml
from podium.errors import ModelError
from podium.files import mark_complete
from podium.ledger.attempts import Attempts
from podium.models.origin import resolved, with_own_weights
from podium.models.pretrained import check_weights
from podium.recipe import ModelConfig, Recipe


def workspace(root: Path, folds: range) -> Path:
    """A workspace with the attempt 0000-baseline, these folds of it finished."""
    root.mkdir()
    (root / "competition.toml").write_text("")
    attempt = Attempts(root / "attempts").create("baseline", Recipe(), None, "first", "digest")
    for fold in folds:
        run = attempt.folder / f"fold{fold}-seed0"
        run.mkdir()
        torch.save({"model": {}}, run / "best.pt")
        write_toml(run / "run.toml", {"fold": fold, "seed": 0, "score": 0.5})
        scores = {"id": ["a"], "group": ["a"], "fold": [fold], "score": [0.5]}
        pl.DataFrame(scores).write_parquet(run / "scores.parquet")
        mark_complete(run)
    return root


def test_the_same_fold_of_the_same_workspace(tmp_path: Path) -> None:
    """A network that has seen the samples which validate would make the score a lie."""
    root = workspace(tmp_path / "cells", range(3))
    for fold in range(3):
        assert resolved("attempt:0000", root, fold).endswith(f"cells/attempts/0000-baseline/fold{fold}-seed0/best.pt")
    assert "fold1-seed0" in resolved("attempt:baseline", root / "attempts" / "0001-next", 1)
    with pytest.raises(ModelError, match=r"no finished run of fold 3(.|\n)*has not seen the samples that validate"):
        resolved("attempt:0", root, 3)


@pytest.mark.parametrize("spelling", ["attempt:../salt/0000", "attempt:salt/0000"])
def test_another_workspace_beside_this_one(tmp_path: Path, spelling: str) -> None:
    root = workspace(tmp_path / "cells", range(1))
    workspace(tmp_path / "salt", range(2, 3))
    assert resolved(spelling, root, 0) == str(tmp_path / "salt/attempts/0000-baseline/fold2-seed0/best.pt")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    root = workspace(tmp_path / "cells", range(1))
    with pytest.raises(ModelError, match=r"there is no workspace for 'attempt:nowhere/0001'"):
        resolved("attempt:nowhere/0001", root, 0)
    with pytest.raises(ModelError, match="there is no attempt yet"):
        resolved("attempt:0007", tmp_path, 0)
    with pytest.raises(ModelError, match=r"no attempt '0007'(.|\n)*0000-baseline"):
        resolved("attempt:0007", root, 0)


def test_paths_are_seen_from_the_workspace(tmp_path: Path) -> None:
    root = workspace(tmp_path / "cells", range(1))
    (root / "own.pt").touch()
    recipe = Recipe(model=ModelConfig(weights="own.pt"))
    assert with_own_weights(recipe, root / "attempts/0001-own", 0).model.weights == str(root / "own.pt")
    check_weights(recipe.model, root)
    with pytest.raises(ModelError, match=r"there are no weights 'other\.pt'"):
        check_weights(ModelConfig(weights="other.pt"), root)
    with pytest.raises(ModelError, match="random encoder"):
        check_weights(ModelConfig(arch="features"), root)
    with pytest.raises(ModelError, match="is on no hub"):
        check_weights(ModelConfig(arch="features", encoder="squeezenet1_1", pretrained=True), root)
