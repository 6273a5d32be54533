"""podium models: outside a workspace and in one."""

from __future__ import annotations

import json
import os

import pytest
from typer.testing import CliRunner

from podium.cli import app
from podium.workspace import Workspace


def run(*words: str):
    done = CliRunner().invoke(app, ["models", *words])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(autouse=True)
def _here():
    before = os.getcwd()
    yield
    os.chdir(before)


def test_outside_a_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("unet")
    lines = done.stdout.splitlines()
    assert lines[0] == "256x256 pixels, 3 channels, 1 outputs"
    assert lines[1].split()[:2] == ["model.arch", "parameters"]
    assert [line.split()[0] for line in lines[2:]] == ["albunet34", "unet", "unet_small"]
    assert "podium try NAME model.arch=ARCH" in done.stderr
    found = json.loads(run("ternausnet11", "--size", "64", "--json").stdout)
    assert (found["height"], found["width"], found["outputs"]) == (64, 64, 1)
    assert found["models"][0]["parameters"] == 22_927_393
    assert found["models"][0]["training_mb"] > found["models"][0]["weights_mb"] > 366


def test_in_a_workspace_the_size_is_that_of_its_trainings(workspace, monkeypatch):
    space = Workspace.open(workspace)
    monkeypatch.chdir(workspace)
    found = json.loads(run("net34", "--json").stdout)
    size = space.recipe().input.size
    assert [found["height"], found["width"]] == size if size else found["height"] % 32 == 0
    assert {row["name"] for row in found["models"]} == {"albunet34", "linknet34"}
    cropped = json.loads(run("net34", "--size", "40", "--json").stdout)
    assert (cropped["height"], cropped["width"]) == (64, 64)  # padded to a multiple of 32


def test_encoders_are_listed_by_what_takes_them():
    found = json.loads(run("squeezenet", "--encoders", "--json").stdout)
    assert found["smp.*, features"] == ["squeezenet1_1"]
    assert found["pspnet"] == []
    done = run("resnet101", "--encoders")
    assert "pspnet: resnet101" in done.stdout.splitlines()
    assert "model.encoder=ENCODER" in done.stderr
    done = CliRunner().invoke(app, ["models", "resnet3x", "--encoders"])
    assert done.exit_code != 0
    assert "did you mean 'resnet34'" in str(done.exception)
