"""A fold run is believed when it is finished and whole."""

import polars as pl
import pytest

from podium.errors import LedgerError, PodiumError
from podium.files import MARKER, mark_complete
from podium.ledger.fold_runs import FoldRun, finished_runs, fold_run_name


def fold_run(attempt, fold=0, seed=0, scores=(0.5, 0.75), ids=None, groups=None):
    """Write a finished fold run as training does."""
    folder = attempt / fold_run_name(fold, seed)
    folder.mkdir(parents=True)
    ids = ids or [f"s{fold}-{i}" for i in range(len(scores))]
    table = {"id": ids, "group": groups or ids, "fold": [fold] * len(ids), "score": list(map(float, scores))}
    pl.DataFrame(table).write_parquet(folder / "scores.parquet")
    score = sum(scores) / len(scores)
    (folder / "run.toml").write_text(f"fold = {fold}\nseed = {seed}\nscore = {score}\nseconds = 2.5\n")
    mark_complete(folder)
    return folder


def test_a_finished_run_is_read(tmp_path):
    run = FoldRun.load(fold_run(tmp_path, 2, 1))
    assert (run.fold, run.seed, run.score, run.facts["seconds"]) == (2, 1, 0.625, 2.5)
    assert run.scores()["score"].to_list() == [0.5, 0.75]


def test_runs_come_by_fold_and_seed_and_others_are_passed_over(tmp_path):
    for fold, seed in ((10, 0), (2, 1), (2, 0)):
        fold_run(tmp_path, fold, seed)
    (fold_run(tmp_path, 3) / MARKER).unlink()
    (tmp_path / "notes").mkdir()
    (tmp_path / "why.md").touch()
    assert [(r.fold, r.seed) for r in finished_runs(tmp_path)] == [(2, 0), (2, 1), (10, 0)]


def test_an_unfinished_run_is_refused(tmp_path):
    folder = fold_run(tmp_path)
    (folder / MARKER).unlink()
    with pytest.raises(LedgerError, match="not finished"):
        FoldRun.load(folder)


@pytest.mark.parametrize(
    "text", ["fold = 1", "fold = 'x'\nseed = 0\nscore = 1", "fold =", "fold = 0\nseed = 0\nscore = []"]
)
def test_a_damaged_run_is_named(tmp_path, text):
    folder = fold_run(tmp_path)
    (folder / "run.toml").write_text(text)
    with pytest.raises(PodiumError, match="fold0-seed0"):
        FoldRun.load(folder)


@pytest.mark.parametrize(
    "damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"PAR1 no"), lambda p: p.write_bytes(b"")]
)
def test_damaged_scores_are_named(tmp_path, damage):
    folder = fold_run(tmp_path)
    damage(folder / "scores.parquet")
    with pytest.raises(LedgerError, match=r"scores\.parquet cannot be read"):
        FoldRun.load(folder).scores()
