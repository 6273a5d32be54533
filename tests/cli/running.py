"""The real `podium` command in a subprocess, on data so small that a fold trains in a blink."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from PIL import Image

PODIUM = Path(sys.executable).with_name("podium")
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
SMALL = ("recipe=smoke", "train.epochs=1", "model.width=0.125")
"""A training of about a second a fold."""


@dataclass
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str
    folder: Path = Path("/")

    @property
    def json(self) -> Any:
        """Its stdout, which must be JSON and nothing else."""
        return json.loads(self.out)


def podium(folder: Path, *args: str | Path, timeout: float = 120) -> Ran:
    """Run `podium` in ``folder``; nothing it meets may show a traceback."""
    command = [str(PODIUM), *map(str, args)]
    done = subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True, timeout=timeout, check=False)
    return _no_traceback(Ran(done.returncode, done.stdout, done.stderr, folder))


def _no_traceback(ran: Ran) -> Ran:
    noise = [w for w in ("Traceback", "Exception ignored") if w in ran.err + ran.out]
    assert not noise, f"{noise} in\n{ran.out}\n{ran.err}"
    return ran


def ok(folder: Path, *args: str | Path, timeout: float = 120) -> Ran:
    """Run a command that must succeed."""
    ran = podium(folder, *args, timeout=timeout)
    assert ran.code == 0, f"podium {args}: {ran.code}\n{ran.out}\n{ran.err}"
    return ran


def fails(folder: Path, *args: str | Path, says: Sequence[str | Path] = (), remedy: bool = True) -> str:
    """Run a command that must exit 1 with one message; returns the message.

    Args:
        says: What the message must hold: the file, the row, the value.
        remedy: Whether it must say what to do.
    """
    return failed(podium(folder, *args), says, remedy=remedy)


def failed(ran: Ran, says: Sequence[str | Path] = (), *, remedy: bool = True) -> str:
    """Check that a command ended with exit 1 and one message; returns the message."""
    assert ran.code == 1, f"exit {ran.code}\n{ran.out}\n{ran.err}"
    lines = ran.err.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("error: ")]
    assert len(starts) == 1, ran.err
    message = "\n".join(lines[starts[0] :])
    wanted = [s.relative_to(ran.folder) if isinstance(s, Path) and s.is_relative_to(ran.folder) else s for s in says]
    missing = [str(s) for s in wanted if str(s) not in message]
    assert not missing, f"{missing} not in\n{message}"
    if remedy:
        assert "to do:" in message, message
    return message


class Running:
    """A `podium` that is at work, in a process group of its own."""

    def __init__(self, folder: Path, *args: str | Path, slow: str = "") -> None:
        """Start it.

        Args:
            slow: ``module:function`` (or ``module/Class:method``) that is to take long, so that there is time to
                interrupt the command: when it is called, the file `in-<function>` appears in ``folder``, and nothing
                more happens (in a thread: not for a while).
        """
        self.folder, self.args = folder, args
        command = [str(PODIUM), *map(str, args)]
        if slow:
            module, _, name = slow.partition(":")
            self.flag = folder / f"in-{name}"
            self.flag.unlink(missing_ok=True)
            command = [sys.executable, "-c", _SLOW, module, name, str(self.flag), *map(str, args)]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def reached(self) -> Running:
        """Wait until the slow function is entered."""
        return self.until(self.flag.exists)

    def until(self, condition: Callable[[], object], timeout: float = 90) -> Running:
        """Wait until something is there; the command must still be running then."""
        end = time.monotonic() + timeout
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                out, err = self.process.communicate()
                raise AssertionError(f"podium {self.args} ended or hung too early\n{out}\n{err}")
            time.sleep(0.005)
        return self

    def interrupt(self) -> Ran:
        """Ctrl-C, as a terminal does it: SIGINT to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.ended()

    def kill(self) -> None:
        """SIGKILL: no time for anything."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=60)

    def ended(self) -> Ran:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=120)
        return _no_traceback(Ran(self.process.returncode, out, err))


_SLOW = """
import importlib, pathlib, sys, threading, time
module, name, flag, *args = sys.argv[1:]
holder = importlib.import_module(module.partition("/")[0])
for part in module.split("/")[1:]:
    holder = getattr(holder, part)
quick = getattr(holder, name)
def slow(*args, **kwargs):
    pathlib.Path(flag).touch()
    while threading.current_thread() is threading.main_thread():
        time.sleep(0.01)
    time.sleep(1)  # a thread cannot be interrupted: Ctrl-C waits for what it is at
    return quick(*args, **kwargs)
setattr(holder, name, slow)
sys.argv = ["podium", *args]
from podium.cli import main
main()
"""


def interrupted(ran: Ran) -> None:
    """Check that a command ended as an interrupted one does: 130 and one line that says so."""
    assert ran.code == 130, f"exit {ran.code}\n{ran.out}\n{ran.err}"
    said = [line for line in ran.err.splitlines() if line.startswith("interrupted")]
    assert len(said) == 1, ran.err
    assert ran.err.rstrip().endswith(said[0])
    assert "error: " not in ran.err


def make_data(folder: Path, *, groups: int = 6, views: int = 2, tests: int = 4, size: int = 32) -> Path:
    """A small data folder: train/*.jpg, train_masks/*_mask.gif, test/*.jpg, sample_submission.csv."""
    rng = np.random.default_rng(5)
    for name in ("train", "train_masks", "test"):
        (folder / name).mkdir(parents=True)
    for g in range(groups):
        for v in range(views):
            image, mask = _picture(rng, size)
            write_jpeg(folder / "train" / f"car{g}_{v}.jpg", image)
            write_gif(folder / "train_masks" / f"car{g}_{v}_mask.gif", mask)
    for t in range(tests):
        write_jpeg(folder / "test" / f"new{t}_0.jpg", _picture(rng, size)[0])
    rows = "".join(f"new{t}_0.jpg,\n" for t in range(tests))
    (folder / "sample_submission.csv").write_text("img,rle_mask\n" + rows)
    return folder


def make_rle_data(folder: Path, *, n: int = 8, size: int = 32) -> Path:
    """A small data folder whose masks are runs in train.csv (column order, as TGS Salt has them)."""
    rng = np.random.default_rng(7)
    (folder / "images").mkdir(parents=True)
    lines = ["id,rle_mask"]
    for i in range(n):
        image, mask = _picture(rng, size)
        write_jpeg(folder / "images" / f"s{i:02d}.jpg", image)
        lines.append(f"s{i:02d},{runs(mask.T)}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    return folder


def runs(mask: np.ndarray) -> str:
    """Run-length text of a mask, pixels counted in the array's own order."""
    flat = np.concatenate([[0], mask.ravel(), [0]]).astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    return " ".join(f"{a} {b - a}" for a, b in zip(edges[::2], edges[1::2], strict=True))


def _picture(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    image = rng.integers(60, 120, (size, size, 3)).astype(np.uint8)
    mask = np.zeros((size, size), np.uint8)
    x, y = rng.integers(4, size // 2, 2)
    mask[y : y + size // 3, x : x + size // 2] = 1
    image[mask == 1] += 110
    return image, mask


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Write an RGB image."""
    assert cv2.imwrite(str(path), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


def write_gif(path: Path, mask: np.ndarray) -> None:
    """Write a mask of 0 and 1 as a palette GIF."""
    picture = Image.fromarray(mask, "P")
    picture.putpalette([0, 0, 0, 255, 255, 255] + [0] * 762)
    picture.save(path)


def cut(path: Path, share: float = 0.5) -> None:
    """Truncate a file, as a download that broke off."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def new_workspace(parent: Path, data: Path, *args: str | Path, name: str = "ws") -> Path:
    """`podium new` with two folds."""
    ok(parent, "new", name, "--from", data, "folds.k=2", *args)
    return parent / name


def times_below(folder: Path) -> dict[str, int]:
    """{relative path: modification time} of every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def temporaries(folder: Path) -> list[Path]:
    """What half-written files and folders are called."""
    return list(folder.rglob(".*.tmp"))


def scores(workspace: Path, attempt: str = "0000-baseline") -> dict[str, list[tuple[object, ...]]]:
    """Every out-of-fold score of an attempt, exactly."""
    found = sorted((workspace / "attempts" / attempt).glob("fold*/scores.parquet"))
    return {p.parent.name: pl.read_parquet(p).sort("id").rows() for p in found}
