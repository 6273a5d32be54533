"""`podium demo`, shortened: the real commands, in order, to a board with two submissions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from podium import Workspace
from podium.cli import app
from podium.demo.lap import STAGES, run_demo
from podium.errors import ConfigError


def test_every_stage_is_a_command_and_the_lap_has_them_in_order() -> None:
    verbs = [command.replace("-C {space} ", "").split()[0] for _, command in STAGES]
    loop = "new look prepare baseline try predict submit predict submit standings"
    assert " ".join(verbs) == loop


@pytest.mark.slow
def test_one_short_lap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)

    def podium(words: Sequence[str]) -> None:
        app(list(words), prog_name="podium", standalone_mode=False)
        monkeypatch.chdir(tmp_path)

    run_demo(Path("lap"), podium, train_cars=6, epochs=2)
    space = Workspace.open("lap/cars")
    rows = space.standings(reveal=True)
    assert {r["message"] for r in rows} == {"first", "ternausnet"}
    assert all(0 < r[k] <= 1 for r in rows for k in ("cv", "public", "private"))
    assert len(space.attempts.all()) == 2
    assert (space.root / "reports/data.html").is_file()
    err = capfd.readouterr().err
    assert err.count("$ podium") == len(STAGES)
    assert "One lap in" in err
    with pytest.raises(ConfigError, match="made here before"):
        run_demo(Path("lap"), podium)
