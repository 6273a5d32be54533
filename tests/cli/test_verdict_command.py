"""`podium verdict`: --simulate, --collect, --replay."""

import signal

import pytest
from running import Running, ok, podium

from drawing import tiny_competition


def test_it_prints_a_table_a_page_or_json(tmp_path):
    few = ("verdict", "--simulate", "--attempts", "100", "--scenario", "harmful")
    assert "true loss of 2 run-sds" in ok(tmp_path, *few).out
    assert ok(tmp_path, *few, "--markdown").out.startswith("# How often the verdict is right, in simulation")
    row = ok(tmp_path, *few, "--json").json[0]
    assert (row["name"], row["attempts"], row["bounds"][0]["holds"]) == ("harmful", 100, True)


def test_wrong_usage(tmp_path):
    assert podium(tmp_path, "verdict").code == 2
    ran = podium(tmp_path, "verdict", "--simulate", "--scenario", "gain3")
    assert ran.code == 1
    assert "did you mean 'gain-3'?" in ran.err


def test_only_one_thing_at_a_time(tmp_path):
    assert podium(tmp_path, "verdict", "--simulate", "--collect", "a.npz").code == 2
    ran = podium(tmp_path, "verdict", "--simulate", "train.epochs=2")
    assert ran.code == 2
    assert "only --collect trains a recipe" in ran.err
    ran = podium(tmp_path, "verdict", "--collect", "a.npz")
    assert ran.code == 1
    assert "not a podium workspace" in ran.err
    ran = podium(tmp_path, "verdict", "--replay", "a.npz")
    assert ran.code == 1
    assert "podium verdict --collect a.npz" in ran.err


@pytest.mark.slow
def test_trainings_are_collected_and_replayed(tmp_path):
    tiny = tiny_competition(tmp_path / "source", n_groups=8, test_groups=0)
    ok(tmp_path, "new", "space", "--from", str(tiny.folder), "folds.k=2")
    recipe = ("recipe=smoke", "train.epochs=1", "model.width=0.125", "model.depth=2", "input.size=[16,16]")
    collect = ("verdict", "--collect", "kept.npz", "--ledgers", "1", "--per-ledger", "1", *recipe)
    ran = ok(tmp_path / "space", *collect)
    assert "ledger 1 of 1, attempt 4" in ran.err
    assert "next: podium verdict --replay kept.npz" in ran.err
    before = (tmp_path / "space/kept.npz").read_bytes()
    assert "out of fold" not in ok(tmp_path / "space", *collect).err  # all of it is there
    assert (tmp_path / "space/kept.npz").read_bytes() == before
    assert not [path for path in (tmp_path / "space/.podium/collect").rglob("*") if path.is_file()]
    found = podium(tmp_path / "space", "verdict", "--replay", "kept.npz", "--json").json[0]
    assert (found["ledgers"], found["unfinished"], found["about"]["recipe_name"]) == (1, 0, "smoke")
    assert [row["attempts"] for row in found["rows"]] == [1, 1, 1, 1]
    two = [*collect[:4], "2", "--jobs", "2", *collect[5:]]
    ok(tmp_path / "space", *two)
    found = podium(tmp_path / "space", "verdict", "--replay", "kept.npz", "--json").json[0]
    assert (found["ledgers"], found["unfinished"]) == (2, 0)
    assert [path.name for path in (tmp_path / "space").glob("*.npz")] == ["kept.npz"]
    other = podium(tmp_path / "space", *collect, "optim.lr=0.1")
    assert other.code == 1
    assert "begun with another recipe" in other.err


@pytest.mark.slow
@pytest.mark.parametrize("everybody", [True, False])  # Ctrl-C in a terminal, or a signal to this one process alone
def test_a_stopped_collection_keeps_what_its_processes_trained(tmp_path, everybody):
    tiny = tiny_competition(tmp_path / "source", n_groups=8, test_groups=0)
    ok(tmp_path, "new", "space", "--from", str(tiny.folder), "folds.k=2")
    recipe = ("recipe=smoke", "train.epochs=1", "model.width=0.125", "model.depth=2", "input.size=[16,16]")
    space, many = (
        tmp_path / "space",
        ("--ledgers", "200", "--per-ledger", "9", "--jobs", "2"),
    )  # far more than it waits for
    running = Running(space, "verdict", "--collect", "kept.npz", *many, *recipe)
    running.until(lambda: len(list(space.glob("kept.ledger-*.npz"))) >= 2)
    if not everybody:
        running.process.send_signal(signal.SIGINT)
    ran = running.interrupt() if everybody else running.ended()
    assert ran.code == 130, ran.err
    assert [path.name for path in space.glob("*.npz")] == ["kept.npz"]
    found = podium(space, "verdict", "--replay", "kept.npz", "--json").json[0]
    assert 2 <= found["fold_runs"] < 200 * 4
