"""Graphs give what the networks give, in another runtime; a bundle predicts alone, without network or podium."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from stand_ins import predictor_of
from torch import nn

import podium
from podium import Workspace
from podium.config import read_toml
from podium.errors import ConfigError, ModelError
from podium.inference import export as module
from podium.inference.export import Graph, export
from podium.inference.wheels import as_lines, needed

SETTINGS = ["train.epochs=1", "model.width=0.125", "train.precision=fp32", 'predict.tta=["hflip"]']


class Small(nn.Module):
    """Two convolutions, and for tables a mean of places; metadata is added."""

    def __init__(self, outputs: int, *, dense: bool, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.dense = dense
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, outputs, 1))

    def forward(self, x: torch.Tensor, inputs: torch.Tensor | None = None) -> torch.Tensor:
        logits = 3 * self.body(x)
        return logits if self.dense else logits.mean((2, 3))


class TwoFolds:
    """A bag of two trainings."""

    def __init__(self, folder: Path) -> None:
        self.runs = [1, 2]
        self.files = [folder / f"fold{n}-seed0/best.pt" for n in range(2)]


def two(name: str, *changes: str):
    """A predictor of two networks of a task."""
    predictor = predictor_of(name, *changes)
    models = [Small(predictor.task.outputs, dense=predictor.task.dense, seed=n).eval() for n in range(2)]
    predictor.models, predictor.tasks = models, [predictor.task] * 2
    return predictor


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
KINDS = [("plain", []), ("class map", ["predict.mean=geometric"]), ("several labels", ["predict.mean=logits"])]


@pytest.mark.parametrize(("name", "changes"), KINDS)
@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_the_graph_of_the_mean_gives_what_the_networks_give(name, changes, kind, tmp_path):
    predictor = two(name, *changes)
    done = export(predictor, TwoFolds(tmp_path), IMAGES, [], tmp_path / "out", kind)
    assert done.gap < 1e-5
    assert {p.name for p in done.folder.iterdir()} == {"COMPLETE", "model.toml", done.files[0].name}
    assert read_toml(done.folder / "model.toml")["outputs"] == predictor.task.names
    expected = predictor.mean(torch.from_numpy(IMAGES)).numpy()
    if kind == "onnx":
        session = onnxruntime.InferenceSession(str(done.files[0]))
        one = session.run(None, {"images": IMAGES[:1]})[0]
    else:
        one = torch.export.load(done.files[0]).module()(torch.from_numpy(IMAGES[:1])).detach().numpy()
    assert one == pytest.approx(expected[:1], abs=1e-5)


def test_a_graph_each(tmp_path):
    done = export(two("plain"), TwoFolds(tmp_path), IMAGES, [], tmp_path / "out", "onnx", each=True)
    assert [p.name for p in done.files] == ["fold0-seed0.onnx", "fold1-seed0.onnx"]
    graphs = [onnxruntime.InferenceSession(str(p)).run(None, {"images": IMAGES})[0] for p in done.files]
    assert np.abs(graphs[0] - graphs[1]).max() > 0.01
    expected = two("plain").mean(torch.from_numpy(IMAGES)).numpy()
    assert np.mean(graphs, axis=0) == pytest.approx(expected, abs=1e-5)


def test_a_graph_that_says_something_else_is_not_left_behind(tmp_path, monkeypatch):
    monkeypatch.setitem(module.READERS, "onnx", lambda file: lambda arguments: np.full((3, 1, 32, 48), 0.1))
    with pytest.raises(ModelError, match=r"up to .* from those of the networks"):
        export(two("plain"), TwoFolds(tmp_path), IMAGES, [], tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_a_graph_is_told_in_a_sentence(tmp_path):
    class Odd(Small):
        def forward(self, x: torch.Tensor, inputs: torch.Tensor | None = None) -> torch.Tensor:
            return super().forward(x) * (2.0 if x.sum() > 0 else 1.0)

    predictor = two("plain")
    predictor.models = [Odd(1, dense=True)] * 2
    with pytest.raises(ModelError, match="cannot be written as"):
        export(predictor, TwoFolds(tmp_path), IMAGES, [], tmp_path / "out", "torch")
    with pytest.raises(ConfigError, match="ranks are of all samples"):
        Graph(two("several labels", "predict.mean=rank"))


def test_the_packages_are_those_that_are_installed():
    found = needed()
    assert {"numpy", "torch", "polars", "lightning-fabric", "pydantic"} <= found.keys()
    assert "podium" not in found
    assert "pytest" not in found
    lines = list(as_lines({"torch": "2.14.1+cu130", "numpy": "2.4.0"}))
    assert lines == ["torch==2.14.1", "numpy==2.4.0"]


SOURCES = (".py", ".toml", ".pt", ".md", ".txt", ".ipynb", ".parquet")

NO_NETWORK = """
import socket

def refuse(*args, **kwargs):
    raise AssertionError("the network was asked for")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.mark.slow
def test_a_bundle_predicts_alone_what_podium_predicts(workspace: Workspace, tmp_path):
    workspace.baseline("smoke", SETTINGS, seeds=1)
    file = workspace.predict().file
    bundle = workspace.export(kind="bundle", folder=tmp_path / "bundle")
    assert {p.name for p in bundle.iterdir()} == {
        *("COMPLETE", "README.md", "attempts", "code", "competition.toml"),
        *("predict.ipynb", "predict.py", "wheels.txt"),
    }
    (tmp_path / "data/test").mkdir(parents=True)
    for source in [*(data := workspace.root / "data").glob("test/*"), data / "sample_submission.csv"]:
        (tmp_path / "data" / source.relative_to(data)).write_bytes(source.read_bytes())  # as a hidden test set is
    (tmp_path / "none").mkdir()
    (tmp_path / "none/sitecustomize.py").write_text(NO_NETWORK)
    workspace.root.rename(tmp_path / "gone")
    before = {p: p.stat().st_mtime_ns for p in bundle.rglob("*") if p.suffix in SOURCES}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(tmp_path / "none"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    out = tmp_path / "here/submission.csv"
    out.parent.mkdir()
    command = [sys.executable, str(bundle / "predict.py"), str(tmp_path / "data"), "--out", str(out)]
    done = subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there = tmp_path / "gone" / file.relative_to(workspace.root)
    assert out.read_bytes() == gzip.decompress(there.read_bytes())
    (ratio,) = re.findall(r"rows; took .*, foretold .* \((\d+\.\d+)x\)", done.stderr)
    assert 0.75 <= float(ratio) <= 1.25, done.stderr
    assert [p.name for p in out.parent.iterdir()] == ["submission.csv"]
    after = {p: p.stat().st_mtime_ns for p in bundle.rglob("*") if p.suffix in SOURCES}
    assert after == before, "a bundle is only read"
    assert str(Path(podium.__file__).parent) not in done.stderr
    cells = json.loads((bundle / "predict.ipynb").read_text())["cells"]
    for cell in cells:
        compile("".join(cell["source"]), "cell", "exec")
    wrong = subprocess.run([*command[:2], str(tmp_path / "none")], env=environment, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines()[0].startswith("error: ")
    assert "no test image found" in wrong.stderr


@pytest.mark.slow
def test_a_trained_attempt_becomes_a_graph_and_wrong_words_are_refused(workspace: Workspace):
    workspace.baseline("smoke", SETTINGS, seeds=1)
    folder = workspace.export(kind="onnx")
    assert folder == workspace.root / "exports/0000-baseline-onnx"
    assert (folder / "model.onnx").stat().st_size > 1000
    with pytest.raises(ConfigError, match="no format 'onxn'"):
        workspace.export(kind="onxn")
    (workspace.root / "mine").mkdir()
    (workspace.root / "mine/thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="in use"):
        workspace.export(kind="bundle", folder=workspace.root / "mine")
    assert (workspace.root / "mine/thesis.tex").exists()
