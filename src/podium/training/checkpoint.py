"""Checkpoints: written whole or not at all, read without executing anything."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from podium.errors import ModelError
from podium.files import write_atomic


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and dicts of them, atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


REMEDY = "delete the fold's folder and train it again: podium resume"


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only plain data is accepted.

    Raises:
        ModelError: if the file is missing, damaged or holds anything but plain data.
    """
    try:
        return dict(torch.load(path, map_location=device, weights_only=True))
    except FileNotFoundError:
        raise ModelError("no such checkpoint", where=path, remedy=REMEDY) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise ModelError(f"not a checkpoint podium can read ({reason})", where=path, remedy=REMEDY) from None


def load_weights(path: Path, model: nn.Module, device: torch.device | str = "cpu") -> None:
    """Put a checkpoint's weights into a model.

    Raises:
        ModelError: as `load`, and if the weights are not those of this architecture.
    """
    state = load(path, device)
    try:
        model.load_state_dict(state["model"])
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"these weights do not fit the recipe's model ({reason})",
            where=path,
            remedy=f"restore the attempt's recipe.toml; or {REMEDY}",
        ) from None
