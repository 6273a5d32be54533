"""What is refused is refused before anything is written: a ledger holds no attempts that nobody can train."""

from __future__ import annotations

import shutil

import pytest
from pretend import fresh, tried

from drawing import tiny_competition
from podium.errors import ConfigError, LedgerError
from podium.workspace import Workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    source = tiny_competition(folder / "source", n_groups=8, test_groups=2, table="train_masks.csv").folder
    space, digest = fresh(folder / "space", source)
    tried(space, digest, "hot", "optim.lr=1e-2", -0.05)
    return space.root


@pytest.fixture
def space(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "space", symlinks=True)
    monkeypatch.chdir(tmp_path / "space")
    return Workspace(tmp_path / "space")


def written(space):
    return {path: path.read_bytes() for path in (space.root / "attempts").rglob("*.toml")}


def test_a_resumption_on_other_folds_reopens_no_verdict(space):
    lines = (space.root / "folds.csv").read_text().splitlines()
    other = [line[:-1] + {"0": "1", "1": "0"}[line[-1]] for line in lines[1:]]
    (space.root / "folds.csv").write_text("\n".join([lines[0], *other]) + "\n")
    before = written(space)
    with pytest.raises(LedgerError, match="other folds"):
        space.resume("hot", careful=True)
    assert written(space) == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def brighter(image, mask): return image, mask\n", "nothing in the file is called 'darker'"),
        ("darker = 3\n", "cannot be called"),
        ("import nothing_of_that_name\n", "fails while it is loaded"),
        (None, "no file 'my.py'"),
    ],
)
def test_an_augmentation_that_cannot_be_loaded_makes_no_attempt(space, text, says):
    if text is not None:
        (space.root / "my.py").write_text(text)
    before = written(space)
    with pytest.raises(ConfigError, match=says):
        space.attempt("dark", ["augment.extra=my.py:darker"], why="cars at night")
    assert written(space) == before
