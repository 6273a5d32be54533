"""Which weights an attempt begins with, by their content: another file under the same name is another attempt."""

from __future__ import annotations

from pathlib import Path

from podium.config import read_toml, write_toml

NOTE = "weights.toml"
"""In an attempt's folder: the file that `model.weights` names, and a hash of what is in it."""

CONTENT = "model.weights.content"
"""The key under which other content of the same file is told as a change."""


def noted(attempt: Path) -> str:
    """The hash of the weights that an attempt began with; empty where none is written down."""
    note = attempt / NOTE
    return str(read_toml(note).get("hash", "")) if note.is_file() else ""


def begins_otherwise(attempt: Path, hash: str) -> bool:
    """Whether it is known that an attempt began with other weights than those of a hash."""
    return bool(hash and noted(attempt) and noted(attempt) != hash)


def write_note(attempt: Path, file: str, hash: str) -> None:
    """Write down what an attempt begins with."""
    write_toml(attempt / NOTE, {"file": file, "hash": hash})
