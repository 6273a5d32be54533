"""What this machine is, as far as training depends on it, and what about it slows training down."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import psutil  # type: ignore[import-untyped,unused-ignore]
import torch

from podium.cores import usable_cores
from podium.data.loader import single_thread_cv2
from podium.data.memory import free_memory, has_gpu
from podium.files import size_text
from podium.progress import counted
from podium.training.device import cpu_has_bf16

GB = 2**30
PIECE = 16 * 2**20
"""Bytes that are written and read to time the disk."""

TRAININGS = ("baseline", "try", "resume", "lr-find", "demo", "doctor")
"""Commands of podium that keep a machine busy."""


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes:
        cores: That this process may use; ``cores_there``: that the machine has.
        threads: That torch computes with.
        omp: The environment's OMP_NUM_THREADS, or None.
        cv2_threads: That OpenCV takes beside podium's own.
        load: Processes that wanted a core in the last minute, on average.
        others: Other podiums at work here: "pid: command".
        memory, memory_free, swap_used, disk_free: Bytes.
        shared_memory: Free bytes of /dev/shm; None where there is none.
        disk_write, disk_read: MB/s; None where nothing can be written.
        gpu: Its name; None: torch sees none.
        driver: Whether an NVIDIA driver is here.
        cuda_build: The CUDA that torch was built for; None: for CPUs.
    """

    processor: str
    cores: int
    cores_there: int
    threads: int
    omp: str | None
    cv2_threads: int
    bf16: bool
    amx: bool
    load: float
    others: list[str]
    memory: int
    memory_free: int
    swap_used: int
    shared_memory: int | None
    disk_free: int
    disk_write: float | None
    disk_read: float | None
    gpu: str | None
    gpu_memory: int
    driver: bool
    cuda_build: str | None
    torch: str = field(default_factory=lambda: str(torch.__version__))


def look(folder: Path) -> Machine:
    """Look at the machine, and time the disk that ``folder`` lies on."""
    gpu = torch.cuda.is_available()
    write, read = disk_speed(folder)
    single_thread_cv2()
    shm = Path("/dev/shm")
    return Machine(
        processor=processor_name(),
        cores=usable_cores(),
        cores_there=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        omp=os.environ.get("OMP_NUM_THREADS"),
        cv2_threads=cv2.getNumThreads(),
        bf16=cpu_has_bf16(),
        amx=bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)()),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        others=other_podiums(),
        memory=int(psutil.virtual_memory().total),
        memory_free=free_memory(),
        swap_used=int(psutil.swap_memory().used),
        shared_memory=shutil.disk_usage(shm).free if shm.is_dir() else None,
        disk_free=shutil.disk_usage(folder).free,
        disk_write=write,
        disk_read=read,
        gpu=torch.cuda.get_device_name() if gpu else None,
        gpu_memory=int(torch.cuda.mem_get_info()[1]) if gpu else 0,
        driver=has_gpu(),
        cuda_build=torch.version.cuda,
    )


def processor_name() -> str:
    """As the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def other_podiums() -> list[str]:
    """Other trainings of podium that run on this machine, as far as one may see them."""
    found, here = [], psutil.Process()
    own = {here.pid, *(p.pid for p in here.parents())}
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        start = next((n for n, w in enumerate(words[:4]) if Path(w).name == "podium"), None)
        if process.info["pid"] in own or start is None:
            continue
        command = next((w for w in words[start + 1 :] if w in TRAININGS), None)
        if command:
            found.append(f"{process.info['pid']}: podium {command}")
    return found


def disk_speed(folder: Path, size: int = PIECE) -> tuple[float | None, float | None]:
    """(writing, reading) in MB/s of a file in a folder, past the cache of files; None: it cannot be written."""
    data = os.urandom(size)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".podium-doctor-") as file:
            started = time.perf_counter()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            written = time.perf_counter() - started
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            started = time.perf_counter()
            with open(file.name, "rb", buffering=0) as again:
                again.read()
            return size / 1e6 / written, size / 1e6 / (time.perf_counter() - started)
    except OSError:
        return None, None


# ---------------------------------------------------------------------- what slows training down


def warnings(m: Machine) -> list[str]:
    """What about a machine slows training down, each with what to do about it."""
    return [line for line in (*_threads(m), *_company(m), *_device(m), *_room(m)) if line]


def _threads(m: Machine) -> list[str]:
    found = []
    if m.omp is not None and not (m.omp.split(",")[0].strip().isdigit() and int(m.omp.split(",")[0]) > 0):
        found.append(f"OMP_NUM_THREADS is '{m.omp}', which is no number of threads: export OMP_NUM_THREADS={m.cores}")
    if m.threads > m.cores:
        why = f"; the container leaves it those of {m.cores_there}" if m.cores < m.cores_there else ""
        found.append(
            f"torch computes with {m.threads} threads on {counted(m.cores, 'core')}{why}, so that they wait for one "
            f"another: export OMP_NUM_THREADS={m.cores}"
        )
    elif m.gpu is not None or not is_quiet(m):
        pass  # few threads do no harm there: the GPU computes, or others have the cores
    elif m.threads < m.cores and m.omp is not None:
        found.append(f"OMP_NUM_THREADS={m.omp} leaves {m.cores - m.threads} of {m.cores} cores idle: unset it")
    elif 2 * m.threads < m.cores:  # half of them may be hyper-threads, which torch leaves out
        found.append(f"torch computes with {m.threads} of {m.cores} cores: export OMP_NUM_THREADS={m.cores}")
    if m.cv2_threads > 1:
        found.append(
            f"OpenCV keeps {m.cv2_threads} threads of its own beside the loader's: another build of it "
            "(opencv-python-headless) lets podium switch them off"
        )
    return found


def is_quiet(m: Machine) -> bool:
    """Whether nothing else keeps it busy."""
    return not _company(m)


def _company(m: Machine) -> list[str]:
    if m.others:
        return [
            f"{counted(len(m.others), 'other podium')} at work here ({'; '.join(m.others)}): trainings side by side on "
            "the same cores are slower than one after another, and what is measured here is what they leave. If it has "
            "to be: export OMP_NUM_THREADS=1, for threads that share a core wait for each other"
        ]
    if m.load > 0.5 * m.cores + 0.5:
        return [
            f"{m.load:.1f} processes want the {counted(m.cores, 'core')} (load of the last minute): what is measured "
            "here is what they leave; look with top, and ask again when it is quiet"
        ]
    return []


def _device(m: Machine) -> list[str]:
    if m.gpu is None and m.driver:
        what = (
            f"torch {m.torch} is built for CPUs: install one for CUDA (its version is in the head of nvidia-smi)"
            if m.cuda_build is None
            else f"torch {m.torch} (CUDA {m.cuda_build}) does not see it: compare with nvidia-smi, and look at "
            "CUDA_VISIBLE_DEVICES"
        )
        return [f"there is an NVIDIA driver, and {what}"]
    if m.gpu is None and not m.bf16:
        return [
            "this processor has no bf16 instructions (AMX, AVX-512 BF16), so it computes in fp32: small inputs and "
            "networks (the recipe that podium new wrote) are what it can train"
        ]
    return []


def _room(m: Machine) -> list[str]:
    found = []
    if m.swap_used > 0.02 * m.memory and m.memory_free < 0.2 * m.memory:
        found.append(
            f"{size_text(m.swap_used)} are swapped out and {size_text(m.memory_free)} of memory are free: end other "
            "programs, or take a smaller train.batch_size"
        )
    elif m.memory_free < 2 * GB:
        found.append(
            f"only {size_text(m.memory_free)} of memory are free: end other programs, or train on small batches"
        )
    if m.disk_free < 2 * GB:
        found.append(f"only {size_text(m.disk_free)} of the disk are free: podium cache --prune, or make room")
    if m.disk_read is not None and m.disk_read < 100:
        found.append(
            f"the disk reads {m.disk_read:.0f} MB/s: where images do not fit into memory, each epoch waits for it; put "
            "the workspace on a local disk"
        )
    if m.disk_write is not None and m.disk_write < 20:
        found.append(
            f"the disk writes {m.disk_write:.0f} MB/s: saving a checkpoint takes long; set train.save_every=30"
        )
    if m.shared_memory is not None and m.shared_memory < 64 * 2**20:
        found.append(
            f"/dev/shm has {size_text(m.shared_memory)}: podium's loader needs none, processes that share tensors do "
            "(a DataLoader, several GPUs); docker run --shm-size=2g gives more"
        )
    return found
