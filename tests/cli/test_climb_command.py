"""`podium climb` as its users meet it: a dry run, wrong input, SIGKILL and Ctrl-C on the way, the report at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import SMALL, Running, fails, interrupted, ok, podium, temporaries

from podium.climb.here import Here
from podium.workspace import Workspace

CATALOG = """
[kinds.rate]
says = "steps"
yes = 1
no = 2

[kinds.prediction]
says = "answers"
yes = 1
no = 3

[changes.faster]
kind = "rate"
set = { "optim.lr" = "x2" }
why = "larger steps"
source = "me"

[changes.slower]
kind = "rate"
set = { "optim.lr" = "x0.5" }
why = "finer steps"
source = "me"

[changes.mirrored]
kind = "prediction"
set = { "predict.tta" = ["hflip"] }
why = "two views"
source = "me"

[changes.grey]
kind = "rate"
set = { "augment.mixup" = 0.5 }
tasks = ["classification"]
why = "not here"
source = "me"
"""


@pytest.fixture
def ready(workspace: Path) -> Path:
    """A workspace with a trained baseline and a catalogue."""
    ok(workspace, "baseline", *SMALL, timeout=400)
    (workspace / "mine.toml").write_text(CATALOG)
    return workspace


@pytest.mark.slow
def test_it_is_killed_and_stopped_and_ends_within_its_budget(ready: Path) -> None:
    listed = ok(ready, "climb", "--dry-run", "--catalog", "mine.toml", "--json", timeout=300).json
    assert {row["name"] for row in listed["options"]} == {"faster", "slower", "mirrored"}
    assert listed["guarded"] == {"grey": "it is for classification"}
    assert not (ready / "climb.toml").exists()

    command = ("climb", "--fold-runs", "12", "--catalog", "mine.toml")
    attempts = ready / "attempts"
    Running(ready, *command).until(lambda: list(attempts.glob("000[1-9]-*/fold*"))).kill()
    stopped = sorted(path.name for path in attempts.iterdir())
    assert (ready / "climb.toml").is_file()
    again = Running(ready, "climb", slow="podium.training.fold_run:_train_fold").reached()
    interrupted(again.interrupt())
    assert set(stopped) <= {path.name for path in attempts.iterdir()}

    ran = ok(ready, "climb", "--json", timeout=400)
    assert "going on with the one begun" in ran.err
    found = ran.json
    assert found["done"]
    assert found["fold_runs"] <= 12
    assert {row["name"] for row in found["attempts"]} >= {"faster", "slower", "mirrored"}
    assert all(row["verdict"] in ("YES", "NO", "UNSURE") for row in found["attempts"])
    trained = [path for path in attempts.glob("*/fold*/COMPLETE") if "0000-baseline" not in str(path)]
    assert found["fold_runs"] <= len(trained)
    assert not temporaries(ready)
    page = (ready / "reports" / "climb.md").read_text()
    assert "# Climb" in page
    assert "grey: it is for classification" in page
    assert (found["claim"] is None) == (found["proposed"] is None and found["champion"]["id"] == 0)
    if found["claim"]:
        gain = found["claim"]["gain"]  # on one fold of one group its error is unknown
        assert found["claim"].get("low", gain) <= gain <= found["claim"].get("high", gain)

    trained_whole(
        ready, next(row["id"] for row in found["attempts"] if row["verdict"] != "YES" and row["fold_runs"] == 1)
    )

    more = podium(ready, "climb")  # it has ended, and another needs a budget of its own
    assert more.code == 1
    assert "no budget is given" in more.err


def trained_whole(ready: Path, id: int) -> None:
    """What got its NO after one fold is trained on the others and judged again, and no further."""
    ledger = Here(Workspace(ready))
    assert ledger.missing(id) == ledger.k - 1
    whole = ledger.complete(id)
    assert ledger.missing(id) == 0
    assert ledger.fold_runs(id) == ledger.k == whole.verdict.folds
    assert whole.verdict.final


@pytest.mark.slow
def test_wrong_input_changes_nothing(workspace: Path) -> None:
    fails(workspace, "climb", "--fold-runs", "9", says=["podium baseline"])
    ok(workspace, "baseline", *SMALL, timeout=400)
    (workspace / "bad.toml").write_text(CATALOG.replace("optim.lr", "optim.rl"))
    fails(workspace, "climb", "--fold-runs", "9", "--hours", "1", says=["--fold-runs and --hours"], remedy=False)
    fails(workspace, "climb", "--fold-runs", "9", "--catalog", "bad.toml", says=["bad.toml", "optim.rl"], remedy=False)
    fails(workspace, "climb", "--fold-runs", "9", "--learn", "recipes", says=["recipes", "no attempts"], remedy=False)
    assert not (workspace / "climb.toml").exists()
