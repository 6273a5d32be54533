"""What a climb proposes to submit, where the truth is known: the champion, or what is likelier to be better still."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from climbing import NAMES, begun, climbed, killed_at_each_training, part_of, told

from podium.climb.guards import Place
from podium.climb.moves import State
from podium.climb.report import Report
from podium.climb.simulate import ANYWHERE, Simulated
from podium.errors import ModelError

K = 5
TRAINED = tuple(name for name in NAMES if name != "tta")


def state_of(*attempts, left_out=()):
    """(name, parent, verdict, gain) of what was made to attempt 0, or to another."""
    made = [SimpleNamespace(id=0, name="baseline", parent=None, verdict=None)]
    for id, (name, parent, verdict, gain, *rest) in enumerate(attempts, 1):
        judged = SimpleNamespace(verdict=verdict, gain=gain, final=not rest)
        made.append(SimpleNamespace(id=id, name=name, parent=parent, verdict=judged))
    place: Place = ANYWHERE
    return State(part_of(), place, made[0], made, left_out=left_out)


def test_the_likeliest_are_the_champions_changes_that_may_have_gained():
    state = state_of(
        ("vflip", 0, "NO", 0.2),
        ("elastic", 0, "UNSURE", 0.3),
        ("holes", 0, "NO", -0.1),  # it lost
        ("lovasz", 0, "YES", 0.9),  # accepted in a branch that is no longer the champion's
        ("ema", 1, "NO", 0.8),  # made to another attempt
        ("clip", 0, "UNSURE", 0.7, "under way"),
        ("my-own", 0, "NO", 0.6),  # not of the catalogue
        ("vflip--elastic", 0, "NO", 0.25),
        ("longer", 0, "NO", 0.5),  # failed when it went on
        left_out={"longer"},
    )
    assert [a.name for a in state.likeliest] == ["elastic", "vflip--elastic", "vflip"]


def small(seed):
    """Changes whose gains are too small to be sure of."""
    rng = np.random.default_rng(seed)
    return {name: float(rng.normal(0.5, 1.0)) for name in TRAINED}


def test_where_nothing_is_sure_the_likeliest_is_trained_on_every_fold_and_checked(tmp_path):
    proposed, trained_more = 0, 0
    for seed in range(8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        ledger, climb = climbed(small(seed), folder, seed, fold_runs=45)
        j = climb.journal
        assert climb.spent() <= 45
        if j.proposed == ledger.best:
            continue
        proposed += 1
        likeliest = ledger.tried[j.proposed]
        assert {what.fold for what in ledger.runs[j.proposed]} == set(range(K))
        assert likeliest.parent == ledger.best
        assert likeliest.verdict.verdict != "YES"
        assert likeliest.verdict.folds == K, "judged again with all of its folds"
        others = [a for a in climb.state().likeliest if a.id != likeliest.id and not ledger.missing(a.id)]
        assert all(a.verdict.gain <= likeliest.verdict.gain for a in others)
        fresh = {id for id, runs in ledger.runs.items() if any(what.seed >= 1000 for what in runs)}
        assert fresh == {0, j.proposed}, "the check is of what is proposed"
        trained_more += likeliest.name in j.retried
    assert proposed >= 3
    assert trained_more >= 1


def test_with_folds_missing_and_no_budget_left_it_is_not_proposed(tmp_path):
    ledger, climb = climbed(dict.fromkeys(NAMES, -9.0), tmp_path, fold_runs=30)
    assert climb.journal.proposed == ledger.best == 0
    assert climb.journal.claim is None


@pytest.mark.parametrize("seed", range(4))
def test_killed_while_it_trains_what_it_proposes_it_ends_the_same(tmp_path, seed):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, climb = climbed(small(seed), tmp_path / "whole", seed, fold_runs=45)

    killed, journal, _ = killed_at_each_training(small(seed), tmp_path / "killed", seed, fold_runs=45)
    assert told(killed) == told(whole)
    assert (journal.proposed, journal.claim) == (climb.journal.proposed, climb.journal.claim)


def test_what_fails_on_the_way_is_not_proposed(tmp_path):
    class Failing(Simulated):
        def complete(self, id):
            raise ModelError("out of memory")

    seed = next(s for s in range(8) if completes(tmp_path / f"whole{s}", s))
    (tmp_path / "failing").mkdir()
    ledger = Failing(part_of(), small(seed), seed)
    climb = begun(ledger, tmp_path / "failing", seed=seed, fold_runs=45)
    climb.run()
    assert climb.journal.done
    assert "out of memory" in climb.journal.left_out.values()
    assert climb.journal.proposed is not None
    assert ledger.tried[climb.journal.proposed].name not in climb.journal.left_out


def completes(folder, seed):
    """Whether this climb trains the missing folds of what it proposes."""
    folder.mkdir()
    ledger, climb = climbed(small(seed), folder, seed, fold_runs=45)
    return ledger.tried[climb.journal.proposed].name in climb.journal.retried


def test_the_report_says_what_to_submit_and_that_no_verdict_says_so(tmp_path):
    for seed in range(8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        ledger, climb = climbed(small(seed), folder, seed, fold_runs=45)
        if climb.journal.proposed not in (ledger.best, 0) and ledger.best == 0:
            break
    report = Report.of(climb, "dice")
    told_, likeliest = "\n".join(report.told()), ledger.tried[climb.journal.proposed]
    assert "no change was accepted: what stood before stands" in told_
    assert f"to submit: {likeliest.id} {likeliest.name}; no YES, but likeliest to help (+" in told_
    assert "both trained anew" in told_
    assert f"{likeliest.name} " in told_.split("both trained anew")[1]
    assert report.tree()["proposed"] == {"id": likeliest.id, "name": likeliest.name, "gain": likeliest.verdict.gain}
    assert report.promised == likeliest.verdict.gain


def test_what_only_predicts_in_another_way_is_checked_without_trainings_of_its_own(tmp_path):
    """As in a workspace, where it predicts with the baseline's new trainings."""
    ledger, climb = climbed(dict.fromkeys(TRAINED, -9.0) | {"tta": 0.6}, tmp_path, fold_runs=30)
    assert ledger.tried[climb.journal.proposed].name == "tta"
    assert climb.journal.claim.folds > 0
    ledger.trained[climb.journal.proposed] = 0
    report = Report.of(climb, "dice")
    assert {row.name: row.fold_runs for row in report.rows}["tta"] == 0
    assert min(kind["runs"] for kind in report.by_kind()) >= 0


@pytest.mark.slow
def test_what_is_proposed_is_truly_better_than_the_champion_in_the_mean(tmp_path):
    gains = []
    for seed in range(60):
        folder = tmp_path / str(seed)
        folder.mkdir()
        ledger, climb = climbed(small(seed), folder, seed, fold_runs=45)
        gains.append(ledger.tried[climb.journal.proposed].height - ledger.champion().height)
    gains = np.array(gains)
    assert (gains != 0).sum() >= 20
    assert gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(len(gains))
