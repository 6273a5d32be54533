"""`podium standings`: receipts, CV and board put together; what is said, drawn and picked."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pretend import fresh, tried

from drawing import tiny_competition
from podium.boards.base import Limits, Receipt, Standing
from podium.config import write_toml
from podium.errors import BoardError
from podium.ledger.agreement_expected import Expected
from podium.ledger.standings import stand
from podium.standing import Standing as Reader
from podium.standing import draw
from podium.workspace import Workspace

AT = datetime(2026, 11, 1, tzinfo=UTC)
NOISE = Expected(0.02, 0.0001, 300, 100, 0.05, 5)


def receipt(id, public, attempt="", **more):
    given = {"sha256": f"h{id}", "message": f"m{id}", "file": "f", "private": None, "used_today": 1, "daily_limit": 5}
    return Receipt(id=id, at=AT + timedelta(hours=id), attempt=attempt, public=public, **(given | more))


class Far:
    """A board far away, as the interface has it."""

    name = "kaggle:cars"

    def __init__(self, given, teams=(), broken=False):
        self.given, self.teams, self.broken = given, teams, broken

    def submissions(self, *, reveal=False):
        return self.given

    def limits(self):
        return Limits(2, 3, 9)

    def standings(self):
        return list(self.teams)

    def deadline(self):
        if self.broken:
            raise BoardError("Kaggle cannot be reached")
        return datetime(2026, 11, 30, tzinfo=UTC)


def put(given, cv, **more):
    settings = {"metric": "dice", "up": True, "board_name": "kaggle:cars", "expected": NOISE}
    return stand(given, [], cv=cv, **(settings | more))


def test_rows_gains_and_ranks():
    given = [receipt(1, 0.80, "0000-a"), receipt(2, 0.83, "0001-b"), receipt(3, 0.79), receipt(4, 0.81, "0002-c")]
    found = put(given, {"0000-a": 0.70, "0001-b": 0.74, "0002-c": 0.75})
    assert [(r["rank"], r["id"]) for r in found] == [(1, 2), (2, 4), (3, 1), (4, 3)]
    gains = {r["id"]: (r["d_cv"], r["d_lb"]) for r in found}
    assert gains[2] == pytest.approx((0.04, 0.03))
    assert gains[3] == (None, None)
    assert found.paired == (1, 2, 4)
    assert {r["id"] for r in found if r["final"]} == {4, 2}  # the best CV and the best public score
    assert "too few pairs" in found.told()[0]


def test_errors_rank_the_other_way_round():
    found = put([receipt(1, 3.0), receipt(2, 2.0)], {}, up=False)
    assert [r["id"] for r in found] == [2, 1]
    assert all(r["final"] for r in found)


def test_six_submissions_are_correlated_picked_and_drawn(tmp_path):
    cv = {f"000{n}-x": 0.7 + n / 100 for n in range(6)}
    given = [receipt(n + 1, 0.8 + n / 100 + 0.001 * (n % 2), name) for n, name in enumerate(cv)]
    found = put(given, cv)
    lines = found.told()
    assert "r = 1.00" in lines[0]
    assert "expected band" in lines[1]
    assert [found.paired[p.index] for p in found.picks] == [6, 5]
    assert "CV counts" in lines[-1]
    path = draw(found, tmp_path)
    assert path.read_text().count('r="4.5"') == 6
    tree = found.tree()
    assert [p["id"] for p in tree["picks"]] == [6, 5]
    assert tree["correlation"]["n"] == 5
    assert "<table>" in found._repr_html_()


def test_the_same_file_twice_is_picked_once():
    given = [receipt(n, 0.8 + n / 1000, "0000-x", sha256="same") for n in (1, 2)] + [receipt(3, 0.7, "0001-y")]
    found = put(given, {"0000-x": 0.9, "0001-y": 0.5})
    assert len({r["sha256"] for r in found if r["final"]}) == 2


def test_head_tells_what_is_left():
    teams = [Standing(n, f"t{n}", 0.9, mine=n == 20) for n in range(1, 41)]
    soon = AT + timedelta(days=3)
    found = put([], {}, limits=Limits(2, 3, 9), deadline=soon, board=tuple(teams))
    assert found.head(AT) == "kaggle:cars; 3 of 5 submissions left today (UTC); 3 days left"
    assert "10 hours left" in found.head(soon - timedelta(hours=10))
    assert "left" not in put([], {}, deadline=AT.replace(year=2100)).head(AT)
    assert "it is over" in found.head(soon + timedelta(hours=1))
    assert [s.rank for s in found.around()] == list(range(1, 11))
    assert [s.rank for s in found.around("me")] == [1, *range(17, 24)]
    assert [s.rank for s in found.around("t1")] == [1, 2, 3, 4]
    with pytest.raises(BoardError, match="'nobody' is not on the leaderboard"):
        found.around("nobody")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("standing")
    source = tiny_competition(root / "source", n_groups=8, test_groups=4, table="train_masks.csv").folder
    space, digest = fresh(root / "cars", source)
    for name, lr, gain in (
        ("a", "1e-2", 0.02),
        ("b", "2e-3", 0.04),
        ("c", "3e-3", 0.01),
        ("d", "4e-3", 0.05),
        ("e", "6e-3", 0.0),
    ):
        tried(space, digest, name, f"optim.lr={lr}", gain)
    return space.root


def reader(space, board):
    return Reader(space.root, space.competition, space.metric, space.attempts, space.submissions, board)


def test_from_a_workspace_the_noise_is_measured(pristine, tmp_path):
    space = Workspace(Path(shutil.copytree(pristine, tmp_path / "cars", symlinks=True)))
    names = space.attempts.names()
    given = [receipt(n + 1, space.attempts.get(name).cv + 0.001 * n, name) for n, name in enumerate(names)]
    found = reader(space, Far(given)).read(reveal=False, leaderboard=True)
    assert found.limits.left == 3
    noise = found.agreement.expected
    assert noise.between == pytest.approx(0.01, rel=0.6)  # of group means of two trainings with noise 0.01 a sample
    assert noise.groups_cv == len({s.group for s in space.samples().train})
    assert noise.groups_public == round(0.3 * len({s.group for s in space.samples().test}))
    assert found.agreement.correlation.r > 0.9
    assert not found.warnings
    assert any("correlation 0." in p.why or "correlation -0." in p.why for p in found.picks)


def test_the_input_shift_that_look_measured_is_warned_of(pristine, tmp_path):
    space = Workspace(Path(shutil.copytree(pristine, tmp_path / "cars", symlinks=True)))
    write_toml(space.root / "reports" / "shift.toml", {"auc": 0.8, "low": 0.7, "high": 0.9})
    found = reader(space, Far([receipt(1, 0.5)])).read(reveal=False, leaderboard=False)
    assert [w.kind for w in found.warnings] == ["input"]
    assert "warning, input shift: a classifier tells test from training images with AUC 0.80" in found.told()[0]


def test_a_board_that_does_not_answer_everything(pristine, tmp_path):
    space = Workspace(Path(shutil.copytree(pristine, tmp_path / "cars", symlinks=True)))
    found = reader(space, Far([receipt(1, 0.5)], broken=True)).read(reveal=False, leaderboard=True)
    assert found.deadline is None
    assert "the board does not tell: Kaggle cannot be reached" in found.told()


def test_the_noise_is_not_known_without_replicates(pristine, tmp_path):
    space = Workspace(Path(shutil.copytree(pristine, tmp_path / "cars", symlinks=True)))
    for attempt in space.attempts.all():
        (attempt.folder / "verdict.toml").unlink(missing_ok=True)
        (attempt.folder / "replicates.toml").unlink(missing_ok=True)
        for run in attempt.folder.glob("fold*-seed1"):
            shutil.rmtree(run)
    given = [receipt(n + 1, 0.5 + n / 100, name) for n, name in enumerate(space.attempts.names())]
    found = reader(space, Far(given)).read(reveal=False, leaderboard=False)
    assert found.agreement.expected is None
    assert any("expected band: not known" in line for line in found.told())
    assert "noise is not known" in found.picks[0].why
    assert np.isfinite(found.agreement.correlation.r)
