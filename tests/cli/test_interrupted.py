"""Ctrl-C and SIGKILL in every stage, and a second podium: what is finished is kept, and the same command goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from running import Running, fails, interrupted, ok, podium, scores, temporaries, times_below

LONG = ("recipe=smoke", "train.epochs=4", "model.width=0.125")


@pytest.fixture(scope="module")
def uninterrupted(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline of two folds of four epochs, trained in one go."""
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("whole") / "ws", symlinks=True))
    ok(folder, "baseline", *LONG)
    return folder


def fold(workspace: Path, n: int, attempt: str = "0000-baseline") -> Path:
    return workspace / "attempts" / attempt / f"fold{n}-seed0"


def attempts(workspace: Path) -> list[tuple[str, int, str]]:
    return [(a["name"], a["folds"], a["state"]) for a in ok(workspace, "attempts", "--json").json["attempts"]]


def test_new_is_made_whole_or_not_at_all(tmp_path: Path, data: Path) -> None:
    command = ("new", "ws", "--from", data, "--hold-out", "0.34")
    run = Running(tmp_path, *command, slow="podium.new:write_recipes").reached()
    interrupted(run.interrupt())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "in-write_recipes"]

    Running(tmp_path, *command, slow="podium.new:write_recipes").reached().kill()
    assert not (tmp_path / "ws").exists()
    assert not list(tmp_path.glob("[!.]*/competition.toml"))
    ok(tmp_path, *command)
    assert not temporaries(tmp_path)
    assert (tmp_path / "ws" / "recipes" / "smoke.toml").is_file()


def test_look_and_prepare(workspace: Path) -> None:
    interrupted(Running(workspace, "look", slow="podium.workspace:make_report").reached().interrupt())
    ok(workspace, "look")
    shutil.rmtree(workspace / ".podium", ignore_errors=True)
    interrupted(Running(workspace, "prepare", slow="podium.data.prepare:_mask_item").reached().interrupt())
    assert not (workspace / "folds.csv").exists()
    told = ok(workspace, "prepare").out
    assert "train images: reused" in told
    assert "train targets: built" in told
    assert "train images: reused" in ok(workspace, "prepare").out


def test_a_killed_prepare_keeps_what_reached_the_disk(workspace: Path) -> None:
    Running(workspace, "prepare", slow="podium.data.prepare:_mask_item").reached().kill()
    Running(workspace, "prepare", slow="podium.data.ready:make_folds").reached().kill()
    told = ok(workspace, "prepare").out
    assert told.count("reused") == 3
    assert "folds: built" in told
    assert not temporaries(workspace)


@pytest.mark.slow
def test_predict_and_submit(trained_workspace: Path) -> None:
    space = trained_workspace
    before = times_below(space / "submissions")
    interrupted(Running(space, "predict", slow="podium.training.tasks.masks/PlanesTask:decided").reached().interrupt())
    assert times_below(space / "submissions") == before
    assert not temporaries(space)
    assert ok(space, "predict", "--json").json["file"].endswith("0002-baseline/submission.csv.gz")

    interrupted(Running(space, "submit", slow="podium.host.board:grade").reached().interrupt())
    assert ok(space, "standings", "--json").json["submissions"] == []
    assert ok(space, "submit", "--json").json["used_today"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_a_stopped_baseline_ends_with_the_same_scores(workspace: Path, uninterrupted: Path, how: str) -> None:
    space = workspace
    first = Running(space, "baseline", *LONG, slow="podium.training.loop/Training:_tell").reached()
    assert (fold(space, 0) / "last.pt").is_file()  # stopped after the first epoch of fold 0
    assert attempts(space) == [("baseline", 0, "unfinished")]
    assert "unfinished" in ok(space, "attempts").out
    assert ok(space, "show", "0", "--json").json["cv"] is None
    stop(first, how)

    second = Running(space, "baseline", *LONG).until((fold(space, 1) / "last.pt").is_file)
    stop(second, how)
    assert attempts(space) == [("baseline", 1, "unfinished")]
    finished = times_below(fold(space, 0))
    fails(space, "baseline", "recipe=smoke", says=["baseline already", "another recipe"])

    ended = ok(space, "baseline", *LONG)
    assert "going on after epoch" in ended.err
    assert times_below(fold(space, 0)) == finished
    assert attempts(space) == [("baseline", 2, "done")]
    assert scores(space) == scores(uninterrupted)
    for n in (0, 1):
        assert history(fold(space, n)) == history(fold(uninterrupted, n))
    assert not temporaries(space)
    again = times_below(space / "attempts")
    ok(space, "baseline", *LONG)
    assert times_below(space / "attempts") == again


def stop(run: Running, how: str) -> None:
    if how == "kill":
        run.kill()
    else:
        interrupted(run.interrupt())


def history(folder: Path) -> list[list[str]]:
    """Epoch, lr, loss and score of each epoch: the columns that time does not change."""
    return [line.split(",")[:4] for line in (folder / "history.csv").read_text().splitlines()]


@pytest.mark.slow
def test_a_stopped_try_is_taken_up_by_the_same_command_or_by_resume(trained_workspace: Path) -> None:
    space = trained_workspace
    command = ("try", "hot", "optim.lr=0.02", "--why", "faster")
    interrupted(Running(space, *command, slow="podium.training.fold_run:write_scores").reached().interrupt())
    assert attempts(space)[1:] == [("hot", 0, "unfinished")]
    fails(space, "try", "hotter", "optim.lr=0.02", "--why", "same", says=["attempt 1 (hot)", "podium resume 1"])

    done = ok(space, *command, "--json")
    assert "going on with attempt 1" in done.err
    assert done.json["id"] == 1
    assert done.json["verdict"]["final"]
    fails(space, *command, says=["attempt 1 (hot)", "the same in every setting"])

    command = ("try", "cold", "optim.lr=0.0001", "--why", "slower")
    interrupted(Running(space, *command, slow="podium.ledger.attempt/Attempt:decided").reached().interrupt())
    done = ok(space, "resume", "--json")
    assert done.json["name"] == "cold"
    assert done.json["verdict"]["final"]  # it was stopped between its first fold and its first verdict
    fails(space, "resume", says=["no attempt is unfinished"])
    assert [(name, state) for name, _, state in attempts(space)] == [(n, "done") for n in ("baseline", "hot", "cold")]


@pytest.mark.slow
def test_a_baseline_with_nothing_trained_can_be_begun_again(workspace: Path) -> None:
    run = Running(workspace, "baseline", *LONG, slow="podium.training.fold_run:_train_fold").reached()
    interrupted(run.interrupt())
    begun = workspace / "attempts" / "0000-baseline"
    fails(workspace, "baseline", "recipe=smoke", says=["another recipe", f"delete {begun.relative_to(workspace)}"])


@pytest.mark.slow
def test_a_second_podium_waits_its_turn(trained_workspace: Path) -> None:
    space = trained_workspace
    first = Running(space, "try", "a", "optim.lr=0.01", "--why", "x", slow="podium.training.fold_run:_train_fold")
    first.reached()
    says = ["another podium is at work", f"process {first.process.pid}", "try a optim.lr=0.01"]
    for command in (["prepare"], ["predict"], ["submit"], ["resume"], ["look"]):
        fails(space, *command, says=[*says, space])
    assert json.loads((space / ".podium" / "lock").read_text())["pid"] == first.process.pid
    for command in (["attempts"], ["show", "0"], ["show", "a"], ["standings"]):
        assert podium(space, *command).code == 0
    assert attempts(space) == [("baseline", 2, "done"), ("a", 0, "unfinished")]
    first.kill()
    ok(space, "prepare", "recipe=smoke")
    assert attempts(space) == [("baseline", 2, "done"), ("a", 0, "unfinished")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "library"),
    [
        ("prepare", "_pydantic_core"),
        ("prepare", "_multiarray_umath"),
        ("prepare", "polars"),
        ("prepare", "/cv2"),
        ("baseline", "libtorch_cpu"),
        ("baseline", "libtorch_python"),
    ],
)
def test_ctrl_c_while_libraries_are_loaded(workspace: Path, command: str, library: str) -> None:
    words = ("prepare",) if command == "prepare" else ("baseline", *LONG)
    run = Running(workspace, *words)
    loaded = Path(f"/proc/{run.process.pid}/maps")
    run.until(lambda: library in loaded.read_text())
    interrupted(run.interrupt())
    ok(workspace, *words)
    assert not temporaries(workspace)
