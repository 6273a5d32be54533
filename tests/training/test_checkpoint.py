"""Checkpoints hold plain data only, and a damaged one says what to do."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from podium.errors import ModelError
from podium.training import checkpoint


def test_round_trip(tmp_path: Path) -> None:
    state = {"model": {"w": torch.arange(3.0)}, "epoch": 2, "history": [{"loss": 0.5}]}
    checkpoint.save(tmp_path / "a.pt", state)
    back = checkpoint.load(tmp_path / "a.pt")
    assert torch.equal(back["model"]["w"], state["model"]["w"])
    assert back["epoch"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return os.mkdir, (str(tmp_path / "owned"),)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    torch.save({"x": Evil()}, tmp_path / "evil2.pt")
    for name in ("evil.pt", "evil2.pt"):
        with pytest.raises(ModelError, match="not a checkpoint"):
            checkpoint.load(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_truncated_missing_and_empty_are_told(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.pt", {"w": torch.zeros(1000)})
    whole = (tmp_path / "a.pt").read_bytes()
    for size in (0, 10, len(whole) // 2):
        (tmp_path / "cut.pt").write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"cut\.pt(.|\n)*delete the fold's folder"):
            checkpoint.load(tmp_path / "cut.pt")
    with pytest.raises(ModelError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "none.pt")
