"""Another metric in competition.toml: what was scored by the one before is not judged by it, nor across the two."""

from __future__ import annotations

import shutil

import pytest
from pretend import fresh, tried

from drawing import tiny_competition
from podium.climb.here import Here, open_climb
from podium.data.competition import Competition
from podium.errors import LedgerError
from podium.ledger.attempt import Attempt
from podium.ledger.checks import same_metric
from podium.ledger.judge import Judge
from podium.ledger.views.reading import read_ledger
from podium.reproduce import reproduce
from podium.workspace import Workspace


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A workspace with two attempts beside the baseline, scored by dice."""
    folder = tmp_path_factory.mktemp("metric")
    source = tiny_competition(folder / "source", n_groups=8, test_groups=2, table="train_masks.csv").folder
    space, digest = fresh(folder / "space", source)
    tried(space, digest, "flips", "augment.vflip=0.5", 0.05)
    tried(space, digest, "hot", "optim.lr=1e-2", -0.05)
    return space.root


@pytest.fixture
def space(judged, tmp_path):
    """A copy whose competition.toml says another metric."""
    shutil.copytree(judged, tmp_path / "space", symlinks=True)
    toml = tmp_path / "space" / "competition.toml"
    toml.write_text(toml.read_text().replace('metric = "dice"', 'metric = "iou"'))
    return Workspace(tmp_path / "space")


COMMANDS = {
    "baseline": lambda s: s.baseline("smoke"),
    "try": lambda s: s.attempt("colder", ["optim.lr=1e-4"], why="slower"),
    "resume": lambda s: s.resume(1),
    "crown": lambda s: s.crown(1, "mine"),
    "combine": lambda s: s.combine("flips", "hot"),
    "reproduce": lambda s: reproduce(s, 1),
    "climb": lambda s: open_climb(s, fold_runs=5),
    "a claim of a climb": lambda s: Here(s).fresh(1, 0, 2, 5),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_compares_refuses_and_leaves_nothing(space, command):
    before = sorted((space.root / "attempts").iterdir())
    with pytest.raises(
        LedgerError, match=r"attempt \d \(\w+\) was scored by dice, competition.toml says iou"
    ) as caught:
        COMMANDS[command](space)
    assert f"{space.root / 'competition.toml'}: metric" in str(caught.value)
    assert "podium new … metric=iou" in str(caught.value)
    assert sorted((space.root / "attempts").iterdir()) == before


def test_the_noise_of_another_metric_is_left_out_and_the_ledger_still_listed(space, judged):
    ours = Workspace(judged)
    assert Judge(ours.attempts, ours.metric, 2).noise().known
    assert not Judge(space.attempts, space.metric, 2).noise().known
    found, damaged = read_ledger(space.root)
    assert ([entry.name for entry in found.entries], damaged) == (["baseline", "flips", "hot"], [])


def test_one_scored_by_another_metric_is_not_adopted(space, judged, tmp_path):
    shutil.copytree(judged / "attempts", tmp_path / "loose" / "attempts")  # no competition.toml beside it
    for folder in (space.root / "attempts").iterdir():
        shutil.rmtree(folder)
    with pytest.raises(LedgerError, match="was scored by dice"):
        space.adopt(tmp_path / "loose/attempts/0001-flips")


def test_other_weights_of_several_targets_are_another_metric(tmp_path, judged):
    data = {"train_images": "*.png", "train_csv": "t.csv", "id_column": "id", "targets": ["a", "b"]}
    classes = {"a:x": 0, "a:y": 1, "b:x": 2, "b:y": 3}
    tree = {"name": "x", "task": "classification", "labels": "each", "metric": "accuracy", "data": data}
    plain = Competition.from_tree(tree | {"classes": classes})
    heavy = Competition.from_tree(tree | {"classes": classes, "target_weights": {"a": 3.0}})
    shutil.copytree(judged / "attempts/0001-flips", tmp_path / "0001-flips")
    facts = "".join(f'\n[[targets]]\nname = "{name}"\noutputs = 2\nweight = 0.5\n' for name in "ab")
    for toml in tmp_path.glob("*/fold*/run.toml"):
        toml.write_text(toml.read_text().replace('metric = "dice"', 'metric = "accuracy"') + facts)
    attempt = Attempt.load(tmp_path / "0001-flips")
    same_metric(attempt, plain, tmp_path)
    with pytest.raises(LedgerError, match="other targets, or other weights"):
        same_metric(attempt, heavy, tmp_path)
