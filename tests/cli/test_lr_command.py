"""`podium lr-find`: a suggestion, a picture, the next command, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

from running import ok, podium

from drawing import tiny_competition


def test_lr_find(tmp_path: Path) -> None:
    tiny_competition(tmp_path / "cells", 12, 2, images="images/{id}.png", masks="masks/{id}.png", test_groups=0)
    ok(tmp_path, "new", "space", "--from", "cells")
    space = tmp_path / "space"
    small = ("recipe=smoke", "model.width=0.25", "train.batch_size=8")
    ran = ok(space, "lr-find", *small, "--steps", "40", "--low", "1e-5", "--json")
    assert 1e-5 < ran.json["suggestion"] < 1
    assert len(ran.json["rates"]) == len(ran.json["losses"]) <= 40
    assert (space / "reports/lr-find.svg").read_text().startswith("<svg")
    assert not list((space / "attempts").glob("*"))
    assert podium(space, "lr-find", "--low", "0.1", "--high", "0.01").code == 1
