"""`--json`: JSON and nothing else on stdout, progress on stderr; every number as the commands' tables show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import SMALL, ok


@pytest.mark.slow
def test_the_whole_loop_as_json(workspace: Path) -> None:
    prepared = ok(workspace, "prepare", "recipe=smoke", "--json").json
    assert prepared["fold_sizes"] == [4, 4]
    assert prepared["excluded"] == {}
    assert {s["stage"] for s in prepared["stages"]} >= {"train images", "train targets", "test images", "folds"}
    assert all(s["reused"] for s in ok(workspace, "prepare", "recipe=smoke", "--json").json["stages"])

    ran = ok(workspace, "baseline", *SMALL, "--json")
    base = ran.json
    assert (base["id"], base["parent"], base["metric"], len(base["folds"])) == (0, None, "dice", 4)
    assert "fold 0 epoch 1/1" in ran.err
    assert 0 <= base["cv"] <= 1

    tried = ok(workspace, "try", "hot", "optim.lr=0.02", "--why", "it learns nothing", "--json").json
    assert tried["change"]["optim.lr"]["to"] == 0.02
    assert tried["verdict"]["noise_floor"] > 0
    assert tried["why"] == "it learns nothing"

    listed = ok(workspace, "attempts", "--json").json
    assert [(a["id"], a["name"], a["folds"], a["state"]) for a in listed["attempts"]] == [
        (0, "baseline", 2, "done"),
        (1, "hot", len({row["fold"] for row in tried["folds"]}), "done"),
    ]
    assert listed["attempts"][1]["gain"] == pytest.approx(tried["verdict"]["gain"], abs=1e-9)
    told = ok(workspace, "show", "hot", "--json").json
    assert {key: told[key] for key in tried if key != "folds"} == {k: v for k, v in tried.items() if k != "folds"}
    assert [row["score"] for row in told["folds"]] == [row["score"] for row in tried["folds"]]

    predicted = ok(workspace, "predict", "1", "--json").json
    assert (predicted["attempt"], predicted["rows"], predicted["cv"]) == (1, 4, tried["cv"])
    assert Path(predicted["file"]).is_file()
    receipt = ok(workspace, "submit", "-m", "one", "--json").json
    assert receipt["private"] is None
    hidden = ok(workspace, "standings", "--json").json["submissions"]
    assert [(s["rank"], s["attempt"], s["cv"], s["private"]) for s in hidden] == [(1, "0001-hot", tried["cv"], None)]
    assert hidden[0]["public"] == receipt["public"]
    shown = ok(workspace, "standings", "--reveal", "--json").json["submissions"]
    assert 0 <= shown[0]["private"] <= 1


def test_look_as_json(workspace: Path) -> None:
    assert ok(workspace, "look", "--json").json
