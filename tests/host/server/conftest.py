"""A small host, and a disk that can be filled."""

from __future__ import annotations

import os
import subprocess

import pytest

from hosting import House, serving, wait_graded


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "house")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A host that is served for all tests of a file: alice and bob have submitted."""
    house = House(tmp_path_factory.mktemp("live") / "house", rules={"daily_limit": 500}, registration="open")
    house.user("eve")
    house.user("olga", organiser=True)
    house.submit("alice", 0.1, message="of alice")
    house.submit("bob", 0.2, message="of bob")
    with serving(house.host) as port:
        wait_graded(house)
        house.port = port
        yield house


@pytest.fixture
def disk(tmp_path):
    """A folder on a file system of sixteen megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        reason = f"a small tmpfs cannot be mounted here: {done.stderr.decode().strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
