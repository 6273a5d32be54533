"""A workspace of a host's competition: what the host knows is not guessed."""

from __future__ import annotations

import pytest

from hosting import House, client, serving
from podium.boards.host import HostBoard
from podium.data.competition import Competition
from podium.data.told import as_told
from podium.workspace import Workspace


@pytest.fixture
def address(tmp_path, monkeypatch):
    house = House(tmp_path / "house")
    house.user("alice")
    monkeypatch.setenv("PODIUM_HOST_TOKEN", house.tokens["alice"])
    with serving(house.host) as port:
        yield house, f"http://127.0.0.1:{port}"


def correct(house, **changes):
    spec = house.hosted.folder / "competition.toml"
    spec.write_text(Competition.load(spec).with_overrides(changes).to_toml())


def test_metric_classes_order_and_groups_are_the_hosts(address, tmp_path):
    house, url = address
    correct(
        house,
        metric="iou",
        classes={"car": 1},
        submission={"order": "column"},
        data={"group": "^(?P<group>.)"},
        folds={"k": 3, "seed": 9},
    )
    made = Workspace.new(tmp_path / "ws", f"host:{url}/cars", ["folds.bins=4"]).competition
    assert (made.metric, made.classes, made.submission.order, made.data.group) == (
        "iou", {"car": 1}, "column", "^(?P<group>.)",
    )  # fmt: skip
    assert (made.folds.k, made.folds.seed, made.folds.bins) == (3, 0, 4)
    assert (made.board.kind, made.board.url, made.board.slug, made.name) == ("host", url, "cars", "ws")
    assert len(Workspace(tmp_path / "ws").samples().train) == 9
    mine = Workspace.new(tmp_path / "mine", f"host:{url}/cars", ["metric=dice"]).competition
    assert mine.metric == "dice"


def test_the_organisers_own_code_is_neither_there_nor_run(address, tmp_path, capsys):
    house, url = address
    correct(house, metric="mine.py:score:max")
    (house.hosted.folder / "mine.py").write_text("raise SystemExit('run')")
    made = Workspace.new(tmp_path / "ws", f"host:{url}/cars").competition
    assert made.metric == "dice"
    assert "the host scores by its own code (mine.py:score:max): here dice stands for it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["", "name = 5", "x = [", "metric = 1", "[data]\nfuture_key = 1", '[data]\ntrain_csv = "../../home/x.csv"'],
)
def test_without_a_description_that_is_understood_the_data_tells(text, tmp_path):
    assert as_told(text, tmp_path, "x", ()) is None


def test_nothing_that_a_host_says_leads_out_of_the_data(tmp_path, capsys):
    text = '[data]\ntrain_images = "train/*"\ntrain_csv = "../../home/x.csv"\nid_column = "id"\ntargets = ["x"]\n'
    assert as_told(text, tmp_path, "x", ()) is None
    assert "leads out of the data" in capsys.readouterr().err
    assert as_told(text.replace("../../home/", ""), tmp_path, "x", ()) is not None


def test_a_server_that_only_answers_kaggles_calls_has_none(address):
    _, url = address
    assert HostBoard(url, "nosuch").spec() == ""
    with client(int(url.rpartition(":")[2])) as http:
        assert http.get("/api/competitions/cars/spec").text == HostBoard(url, "cars").spec()
