"""Several devices from the command line: what is left, Ctrl-C, a kill: nothing outlives the command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running import Running, fails, interrupted, make_data, new_workspace, ok

from podium.config import read_toml
from podium.files import is_complete

TWO = ("recipe=smoke", "model.width=0.125", "train.devices=2", "train.batch_size=4")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    return new_workspace(tmp_path, make_data(tmp_path / "data"))


@pytest.mark.slow
def test_stopped_and_killed_it_goes_on_and_ends(space: Path) -> None:
    fold = space / "attempts/0000-baseline/fold0-seed0"
    run = Running(space, "baseline", *TWO, "train.epochs=25")
    run.until((fold / "last.pt").exists)
    interrupted(run.interrupt())  # which waits until nobody has its output open
    assert not is_complete(fold)

    killed = Running(space, "resume")
    killed.until(lambda: "going on after epoch" in (fold / "log.txt").read_text())
    os.kill(killed.process.pid, 9)  # the command alone: what it started notices, and lets go of its output
    killed.process.communicate(timeout=30)

    done = ok(space, "resume", timeout=240)
    assert "out of fold" in done.err
    facts = read_toml(fold / "run.toml")
    assert facts["epochs"] == 25
    assert facts["device"].startswith("2 x ")
    lines = [line for line in done.err.splitlines() if "epoch 25/25" in line]
    assert len(lines) == 4  # one a fold and seed


def test_more_devices_than_a_batch_has_samples_are_refused(space: Path) -> None:
    says = ["'train.batch_size' is 1, and 'train.devices' 2", "a sample of each batch for each device"]
    fails(space, "baseline", *TWO[:3], "train.batch_size=1", says=says)
    fails(space, "baseline", *TWO[:2], "train.devices=64", says=["'train.devices' is 64, and there are"], remedy=False)
    assert not list((space / "attempts").glob("*"))
