"""A prediction in parts, each a finished folder: what was stopped goes on with the first part that is not there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from podium.config import read_toml, write_toml
from podium.files import building, is_complete

SHARE = 100
"""Parts of a long prediction: a kill costs about a hundredth of it."""

LEAST = 4
"""Batches in a part, at least."""


class Parts:
    """The parts of a prediction of some samples, in order.

    Args:
        folder: Of this very prediction: its name says of what.
        ids: Of the samples, in the order of the file.
        batch: Images that are predicted at once.
    """

    def __init__(self, folder: Path, ids: Sequence[str], batch: int) -> None:
        self.folder, self.ids = folder, ids
        self.size = -(-max(LEAST * batch, len(ids) // SHARE, 1) // batch) * batch
        self.count = -(-len(ids) // self.size)
        self.done = next((n for n in range(self.count) if not is_complete(self._of(n))), self.count)

    def __getitem__(self, n: int) -> Sequence[str]:
        """The ids of a part."""
        return self.ids[n * self.size : (n + 1) * self.size]

    @property
    def finished(self) -> list[Path]:
        """The folders of the parts that are done."""
        return [self._of(n) for n in range(self.done)]

    @property
    def samples_done(self) -> int:
        """How many samples those hold."""
        return min(len(self.ids), self.done * self.size)

    @contextmanager
    def making(self, n: int) -> Iterator[Path]:
        """A folder to fill, which is part ``n`` when the block ends well."""
        with building(self._of(n)) as temporary:
            yield temporary
        self.done = n + 1

    def forget(self, n: int) -> None:
        """Have part ``n`` and all behind it made again."""
        for part in self.finished[n:]:
            shutil.rmtree(part)
        self.done = min(self.done, n)

    def remove(self) -> None:
        """Delete all of it, once the file is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _of(self, n: int) -> Path:
        return self.folder / f"{n:05d}"


def write_counts(part: Path, **counts: float) -> None:
    """What was counted in a part: empty masks, seconds."""
    write_toml(part / "part.toml", counts)


def summed(parts: Sequence[Path]) -> dict[str, float]:
    """What was counted in all of them together."""
    total: dict[str, float] = {}
    for part in parts:
        for key, value in read_toml(part / "part.toml").items():
            total[key] = total.get(key, 0) + value
    return total
