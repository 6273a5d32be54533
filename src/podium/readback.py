"""An attempt of a workspace read back: what the command `show` prints."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from podium.data.fixes import read_fixes
from podium.errors import LedgerError, PodiumError
from podium.ledger.attempt import Attempt
from podium.ledger.views.details import Details
from podium.ledger.views.gains import Gains, sample_gains
from podium.ledger.views.pictures import Pictures, draw
from podium.ledger.views.reading import read_ledger
from podium.ledger.views.sheet import Sides
from podium.workspace import Workspace


def read_details(space: Workspace, reference: str) -> Details:
    """An attempt beside its parent.

    Raises:
        LedgerError: if there is no such attempt.
    """
    attempt, (ledger, _) = space.attempts.get(reference), read_ledger(space.root)
    stands = ledger.champion is not None and ledger.champion.id == attempt.id
    entry = ledger.by_id.get(attempt.id)
    public = entry.public if entry else None
    return Details(attempt, parent_of(attempt), space.metric, space.competition.folds.k, stands, public)


def parent_of(attempt: Attempt) -> Attempt | None:
    """The attempt that it changes; None for a baseline, or where the parent's folder cannot be read."""
    if attempt.parent is None:
        return None
    for folder in sorted(attempt.folder.parent.glob(f"{attempt.parent:04d}-*")):
        try:
            return Attempt.load(folder)
        except PodiumError:
            continue
    return None


def read_gains(details: Details) -> Gains | None:
    """What each sample gained over the parent; None without one."""
    if details.parent is None:
        return None
    return sample_gains(details.attempt, details.parent, details.metric)


def draw_pictures(space: Workspace, details: Details, gains: Gains | None) -> Pictures:
    """The pictures of an attempt in `reports/attempts/`; those that are there already are not drawn again."""
    return draw(details, gains, lambda: _sides(space, details), space.root / "reports" / "attempts")


def _sides(space: Workspace, details: Details) -> Sides:
    assert details.parent is not None
    decide = None
    if space.competition.task in ("segmentation", "instances"):
        if importlib.util.find_spec("torch") is None:
            raise LedgerError("masks are drawn where podium can train", remedy="pip install 'podium[train]'")
        from podium.inference.decide import decider

        decide = decider(space.competition, space.metric, space.root)
    samples = read_fixes(Path(space.root)).apply(space.samples().train)
    return Sides(details.attempt, details.parent, space.competition, samples, decide)
