"""The climb in a world where the truth is known: what it costs, what it keeps, what it claims, and that it goes on."""

from __future__ import annotations

import numpy as np
import pytest
from climbing import NAMES, begun, climbed, killed_at_each_training, part_of, told

from podium.climb.catalog import Catalog, load_catalog
from podium.climb.journal import Journal
from podium.climb.moves import changes_of, kind_of
from podium.climb.report import Report
from podium.climb.simulate import Simulated, drawn_effects
from podium.errors import ModelError, StorageError
from podium.ledger.verdict import CAREFUL, RULE

K = 5


def mixed(seed):
    return drawn_effects(part_of(), np.random.default_rng(seed))


@pytest.mark.parametrize("budget", [1, 6, 7, 12, 19, 40, 90])
def test_the_budget_is_never_exceeded_and_the_last_check_is_within_it(tmp_path, budget):
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        _, climb = climbed(mixed(seed) | {"clip": 4.0}, folder, seed, fold_runs=budget)
        assert climb.spent() <= budget
        assert climb.journal.done
        assert climb.journal.proposed is not None
        assert (climb.journal.claim is not None) == (climb.journal.proposed != 0)


def test_too_small_a_budget_trains_nothing_but_what_costs_nothing(tmp_path):
    ledger, climb = climbed({"tta": 3.0}, tmp_path, fold_runs=6)
    assert [a.name for a in ledger.tried] == ["baseline", "tta"]
    assert climb.spent() == 6  # the check of three folds on both sides
    assert climb.journal.claim.folds == 3


def test_what_is_accepted_stays_and_the_next_is_made_to_it(tmp_path):
    good = dict.fromkeys(("vflip", "ema", "smaller-batch"), 4.0)
    ledger, climb = climbed(dict.fromkeys(NAMES, -3.0) | good, tmp_path, fold_runs=120)
    accepted = [a for a in ledger.tried if a.verdict and a.verdict.verdict == "YES"]
    assert {a.name for a in accepted} == set(good)
    assert [a.parent for a in accepted] == [0, *(a.id for a in accepted[:-1])]
    recipe = ledger.champion().recipe
    assert (recipe.augment.vflip, recipe.train.ema, recipe.train.batch_size) == (
        0.5,
        0.99,
        ledger.recipe.train.batch_size // 2,
    )
    assert all(len(ledger.runs[a.id]) >= K for a in accepted)
    assert climb.state().accepted == set(good)


def test_what_comes_after_another_waits_for_its_yes(tmp_path):
    effects = dict.fromkeys(NAMES, -3.0)
    ledger, _ = climbed(effects, tmp_path, fold_runs=120)
    assert "longer-still" not in {a.name for a in ledger.tried}
    (tmp_path / "b").mkdir()
    ledger, _ = climbed(effects | {"longer": 4.0, "longer-still": 4.0}, tmp_path / "b", fold_runs=120)
    names = [a.name for a in ledger.tried]
    assert names.index("longer") < names.index("longer-still")
    assert ledger.champion().recipe.train.epochs == 4 * ledger.recipe.train.epochs


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_killed_at_every_training_it_ends_as_if_it_never_was(tmp_path, seed):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, climb = climbed(mixed(seed), tmp_path / "whole", seed, fold_runs=45)

    killed, journal, kills = killed_at_each_training(mixed(seed), tmp_path / "killed", seed, fold_runs=45)
    assert kills >= 15
    assert told(killed) == told(whole)
    assert killed.best == whole.best
    assert journal.claim == climb.journal.claim


def test_killed_before_the_attempt_is_written_the_same_is_chosen(tmp_path):
    ledger = Simulated(part_of(), {})
    climb = begun(ledger, tmp_path, fold_runs=60)
    chosen = climb.next().option.name
    climb._note(now=chosen)
    assert begun(ledger, tmp_path).next().option.name == chosen


@pytest.mark.slow
def test_a_near_miss_goes_on_in_careful_mode(tmp_path):
    effects = dict.fromkeys(NAMES, -4.0) | {"clip": 1.3, "ema": 1.3}
    retried = 0
    for seed in range(6):
        (tmp_path / str(seed)).mkdir()
        ledger, climb = climbed(effects, tmp_path / str(seed), seed, fold_runs=150)
        for name in climb.journal.retried:
            attempt = next(a for a in ledger.tried if a.name == name)
            assert attempt.careful
            assert set(changes_of(name, ledger.catalog)) <= {"clip", "ema"}
            assert kind_of(name, ledger.catalog, climb.journal.retried) == "careful"
            retried += 1
    assert retried >= 3
    assert CAREFUL.beta < RULE.beta


def test_a_near_miss_is_made_to_the_new_champion_in_careful_mode(tmp_path):
    found = set()
    for seed in range(3):
        (tmp_path / str(seed)).mkdir()
        effects = dict.fromkeys(NAMES, -4.0) | {"clip": 0.8, "ema": 0.8, "vflip": 4.0}
        ledger, _ = climbed(effects, tmp_path / str(seed), seed, fold_runs=150)
        for attempt in ledger.tried:
            if attempt.name.startswith("careful--"):
                found.add(attempt.name)
                assert attempt.careful
                assert attempt.parent != 0
    assert found


def test_near_misses_are_made_together_and_keep_what_each_sets(tmp_path):
    small = dict.fromkeys(("vflip", "ema", "clip"), 1.3)
    together = []
    for seed in range(5):
        (tmp_path / str(seed)).mkdir()
        ledger, _ = climbed(dict.fromkeys(NAMES, -4.0) | small, tmp_path / str(seed), seed, fold_runs=120)
        together += [a for a in ledger.tried if len(changes_of(a.name, ledger.catalog)) > 1]
    assert len(together) >= 3
    assert all(set(a.name.split("--")) <= set(small) for a in together)
    for attempt in together:
        keys = {key for name in attempt.name.split("--") for key in ledger.catalog.changes[name].set}
        assert {setting.partition("=")[0] for setting in attempt.settings} == keys
    assert any(a.verdict.verdict == "YES" for a in together)


@pytest.mark.slow
def test_the_kind_that_helps_here_is_tried_more_and_more(tmp_path):
    kinds = {"left": {"says": "these", "yes": 1.0, "no": 2.0}, "right": {"says": "those", "yes": 1.0, "no": 2.0}}
    ours, names = load_catalog(), [n for n in NAMES if n not in ("tta", "longer-still")]
    changes = {n: ours.changes[n].tree() | {"kind": ("left", "right")[i % 2]} for i, n in enumerate(names)}
    retries = {kind: ours.kinds[kind].tree() for kind in ("combine", "careful")}
    catalog = Catalog.from_tree({"kinds": kinds | retries, "changes": changes})
    effects = {n: 4.0 if change["kind"] == "left" else -4.0 for n, change in changes.items()}
    first = []
    for seed in range(8):
        (tmp_path / str(seed)).mkdir()
        ledger, _ = climbed(effects, tmp_path / str(seed), seed, catalog, fold_runs=45)
        first += [changes[a.name]["kind"] for a in ledger.tried[1:7]]
    assert first.count("left") > 0.65 * len(first)


def test_verdicts_of_other_ledgers_say_where_to_begin(tmp_path):
    ledger, first = Simulated(part_of(), {}), {True: 0, False: 0}
    for taught in first:
        for seed in range(40):
            folder = tmp_path / f"{taught}{seed}"
            folder.mkdir()
            climb = begun(ledger, folder, seed=seed, fold_runs=60)
            climb.learnt = (("lovasz", "YES"), ("lovasz", "YES"), ("lovasz", "YES"), ("tta", "NO")) * taught * 3
            first[taught] += climb.next().option.name == "lovasz"
    assert first[True] > first[False] + 5


def test_what_fails_is_left_out_and_the_climb_goes_on(tmp_path):
    catalog = part_of()
    ledger = Simulated(catalog, {}, refuses={"ema": ModelError("out of memory")})
    climb = begun(ledger, tmp_path, fold_runs=100)
    climb.run()
    assert climb.journal.left_out == {"ema": "out of memory"}
    assert "ema" not in {a.name for a in ledger.tried}
    assert len(ledger.tried) > 10
    assert Report.of(climb, "dice").guarded["ema"] == "out of memory"


def test_a_full_disk_ends_it_and_it_goes_on_later(tmp_path):
    ledger = Simulated(part_of(), {}, refuses={n: StorageError("no space left") for n in NAMES})
    with pytest.raises(StorageError):
        begun(ledger, tmp_path, fold_runs=60).run()
    assert not Journal.find(tmp_path).done
    ledger.refuses = {}
    begun(ledger, tmp_path).run()
    assert Journal.find(tmp_path).done


def test_hours_are_spent_as_fold_runs_of_the_champion_last_and_no_further(tmp_path):
    ledger = Simulated(part_of(), mixed(1) | {"vflip": 4.0}, 1)
    before, start = ledger.fold_runs(), 1000.0
    climb = begun(ledger, tmp_path, hours=1.0)
    climb.clock = lambda: start + 60.0 * (ledger.fold_runs() - before)
    climb._since = start
    climb.run()
    assert climb.journal.done
    assert 3000 < climb.journal.seconds <= 3600
    assert climb.journal.claim is not None


def test_the_report_says_what_was_gained_and_at_what_cost(tmp_path):
    ledger, climb = climbed(dict.fromkeys(NAMES, -3.0) | {"vflip": 5.0}, tmp_path, fold_runs=60)
    report = Report.of(climb, "dice")
    lines = "\n".join(report.told())
    claim = climb.journal.claim
    assert claim.low < 5.0 < claim.high
    assert "vflip" in lines
    assert f"both trained anew with other seeds, on {claim.folds} folds" in lines
    assert report.spent == climb.spent()
    trained = {id: n for id, n in ledger.trained.items() if id}
    assert report.saved == sum(K - n for n in trained.values()) + claim.folds
    assert {row.name for row in report.rows} == {a.name for a in ledger.tried[1:]}
    page = report.markdown()
    assert "| augmentation |" in page
    assert "longer-still: it comes after a YES for 'longer'" in page


def test_where_nothing_helped_it_says_so(tmp_path):
    ledger, climb = climbed(dict.fromkeys(NAMES, -5.0), tmp_path, fold_runs=40)
    assert ledger.best == 0
    assert "no change was accepted: what stood before stands" in Report.of(climb, "dice").told()


@pytest.mark.slow
def test_the_claims_interval_holds_the_truth_as_often_as_it_says(tmp_path):
    inside = []
    for seed in range(60):
        folder = tmp_path / str(seed)
        folder.mkdir()
        ledger, climb = climbed(mixed(seed) | {"clip": 3.0}, folder, seed, fold_runs=60)
        if claim := climb.journal.claim:
            inside.append(claim.low <= ledger.tried[climb.journal.proposed].height <= claim.high)
    assert len(inside) >= 40
    assert 0.78 <= np.mean(inside) <= 1.0
