"""Starting the processes of a training, one a device, and ending them all with whatever ends one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from podium import progress
from podium.cores import usable_cores
from podium.errors import PodiumError, TrainingError
from podium.training.ranks import PATIENCE, Ranks

GRACE = 5.0
"""Seconds that a process gets to end, once it was asked to."""

REST = 0.5
"""Seconds in which others may say more, once one has failed."""


def launch(devices: int, function: Callable[..., None], *args: Any) -> None:
    """Call ``function(ranks, *args)`` once a device: here, if there is one, else in a process each.

    The processes are fresh ones, so that this works from a script, a notebook and a test, and however much this one has
    done with the GPU; everything given to them must pickle. The first process speaks, the others are silent. What one
    of them raises is raised here, once all have ended. Ctrl-C is for this process alone, which ends the others.

    Raises:
        TrainingError: if a process dies without a word.
    """
    if devices == 1:
        function(Ranks(), *args)
        return
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise TrainingError(
            "a process of the training runs the script that began it once more",
            remedy='put what the script does under: if __name__ == "__main__":',
        )
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="podium-") as folder:
        started: list[tuple[Any, Connection]] = []
        try:
            with _deaf():
                for rank in range(devices):
                    here, there = context.Pipe(duplex=False)
                    given = (rank, devices, Path(folder) / "meeting", there, function, args)
                    process = context.Process(target=_work, args=given, daemon=True, name=f"podium device {rank}")
                    started.append((process, here))
                    process.start()
                    there.close()
            _listen(started)
        finally:
            _end([process for process, _ in started])


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started within the block do not hear Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _listen(started: list[tuple[Any, Connection]]) -> None:
    """Wait until all are done; raise what the first that fails says."""
    ends = {here: (rank, process) for rank, (process, here) in enumerate(started)}
    errors: list[tuple[bool, float, BaseException]] = []
    while ends and (ready := wait(list(ends), REST if errors else None)):
        for here in ready:
            assert isinstance(here, Connection)
            rank, process = ends.pop(here)
            try:
                when, error = here.recv()
            except EOFError:
                when, error = time.monotonic(), _died(rank, process)
            if error is not None:
                errors.append((not isinstance(error, PodiumError), when, error))
    if errors:  # the others' connections break when one fails: what the user can act on comes before that
        raise min(errors, key=lambda found: found[:2])[2]


def _died(rank: int, process: Any) -> TrainingError:
    process.join(GRACE)
    code = process.exitcode
    how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
    return TrainingError(
        f"the process of device {rank} ended {how}",
        expected="one process a device, to the end of the training",
        remedy="free memory if the system ran out of it; then podium resume goes on from the last save",
    )


def _end(processes: list[Any]) -> None:
    begun = [process for process in processes if process.pid is not None]
    for process in begun:
        if process.is_alive():
            process.terminate()
    for process in begun:
        process.join(GRACE)
        if process.is_alive():
            process.kill()
            process.join()


def _work(
    rank: int, devices: int, meeting: Path, there: Connection, function: Callable[..., None], args: tuple[Any, ...]
) -> None:
    """What a process does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    error: BaseException | None = None
    try:
        if rank:
            progress.silence()
            warnings.simplefilter("ignore")
        warnings.filterwarnings("ignore", message=".*AccumulateGrad node's stream")  # Fabric wraps on another one
        warnings.filterwarnings("ignore", message=".*broadcast_buffers")  # its successor is too new to rely on
        function(_meet(rank, devices, meeting), *args)
    except BaseException as found:  # noqa: BLE001 - raised again where the training began
        error = _sendable(found, rank)
    there.send((time.monotonic(), error))
    there.close()
    if error is None:
        dist.destroy_process_group()
    else:
        os._exit(1)  # the others may never answer


def _meet(rank: int, devices: int, meeting: Path) -> Ranks:
    os.environ["LOCAL_RANK"] = str(rank)  # what Fabric goes by
    given: dict[str, Any] = {"rank": rank, "world_size": devices, "timeout": PATIENCE}
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
        dist.init_process_group("nccl", init_method=meeting.as_uri(), device_id=torch.device("cuda", rank), **given)
    else:
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, usable_cores() // devices))
        dist.init_process_group("gloo", init_method=meeting.as_uri(), **given)
    return Ranks(rank, devices)


def _sendable(error: BaseException, rank: int) -> BaseException:
    """The error, with where it came from if it is nothing that a user can act on."""
    told = "".join(traceback.format_exception(error))
    if not isinstance(error, PodiumError):
        error.add_note(f"in the process of device {rank}:\n{told}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever an error's own pickling does
        return RuntimeError(f"in the process of device {rank}:\n{told}")
    return error


def _end_with_parent() -> None:
    """No process outlives the one that started it, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
