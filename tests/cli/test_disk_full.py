"""A full disk, for real: the workspace lies on a small tmpfs that fills up in the middle of each command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import SMALL, Ran, failed, fails, ok, podium, scores, temporaries, times_below

PAGE = 4096


class Disk:
    """A small disk of its own."""

    def __init__(self, root: Path, size: int) -> None:
        self.root, self._filler = root, root / "filler"
        root.mkdir()
        done = self._mount("mount", "-t", "tmpfs", "-o", f"size={size}", "podium-test", str(root))
        if done.returncode:
            reason = f"CANNOT SIMULATE A FULL DISK: mounting a tmpfs needs root ({done.stderr.strip()})"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)

    def leave(self, free: int) -> None:
        """Fill the disk up so that about ``free`` bytes are left."""
        self._filler.unlink(missing_ok=True)
        with open(self._filler, "wb") as f:
            f.truncate(0)
            os.posix_fallocate(f.fileno(), 0, max(1, shutil.disk_usage(self.root).free - free))

    def enlarge(self, size: int = 256 << 20) -> None:
        """Give it more space, as a user does who moves other things away."""
        assert self._mount("mount", "-o", f"remount,size={size}", str(self.root)).returncode == 0

    def read_only(self) -> None:
        """Let nothing be written any more."""
        assert self._mount("mount", "-o", "remount,ro", str(self.root)).returncode == 0

    def unmount(self) -> None:
        self._mount("umount", "-l", str(self.root))

    @staticmethod
    def _mount(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """64 MB."""
    made = Disk(tmp_path / "disk", 64 << 20)
    yield made
    made.unmount()


def copied(workspace: Path, disk: Disk) -> Path:
    """A copy of a workspace on the small disk."""
    return Path(shutil.copytree(workspace, disk.root / "ws", symlinks=True))


def full(ran: Ran) -> str:
    """Check that a command ended because of the disk and said so; returns the message."""
    message = failed(ran, ["free some space"])
    assert "the disk is full" in message or "the disk has " in message, message
    return message


def test_new_and_prepare(disk: Disk, pristine_data: Path) -> None:
    new = ("new", "ws", "--from", pristine_data, "--hold-out", "0.34", "folds.k=2", "folds.seed=1")
    for free in (0, PAGE, 3 * PAGE):
        disk.leave(free)
        full(podium(disk.root, *new))
        assert [p.name for p in disk.root.iterdir()] == ["filler"]
    disk.leave(10 * PAGE)
    full(podium(disk.root, "new", "copy", "--from", pristine_data, "--copy"))
    assert [p.name for p in disk.root.iterdir()] == ["filler"]
    disk.enlarge()
    ok(disk.root, *new)

    space, refused = disk.root / "ws", 0
    for free in range(0, 40 * PAGE, PAGE):
        disk.leave(free)
        ran = podium(space, "prepare")
        if ran.code == 0:
            break
        assert re.search(r"error: \S+: the disk", full(ran)), "not where"
        assert not temporaries(space)
        refused += 1
    assert refused > 3
    disk.enlarge()
    told = ok(space, "prepare").out
    assert (space / "folds.csv").is_file()
    assert "train images: reused" in told


@pytest.mark.slow
def test_baseline_keeps_the_finished_fold(disk: Disk, made: Path, trained: Path) -> None:
    fold = trained / "attempts" / "0000-baseline" / "fold0-seed0"
    size = sum(p.stat().st_size for p in fold.rglob("*") if p.is_file())
    space = copied(made, disk)
    ok(space, "prepare", "recipe=smoke")
    folds = [space / "attempts" / "0000-baseline" / f"fold{n}-seed0" for n in (0, 1)]

    disk.leave(size // 4)  # fold 0 cannot write its first checkpoint
    assert "0000-baseline/fold0-seed0" in full(podium(space, "baseline", *SMALL))
    assert not (folds[0] / "COMPLETE").exists()
    disk.leave(size + size // 3)  # fold 1 cannot
    assert "0000-baseline/fold1-seed0" in full(podium(space, "baseline", *SMALL))
    assert (folds[0] / "COMPLETE").is_file()
    assert not temporaries(space)
    listed = ok(space, "attempts", "--json").json["attempts"]
    assert [(a["name"], a["folds"], a["state"]) for a in listed] == [("baseline", 1, "unfinished")]

    kept = times_below(folds[0])
    disk.enlarge()
    ok(space, "baseline", *SMALL)
    assert times_below(folds[0]) == kept
    assert scores(space) == scores(trained)


@pytest.mark.slow
def test_try_predict_and_submit(disk: Disk, trained: Path) -> None:
    space = copied(trained, disk)
    disk.leave(0)
    before = times_below(space / "submissions")
    full(podium(space, "predict"))
    assert times_below(space / "submissions") == before
    attempt = ("try", "hot", "optim.lr=0.02", "--why", "x")
    full(podium(space, *attempt))
    assert [p.name for p in (space / "attempts").iterdir()] == ["0000-baseline"]
    assert ok(space, "attempts", "--json").json["attempts"][0]["folds"] == 2  # reading needs no space

    for pages in (0, 1, 2, 4):
        disk.leave(pages * PAGE)
        fails(space, "submit", says=["board.db", "space"])
    disk.enlarge()
    assert ok(space, "submit", "--json").json["used_today"] == 1
    assert ok(space, "predict", "--json").json["rows"] == 4
    assert not temporaries(space)


def test_a_disk_that_cannot_be_written_to(disk: Disk, trained: Path, pristine_data: Path) -> None:
    space = copied(trained, disk)
    disk.read_only()
    fails(space, "prepare", says=[space, "cannot write here (Read-only file system)"])
    fails(disk.root, "new", "other", "--from", pristine_data, says=["other", "cannot write here"])
    listed = ok(space, "attempts", "--json").json["attempts"]
    assert [(a["name"], a["state"]) for a in listed] == [("baseline", "done")]
    ok(space, "show", "0")
