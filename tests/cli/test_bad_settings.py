"""Wrong words: unknown keys, types and names, a damaged competition.toml, no workspace, wrong usage."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import SMALL, fails, ok, podium, times_below


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["optim.learning_rate=1"], ["'optim.learning_rate'", "optim."]),
        (["optim.lrr=1"], ["unknown key 'optim.lrr'", "did you mean 'optim.lr'?"]),
        (["lr=1e-3"], ["unknown key 'lr'", "did you mean 'optim.lr'?"]),
        (["train.epochs=many"], ["'train.epochs' is 'many'", "whole number"]),
        (["train.epochs=0"], ["'train.epochs' is 0", "greater than or equal to 1"]),
        (["train.batch_size=2.5"], ["'train.batch_size' is 2.5"]),
        (["input.size=[32]"], ["size = [height, width]"]),
        (["optim=adamw"], ["'optim' is a section", "optim.<key>=value"]),
        (["optim.lr"], ["'optim.lr' is not a setting", "key=value"]),
        (["optim.lr=1", "optim.lr=2"], ["'optim.lr' is set twice"]),
        (["recipe=smok"], ["no recipe 'smok'", "did you mean 'smoke'?"]),
        (["recipe=smoke", "recipe=baseline"], ["'recipe' is set twice"]),
    ],
)
def test_a_wrong_setting_is_named_with_the_nearest_right_one(made: Path, settings: list[str], says: list[str]) -> None:
    fails(made, "prepare", *settings, says=says, remedy=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("model.arch=unett", ["unett", "unet"]),
        ("loss.terms={bcee=1}", ["bcee", "bce"]),
        ("optim.name=adamm", ["adamm", "adamw"]),
        ("schedule.name=one_cycl", ["one_cycl", "one_cycle"]),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_written(workspace: Path, setting: str, says: list[str]) -> None:
    before = times_below(workspace)
    fails(workspace, "baseline", *SMALL, setting, says=says)
    assert times_below(workspace).keys() - before.keys() <= {".podium/lock"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('metric = "dice"', 'metric = "dise"', ["dise", "did you mean 'dice'?"]),
        ('metric = "dice"', "metric = dice", ["not valid TOML", "line "]),
        ('metric = "dice"', 'metrik = "dice"', ["unknown key 'metrik'", "metric"]),
        ("daily_limit = 5", "daily_limits = 5", ["unknown key 'board.daily_limits'", "did you mean"]),
        ("daily_limit = 5", 'daily_limit = "five"', ["'board.daily_limit' is 'five'", "whole number"]),
        ("k = 2", "k = 1", ["'folds.k' is 1", "2"]),
        ('kind = "local"', 'kind = "lokal"', ["'board.kind' is 'lokal'", "'local'"]),
        ('task = "segmentation"', 'task = "detection"', ["'task' is 'detection'", "'segmentation'"]),
        ("train_masks/{id}.*", "train_masks/mask.*", ["'data.train_masks'", "{id}"]),
        ("(?P<group>.+?)", "(", ["data.group", "regular expression"]),
    ],
)
def test_a_slip_in_competition_toml(workspace: Path, old: str, new: str, says: list[str]) -> None:
    spec = workspace / "competition.toml"
    text = spec.read_text()
    assert old in text
    spec.write_text(text.replace(old, new))
    fails(workspace, "standings", says=[spec, *says], remedy=False)


def test_a_competition_toml_that_is_no_text_or_lacks_its_data(workspace: Path) -> None:
    spec = workspace / "competition.toml"
    text = spec.read_text()
    head, _, rest = text.partition("[data]")
    spec.write_text(head + rest[rest.index("[classes]") :])
    fails(workspace, "attempts", says=[spec, "'data' is missing"])
    spec.write_bytes(text.replace('"ws"', '"\xe9"').encode("latin-1"))
    fails(workspace, "attempts", says=[spec, "UTF-8"])
    spec.write_bytes(b"\xef\xbb\xbf" + text.encode())
    ok(workspace, "attempts")


def test_a_damaged_recipe(workspace: Path) -> None:
    recipe = workspace / "recipes" / "smoke.toml"
    recipe.write_text(recipe.read_text().replace("[optim]", "[optim", 1))
    fails(workspace, "prepare", "recipe=smoke", says=[recipe, "not valid TOML", "line "])
    recipe.unlink()
    fails(workspace, "prepare", "recipe=smoke", says=["no recipe 'smoke'", workspace / "recipes"])


def test_a_wrong_recipe_key_names_the_file(workspace: Path) -> None:
    recipe = workspace / "recipes" / "smoke.toml"
    recipe.write_text(recipe.read_text().replace("epochs =", "epoch =", 1))
    fails(workspace, "prepare", "recipe=smoke", says=[recipe, "'train.epoch'", "did you mean"])


COMMANDS: list[list[str]] = [
    ["look"],
    ["prepare"],
    ["baseline"],
    ["try", "x", "optim.lr=1", "--why", "y"],
    ["resume"],
    ["attempts"],
    ["show", "0"],
    ["predict"],
    ["submit"],
    ["standings"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_outside_of_a_workspace(tmp_path: Path, command: list[str]) -> None:
    fails(tmp_path, *command, says=[tmp_path, "not a podium workspace", "podium new DIR --from DATA"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["try", "x", "optim.lr=1", "--why", "y"], ["no champion", "podium baseline"]),
        (["resume"], ["no attempt", "podium"]),
        (["show", "7"], ["no attempt", "podium baseline"]),
        (["predict"], ["no champion", "podium baseline"]),
        (["submit"], ["nothing is predicted", "podium predict"]),
    ],
    ids=lambda c: c[0],
)
def test_too_early(made: Path, command: list[str], says: list[str]) -> None:
    fails(made, *command, says=says)


def test_a_folder_below_the_workspace_is_in_it(made: Path) -> None:
    told = ok(made / "recipes", "attempts", "--json").json
    assert (told["attempts"], told["damaged"], told["totals"]["attempts"]) == ([], [], 0)
    assert ok(made.parent, "-C", made.name, "attempts", "--json").json["attempts"] == []
    fails(made, "-C", "nowhere", "attempts", says=["nowhere", "No such file"], remedy=False)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["prepair"], "prepair"),
        (["prepare", "--exclude-bat"], "--exclude-bat"),
        (["new", "ws"], "--from"),
        (["try", "x", "optim.lr=1"], "--why"),
        (["try", "x", "optim.lr=1", "--why", " "], "--why: it is empty"),
        (["show"], "ATTEMPT"),
        (["new", "ws", "--from", "data", "--hold-out", "2"], "--hold-out"),
    ],
)
def test_wrong_usage_is_2(tmp_path: Path, words: list[str], says: str) -> None:
    ran = podium(tmp_path, *words)
    assert ran.code == 2, ran
    assert says.lower() in ran.err.lower()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_unknown_attempts_and_bad_names(trained: Path) -> None:
    fails(trained, "show", "baselin", says=["'baselin'", "did you mean '0000-baseline'?"])
    fails(trained, "predict", "12", says=["no attempt '12'", "0000-baseline"])
    fails(trained, "try", "Wider!", "optim.lr=0.5", "--why", "x", says=["'Wider!'", "lower-case"], remedy=False)
    fails(trained, "try", "same", "train.epochs=1", "--why", "x", says=["changes nothing", "train.epochs is 1 already"])
    fails(trained, "try", "typo", "optim.lrr=1", "--why", "x", says=["'optim.lrr'", "did you mean 'optim.lr'?"])
    fails(trained, "baseline", "recipe=smoke", says=["baseline already", "0000-baseline", "podium try"])
    assert [a["name"] for a in ok(trained, "attempts", "--json").json["attempts"]] == ["baseline"]
