"""The ledger as `podium attempts` reads it: quickly, and always what the files say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from test_attempts import grow
from test_fold_runs import fold_run
from test_index import decided, train

from podium.config import emit_toml
from podium.errors import ConfigError
from podium.ledger.attempt import Attempt
from podium.ledger.attempts import Attempts
from podium.ledger.judge import Judge, Replicates
from podium.ledger.views.reading import read_ledger
from podium.metrics import get_metric

COMPETITION = {"name": "a", "metric": "dice", "data": {"train_images": "*.png", "train_masks": "{id}.png"}}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "competition.toml").write_text(emit_toml(COMPETITION, {}))
    return tmp_path


@pytest.fixture
def attempts(root):
    return Attempts(root / "attempts")


def test_another_competition_toml_is_read_again(root, attempts):
    grow(attempts)
    assert [(r.metric, r.greater_is_better, r.k) for r in (read_ledger(root)[0], read_ledger(root)[0])] == [
        ("dice", True, 5)
    ] * 2
    values = {"name": "a", "task": "regression", "metric": "mae", "folds": {"k": 3}}
    values["data"] = {"train_images": "*.png", "train_csv": "t.csv", "id_column": "id", "targets": ["x"]}
    (root / "competition.toml").write_text(emit_toml(values, {}))
    found, _ = read_ledger(root)
    assert (found.metric, found.greater_is_better, found.k) == ("mae", False, 3)
    (root / "competition.toml").write_text("metric = 3")
    for _ in range(2):
        with pytest.raises(ConfigError):
            read_ledger(root)


def test_where_the_index_cannot_be_written_the_ledger_is_read_all_the_same(root, attempts):
    grow(attempts, "optim.lr=0.1")
    (root / ".podium/podium.db").unlink()
    (root / ".podium/podium.db").mkdir()
    found, damaged = read_ledger(root)
    assert ([entry.id for entry in found.entries], damaged) == ([0, 1], [])


def test_nothing_is_imported_that_takes_long(root, attempts):
    _, first = grow(attempts, "optim.lr=0.1")
    decided(train(first, 2), se=0.25)
    read_ledger(root)  # the folders are read once
    code = (
        "import sys; from podium.cli import app; app(['attempts'], standalone_mode=False); "
        "print([m for m in ('numpy', 'polars', 'cv2', 'torch', 'podium.data.competition') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "1  └─ try0" in done.stdout


def test_trainings_that_another_attempt_only_predicts_with_count_once(attempts):
    base, other = grow(attempts, "predict.threshold=0.4")
    base, metric = train(base, 2), get_metric("dice")
    assert Replicates.of(base, metric).terms.df == 2
    judge = Judge(attempts, metric, 2)
    alone = judge.noise()
    for fold in range(2):
        for seed in range(2):
            run = fold_run(other.folder, fold, seed)
            facts = run / "run.toml"
            facts.write_text(f'trained_in = "{base.folder.name}/{run.name}"\n{facts.read_text()}')
    assert Replicates.of(Attempt.load(other.folder), metric) is None
    assert judge.noise() == alone


def test_a_score_stands_beside_the_parents_on_the_same_folds(attempts):
    base, first = grow(attempts, "optim.lr=0.1")
    base, first = train(base, 3), train(first, 1)
    of_first = "; first seeds alone: the verdict counts all"
    assert first.told("dice", base) == (
        f"CV dice: 0.37500 over 1 fold (its parent on the same: 0.25000{of_first}), trained 2.5s"
    )
    for seed_1 in base.folder.glob("fold*-seed1"):
        (seed_1 / "COMPLETE").unlink()
    once = Attempt.load(base.folder)
    assert first.told("dice", once) == "CV dice: 0.37500 over 1 fold (its parent on the same: 0.25000), trained 2.5s"
    assert base.told("dice", None).startswith("CV dice: 0.25000 over 3 folds, trained")
    assert "parent" not in base.told("dice", first), "which has not all of its folds"
