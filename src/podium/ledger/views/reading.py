"""The ledger of a workspace, for the views: what `podium attempts` reads, and nothing that takes long to import."""

from __future__ import annotations

from pathlib import Path

from podium.data.place import SPEC
from podium.host.store import DATABASE, BoardStore
from podium.ledger.index import Index, Scale
from podium.ledger.views.entries import Ledger, best_public


def read_ledger(root: Path, *, rebuild: bool = False) -> tuple[Ledger, list[str]]:
    """Every attempt with the public score of its best submission, and a line for each that had to be left out.

    Args:
        root: The workspace's folder.
        rebuild: Make the index anew from the folders first.
    """
    index = Index(root / ".podium" / "podium.db", root / "attempts")
    scale = index.scale(root / SPEC, lambda: _scale(root))
    entries, damaged = index.entries(scale.k, anew=rebuild)
    public = best_public(_scores(root, scale.board), scale.greater_is_better)
    for n, entry in enumerate(entries):
        if entry.folder in public:
            entries[n] = entry._replace(public=public[entry.folder])
    return Ledger(tuple(entries), scale.metric, scale.greater_is_better, scale.k), damaged


def _scale(root: Path) -> Scale:
    from podium.data.competition import Competition
    from podium.metrics import get_metric

    competition = Competition.load(root / SPEC)
    metric = get_metric(competition.metric, f"{root / SPEC}: metric", root, competition.parts)
    return Scale(metric.name, metric.greater_is_better, competition.folds.k, competition.board.kind)


def _scores(root: Path, board: str) -> list[tuple[str, float]]:
    """(attempt's folder, public score) of each submission, as it was told; a board far away is not asked."""
    database = root / "board" / DATABASE
    if board == "local" and database.exists():
        given = BoardStore(database).list()
        return [(one.attempt, one.public) for one in given if one.status == "scored" and one.public is not None]
    if not (root / "submissions").is_dir():
        return []
    from podium.ledger.receipts import receipts
    from podium.ledger.submissions import Submissions

    kept = [one.receipt for one in receipts(Submissions(root / "submissions"))]
    return [(receipt.attempt, receipt.public) for receipt in kept if receipt.public is not None]
