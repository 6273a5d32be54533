"""A competition from its start to after its end, by the server's clock."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from podium.errors import ConfigError
from podium.formats import rle
from podium.host.server import submissions as subs
from podium.host.server.quota import limits
from podium.host.server.refusals import Conflict, Forbidden, Refusal, TooMany
from podium.host.server.shares import pooled, publish, shares, withdraw
from podium.host.server.standings import my_standing, standings
from podium.host.server.teams import enter, team_of
from podium.host.server.uploads import start_upload
from podium.host.solution import write_solution
from podium.host.truth_store import open_runs


def names(house, viewer=None, **more):
    return [row.name for row in standings(house.host, house.hosted, viewer, **more)]


def test_scores_are_those_of_the_metric(house):
    made = house.submit("alice", 0.2)
    house.grade()
    seen = subs.submission(house.host, made.id, house.users["alice"])
    rng = np.random.default_rng(0)
    dice = {}
    for id in house.ids:
        given, truth = house.truth[id] ^ (rng.random((24, 32)) < 0.2), house.truth[id]
        dice[id] = 2 * (given & truth).sum() / (given.sum() + truth.sum())
    parts = {
        p: np.mean([dice[i] for i, u in zip(house.ids, house.usage, strict=True) if u == p])
        for p in ("Public", "Private")
    }
    assert seen.public == pytest.approx(parts["Public"], abs=1e-12)
    assert seen.private is None
    house.clock.forward(days=31)
    assert subs.submission(house.host, made.id, house.users["alice"]).private == pytest.approx(
        parts["Private"], abs=1e-12
    )


def test_nothing_before_the_start_in_a_pause_or_after_the_end_where_it_is_refused(house):
    house.rules(start="2031-05-02T00:00:00Z")
    with pytest.raises(Forbidden, match="begins at 2031-05-02 00:00 UTC"):
        house.submit("alice")
    assert team_of(house.host, "cars", house.users["alice"]) is None  # nor was a team made
    house.clock.forward(days=1)
    house.submit("alice")
    house.rules(paused=True)
    with pytest.raises(Forbidden, match="paused"):
        house.submit("alice", seed=1)
    house.rules(paused=False, late="refused")
    house.clock.forward(days=40)
    with pytest.raises(Forbidden, match="ended at"):
        house.submit("alice", seed=1)


def test_late_ones_are_graded_and_never_rank(house):
    house.submit("alice", 0.3)
    house.grade()
    house.clock.forward(days=31)
    late = house.submit("alice", 0.01)
    house.grade()
    late = subs.submission(house.host, late.id, house.users["alice"])
    assert late.late
    assert late.status == "scored"
    assert late.public > my_standing(house.host, house.hosted, house.users["alice"]).score
    assert my_standing(house.host, house.hosted, house.users["alice"], private=True).entries == 1


def test_daily_and_total_limits(house):
    house.rules(daily_limit=2, total_limit=3)
    house.submit("alice", seed=1)
    house.submit("alice", seed=2)
    mine = team_of(house.host, "cars", house.users["alice"])
    with pytest.raises(Refusal, match=r"2 of 2 submissions on 2031-05-01 \(UTC\)") as refused:
        house.submit("alice", seed=3)
    assert "it resets at 2031-05-02 00:00 UTC, in 12 h 00 min" in refused.value.message
    house.clock.forward(hours=12)
    house.submit("alice", seed=3)
    with pytest.raises(Refusal, match="3 of 3 submissions in all"):
        house.submit("alice", seed=4)
    found = limits(house.host, house.hosted, mine.id)
    assert (found.today, found.total, found.allowed, found.by_total) == (1, 3, 0, True)


@pytest.mark.parametrize("counted", [False, True])
def test_failed_ones_use_the_quota_if_the_rules_say_so(house, counted):
    house.rules(failed_count=counted)
    house.send("alice", b"img,rle_mask\ncar3_01.jpg,1 2 3\n")
    house.grade()
    mine = team_of(house.host, "cars", house.users["alice"])
    assert limits(house.host, house.hosted, mine.id).today == counted
    assert subs.submissions(house.host, house.hosted, mine.id)[0].status == "failed"


def test_many_bad_files_are_slowed_down_all_the_same(house):
    house.rules(submissions_an_hour=3)
    for n in range(3):
        house.send("alice", b"bad %d" % n)
        house.grade()
    with pytest.raises(TooMany, match="3 submissions within an hour"):
        house.send("alice", b"bad 4")
    house.clock.forward(minutes=61)
    house.send("alice", b"bad 4")


def test_the_same_content_is_recognised_and_uses_nothing(house):
    first = house.submit("alice", message="one")
    with pytest.raises(Conflict, match=f'this very file was submitted before, as {first.id} "one"'):
        house.submit("alice")
    house.submit("bob")
    organiser = house.user("olga", organiser=True)
    same = subs.same_content(house.host, house.hosted, organiser)
    assert [(s["teams"], s["ids"]) for s in same] == [([1, 2], [1, 2])]


def test_two_at_once_cannot_share_the_last_slot(house):
    house.rules(daily_limit=3)
    house.submit("alice", seed=0)
    user, data = house.users["alice"], [house.csv(0.1, n).read_bytes() for n in range(1, 9)]
    tokens = [start_upload(house.host, house.hosted, user, "a.csv", len(d)) for d in data]
    for token, content in zip(tokens, data, strict=True):
        house.put(token, content)
    told, gate = [], threading.Barrier(8)

    def hand_in(token):
        gate.wait()
        try:
            told.append(subs.hand_in(house.host, house.hosted, user, token, "").id)
        except Refusal as error:
            told.append(error.found)

    threads = [threading.Thread(target=hand_in, args=(t,)) for t in tokens]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sum(isinstance(t, int) for t in told) == 2
    assert sum("quota is used up" in str(t) for t in told) == 6


def test_cancelled_ones_use_nothing_and_are_not_graded(house):
    made = house.submit("alice")
    cancelled = subs.cancel(house.host, made.id, house.users["alice"])
    assert cancelled.status == "cancelled"
    mine = team_of(house.host, "cars", house.users["alice"])
    assert limits(house.host, house.hosted, mine.id).today == 0
    house.grade()
    assert subs.submission(house.host, made.id, house.users["alice"]).public is None
    again = house.submit("alice")  # the same file: the first was taken back
    house.grade()
    with pytest.raises(Conflict, match="is scored and cannot be cancelled"):
        subs.cancel(house.host, again.id, house.users["alice"])
    subs.cancel(house.host, again.id, house.user("olga", organiser=True))
    assert names(house) == []


def test_rescoring_keeps_the_old_scores_in_the_record_and_on_the_board_until_the_new_come(house):
    made = house.submit("alice", 0.2)
    house.grade()
    before = my_standing(house.host, house.hosted, house.users["alice"]).score
    spec = house.hosted.folder / "competition.toml"
    spec.write_text(spec.read_text().replace('metric = "dice"', 'metric = "iou"'))
    olga = house.user("olga", organiser=True)
    with pytest.raises(Forbidden):
        subs.rescore(house.host, house.hosted, house.users["alice"])
    assert subs.rescore(house.host, house.hosted, olga) == 1
    assert my_standing(house.host, house.hosted, house.users["alice"]).score == before
    house.grade()
    after = my_standing(house.host, house.hosted, house.users["alice"]).score
    assert after < before
    assert [(g["metric"], g["public"]) for g in subs.history(house.host, made.id, olga)] == [
        ("dice", before),
        ("iou", after),
    ]


def test_a_corrected_label_is_taken_up_and_put_on_the_disk_anew(house):
    made = house.submit("alice", 0.0)
    house.grade()
    olga, folder = house.user("olga", organiser=True), house.hosted.folder
    before = subs.submission(house.host, made.id, olga).public
    truth = house.truth | {house.ids[1]: ~house.truth[house.ids[1]]}  # of the public part
    write_solution(
        folder / "solution.csv", house.fmt, ids=house.ids, shapes=[house.shape] * len(house.ids), usage=house.usage,
        truth=[(rle.runs_of(truth[id]),) for id in house.ids],
    )  # fmt: skip
    assert open_runs(folder / "truth", folder / "solution.csv") is None
    subs.rescore(house.host, house.hosted)
    house.grade()
    after = subs.submission(house.host, made.id, olga).public
    assert (before, after) == (1.0, 1 - 1 / house.usage.count("Public"))
    assert open_runs(folder / "truth", folder / "solution.csv") is not None


@pytest.mark.parametrize("end", ["2031-06-30", "2031-06-30T10:00:00", "tomorrow", "30.6.2031"])
def test_a_date_without_its_zone_is_told_how_it_is_written(house, end):
    with pytest.raises(ConfigError) as told:
        house.rules(end=end)
    assert told.value.found == f"'end' is '{end}'"
    assert told.value.expected == "a time with its zone, for instance 2031-06-30T23:59:00Z"


def test_gains_whose_mean_is_no_number_are_refused(house):
    house.submit("alice")
    for gain in (1e308, -1e10, float("inf"), float("nan")):
        with pytest.raises(Refusal, match="the gain is"):
            publish(house.host, house.hosted, house.users["alice"], what="x", verdict="YES", gain=gain)


def test_the_quota_tells_of_what_is_not_graded_yet(house):
    house.rules(daily_limit=2)
    house.submit("alice")
    house.grade()
    house.submit("alice", seed=1)
    with pytest.raises(Refusal, match=r"\(UTC\), 1 of which not yet graded: what fails does not count"):
        house.submit("alice", seed=2)
    house.grade()
    with pytest.raises(Refusal, match=r"2 of 2 submissions on 2031-05-01 \(UTC\)\n"):
        house.submit("alice", seed=2)
    house.rules(failed_count=True, daily_limit=3)
    house.submit("alice", seed=2)
    with pytest.raises(Refusal) as told:
        house.submit("alice", seed=3)
    assert "not yet graded" not in str(told.value)


def test_shared_attempts_are_pooled_by_kind_of_change(house):
    house.submit("alice")
    house.submit("bob", seed=1)
    alice, bob = house.users["alice"], house.users["bob"]
    publish(
        house.host,
        house.hosted,
        alice,
        what="focal loss",
        why="small objects",
        change="loss",
        verdict="NO",
        gain=-0.002,
    )
    publish(
        house.host,
        house.hosted,
        bob,
        what="lovasz",
        change="loss",
        verdict="YES",
        gain=0.004,
        link="https://arxiv.org/abs/1705.08790",
    )
    mine = publish(house.host, house.hosted, bob, what="hflip", change="tta", verdict="UNSURE")
    assert [(p.change, p.yes, p.no, p.unsure, p.teams, p.mean_gain) for p in pooled(house.host, house.hosted)] == [
        ("loss", 1, 1, 0, 2, pytest.approx(0.001)), ("tta", 0, 0, 1, 1, None),
    ]  # fmt: skip
    for wrong in ({"verdict": "PERHAPS"}, {"change": "luck"}, {"link": "javascript:alert(1)"}, {"what": " "}):
        with pytest.raises(Refusal):
            publish(house.host, house.hosted, bob, **{"what": "x", "verdict": "YES"} | wrong)
    with pytest.raises(Forbidden):
        withdraw(house.host, house.hosted, alice, mine.id)
    withdraw(house.host, house.hosted, bob, mine.id)
    assert [s.what for s in shares(house.host, house.hosted, alice)] == ["lovasz", "focal loss"]


def test_entering_ends_with_its_deadline(house):
    house.rules(entry_deadline="2031-05-02T00:00:00Z")
    enter(house.host, house.hosted, house.user("alice"))
    house.clock.forward(days=2)
    house.submit("alice")
    with pytest.raises(Forbidden, match="takes no new entrants"):
        house.submit("bob")


def test_rules_that_do_not_go_together_are_refused_and_change_nothing(house):
    with pytest.raises(ConfigError):
        house.rules(end="2031-01-01T00:00:00Z")
    with pytest.raises(ConfigError, match="daily_limit"):
        house.rules(dayly_limit=3)
    assert house.hosted.rules.daily_limit == 5
