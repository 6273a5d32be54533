"""The boards of a host: whose place is whose, what is shown of it and when."""

from __future__ import annotations

import pytest

from hosting import NOON
from podium.host.server import submissions as subs
from podium.host.server.refusals import Forbidden, Refusal, Unknown
from podium.host.server.shares import publish, shares
from podium.host.server.standings import my_standing, score_text, standings
from podium.host.server.teams import baseline_team
from podium.host.server.uploads import start_upload


def names(house, viewer=None, **more):
    return [row.name for row in standings(house.host, house.hosted, viewer, **more)]


def test_picks_are_the_best_in_public_unless_chosen_and_final_at_the_end(house):
    house.rules(final_picks=1)
    good, bad = house.submit("alice", 0.05), house.submit("alice", 0.4, seed=1)
    house.submit("bob", 0.2, seed=2)
    house.grade()
    alice, bob = house.users["alice"], house.users["bob"]
    with pytest.raises(Unknown, match="3 is no scored submission of your team"):
        subs.pick(house.host, house.hosted, alice, [3])
    with pytest.raises(Refusal, match="2 picks"):
        subs.pick(house.host, house.hosted, alice, [good.id, bad.id])
    subs.pick(house.host, house.hosted, alice, [bad.id])
    with pytest.raises(Forbidden, match="not revealed"):
        standings(house.host, house.hosted, house.user("olga", organiser=True), private=True)
    house.clock.forward(days=31)
    with pytest.raises(Forbidden, match="picks are final"):
        subs.pick(house.host, house.hosted, alice, [good.id])
    assert names(house) == ["alice", "bob"]
    assert names(house, private=True) == ["bob", "alice"]
    row = my_standing(house.host, house.hosted, bob, private=True)
    assert (row.rank, row.public_rank, row.shake, row.medal) == (1, 2, 1, "gold")


def test_the_private_board_is_revealed_by_the_servers_clock_or_by_hand(house):
    house.submit("alice")
    house.grade()
    house.rules(reveal="by hand")
    house.clock.forward(days=31)
    with pytest.raises(Forbidden):
        standings(house.host, house.hosted, None, private=True)
    house.rules(revealed=True)
    assert names(house, private=True) == ["alice"]
    house.clock.now = NOON
    with pytest.raises(Forbidden):  # by hand too only once it has ended
        standings(house.host, house.hosted, None, private=True)


def test_equal_scores_go_to_the_earlier_and_the_board_may_be_of_the_latest(house):
    data = house.csv(0.1).read_bytes()
    house.send("bob", data)
    house.clock.forward(minutes=1)
    house.send("alice", data)
    house.submit("bob", 0.4, seed=5)
    house.grade()
    assert names(house) == ["bob", "alice"]
    house.rules(board="latest")
    assert names(house) == ["alice", "bob"]


def test_baselines_have_a_score_and_no_place(house):
    olga = house.user("olga", organiser=True)
    house.submit("alice", 0.2)
    team = baseline_team(house.host, house.hosted, olga, "all empty")
    data = house.csv(0.05, 7).read_bytes()
    token = start_upload(house.host, house.hosted, olga, "b.csv", len(data), team)
    house.put(token, data)
    subs.hand_in(house.host, house.hosted, olga, token, "", team)
    house.grade()
    assert [(r.rank, r.name, r.baseline) for r in standings(house.host, house.hosted, None)] == [
        (None, "all empty", True), (1, "alice", False),
    ]  # fmt: skip
    with pytest.raises(Forbidden):
        baseline_team(house.host, house.hosted, house.users["alice"], "mine")


def test_on_an_anonymous_board_others_have_no_names(house):
    house.rules(anonymous=True)
    house.submit("alice", 0.1)
    house.submit("bob", 0.2)
    house.grade()
    publish(house.host, house.hosted, house.users["bob"], what="x", verdict="NO")
    alice = house.users["alice"]
    rows = standings(house.host, house.hosted, alice)
    assert [(r.name, r.members) for r in rows] == [("alice", ("alice",)), ("Team 2", ())]
    assert shares(house.host, house.hosted, alice)[0].team_name == "Team 2"
    house.clock.forward(days=31)
    assert names(house, alice, private=True) == ["alice", "bob"]


def test_under_the_ladder_rule_small_gains_are_not_told(house):
    house.rules(ladder_step=0.05, daily_limit=20)
    told = []
    for n, wrong in enumerate((0.4, 0.39, 0.2, 0.21, 0.19)):
        made = house.submit("alice", wrong, seed=n)
        house.grade()
        told.append(subs.submission(house.host, made.id, house.users["alice"]).public)
    true = [r["public"] for r in house.host.db.all("SELECT public FROM submissions ORDER BY id")]
    assert told[0] == told[1]
    assert true[0] != true[1]
    assert told[2] > told[0]
    assert told[2] == told[3] == told[4]
    assert all(t == pytest.approx(round(t / 0.05) * 0.05) for t in told)
    assert my_standing(house.host, house.hosted, house.users["alice"]).score == told[2]


class Says:
    """A marker that has an answer without looking."""

    def __init__(self, public, private=0.5):
        self.answer = {"public": public, "private": private}

    def mark(self, *_):
        return self.answer


@pytest.mark.parametrize("step", [0.0, 0.001])
def test_a_score_of_three_hundred_digits_is_taken_and_does_not_fill_the_board(house, step):
    """As a number of 1e300 in a table makes of a mean error; under the Ladder rule it has no whole number of steps."""
    house.rules(ladder_step=step)
    house.submit("alice")
    house.grade(Says(1e306, -1e300))
    (row,) = standings(house.host, house.hosted, None)
    assert (row.score, row.score_text) == (1e306, "1.00000e+306")
    assert score_text(-1e300) == "-1.00000e+300"
    assert [score_text(v) for v in (0.123456, -12_345.678, 999_999_999_999.0)] == [
        "0.12346", "-12345.67800", "999999999999.00000",
    ]  # fmt: skip
