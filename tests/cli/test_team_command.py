"""`podium share`, `podium adopt FILE`, `podium team`, `podium standings` by the commands themselves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running import fails, ok


@pytest.mark.slow
def test_a_baseline_goes_to_a_teammate(trained_workspace: Path, tmp_path: Path) -> None:
    packed = ok(
        trained_workspace, "share", "0", "--by", "Ann", "--predictions", "-o", tmp_path / "ann.zip", "--json"
    ).json
    assert packed["attempts"] == ["0000-baseline"]
    theirs = Path(shutil.copytree(trained_workspace, tmp_path / "theirs", symlinks=True))
    for name in ("attempts", "submissions", ".podium"):
        shutil.rmtree(theirs / name)
    adopted = ok(theirs, "adopt", tmp_path / "ann.zip", "--json").json
    assert (adopted["name"], adopted["id"]) == ("baseline", 0)
    assert (theirs / "submissions" / "0001-baseline" / "submission.csv.gz").is_file()
    assert ok(theirs, "team", "--json").json == []
    assert "no verdict yet" in ok(theirs, "team").out
    told = ok(theirs, "submit", "-m", "Ann's").out  # her predictions, on our board
    assert "public dice" in told
    shown = ok(theirs, "standings", "--around", "me")
    assert shown.out.startswith("local; 4 of 5 submissions left today (UTC)\nrank  team")
    assert "<- you" in shown.out
    (tmp_path / "ann.zip").write_bytes((tmp_path / "ann.zip").read_bytes()[:-40])
    fails(theirs, "adopt", tmp_path / "ann.zip", says=["ann.zip", "zip"])


def test_what_is_not_there(shared, tmp_path: Path) -> None:
    fails(shared(), "share", "7", says=["no attempt yet"])
    fails(shared(), "adopt", tmp_path / "nothing.zip", says=["nothing.zip"], remedy=False)
