"""Timing two ways to do the same work side by side, and saying on what machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from podium.cores import usable_cores

VERSIONS = (
    *("podium", "numpy", "numba", "opencv-python-headless", "isal", "simplejpeg", "torch"),
    *("pandas", "albumentations", "pycocotools"),
)


class Seconds(float):
    """What a way took by its own account, where that is not the time of the whole call."""


@dataclass(frozen=True)
class Pair:
    """Two ways to do the same work, which were found to give the same result.

    Attributes:
        ours: podium's. A way that returns `Seconds` is taken at its word.
        peer: What people use.
        note: How large the work is.
    """

    ours: Callable[[], object]
    peer: Callable[[], object]
    note: str = ""


@dataclass(frozen=True)
class Benchmark:
    """One row of the table.

    Attributes:
        name: What `make bench NAME=` takes.
        work: What is done.
        peer: What it is compared with.
        goal: The ratio to reach, of the peer's time to ours; None where there is no goal.
        at_most: The goal is not to be exceeded.
        prepare: (tiny, folder to work in) -> the two ways, after their results were compared.
        clock: "cpu": the time of this thread, which other work on the machine disturbs least (on the wall clock a busy
            machine slows the longer of the two more); "wall": where threads or processes share the work.
    """

    name: str
    work: str
    peer: str
    goal: float | None
    prepare: Callable[[bool, Path], Pair]
    clock: Literal["cpu", "wall"] = "cpu"
    at_most: bool = False


@dataclass(frozen=True)
class Result:
    """What was measured; times are medians in milliseconds."""

    name: str
    work: str
    peer: str
    ours_ms: float
    peer_ms: float
    ratio: float
    goal: float | None
    met: bool | None
    rounds: int
    clock: str
    note: str
    at_most: bool = False


def measure(benchmark: Benchmark, folder: Path, *, tiny: bool, seconds: float) -> Result:
    """Time both ways in turn, at least 3 (tiny: 1) and at most 101 times each, for about ``seconds`` in all."""
    pair = benchmark.prepare(tiny, folder)
    now = time.perf_counter if benchmark.clock == "wall" else time.thread_time
    for way in (pair.ours, pair.peer):  # compiled, cached, paged in
        way()
    ours: list[float] = []
    peer: list[float] = []
    started, least = time.perf_counter(), 1 if tiny else 3
    while len(ours) < least or (len(ours) < 101 and time.perf_counter() - started < seconds and not tiny):
        for way, times in ((pair.ours, ours), (pair.peer, peer))[:: 1 if len(ours) % 2 else -1]:
            begun = now()
            told = way()
            times.append(1000 * (told if isinstance(told, Seconds) else now() - begun))
    a, b = statistics.median(ours), statistics.median(peer)
    met = (
        None
        if benchmark.goal is None or tiny
        else (b / a <= benchmark.goal if benchmark.at_most else b / a >= benchmark.goal)
    )
    return Result(
        benchmark.name,
        benchmark.work,
        benchmark.peer,
        a,
        b,
        b / a,
        benchmark.goal,
        met,
        len(ours),
        benchmark.clock,
        pair.note,
        benchmark.at_most,
    )


def machine() -> dict[str, object]:
    """The processor, its cores, the system and the versions of what is compared."""
    versions = {}
    for name in VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    cores = usable_cores()
    return {
        "processor": _processor(),
        "cores": cores,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def save(results: list[Result], path: Path) -> None:
    """Write results and machine as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"time": now, "machine": machine(), "results": [asdict(r) for r in results]}
    path.write_text(json.dumps(record, indent=1) + "\n")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    facts = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    flags = set(facts.get("flags", "").split())
    extras = [f for f in ("avx2", "avx512f", "amx_bf16") if f in flags]
    return " ".join([facts.get("model name", platform.processor() or platform.machine()), *extras])
