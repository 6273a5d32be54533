"""Attempts through the workspace, with real (tiny) trainings: own files, other data, adoption, overruling, commands."""

from __future__ import annotations

import shutil

import pytest
from typer.testing import CliRunner

from drawing import tiny_competition
from podium import Workspace
from podium.cli import app
from podium.errors import LedgerError

QUICK = ["train.epochs=1", "model.width=0.125", "train.precision=fp32"]

NET = """
from torch import nn
class Net(nn.Sequential):
    stride = 1
    def __init__(self, in_channels, classes):
        super().__init__(nn.Conv2d(in_channels, {width}, 3, padding=1), nn.ReLU(), nn.Conv2d({width}, classes, 1))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace of two folds with a baseline."""
    folder = tmp_path_factory.mktemp("ladder")
    tiny = tiny_competition(folder / "source", n_groups=8, test_groups=0, table="train_masks.csv")
    space = Workspace.new(folder / "space", tiny.folder, ["folds.k=2"], hold_out=0.3)
    space.baseline("smoke", QUICK)
    return space.root


@pytest.fixture
def space(trained, tmp_path, monkeypatch):
    """A copy of it for each test."""
    shutil.copytree(trained, tmp_path / "space", symlinks=True)
    monkeypatch.chdir(tmp_path / "space")
    return Workspace(tmp_path / "space")


def test_a_file_of_ones_own_is_kept_with_the_attempt(space):
    file = space.root / "mynet.py"
    file.write_text(NET.format(width=4))
    own = space.attempt("own-net", ["model.arch=mynet.py:Net", "model.width=1.0", "model.depth=5"], why="mine")
    assert (own.folder / "code" / "mynet.py").read_text() == NET.format(width=4)
    space.crown(own.id, "it is mine")
    file.write_text(NET.format(width=6))
    wider = space.attempt("own-wider", ["model.arch=mynet.py:Net"], why="the file is another now")
    assert list(wider.change) == ["mynet.py"]
    assert (wider.folder / "code" / "mynet.py").read_text() == NET.format(width=6)
    file.unlink()
    assert space.predict(own.id).rows > 0  # with the copy


def test_samples_left_out_are_a_change_judged_on_what_both_have(space):
    id = space.champion().out_of_fold()["id"][0]
    (space.root / "exclude.csv").write_text(f"id,reason,decided_by\n{id},a bad mask,me\n")
    cleaner = space.attempt("cleaner", [], why="one mask is bad")
    assert list(cleaner.change) == ["data.samples"]
    assert id not in cleaner.out_of_fold()["id"].to_list()
    assert cleaner.verdict.left_out <= 1


def test_samples_that_moved_to_another_fold_are_refused(space):
    table = (space.root / "folds.csv").read_text().splitlines()
    moved = [table[0], *(f"{line[:-1]}{1 - int(line[-1])}" if line[-1] in "01" else line for line in table[1:])]
    assert moved != table
    (space.root / "folds.csv").write_text("\n".join(moved) + "\n")
    with pytest.raises(LedgerError, match="trained on other folds"):
        space.attempt("hotter", ["optim.lr=1e-2"], why="faster")


def test_an_attempt_of_another_workspace_is_adopted_with_its_parent_and_judged_here(space, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(space.root, other, symlinks=True, ignore=shutil.ignore_patterns("attempts", "podium.db"))
    theirs = Workspace(other)
    theirs.baseline("smoke", [*QUICK, "optim.lr=2e-3"], seeds=1)
    tried = theirs.attempt("hotter", ["optim.lr=1e-2"], why="faster", seeds=1)
    adopted = space.adopt(tried.folder)
    assert (adopted.name, adopted.recipe, adopted.why) == ("hotter", tried.recipe, "faster")
    parent = space.attempts.get(adopted.parent)
    assert parent.recipe.optim.lr == 2e-3
    assert adopted.out_of_fold().equals(tried.out_of_fold())
    assert adopted.verdict.noise_floor is not None, "judged with the noise floor of this workspace"
    assert tried.verdict.noise_floor is None
    assert space.champion().id == 0
    with pytest.raises(LedgerError, match="that is attempt"):
        space.adopt(tried.folder)
    with pytest.raises(LedgerError, match="is of this workspace"):
        space.adopt(adopted.folder)


def test_one_is_not_adopted_from_other_folds(space, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(space.root, other, symlinks=True, ignore=shutil.ignore_patterns("attempts", "podium.db", "folds*"))
    toml = other / "competition.toml"
    toml.write_text(toml.read_text().replace("k = 2", "k = 3"))
    theirs = Workspace(other)
    baseline = theirs.baseline("smoke", [*QUICK, "optim.lr=2e-3"], seeds=1)
    with pytest.raises(LedgerError, match="other folds"):
        space.adopt(baseline.folder)
    assert len(space.attempts.all()) == 1


def test_the_commands_of_the_ladder(space):
    def run(*words):
        done = CliRunner().invoke(app, list(words))
        assert not done.exception, done.exception
        return done.output

    assert "noise floor: a change smaller than ±" in run("baseline", "recipe=smoke", *QUICK)
    told = run("try", "hotter", "optim.lr=1e-2", "--why", "faster", "--link", "https://example.org/idea", "--careful")
    assert any(f"{verdict} after" in told for verdict in ("YES", "NO", "UNSURE"))
    assert space.attempts.get("hotter").link == "https://example.org/idea"
    assert space.attempts.get("hotter").race.careful
    run("try", "plain", "augment.hflip=0", "--why", "less", "--folds", "0", "--seeds", "1", "--parent", "0")
    assert space.attempts.get("plain").trained_folds() == {0}
    run("resume", "plain", "--complete")
    assert space.attempts.get("plain").trained_folds() == {0, 1}
    run("combine", "hotter", "plain", "--name", "both")
    assert set(space.attempts.get("both").change) == {"augment.hflip", "optim.lr"}
    assert "plain" in run("champion", "plain", "--why", "I like it")
    assert "plain" in run("champion")
    with pytest.raises(LedgerError, match="there is no fold 7"):
        space.attempt("x", ["optim.lr=3e-2"], why="?", folds=[7])
