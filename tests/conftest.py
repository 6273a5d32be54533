"""Shared fixtures: a small competition drawn in milliseconds, a workspace over it, a small disk, the real data."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from drawing import tiny_competition

# In CI the same examples every time: a landing must not depend on luck; at home they differ from run to run.
settings.register_profile("podium", deadline=None, max_examples=60, derandomize=bool(os.environ.get("CI")))
settings.load_profile("podium")


@pytest.fixture(name="tiny_competition")
def _tiny_competition():
    return tiny_competition


@pytest.fixture
def workspace(tmp_path):
    """A workspace over a small competition with a board of its own, nothing prepared."""
    from podium.workspace import Workspace

    tiny = tiny_competition(tmp_path / "source", n_groups=8, test_groups=0, table="train_masks.csv")
    return Workspace.new(tmp_path / "space", tiny.folder, hold_out=0.3)


@contextmanager
def _disk_of(megabytes, folder):
    """A file system of a few megabytes at ``folder``."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True
    )
    if done.returncode:
        reason = f"a small tmpfs cannot be mounted here: {done.stderr.decode().strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of two megabytes."""
    with _disk_of(2, tmp_path / "small_disk") as folder:
        yield folder


@pytest.fixture
def disk(tmp_path):
    """A folder on a file system of sixteen megabytes: room for a host, until it is filled."""
    with _disk_of(16, tmp_path / "disk") as folder:
        yield folder


class RealData:
    """`real_data / "carvana"` is that data set's folder; where it is absent the test is skipped by its name."""

    def __truediv__(self, name):
        root = os.environ.get("PODIUM_REAL_DATA")
        folder = Path(root or ".") / name
        if root and folder.is_dir():
            return folder
        reason = f"real data '{name}': " + (f"{folder} is not there" if root else "PODIUM_REAL_DATA is not set")
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def real_data():
    return RealData()
