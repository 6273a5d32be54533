"""podium doctor: outside of a workspace and in one; and the presets by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from podium.cli import app
from podium.errors import ConfigError, PodiumError
from podium.training.doctor import steps
from podium.workspace import Workspace


@pytest.fixture(autouse=True)
def _here():
    before = os.getcwd()
    yield
    os.chdir(before)


def run(*words: str):
    return CliRunner().invoke(app, ["doctor", "--seconds", "0.05", *words])


def test_outside_of_a_workspace_the_machine_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = steps.standard
    monkeypatch.setattr("podium.training.doctor.standard", lambda: whole(32))
    done = run()
    assert done.exit_code == 0, done.output
    assert "timed on unet, 32x32" in done.stdout
    heads = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert heads[1:7] == ["what", "device", "processor", "threads", "memory", "disk"]
    assert "next: podium new DIR --from DATA" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert isinstance(run("train.epochs=3").exception, ConfigError), "settings are of a workspace's recipe"


def test_a_damaged_workspace_is_not_taken_for_none(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    (workspace / "competition.toml").write_text("name = 3 4\n")
    assert isinstance(run().exception, ConfigError)


def test_in_a_workspace_a_recipe_is_estimated(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    done = run("recipe=smoke", "train.epochs=7", "model.width=0.125", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["estimate"]["told"].startswith("7 epochs x 2 folds: about ")
    assert found["estimate"]["seconds"] == pytest.approx(sum(found["estimate"]["runs"]))
    assert found["rates"]["train"] > 0
    assert not (workspace / "attempts").exists() or not list((workspace / "attempts").iterdir())
    assert not list(workspace.glob(".podium-doctor*"))
    shown = run("recipe=smoke", "model.width=0.125")
    assert "training is bound by " in shown.stdout
    assert "next: podium baseline recipe=smoke model.width=0.125" in shown.stderr
    assert isinstance(run("recipe=smoke", "model.arch=nonsense").exception, PodiumError)


def test_fast_is_the_baseline_and_full_is_beside_it(workspace: Path):
    space = Workspace.open(workspace)
    assert space.recipe("fast") == space.recipe()
    assert space.recipe("full") != space.recipe()
    assert {p.stem for p in (workspace / "recipes").iterdir()} == {"baseline", "full", "smoke"}
    own = (workspace / "recipes/smoke.toml").read_text()
    (workspace / "recipes/fast.toml").write_text(own)
    assert space.recipe("fast") == space.recipe("smoke"), "a file of that name comes first"
