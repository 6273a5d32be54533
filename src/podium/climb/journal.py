"""`climb.toml`: what a climb has to remember beside the ledger, so that one that was killed goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from podium.climb.claim import Claim
from podium.config import Config, write_toml

FILE = "climb.toml"


class Journal(Config):
    """`climb.toml`. What was tried, and what came of it, is in the ledger: its names are those of the catalogue."""

    begun: str = Field(description="when, UTC")
    seed: int = Field(description="of the choices")
    catalog: str | None = Field(None, description="the catalogue's file; unset: podium's own")
    learn: list[str] = Field([], description="other workspaces, whose verdicts count")
    fold_runs: int | None = Field(None, description="the budget in fold runs, those of the last check included")
    hours: float | None = Field(None, description="or in hours")
    runs_before: int = Field(description="fold runs of the ledger when it began")
    first: int = Field(description="the number of its first attempt")
    stood: int = Field(description="the number of the champion then")
    seconds: float = Field(0.0, description="time spent")
    now: str | None = Field(None, description="the attempt that is under way")
    careful: bool = Field(False, description="whether that goes on in careful mode")
    left_out: dict[str, str] = Field({}, description="attempts that failed, and why")
    retried: list[str] = Field([], description="attempts that went on in careful mode")
    ending: bool = Field(False, description="whether nothing new is tried any more")
    proposed: int | None = Field(None, description="the attempt to submit, once that is settled")
    check_seed: int | None = Field(None, description="seed of the last check, once that has begun")
    check_folds: int | None = Field(None, description="on how many folds")
    claim: Claim | None = Field(None, description="what the last check found")
    done: bool = Field(False, description="whether it has ended")

    @classmethod
    def begin(cls, **facts: Any) -> Self:
        """A new one."""
        return cls(begun=datetime.now(UTC).isoformat(timespec="seconds"), **facts)

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """The one in a workspace, if there is one."""
        path = folder / FILE
        return cls.load(path) if path.exists() else None

    def noted(self, folder: Path, **changes: Any) -> Self:
        """With changes, written."""
        new = self.model_copy(update=changes)
        write_toml(folder / FILE, new.tree())
        return new
