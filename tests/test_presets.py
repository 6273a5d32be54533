"""The presets that `podium new` writes are trained as they are, for every task."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.config import write_toml
from podium.new import write_recipes
from podium.workspace import Workspace
from task_drawing import TASKS, draw_task

ONE_EPOCH = ("train.epochs=1", "model.width=0.125", "train.batch_size=4")
"""Everything else is the preset's."""


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("preset", ["fast", "full"])
def test_a_preset_trains(task: str, preset: str, tmp_path: Path) -> None:
    competition = draw_task(tmp_path, task)
    write_toml(tmp_path / "competition.toml", competition.tree())
    write_recipes(competition, tmp_path)
    attempt = Workspace(tmp_path).baseline(preset, ONE_EPOCH)
    assert attempt.cv is not None
    assert len(attempt.trained_folds()) == competition.folds.k
    file = {"fast": "baseline", "full": "full"}[preset]
    assert attempt.why.startswith(f"the first champion: recipes/{file}.toml ")
