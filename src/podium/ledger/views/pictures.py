"""The pictures of an attempt in `reports/attempts/`: its learning curves, and the samples that gained and lost most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podium.errors import PodiumError
from podium.files import MARKER, write_atomic
from podium.ledger.attempt import Attempt
from podium.ledger.views.curves_png import to_png
from podium.ledger.views.curves_scene import Shape, scene
from podium.ledger.views.curves_svg import to_svg
from podium.ledger.views.details import Details
from podium.ledger.views.gains import Gains
from podium.ledger.views.sheet import Sides


@dataclass(frozen=True)
class Pictures:
    """What was drawn.

    Attributes:
        files: {"curves", "curves.svg", "gains": path}.
        missing: {the same: why it was not drawn}.
    """

    files: dict[str, Path] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """For a program."""
        return {"pictures": {kind: str(path) for kind, path in self.files.items()}, "not_drawn": self.missing}

    def told(self) -> list[str]:
        """For people, a line each."""
        drawn = [f"{kind:<10} {path}" for kind, path in self.files.items()]
        return drawn + [f"{kind:<10} not drawn: {why}" for kind, why in self.missing.items()]


def draw(details: Details, gains: Gains | None, sides: Callable[[], Sides], folder: Path) -> Pictures:
    """Draw what is older than the attempt's and its parent's fold runs; what cannot be drawn is told, not fatal.

    Args:
        gains: None without a parent.
        sides: Called only if the sheet has to be drawn.
        folder: `reports/attempts/` of the workspace.
    """
    attempt, drawn = details.attempt, Pictures()
    newest = max(_finished(attempt), _finished(details.parent) if details.parent else 0)

    def to_file(kind: str, path: Path, write: Callable[[Path], None]) -> None:
        try:
            if not path.exists() or path.stat().st_mtime_ns <= newest:
                write(path)
            drawn.files[kind] = path
        except PodiumError as error:
            drawn.missing[kind] = str(error).splitlines()[0]

    if any(details.curves):
        name = f"{attempt.folder.name}-curves"
        to_file("curves", folder / f"{name}.png", lambda path: write_atomic(path, to_png(_scene(details))))
        to_file("curves.svg", folder / f"{name}.svg", lambda path: write_atomic(path, to_svg(_scene(details))))
    if gains and gains.samples:
        to_file("gains", folder / f"{attempt.folder.name}-gains.jpg", lambda path: sides().write(path, gains))
    return drawn


def _scene(details: Details) -> list[Shape]:
    own, parents = details.curves
    title = f"attempt {details.attempt.id} {details.attempt.name}"
    return scene(title, details.metric.name, own, parents, up=details.metric.greater_is_better)


def _finished(attempt: Attempt) -> int:
    """When its last fold run ended, in nanoseconds."""
    return max((int((run.folder / MARKER).stat().st_mtime_ns) for run in attempt.runs), default=0)
