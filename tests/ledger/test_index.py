"""The index says what the folders say, however it came to be."""

from __future__ import annotations

import sqlite3

import pytest
from test_attempts import DAMAGE, grow
from test_fold_runs import fold_run

from podium.files import MARKER
from podium.ledger.attempts import Attempt, Attempts
from podium.ledger.index import Index
from podium.ledger.verdict import Verdict


@pytest.fixture
def attempts(tmp_path):
    return Attempts(tmp_path / "attempts")


@pytest.fixture
def index(tmp_path, attempts):
    return Index(tmp_path / ".podium" / "podium.db", attempts.folder)


def train(attempt, folds):
    """Of a baseline each fold twice, as its noise floor asks for."""
    for fold in range(folds):
        for seed in range(1 + (attempt.parent is None)):
            fold_run(attempt.folder, fold, seed, scores=(0.5, attempt.id / 4))
    return Attempt.load(attempt.folder)


def decided(attempt, **known):
    """The attempt with a verdict that stands."""
    about = {"verdict": "UNSURE", "gain": 0.125, "folds": 3, "sentence": "UNSURE: it is close"}
    return Attempt.load(attempt.folder).decided(Verdict(**about | known))


def test_put_as_it_goes_and_rebuilt_are_the_same(tmp_path, attempts, index):
    base, first, second = grow(attempts, "optim.lr=0.1", "loss.terms={bce=1}")
    for attempt, folds in ((base, 3), (first, 3), (second, 1)):
        index.put(attempt)
        attempt = train(attempt, folds)
        index.put(attempt)
    index.put(decided(first, se=0.25, raw_gain=0.5, reason="too close to call"))
    raw = [sqlite3.connect(index.path).execute("select * from attempts order by id").fetchall()]
    rows, damaged = index.entries(3)
    other = Index(tmp_path / "other.db", attempts.folder)
    assert other.entries(3)[1] == []
    raw.append(sqlite3.connect(other.path).execute("select * from attempts order by id").fetchall())
    assert raw[0] == raw[1]
    assert (rows, damaged) == other.entries(3)
    assert [r.finished for r in rows] == [True, True, False]
    assert (rows[1].verdict, rows[1].gain, rows[1].cv, rows[1].folds) == ("UNSURE", 0.125, 0.375, 3)
    known = ("se", "raw_gain", "reason", "final", "fold_runs", "crowned", "noise_floor")
    assert [getattr(rows[1], k) for k in known] == [0.25, 0.5, "too close to call", True, 3, None, None]
    assert rows[0].scores == [(fold, seed, 0.25) for fold in range(3) for seed in range(2)]
    assert rows[1].change == "optim.lr 0.001 -> 0.1"
    assert rows[2].why == "because 1"


def test_it_follows_folders_that_come_and_go(attempts, index):
    assert index.entries(1) == ([], [])
    _, first, _ = grow(attempts, "optim.lr=0.1", "optim.lr=0.2")
    assert [r.id for r in index.entries(1)[0]] == [0, 1, 2]
    first.folder.rename(attempts.folder.parent / "away")
    assert [r.id for r in index.entries(1)[0]] == [0, 2]


def test_a_fold_finished_elsewhere_is_seen(attempts, index):
    base, *_ = grow(attempts)
    assert not index.entries(1)[0][0].finished
    train(base, 1)
    assert index.entries(1)[0][0].finished


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_folders_are_reported_and_left_out(attempts, index, damage):
    _, bad, _ = grow(attempts, "optim.lr=0.1", "optim.lr=0.2")
    damage(bad.folder)
    rows, damaged = index.entries(1)
    assert [r.id for r in rows] == [0, 2]
    assert [bad.folder.name in line for line in damaged] == [True]
    assert index.entries(1, anew=True) == (rows, damaged)


def test_a_damaged_fold_run_is_reported(attempts, index):
    base, other = grow(attempts, "optim.lr=0.1")
    train(base, 2)
    (base.folder / "fold1-seed0" / "scores.parquet").write_bytes(b"")
    assert "fold1-seed0" in index.entries(2)[1][0]
    assert [r.id for r in index.entries(2)[0]] == [other.id]


def test_two_folders_of_one_number_are_reported(attempts, index):
    _, _, other = grow(attempts, "optim.lr=0.1", "optim.lr=0.2")
    other.folder.rename(attempts.folder / "0001-z")
    rows, damaged = index.entries(1)
    assert [r.folder for r in rows] == ["0000-baseline", "0001-try0"]
    assert len(damaged) == 1


def test_an_index_that_is_no_database_is_made_anew(attempts, index):
    grow(attempts)
    index.path.parent.mkdir(exist_ok=True)
    index.path.write_bytes(b"no database at all" * 99)
    assert [r.id for r in index.entries(1)[0]] == [0]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_after_it_was_indexed_is_seen(attempts, index, damage):
    for attempt in grow(attempts, "optim.lr=0.1", "optim.lr=0.2"):
        index.put(train(attempt, 1))
    assert index.entries(1)[1] == []
    bad = attempts.all()[1]
    damage(bad.folder)
    rows, damaged = index.entries(1)
    assert [r.id for r in rows] == [0, 2]
    assert [bad.folder.name in line for line in damaged] == [True]


def test_a_copy_of_the_users_file_that_is_no_longer_the_one_it_was_written_with_is_seen(tmp_path, attempts, index):
    mine = tmp_path / "my.py"
    mine.write_text("def darker(image, mask): return image, mask\n")
    base, *_ = grow(attempts)
    recipe = base.recipe.with_overrides({"augment": {"extra": "my.py:darker"}})
    own = attempts.create("own", recipe, base, "why", "folds", code={"my.py": mine})
    index.put(base)
    index.put(own)
    mine.write_text("def darker(image, mask): return image // 2, mask\n")
    assert index.entries(1)[1] == [], "the file in the workspace may change"
    copy = own.folder / "code" / "my.py"
    kept = copy.read_text()
    with copy.open("a") as file:
        file.write("# by hand\n")
    assert "0001-own/code/my.py: this is not the my.py that" in index.entries(1)[1][0]
    copy.write_text(kept)
    assert index.entries(1)[1] == []
    copy.unlink()
    assert "the attempt's copy of my.py cannot be read" in index.entries(1)[1][0]
    copy.parent.rmdir()
    assert [row.id for row in index.entries(1)[0]] == [0]


def test_a_recipe_that_was_edited_by_hand_is_seen(attempts, index):
    changes = (
        "optim.lr=0.1",
        "input.size=[64, 96]",
        'predict.tta=["hflip"]',
        'loss.terms={"a b.py:c"=1}',
        "model.width=2",
    )
    for attempt in grow(attempts, *changes, "phases=[{at=0.5, optim.lr=1e-4}]"):
        index.put(attempt)
    assert index.entries(1)[1] == []
    recipe = attempts.folder / "0001-try0" / "recipe.toml"
    assert "lr = 0.1\n" in recipe.read_text()
    recipe.write_text(recipe.read_text().replace("lr = 0.1\n", "lr = 0.4\n"))
    assert "0001-try0/recipe.toml: optim.lr is 0.4 here, and 0.1 in the change" in index.entries(1)[1][0]


def test_a_fold_damaged_after_it_was_indexed_is_seen(attempts, index):
    base, *_ = grow(attempts)
    index.put(train(base, 2))
    assert index.entries(2) == ([index.entries(2)[0][0]], [])
    (base.folder / "fold1-seed0" / "scores.parquet").write_bytes(b"PAR1")
    assert "scores.parquet" in index.entries(2)[1][0]


def test_only_what_changed_is_read_again(attempts, index, monkeypatch):
    for attempt in grow(attempts, "optim.lr=0.1", "optim.lr=0.2"):
        index.put(train(attempt, 1))
    read = []
    load = Attempt.load
    monkeypatch.setattr(Attempt, "load", lambda folder: read.append(folder.name) or load(folder))
    assert [r.finished for r in index.entries(1)[0]] == [True, False, False]
    assert read == []
    base, first, _ = sorted(attempts.folder.iterdir())
    (base / "why.md").write_text("a better reason")
    assert index.entries(1)[0][0].why == "a better reason"
    fold_run(first, 1)
    assert [r.folds for r in index.entries(1)[0]] == [1, 2, 1]
    assert read == [base.name, first.name]


def test_a_fold_that_ends_after_its_folder_was_seen_is_seen(attempts, index):
    base, *_ = grow(attempts)
    marker = fold_run(base.folder) / MARKER
    marker.rename(base.folder.parent.parent / "aside")
    assert index.entries(1)[0][0].folds == 0
    (base.folder.parent.parent / "aside").rename(marker)
    assert index.entries(1)[0][0].folds == 1


def test_a_champion_is_known_by_its_crown(attempts, index):
    base, first = grow(attempts, "optim.lr=0.1")
    index.put(base)
    index.put(first)
    first.crowned("better", "person")
    assert [r.crowned_by for r in index.entries(1)[0]] == [None, "person"]


def test_an_index_of_an_older_version_is_made_anew(attempts, index):
    grow(attempts)
    index.path.parent.mkdir(exist_ok=True)
    index.path.unlink()
    with sqlite3.connect(index.path) as db:
        db.execute("create table attempts (id integer primary key, folder text)")
        db.execute("insert into attempts values (7, 'gone')")
    assert [r.id for r in index.entries(1)[0]] == [0]
