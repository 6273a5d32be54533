"""Tiny data, and workspaces made from it with the real command, made once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from running import SMALL, make_data, new_workspace, ok


@pytest.fixture(scope="session")
def pristine_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that no test changes."""
    return make_data(tmp_path_factory.mktemp("pristine") / "data")


@pytest.fixture
def data(pristine_data: Path, tmp_path: Path) -> Path:
    """A data folder of the test's own."""
    return Path(shutil.copytree(pristine_data, tmp_path / "data"))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, pristine_data: Path) -> Path:
    """A workspace with a board, as `podium new --hold-out` leaves it."""
    return new_workspace(tmp_path_factory.mktemp("made"), pristine_data, "--hold-out", "0.34")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Path:
    """The same after `podium baseline` and `podium predict`."""
    folder = _copy(made, tmp_path_factory.mktemp("trained") / "ws")
    ok(folder, "baseline", *SMALL)
    ok(folder, "predict")
    return folder


def _copy(workspace: Path, to: Path) -> Path:
    return Path(shutil.copytree(workspace, to, symlinks=True))


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Path:
    """A copy of a new workspace."""
    return _copy(made, tmp_path / "ws")


@pytest.fixture
def trained_workspace(trained: Path, tmp_path: Path) -> Path:
    """A copy of a trained workspace."""
    return _copy(trained, tmp_path / "ws")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Callable[[], Path]:
    """A copy of a new workspace for tests that leave it as it is."""
    folder = _copy(made, tmp_path_factory.mktemp("shared") / "ws")
    return lambda: folder
