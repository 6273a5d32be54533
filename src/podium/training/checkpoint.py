"""Checkpoints: written whole or not at all, read without executing anything."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from podium.errors import ModelError
from podium.files import write_atomic


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and dicts of them, atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only plain data is accepted.

    Raises:
        ModelError: if the file is missing, damaged or holds anything but plain data.
    """
    try:
        return dict(torch.load(path, map_location=device, weights_only=True))
    except FileNotFoundError:
        raise ModelError("no such checkpoint", where=path) from None
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ModelError(
            f"not a checkpoint podium can read ({reason})",
            where=path,
            remedy="delete the fold's folder to train it again",
        ) from None
