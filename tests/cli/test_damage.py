"""Files of a workspace that were damaged after they were finished: named, with the way out, and nothing else lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running import SMALL, cut, fails, ok, scores, times_below


def baseline(workspace: Path, name: str = "") -> Path:
    return workspace / "attempts" / "0000-baseline" / name


def listed(workspace: Path, *args: str) -> tuple[list[str], list[str]]:
    """Names and damage that `podium attempts` tells."""
    told = ok(workspace, "attempts", *args, "--json").json
    return [a["name"] for a in told["attempts"]], told["damaged"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.0, 0.5])
def test_a_truncated_checkpoint_is_trained_again(trained_workspace: Path, size: float) -> None:
    space, before = trained_workspace, scores(trained_workspace)
    best = baseline(space, "fold1-seed0/best.pt")
    cut(best, size)
    fails(space, "predict", says=[best, "not a checkpoint", "podium resume"])
    other = times_below(baseline(space, "fold0-seed0"))
    for file in best.parent.rglob("*"):  # as the message says: delete the fold's folder
        if file.is_file():
            file.unlink()
    ok(space, "resume")
    assert scores(space) == before
    assert times_below(baseline(space, "fold0-seed0")) == other
    assert ok(space, "predict", "--json").json["rows"] == 4


@pytest.mark.slow
def test_a_checkpoint_of_another_model(trained_workspace: Path) -> None:
    recipe = baseline(trained_workspace, "recipe.toml")
    assert "width = 0.125" in recipe.read_text()
    recipe.write_text(recipe.read_text().replace("width = 0.125", "width = 0.25"))
    fails(trained_workspace, "predict", says=["fold0-seed0/best.pt", "do not fit", "recipe.toml"])
    baseline(trained_workspace, "fold0-seed0/best.pt").unlink()
    fails(trained_workspace, "predict", says=["fold0-seed0/best.pt", "no such checkpoint", "podium resume"])


def test_damaged_scores_are_reported_by_name_and_the_rest_is_listed(trained_workspace: Path) -> None:
    space = trained_workspace
    ok(space, "submit", "-m", "x")
    table = baseline(space, "fold1-seed0/scores.parquet")
    whole = table.read_bytes()
    cut(table)
    names, damaged = listed(space, "--rebuild")
    assert names == []
    assert len(damaged) == 1
    assert "0000-baseline/fold1-seed0: scores.parquet cannot be read" in damaged[0]
    assert "scores.parquet" in ok(space, "attempts").out
    fails(space, "show", "0", says=["fold1-seed0", "scores.parquet", "podium resume"])
    assert len(ok(space, "standings", "--json").json["submissions"]) == 1
    table.write_bytes(whole)
    assert listed(space) == (["baseline"], [])


def test_a_damaged_attempt_is_never_written_over(trained_workspace: Path) -> None:
    space = trained_workspace
    change = baseline(space, "change.toml")
    text = change.read_text()
    change.write_text("created = \n")
    names, damaged = listed(space, "--rebuild")
    assert names == []
    assert "change.toml" in damaged[0]
    before = times_below(baseline(space))
    fails(space, "baseline", *SMALL, says=[change, "not valid TOML"])
    fails(space, "predict", says=[change, "not valid TOML"])
    assert times_below(baseline(space)) == before
    assert [p.name for p in (space / "attempts").iterdir()] == ["0000-baseline"]
    change.write_text(text)
    assert listed(space) == (["baseline"], [])


def test_a_damaged_run_is_named(trained_workspace: Path) -> None:
    run = baseline(trained_workspace, "fold0-seed0/run.toml")
    run.write_text("fold = 0\nseed = 0\n")
    fails(trained_workspace, "show", "0", says=["fold0-seed0", "run.toml is damaged", "score"])
    assert "run.toml" in ok(trained_workspace, "attempts", "--rebuild").out


@pytest.mark.parametrize("content", [b"", b"not a database at all " * 500])
def test_the_index_is_made_anew_from_the_folders(trained_workspace: Path, content: bytes) -> None:
    database = trained_workspace / ".podium" / "podium.db"
    before = ok(trained_workspace, "attempts", "--json").json
    database.write_bytes(content)
    assert ok(trained_workspace, "attempts", "--json").json == before
    database.unlink()
    assert ok(trained_workspace, "attempts", "--json").json == before


@pytest.mark.slow
def test_folds_csv_is_checked_against_the_samples(trained_workspace: Path) -> None:
    space = trained_workspace
    path = space / "folds.csv"
    text = path.read_text()
    lines = text.splitlines()
    id, group, fold = lines[1].split(",")

    def given(*rows: str) -> None:
        path.write_text("\n".join(rows) + "\n")

    given(lines[0], f"{id},{group},{1 - int(fold)}", *lines[2:])
    fails(space, "prepare", "recipe=smoke", says=[path, f"group '{group}' is torn", id])
    given(lines[0], *lines[2:])
    assert "folds.csv has been given the new samples" in ok(space, "prepare", "recipe=smoke").out
    assert sorted(path.read_text().splitlines()) == sorted(lines), "not the fold of its group"
    given(*lines, lines[1])
    fails(space, "prepare", "recipe=smoke", says=[path, f"'{id}' is there twice", "lines 2 and 10"])
    given(lines[0], f"{id},{group},2", *lines[2:])
    fails(space, "prepare", "recipe=smoke", says=[path, "line 2", "fold '2'", "folds.k = 2"])
    given("id,group", *(line.rpartition(",")[0] for line in lines[1:]))
    fails(space, "prepare", "recipe=smoke", says=[path, "no column is called 'fold'"])

    flipped = {"0": "1", "1": "0"}
    given(lines[0], *(f"{head},{flipped[f]}" for head, _, f in (line.rpartition(",") for line in lines[1:])))
    ok(space, "prepare", "recipe=smoke")
    fails(space, "try", "x", "optim.lr=0.5", "--why", "y", says=["other folds", path])
    fails(space, "baseline", *SMALL, says=["other folds", path])
    path.write_text(text)
    ok(space, "prepare", "recipe=smoke")


def test_a_damaged_cache_is_told_with_the_remedy(trained_workspace: Path) -> None:
    space = trained_workspace
    (pixels,) = (space / ".podium" / "cache").glob("train_images-*/pixels.bin")
    cut(pixels)
    fails(space, "prepare", "recipe=smoke", says=[pixels.parent, "pixels.bin", "delete it", "podium prepare"])
    cut(pixels.with_name("index.parquet"))
    fails(space, "prepare", "recipe=smoke", says=[pixels.parent, "index.parquet", "delete it", "podium prepare"])
    shutil.rmtree(pixels.parent)
    assert "train images: built, its result was not in the cache" in ok(space, "prepare", "recipe=smoke").out


def test_exclude_csv_is_checked(workspace: Path) -> None:
    (workspace / "exclude.csv").write_text("name,reason\ncar0_0,ugly\n")
    fails(workspace, "prepare", says=[workspace / "exclude.csv", "no column is called 'id'"])
    (workspace / "exclude.csv").write_bytes(b"id,reason,by\ncar0_0,trop fonc\xe9,me\n")
    fails(workspace, "prepare", says=["exclude.csv line 2", "0xe9", "iconv"])
