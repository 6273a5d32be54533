"""How much memory is free here: what the machine has, or what the container it runs in may use."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from podium.cores import CGROUP


def free_memory(cgroup: Path = CGROUP) -> int:
    """Bytes that can be had without swapping; memory that only caches files counts as free."""
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, no limit, or an older kernel's way of telling it
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        free = min(free, max(0, limit - used + int(stat["file"])))
    return free


def has_gpu() -> bool:
    """Whether an NVIDIA GPU is here for us to use; asked without torch, so that `podium new` stays quick."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and shutil.which("nvidia-smi") is not None and os.path.exists("/dev/nvidiactl")


def free_device_memory() -> int | None:
    """Free bytes of the GPU that training uses, asked without torch; None where there is none."""
    if not has_gpu():
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    asked = ["nvidia-smi", f"--id={first}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    with suppress(OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        told = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
        return int(told.stdout.split()[0]) * 2**20
    return None
