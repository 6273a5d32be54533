"""Loops compiled by numba: kept on disk between processes, free of the GIL while they run.

Modules that use `jit` import numba (0.2 s), so import them inside the function that needs them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """The function, compiled at its first call and never again on this machine.

    The machine code is kept beside the source, or in the user's cache; where neither can be written, in a folder of
    the temporary one. Where nothing can be written at all each process compiles it anew.
    """
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba found no folder to write to
        return cast(F, _cached_elsewhere(function))


def _cached_elsewhere(function: F) -> object:
    folder = Path(tempfile.gettempdir()) / f"podium-numba-{os.getuid()}"
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():  # machine code is run: only our own
            raise OSError("not ours")
        config.CACHE_DIR = str(folder)
        return numba.njit(cache=True, nogil=True)(function)
    except (OSError, RuntimeError):
        return numba.njit(nogil=True)(function)
    finally:
        config.CACHE_DIR = before
