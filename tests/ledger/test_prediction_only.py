"""Attempts that only predict in another way, in a world where their gain differs from training to training."""

import numpy as np
import pytest

from podium.ledger.verdict import RULE, Run, compare, decide
from podium.ledger.verdict.formulas import YES, outcome, summary

ATTEMPTS = 400


def attempt(rng, folds, seeds, groups, differs, gain=0.0, heavy=False):
    """(its runs, its parent's): a gain a training, the groups' own about it (sd 1), and what is left (sd 0.5)."""
    sides = ([], [])
    for fold in range(folds):
        of_group = rng.normal(gain, 1, groups)
        for seed in range(seeds):
            moved = rng.standard_t(3) / np.sqrt(3) if heavy else rng.normal()
            before = rng.normal(0, 2, groups)
            after = before + of_group + differs * moved + rng.normal(0, 0.5, groups)
            for side, values in zip(sides, (after, before), strict=True):
                side.append(Run(fold, seed, np.arange(groups), values))
    return sides


def share_of_yes(folds, seeds, groups, differs, gain=0.0, heavy=False):
    """(by the rule; had the differences between trainings been left out of the error)."""
    rng, found, blind = np.random.default_rng((folds, seeds, groups)), 0, 0
    for _ in range(ATTEMPTS):
        c = compare(*attempt(rng, folds, seeds, groups, differs, gain, heavy), shared_training=True)
        found += decide(c, range(folds)).verdict == "YES"
        old = summary(c.gains, c.variances, c.weights, 0.0, np.inf)
        blind += int(outcome(*old, True, RULE)[0]) == YES
    return found / ATTEMPTS, blind / ATTEMPTS


@pytest.mark.slow
@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "t3"])
@pytest.mark.parametrize(("folds", "seeds", "groups"), [(3, 1, 16), (5, 2, 64)])
def test_a_gain_that_is_luck_of_the_trainings_is_seldom_a_yes(folds, seeds, groups, heavy):
    for differs in (0.2, 1.0):
        yes, blind = share_of_yes(folds, seeds, groups, differs, heavy=heavy)
        assert yes <= 0.05
    assert blind > 0.12, "the error without the differences between trainings is too small"


@pytest.mark.slow
def test_gains_of_every_training_are_found():
    assert share_of_yes(5, 2, 16, 0.2, gain=0.6)[0] >= 0.85
    assert share_of_yes(5, 1, 16, 0.2, gain=0.8)[0] >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "found", "blindly"), [(2, 0.59, 0.78), (1, 0.38, 0.72)])
def test_the_price_is_what_the_page_says(seeds, found, blindly):
    assert share_of_yes(5, seeds, 16, 0.2, gain=0.4) == pytest.approx((found, blindly), abs=0.07)


def test_two_folds_trained_once_are_too_few():
    rng = np.random.default_rng(0)
    c = compare(*attempt(rng, 2, 1, 16, 0.0, gain=9.0), shared_training=True)
    assert decide(c, range(2)).reason == "too few trainings"
    assert decide(compare(*attempt(rng, 2, 2, 16, 0.0, gain=9.0), shared_training=True), range(2)).verdict == "YES"
