"""Training an attempt once more, as it was: whether its scores come out again."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from podium.errors import LedgerError
from podium.ledger.attempt import CODE, Attempt
from podium.ledger.checks import same_folds, same_metric
from podium.ledger.fold_runs import FoldRun
from podium.ledger.weights import NOTE
from podium.plugins import kept_files
from podium.progress import say
from podium.recipe import prediction_only
from podium.workspace import Workspace


@dataclass(frozen=True)
class Again:
    """One fold run, and the same trained anew.

    Attributes:
        sample: The largest difference of one sample's score.
        changed: {what: (then, now)} of device and versions.
        device: What it was trained on now.
    """

    fold: int
    seed: int
    before: float
    after: float
    sample: float
    changed: dict[str, tuple[str, str]]
    device: str

    @property
    def same(self) -> bool:
        """To the last digit, in every sample."""
        return self.before == self.after and self.sample == 0

    def tree(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self) | {"same": self.same}

    def told(self, noise_floor: float | None) -> str:
        """In a line."""
        head = f"fold {self.fold} seed {self.seed}: {self.before:.5f} then, {self.after:.5f} now: "
        if self.same:
            return head + "the same in every sample"
        floors = f", {abs(self.after - self.before) / noise_floor:.1f} noise floors" if noise_floor else ""
        other = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in self.changed.items())
        if other:
            because = f"since then: {other}"
        elif self.device.startswith("cpu"):
            because = "device and versions are the same, so images, masks or files of its own must be others now"
        else:
            because = "device and versions are the same; this device does not add up in the same order twice"
        return f"{head}{self.after - self.before:+.5f}{floors}; {because}"


def reproduce(space: Workspace, reference: str | int, folds: Sequence[int] = ()) -> tuple[Attempt, list[Again]]:
    """Train fold runs of an attempt anew with its recipe, its seeds and its files; nothing of it is changed.

    Args:
        folds: The only ones; empty: all that it has.

    Raises:
        LedgerError: if none of them was trained, or the folds or samples are others now.
    """
    attempt = space.attempts.get(reference)
    runs = [run for run in attempt.runs if not folds or run.fold in folds]
    if not runs:
        trained = sorted(attempt.trained_folds())
        raise LedgerError(
            f"attempt {attempt.id} ({attempt.name}) has no such fold run",
            where=attempt.folder,
            expected=f"some of its folds: {', '.join(map(str, trained))}" if trained else "a fold that is trained",
            remedy=f"run: podium resume {attempt.id}",
        )
    same_metric(attempt, space.competition, space.root)
    prepared = space.prepare(attempt.recipe)
    same_folds(attempt, prepared.folds, space.root)
    scratch = space.root / ".podium" / "reproduce" / attempt.folder.name
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir(parents=True)
        if (attempt.folder / NOTE).is_file():
            shutil.copyfile(attempt.folder / NOTE, scratch / NOTE)
        with kept_files(attempt.folder / CODE):
            found = [_again(space, attempt, run, prepared, scratch) for run in runs]
    finally:
        shutil.rmtree(scratch.parent, ignore_errors=True)
    return attempt, found


def _again(space: Workspace, attempt: Attempt, run: FoldRun, prepared: Any, scratch: Path) -> Again:
    from podium.training.fold_run import FoldData, run_fold
    from podium.training.repredict import repredict_fold

    p = prepared
    data = FoldData(space.competition, p.stores, p.folds, space.metric, p.samples, p.opened)
    say(f"  fold {run.fold} seed {run.seed} once more")
    if attempt.parent is not None and prediction_only(attempt.change):
        parent = space.attempts.get(attempt.parent)
        source = next(r for r in parent.runs if (r.fold, r.seed) == (run.fold, run.seed))
        new = repredict_fold(data, attempt.recipe, source, scratch)
    else:
        new = run_fold(data, attempt.recipe, run.fold, run.seed, scratch)
    both = run.scores().select("id", "score").join(new.scores().select("id", again="score"), on="id")
    gap = (both["score"] - both["again"]).abs().max()
    sample = float(gap) if isinstance(gap, int | float) and not math.isnan(gap) else 0.0
    before, after = _surroundings(run), _surroundings(new)
    changed = {k: (before[k], after[k]) for k in before.keys() & after.keys() if before[k] != after[k]}
    device = after.get("device", "")
    return Again(run.fold, run.seed, run.score, new.score, sample, dict(sorted(changed.items())), device)


def _surroundings(run: FoldRun) -> dict[str, str]:
    versions = run.facts.get("versions")
    known = {"device": run.facts.get("device"), **(versions if isinstance(versions, dict) else {})}
    return {name: str(value) for name, value in known.items() if value}
