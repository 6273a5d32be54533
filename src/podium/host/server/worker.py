"""A grading process: jobs come as lines of JSON, answers go the same way. It has no network and little memory."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from podium.host.server import seccomp


def main() -> None:
    """Answer jobs until there are no more; run as ``python -m podium.host.server.worker MEMORY_MB``."""
    _die_with_parent()
    _stand_back()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a metric prints must not be taken for an answer
    from podium.host.server.marking import Marker  # libraries first: they may need more memory than a submission

    memory = int(sys.argv[1]) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    marker = Marker(isolated=seccomp.cut_network())
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(marker, json.loads(line))), file=answers, flush=True)


def _answer(marker: Any, job: dict[str, str]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = marker.mark(Path(job["competition"]), Path(job["file"]), job["name"])
        return answer
    except MemoryError:
        marker.forget()
        return {"error": "grading it needs more memory than this host allows", "detail": "MemoryError"}


def _stand_back() -> None:
    """Work when the server has nothing to do: visitors wait for pages, and nobody for a grade to the millisecond."""
    os.nice(10)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _die_with_parent() -> None:
    """Have the kernel end this process when the server dies, however it dies."""
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
