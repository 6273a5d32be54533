"""Whether an attempt's fold runs are what they are taken for."""

from __future__ import annotations

from pathlib import Path

from podium.data.folds import Folds
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
