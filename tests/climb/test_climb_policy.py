"""What is chosen next: the same for the same seed, after what has helped, and where it costs little."""

from __future__ import annotations

import numpy as np
import pytest

from podium.climb.catalog import load_catalog
from podium.climb.policy import NEAR, Option, Outcome, chance, choose, near_misses, updated

CATALOG = load_catalog()
PRIOR = {name: (kind.yes, kind.no) for name, kind in CATALOG.kinds.items()}


def shares(options, rates, n=2000):
    """How often each is chosen."""
    chosen = [choose(options, rates, np.random.default_rng(seed)).name for seed in range(n)]
    return {option.name: chosen.count(option.name) / n for option in options}


def test_the_same_seed_chooses_the_same():
    options = [Option(f"o{i}", kind) for i, kind in enumerate(PRIOR)]
    chosen = {choose(options, PRIOR, np.random.default_rng(7)).name for _ in range(5)}
    assert len(chosen) == 1
    assert len({choose(options, PRIOR, np.random.default_rng(s)).name for s in range(40)}) > 3


def test_verdicts_move_the_rates():
    rates = updated({"a": (1.0, 3.0), "b": (1.0, 3.0)}, [("a", "YES"), ("a", "NO"), ("b", "UNSURE")])
    assert rates == {"a": (2.0, 4.0), "b": (1.0, 3.5)}


def test_the_kind_that_has_helped_comes_first_and_the_other_still_has_a_chance():
    found = shares([Option("a", "often"), Option("b", "seldom")], {"often": (4, 4), "seldom": (2, 6)})
    assert 0.75 < found["a"] < 0.98


def test_of_equals_chance_decides():
    found = shares([Option(name, "same") for name in "abc"], {"same": (2, 4)})
    assert all(0.28 < share < 0.39 for share in found.values())


def test_what_costs_less_comes_first():
    found = shares([Option("cheap", "k", cost=0.1), Option("dear", "k", cost=4.0)], {"k": (2, 4)}, 200)
    assert found["cheap"] == 1


def test_a_changes_own_record_elsewhere_counts():
    plain, tried = Option("a", "k"), Option("b", "k", yes=0, no=4)
    assert chance(plain, 0.4) == pytest.approx(0.4)
    assert chance(tried, 0.4) == pytest.approx(0.2)
    assert shares([plain, tried], {"k": (2, 4)}, 200)["a"] == 1


def outcome(name, verdict, gain, changes=None):
    return Outcome(name, "k", changes or (name,), verdict, gain)


def test_near_misses_are_what_may_have_gained_the_best_first():
    outcomes = [
        outcome("worse", "NO", -1.0),
        outcome("tiny", "NO", NEAR / 2),
        outcome("near", "NO", 0.4),
        outcome("nearer", "UNSURE", 0.9),
        outcome("unknown", "UNSURE", float("nan")),
        outcome("elsewhere", "YES", 1.2),
        outcome("champion", "YES", 2.0),
        outcome("a--b", "NO", 0.9, ("a", "b")),
    ]
    assert [o.name for o in near_misses(outcomes, {"champion"})] == ["elsewhere", "nearer", "near"]


def test_a_near_miss_that_was_tried_again_counts_as_it_ended():
    outcomes = [outcome("near", "NO", 0.5), outcome("careful--near", "NO", -0.3, ("near",))]
    assert near_misses(outcomes, set()) == []


def place_of_good_ones(rng, uniform):
    """Mean place, from 0 to 1, of the changes that help, where kinds differ as the prior says."""
    rates_of_kinds = {kind: rng.beta(yes, no) for kind, (yes, no) in PRIOR.items()}
    good = {name: rng.random() < rates_of_kinds[c.kind] for name, c in CATALOG.changes.items()}
    options, outcomes, places = [Option(n, c.kind) for n, c in CATALOG.changes.items()], [], []
    while options:
        rates = updated(PRIOR, outcomes)
        chosen = options[rng.integers(len(options))] if uniform else choose(options, rates, rng)
        options.remove(chosen)
        places += [len(outcomes)] * good[chosen.name]
        outcomes.append((chosen.kind, "YES" if good[chosen.name] else "NO"))
    return np.mean(places) / len(outcomes) if places else 0.5


def test_what_helps_is_found_earlier_than_in_any_order():
    rng = np.random.default_rng(0)
    ours, uniform = (np.mean([place_of_good_ones(rng, u) for _ in range(150)]) for u in (False, True))
    assert uniform == pytest.approx(0.49, abs=0.03)
    assert ours < uniform - 0.04
