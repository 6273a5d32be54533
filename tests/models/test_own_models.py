"""Architectures in a user's file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from podium.errors import ConfigError, ModelError
from podium.models import create_model
from podium.plugins import plugin_digest
from podium.recipe import ModelConfig

GOOD = """
import torch
from torch import nn

class MyNet(nn.Module):
    "Three convolutions."
    stride = 4
    def __init__(self, in_channels, classes, width=1.0):
        super().__init__()
        self.encoder = nn.Conv2d(in_channels, int(8 * width), 3, stride=4, padding=1)
        self.head = nn.ConvTranspose2d(int(8 * width), classes, 4, stride=4)
    def forward(self, x):
        assert x.shape[2] % 4 == x.shape[3] % 4 == 0
        return self.head(self.encoder(x))

def small(in_channels, classes):
    return nn.Conv2d(in_channels, classes, 1)

def classifier(in_channels, classes, inputs):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes + inputs))

def no_arguments():
    return nn.Identity()

def broken(in_channels, classes):
    raise ValueError("too many layers")

def half(in_channels, classes):
    return nn.Conv2d(in_channels, classes, 1, stride=2)

def fails(in_channels, classes):
    return nn.Conv2d(in_channels + 1, classes, 1)

def number(in_channels, classes):
    return 3

constant = 3
"""


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mynet.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)


def config(arch: str, **settings: object) -> ModelConfig:
    return ModelConfig.from_tree({"arch": arch, **settings})


def test_a_class_gets_what_it_takes_and_any_size() -> None:
    model = create_model(config("mynet.py:MyNet", width=2), 4, 3)
    assert model.training
    assert model.stride == 4
    assert model.network.encoder.out_channels == 16
    assert len(list(model.encoder_parameters())) == 2
    assert model(torch.rand(2, 4, 21, 18)).shape == (2, 3, 21, 18)


def test_a_function_will_do_and_the_folder_may_be_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    model = create_model(config("mynet.py:small"))
    assert model.stride == 32
    assert model(torch.rand(1, 3, 7, 9)).shape == (1, 1, 7, 9)
    with torch.device("meta"):
        assert all(p.is_meta for p in create_model(config("mynet.py:small")).parameters())


def test_a_classifier_is_left_as_it_is() -> None:
    model = create_model(config("mynet.py:classifier"), 3, 5, dense=False, inputs=2)
    assert model(torch.rand(2, 3, 4, 4)).shape == (2, 7)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("mynet.py:no_arguments", r"does not take in_channels and classes; it takes: nothing"),
        ("mynet.py:broken", r"fails while it is made: ValueError: too many layers"),
        ("mynet.py:half", r"shape \(1, 1, 32, 32\) for an image of 3x64x64(.|\n)*expected: .*\(1, 1, 64, 64\)"),
        ("mynet.py:fails", r"fails on an image of 3x64x64: RuntimeError"),
        ("mynet.py:number", r"makes a int, not a torch.nn.Module"),
        ("mynet.py:constant", r"is of type int(.|\n)*takes in_channels and classes"),
    ],
)
def test_what_does_not_fit_is_said(arch: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create_model(config(arch))


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("nonet.py:MyNet", r"no file 'nonet.py'"),
        ("mynet.py:MyNett", r"nothing in the file is called 'MyNett'(.|\n)*did you mean 'MyNet'"),
        ("mynet.py", r"does not name something in a Python file(.|\n)*file\.py:name"),
    ],
)
def test_a_file_or_name_that_is_not_there(arch: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_model(config(arch))


def test_a_file_that_fails_is_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "typo.py").write_text("import torch\ndef x(:\n")
    with pytest.raises(ConfigError, match=r"typo\.py, line 2: this file fails while it is loaded: SyntaxError"):
        create_model(config("typo.py:x"))


def test_a_key_that_it_does_not_take_is_refused() -> None:
    with pytest.raises(ModelError, match=r"mynet\.py:MyNet does not read 'depth'(.|\n)*reads: width"):
        create_model(config("mynet.py:MyNet", depth=3))


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    before = plugin_digest("mynet.py:MyNet", "model.arch")
    assert plugin_digest("mynet.py:small", "model.arch") == before
    (tmp_path / "mynet.py").write_text(GOOD + "# changed\n")
    assert plugin_digest("mynet.py:MyNet", "model.arch") != before
