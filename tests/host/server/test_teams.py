"""Teams: invitations, mergers, leaving, names."""

from __future__ import annotations

import threading

import pytest

from podium.host.server import submissions as subs
from podium.host.server.offers import answer, invite, offers, propose_merge
from podium.host.server.quota import limits
from podium.host.server.refusals import Conflict, Forbidden, Refusal, Unknown
from podium.host.server.standings import standings
from podium.host.server.teams import enter, leave, rename, team, team_of


def enter_all(house, *names):
    return [enter(house.host, house.hosted, house.user(name)) for name in names]


def test_who_enters_has_a_team_of_their_name_or_with_a_number(house):
    first, again, other = enter_all(house, "alice", "alice", "bob")
    assert first == again
    rename(house.host, house.hosted, house.users["bob"], "carol")
    assert enter(house.host, house.hosted, house.user("carol")).name == "carol 2"
    assert other.leader == house.users["bob"].id


def test_an_invitation_is_accepted_by_the_invited_alone(house):
    enter_all(house, "alice")
    alice, bob, eve = house.users["alice"], house.user("bob"), house.user("eve")
    offer = invite(house.host, house.hosted, alice, bob)
    with pytest.raises(Unknown):
        answer(house.host, house.hosted, eve, offer.id, True)
    with pytest.raises(Forbidden):
        answer(house.host, house.hosted, alice, offer.id, True)
    joined = answer(house.host, house.hosted, bob, offer.id, True)
    assert [m.name for m in joined.members] == ["alice", "bob"]
    with pytest.raises(Unknown):
        answer(house.host, house.hosted, bob, offer.id, True)
    with pytest.raises(Forbidden, match="only the leader"):
        invite(house.host, house.hosted, bob, eve)


def test_two_teams_merge_when_both_leaders_agree_and_board_and_picks_follow(house):
    house.rules(final_picks=2)
    house.submit("alice", 0.3)
    house.submit("bob", 0.1, seed=1)
    house.grade()
    alice, bob = house.users["alice"], house.users["bob"]
    subs.pick(house.host, house.hosted, alice, [1])
    subs.pick(house.host, house.hosted, bob, [2])
    offer = propose_merge(house.host, house.hosted, alice, team_of(house.host, "cars", bob).id)
    with pytest.raises(Forbidden):
        answer(house.host, house.hosted, alice, offer.id, True)
    merged = answer(house.host, house.hosted, bob, offer.id, True)
    assert merged == team_of(house.host, "cars", alice) == team(house.host, 2)
    row = standings(house.host, house.hosted, None)
    assert [(r.name, r.members, r.entries) for r in row] == [("alice", ("alice", "bob"), 2)]
    assert {s.id for s in subs.submissions(house.host, house.hosted, merged.id) if s.picked} == {1, 2}
    assert limits(house.host, house.hosted, merged.id).today == 2
    house.submit("bob", 0.2, seed=3)
    assert limits(house.host, house.hosted, merged.id).today == 3


def test_a_merger_that_would_have_had_more_submissions_than_the_days_allow(house):
    house.rules(daily_limit=2, start="2031-05-01T00:00:00Z")
    for name in ("alice", "bob"):
        house.submit(name, seed=1 if name == "bob" else 0)
        house.submit(name, seed=2 if name == "bob" else 3)
    alice, other = house.users["alice"], team_of(house.host, "cars", house.users["bob"]).id
    with pytest.raises(Conflict, match="4 submissions together, more than 2 a day x 1 days so far = 2"):
        propose_merge(house.host, house.hosted, alice, other)
    house.clock.forward(days=1)
    offer = propose_merge(house.host, house.hosted, alice, other)
    house.submit("bob", seed=5)  # meanwhile: asked again when it is accepted
    with pytest.raises(Conflict, match="5 submissions together"):
        answer(house.host, house.hosted, house.users["bob"], offer.id, True)
    house.clock.forward(days=1)
    answer(house.host, house.hosted, house.users["bob"], offer.id, True)


def test_teams_are_no_larger_than_allowed_and_final_after_the_deadline(house):
    house.rules(team_size=2, merger_deadline="2031-05-03T00:00:00Z")
    enter_all(house, "alice", "bob", "carol")
    alice, bob, carol = (house.users[n] for n in ("alice", "bob", "carol"))
    answer(house.host, house.hosted, bob, invite(house.host, house.hosted, alice, bob).id, True)
    with pytest.raises(Conflict, match="a team of 3"):
        invite(house.host, house.hosted, alice, carol)
    with pytest.raises(Conflict, match="a team of 3"):
        propose_merge(house.host, house.hosted, carol, team_of(house.host, "cars", alice).id)
    leave(house.host, house.hosted, bob)
    offer = invite(house.host, house.hosted, alice, carol)
    house.clock.forward(days=3)
    with pytest.raises(Forbidden, match="merger deadline"):
        answer(house.host, house.hosted, carol, offer.id, True)
    with pytest.raises(Forbidden, match="merger deadline"):
        leave(house.host, house.hosted, alice)


def test_who_leaves_first_hands_on_the_lead_and_submissions_stay(house):
    house.submit("alice")
    alice, bob = house.users["alice"], house.user("bob")
    answer(house.host, house.hosted, bob, invite(house.host, house.hosted, alice, bob).id, True)
    leave(house.host, house.hosted, alice)
    left = team_of(house.host, "cars", bob)
    assert left.leader == bob.id
    assert [s.id for s in subs.submissions(house.host, house.hosted, left.id)] == [1]
    with pytest.raises(Unknown):
        subs.submission(house.host, 1, alice)
    with pytest.raises(Conflict, match="the last member of a team that has submitted"):
        leave(house.host, house.hosted, bob)


@pytest.mark.parametrize("name", ["", "  ", "x" * 51, "a\u202eb", "zero\u200bwidth", "a\x00b"])
def test_names_that_do_not_show_or_are_too_long(house, name):
    enter_all(house, "alice")
    with pytest.raises(Refusal):
        rename(house.host, house.hosted, house.users["alice"], name)


@pytest.mark.parametrize("name", ["BOB", "ｂｏｂ", " bob "])
def test_names_that_look_alike_are_taken(house, name):
    enter_all(house, "alice", "bob")
    with pytest.raises(Conflict, match="another team is called"):
        rename(house.host, house.hosted, house.users["alice"], name)


def test_of_two_mergers_with_the_same_team_at_once_one_happens(house):
    enter_all(house, "alice", "bob", "carol")
    users = {n: house.users[n] for n in ("alice", "bob", "carol")}
    of = {n: team_of(house.host, "cars", u).id for n, u in users.items()}
    one = propose_merge(house.host, house.hosted, users["alice"], of["bob"])
    two = propose_merge(house.host, house.hosted, users["bob"], of["carol"])
    told = []

    def agree(name, offer):
        try:
            told.append(answer(house.host, house.hosted, users[name], offer.id, True).id)
        except Refusal as error:
            told.append(type(error).__name__)

    threads = [threading.Thread(target=agree, args=a) for a in (("bob", one), ("carol", two))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    members = house.host.db.all("SELECT user, team FROM members ORDER BY user")
    assert len(members) == 3  # nobody is lost, and nobody is in a team that is no more
    gone = {r["id"] for r in house.host.db.all("SELECT id FROM teams WHERE merged_into IS NOT NULL")}
    assert not gone & {m["team"] for m in members}
    assert any(isinstance(t, int) for t in told)


def test_offers_are_seen_by_whom_they_concern(house):
    enter_all(house, "alice", "bob", "eve")
    alice, bob, eve = (house.users[n] for n in ("alice", "bob", "eve"))
    propose_merge(house.host, house.hosted, alice, team_of(house.host, "cars", bob).id)
    assert [len(offers(house.host, "cars", u)) for u in (alice, bob, eve)] == [1, 1, 0]
    with pytest.raises(Conflict, match="offered already"):
        propose_merge(house.host, house.hosted, alice, team_of(house.host, "cars", bob).id)


def test_a_proposal_unmasks_nobody_on_an_anonymous_board(house):
    house.rules(anonymous=True)
    _, theirs = enter_all(house, "alice", "bob")
    alice, bob = house.users["alice"], house.users["bob"]
    assert propose_merge(house.host, house.hosted, alice, theirs.id).other_name == f"Team {theirs.id}"
    (seen,) = offers(house.host, "cars", alice)
    assert "bob" not in str(seen)
    (asked,) = offers(house.host, "cars", bob)
    assert (asked.team_name, asked.other_name) == ("alice", "bob")  # who proposes says who they are
    house.rules(anonymous=False)
    assert offers(house.host, "cars", alice)[0].other_name == "bob"
