"""Attempts as folders: whole, numbered, found again; what is damaged is reported and left alone."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fold_runs import fold_run

from podium.errors import ConfigError, LedgerError, StorageError
from podium.files import MARKER
from podium.ledger.attempts import Attempt, Attempts, changed_recipe
from podium.ledger.verdict import Verdict
from podium.recipe import Recipe


@pytest.fixture
def attempts(tmp_path):
    return Attempts(tmp_path / "attempts")


def grow(attempts, *changes):
    """A baseline and an attempt on it for each change."""
    made = [attempts.create("baseline", Recipe(), None, "first", "folds")]
    for n, change in enumerate(changes):
        recipe = changed_recipe(made[0].recipe, [change])
        made.append(attempts.create(f"try{n}", recipe, made[0], f"because {n}", "folds"))
    return made


def test_an_attempt_is_read_as_it_was_written(attempts):
    base, tried = grow(attempts, "input.size=[64, 96]")
    assert attempts.all() == [base, tried]
    assert (tried.id, tried.name, tried.parent, tried.why) == (1, "try0", 0, "because 0")
    assert tried.folder.name == "0001-try0"
    assert tried.change == {"input.size": (None, [64, 96])}
    assert tried.change_text() == "input.size unset -> [64, 96]"
    assert base.change_text() == "-"
    assert (tried.cv, tried.trained_folds(), tried.seconds) == (None, set(), 0)
    assert sorted(os.listdir(tried.folder)) == [MARKER, "change.toml", "recipe.toml", "why.md"]


def test_a_change_is_spelt_as_in_a_recipe(attempts):
    phases = 'phases=[{at=0.5, optim.lr=1e-4, optim.freeze="encoder"}]'
    _, *tried = grow(attempts, "sampling.replacement=true", phases)
    assert [attempt.change_text() for attempt in tried] == [
        "sampling.replacement false -> true",
        "phases [] -> [{at = 0.5, optim = {lr = 0.0001, freeze = encoder}}]",
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(why=st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=50), lr=st.floats(1e-9, 10))
def test_any_reason_and_number_survive(tmp_path_factory, why, lr):
    attempts = Attempts(tmp_path_factory.mktemp("a"))
    base = attempts.create("baseline", Recipe(), None, why, "f")
    recipe = Recipe().with_overrides({"optim": {"lr": lr}, "loss": {"terms": {'a "b"': lr}}})
    tried = attempts.create("x", recipe, base, why, "f")
    assert attempts.all()[0].why == why.strip()
    assert tried.recipe == recipe
    assert tried.change.get("optim.lr", (None, 1e-3))[1] == lr


def test_numbers_keep_increasing_over_whatever_lies_there(attempts):
    grow(attempts, "optim.lr=0.1")
    for name in ("0007-unfinished", "0005-other"):
        (attempts.folder / name).mkdir()
    (attempts.folder / "0009-a-file").touch()
    third = attempts.create("x", Recipe().with_overrides(["optim.lr=0.2"]), None, "", "folds")
    assert third.id > 7


def test_a_damaged_attempt_of_the_same_name_is_not_written_over(attempts):
    _, tried = grow(attempts, "optim.lr=0.1")
    (tried.folder / "recipe.toml").write_text("nonsense = ")
    (tried.folder / "best.pt").write_bytes(b"hours of work")
    again = attempts.create("try0", tried.recipe, None, "", "folds")
    assert again.id == 2
    assert (tried.folder / "best.pt").read_bytes() == b"hours of work"


@pytest.mark.parametrize("name", ["", "A", "a b", "-x", "a/b", "ä", "x" * 65, ".", "0\n"])
def test_what_cannot_be_a_name_is_refused(attempts, name):
    with pytest.raises(LedgerError, match="cannot name an attempt"):
        attempts.create(name, Recipe(), None, "", "f")
    assert not attempts.folder.exists()


def test_the_same_recipe_is_recognised_whatever_its_name(attempts):
    grow(attempts, "optim.lr=0.1")
    same = Recipe().with_overrides(["optim.lr=1e-1"])
    with pytest.raises(LedgerError, match=r"that is attempt 1 \(try0\)"):
        attempts.create("new", same, None, "", "folds")
    assert attempts.create("new", same, None, "", "other folds").id == 2


def test_a_change_that_changes_nothing_is_refused():
    with pytest.raises(LedgerError, match="optim.lr is 0.001 already"):  # noqa: RUF043
        changed_recipe(Recipe(), ["optim.lr=0.001"])
    with pytest.raises(LedgerError, match="changes nothing"):
        changed_recipe(Recipe(), [])
    with pytest.raises(ConfigError):
        changed_recipe(Recipe(), ["optim.l=1"])
    assert changed_recipe(Recipe(), ["model.norm=none"]).model.norm == "none"


@pytest.mark.parametrize(
    ("reference", "id"), [("1", 1), (1, 1), ("0001", 1), ("try1", 2), ("0001-try0", 1), ("baseline", 0)]
)
def test_an_attempt_is_found_by_number_name_or_folder(attempts, reference, id):
    grow(attempts, "optim.lr=0.1", "optim.lr=0.2")
    assert attempts.get(reference).id == id


def test_two_attempts_cannot_have_one_name(attempts):
    base, *_ = grow(attempts, "optim.lr=0.1")
    with pytest.raises(LedgerError, match="attempt 1 is called 'try0' already") as error:
        attempts.create("try0", Recipe().with_overrides(["optim.lr=0.3"]), base, "", "folds")
    assert "try0-2" in str(error.value)
    assert len(attempts.all()) == 2


def test_what_is_not_there_is_said(attempts):
    with pytest.raises(LedgerError, match="no attempt yet"):
        attempts.get(0)
    grow(attempts)
    for reference in (7, "-1", "²", "basline"):
        with pytest.raises(LedgerError, match=f"no attempt '{reference}'"):
            attempts.get(reference)


DAMAGE = {
    "marker gone": lambda f: (f / MARKER).unlink(),
    "recipe gone": lambda f: (f / "recipe.toml").unlink(),
    "recipe torn": lambda f: (f / "recipe.toml").write_text("[mod"),
    "unknown key": lambda f: (f / "recipe.toml").write_text("[model]\nx = 1"),
    "change gone": lambda f: (f / "change.toml").unlink(),
    "change empty": lambda f: (f / "change.toml").write_text(""),
    "change odd": lambda f: (f / "change.toml").write_text('created = "x"\nfolds = "y"\nchange = 3'),
    "not text": lambda f: (f / "why.md").write_bytes(b"caf\xe9"),
    "verdict torn": lambda f: (f / "verdict.toml").write_text('verdict = "MAYBE"'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_folder_is_reported_and_left_out(attempts, damage):
    base, bad, good = grow(attempts, "optim.lr=0.1", "optim.lr=0.2")
    damage(bad.folder)
    found, damaged = attempts.scan()
    assert found == [base, good]
    assert len(damaged) == 1
    assert bad.folder.name in damaged[0]


def test_two_folders_of_one_number_are_reported(attempts):
    _, first, other = grow(attempts, "optim.lr=0.1", "optim.lr=0.2")
    other.folder.rename(attempts.folder / "0001-z")
    found, damaged = attempts.scan()
    assert [a.folder for a in found[1:]] == [first.folder]
    assert len(damaged) == 1
    assert "0001-z" in damaged[0]
    assert "0001-try0" in damaged[0]


def test_scores_are_put_together_out_of_fold(attempts):
    base, *_ = grow(attempts)
    for fold in range(2):
        fold_run(base.folder, fold, scores=(0.5, 0.5 + fold / 2))
    fold_run(base.folder, 1, seed=1, scores=(0.1,))
    base = Attempt.load(base.folder)
    assert base.trained_folds() == {0, 1}
    assert base.cv == pytest.approx((0.5 * 3 + 1) / 4)
    assert base.out_of_fold(1)["score"].to_list() == [0.1]
    assert base.seconds == 7.5
    fold_run(base.folder, 2, ids=["s0-0", "new"])
    with pytest.raises(LedgerError, match="'s0-0' is scored in two folds"):
        Attempt.load(base.folder).out_of_fold()


def test_scores_before_the_first_fold_are_missed_by_name(attempts):
    base, *_ = grow(attempts)
    with pytest.raises(LedgerError, match="no fold of it is trained"):
        base.out_of_fold()


def test_a_verdict_is_kept(attempts):
    _, tried = grow(attempts, "optim.lr=0.1")
    decided = tried.decided(Verdict(verdict="UNSURE", gain=0.01, folds=3, sentence="UNSURE: x"))
    assert attempts.get(1) == decided
    assert decided.verdict.gain == 0.01


def test_a_full_disk_leaves_no_attempt_behind(small_disk):
    attempts = Attempts(small_disk / "attempts")
    base, *_ = grow(attempts)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize))
    recipe = Recipe().with_overrides(["optim.lr=0.1"])
    with pytest.raises(StorageError, match="disk is full") as caught:
        attempts.create("x", recipe, base, "why", "folds")
    assert "attempts/0001-x" in str(caught.value)
    assert os.listdir(attempts.folder) == ["0000-baseline"]
    filler.unlink()
    assert attempts.create("x", recipe, base, "why", "folds").id == 1
