"""Whether an attempt's fold runs are what they are taken for."""

from __future__ import annotations

from pathlib import Path

from podium.data.competition import Competition
from podium.data.folds import Folds
from podium.data.several_targets import facts_of
from podium.errors import LedgerError
from podium.ledger.attempts import Attempt


def same_folds(attempt: Attempt, folds: Folds, root: Path) -> None:
    """Refuse to compare an attempt with what is trained on other folds.

    Args:
        root: The workspace's folder.

    Raises:
        LedgerError: if it was trained on others.
    """
    if attempt.folds != folds.digest():
        raise LedgerError(
            f"attempt {attempt.id} ({attempt.name}) was trained on other folds or samples",
            where=root / "folds.csv",
            expected="the folds it was trained on; otherwise scores cannot be compared",
            remedy="restore folds.csv and exclude.csv, or start a new baseline in another workspace",
        )


def same_metric(attempt: Attempt, competition: Competition, root: Path) -> None:
    """Refuse to compare an attempt with what another metric scores; a fold run that names none is as `competition` is.

    Nothing is scored anew: its epochs were chosen by the metric that competition.toml had then.

    Args:
        root: The workspace's folder.

    Raises:
        LedgerError: if a fold run of it was scored by another metric, or with other targets or weights of them.
    """
    now, parts = competition.metric, facts_of(competition.parts)
    for facts in (run.facts for run in attempt.runs if run.facts.get("metric")):
        then = str(facts["metric"])
        if then == now and facts.get("targets", []) == parts:
            continue
        found = f"attempt {attempt.id} ({attempt.name}) was scored by {then}, competition.toml says {now}"
        if then == now:
            found = f"attempt {attempt.id} ({attempt.name}) was scored with other targets, or other weights of them"
        raise LedgerError(
            found,
            where=f"{root / 'competition.toml'}: {'metric' if then != now else 'target_weights'}",
            expected="what it was scored by; otherwise scores cannot be compared",
            remedy=f"set metric = {then!r} again; or make a new workspace: podium new … metric={now}"
            if then != now
            else "set them as they were; or make a new workspace",
        )


def check_complete(attempt: Attempt, folds: Folds) -> None:
    """Refuse an attempt whose folds do not score each training sample exactly once.

    Raises:
        LedgerError: if they do not.
    """
    scored = attempt.out_of_fold()["id"].to_list()
    if sorted(scored) != sorted(folds.fold):
        raise LedgerError(
            f"{len(scored)} out-of-fold scores for {len(folds.fold)} samples",
            where=attempt.folder,
            expected="each training sample scored exactly once",
            remedy="delete the attempt's fold folders and run it again",
        )
