"""What run.toml says of a fold run: how long, how good, on what, with which versions."""

from __future__ import annotations

import platform
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from podium.training.state import Trained


class Phases:
    """Seconds by phase of a fold run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the block's time under ``name``."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started


def facts(trained: Trained, best: int | None, phases: Phases, device: str, folder: Path) -> dict[str, Any]:
    """The part of run.toml that says how the score came about.

    Args:
        best: The epoch whose weights predict, where one was chosen.
        device: Its name and precision.
        folder: The fold run's; its git commit, if it lies in a repository, is written down.
    """
    history = trained.history
    found: dict[str, Any] = {
        "epochs": len(history),
        **({"best_epoch": best} if best else {}),
        "seconds": round(sum(phases.seconds.values()), 2),
        "seconds_by_phase": {name: round(s, 2) for name, s in phases.seconds.items()},
        "images_per_s": round(float(np.mean([e.images_per_s for e in history])), 1) if history else 0.0,
        "data_wait": round(float(np.mean([e.data_wait for e in history])), 4) if history else 0.0,
        "pieces": trained.pieces,
    }
    return found | surroundings(device, folder)


def surroundings(device: str, folder: Path) -> dict[str, Any]:
    """The part of run.toml that says where and with what.

    Args:
        device: Its name and precision; "" if no network was run.
        folder: The fold run's.
    """
    found: dict[str, Any] = {"device": device} if device else {}
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if device and torch.cuda.is_available():
        found["peak_device_memory_mb"] = torch.cuda.max_memory_allocated() // 2**20
    commit = git_commit(folder)
    found |= {"git_commit": commit} if commit else {}
    found["versions"] = {"podium": version("podium"), "torch": torch.__version__, "python": platform.python_version()}
    return found


def git_commit(folder: Path) -> str:
    """The commit that the repository around a folder is at, with + if files in it were changed; "" without one."""
    commit = _git(folder, "rev-parse", "HEAD")
    return commit + "+" * bool(commit and _git(folder, "status", "--porcelain", "--untracked-files=no"))


def _git(folder: Path, *command: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
