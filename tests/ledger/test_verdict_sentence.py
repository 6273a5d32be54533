"""The line that a user reads."""

import pytest

from podium.ledger.decimals import digits, two_digits
from podium.ledger.verdict import CAREFUL, RULE, Verdict
from podium.ledger.verdict.decide import Decision, FoldSeed
from podium.ledger.verdict.sentence import in_words, sentence

NAN = float("nan")


def made(verdict, reason, gain, **given):
    values = {
        "next": None,
        "remaining": (),
        "se": 0.0004,
        "noise_floor": 0.0004,
        "shrunk": 0.0008,
        "worth": 0.0006,
        "evidence": 14.2,
        "folds": 1,
        "fold_runs": given.get("folds", 1),
        "all_folds": 5,
        "greater_is_better": True,
    }
    return Decision(verdict=verdict, reason=reason, gain=gain, **(values | given))


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (
            made("YES", "better", 0.00108, folds=3, remaining=(4, 1)),
            "YES after 3 folds: +0.0011 (shrunk +0.0008), 2.7 noise floors, evidence 14:1. "
            "Next: folds 1 and 4, then champion.",
        ),
        (
            made("YES", "better", 0.00108, folds=5, fold_runs=7, evidence=1e30),
            "YES after 5 folds (7 fold runs): +0.0011 (shrunk +0.0008), 2.7 noise floors, evidence over 1000:1. "
            "Every fold is trained.",
        ),
        (
            made("NO", "too small to matter", -0.0002),
            "NO after 1 fold: -0.0002; a gain worth having (0.0006 or more) is unlikely.",
        ),
        (
            made("NO", "too small to matter", -0.00002),
            "NO after 1 fold: -0.00002; a gain worth having (0.0006 or more) is unlikely.",
        ),
        (
            made("NO", "too small to matter", -0.000002),
            "NO after 1 fold: 0.00000; a gain worth having (0.0006 or more) is unlikely.",
        ),
        (made("NO", "worse", -0.0102), "NO after 1 fold: -0.0102; it is worse."),
        (
            made("NO", "could be luck", 0.0001, folds=5),
            "NO after 5 folds: +0.0001 ± 0.0004; every fold is trained and this could be luck.",
        ),
        (
            made("UNSURE", "too close to call", 0.0005, folds=2, next=FoldSeed(3, 0)),
            "UNSURE after 2 folds: +0.0005 ± 0.0004. Next: fold 3.",
        ),
        (
            made("UNSURE", "too close to call", 0.0005, folds=5, next=FoldSeed(3, 1), greater_is_better=False),
            "UNSURE after 5 folds: +0.0005 ± 0.0004 (lower is better; + is a gain). Next: fold 3 again, with seed 1.",
        ),
        (
            made("UNSURE", "too close to call", 0.0005, folds=5, fold_runs=10),
            "UNSURE after 5 folds (10 fold runs): +0.0005 ± 0.0004. "
            "Nothing is left to train and it is too close to call: the parent stays.",
        ),
        (
            made("UNSURE", "noise floor unknown", 0.5, se=NAN, noise_floor=NAN, shrunk=NAN, next=FoldSeed(2, 0)),
            "UNSURE after 1 fold: +0.50; the noise floor is unknown: how far the score moves when nothing but the seed "
            "changes has not been measured yet. Next: fold 2.",
        ),
        (made("UNSURE", "no fold", NAN, folds=0, next=FoldSeed(2, 0)), "UNSURE: nothing to compare yet. Next: fold 2."),
    ],
)
def test_what_the_user_reads(decision, text):
    assert sentence(decision) == text


@pytest.mark.parametrize(
    ("floor", "gain", "decimals"),
    [(0.0004, 1, 4), (0.00012, 1, 5), (1.2, 1, 1), (3, 1, 0), (250, 1, 0), (0, 0.5, 2), (0, 0, 4), (NAN, NAN, 4)],
)
def test_as_many_digits_as_the_noise_floor_bears(floor, gain, decimals):
    assert digits(floor, gain) == decimals


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (
            made("YES", "better", 0.00108, folds=3),
            "in words: the scores are 14 times as likely if it helps as if it does nothing; a new seed alone moves a "
            "fold by about 0.00040 (the noise floor); expect +0.0008: part of the gain it was picked for is luck",
        ),
        (
            made("YES", "better", 0.00108, folds=3, evidence=1e9, shared=True),
            "in words: the scores are over 1000 times as likely if it helps as if it does nothing; training anew moves "
            "this gain by about 0.00040 (the noise floor); expect +0.0008: part of the gain it was picked for is luck",
        ),
        (
            made("UNSURE", "too close to call", 0.0005, evidence=2.13),
            "in words: the scores are 2.1 times as likely if it helps as if it does nothing; 10 times is a YES",
        ),
        (
            made("NO", "too small to matter", -0.0002),
            "in words: a new seed alone moves a fold by about 0.00040 (the noise floor); "
            "a gain worth having is 1.5 times that",
        ),
        (
            made("NO", "too small to matter", 0.0002),
            "in words: a new seed alone moves a fold by about 0.00040 (the noise floor); "
            "a gain worth having is 1.5 times that; it may help, but probably by less",
        ),
        (made("NO", "worse", -0.0102), ""),
        (made("UNSURE", "noise floor unknown", 0.001, se=NAN, noise_floor=NAN), ""),
    ],
)
def test_the_numbers_in_words(decision, text):
    assert in_words(decision, 10, 1.5) == text


def test_too_few_trainings_of_a_prediction():
    d = made("UNSURE", "too few trainings", 0.0005, se=NAN, noise_floor=NAN, shared=True)
    assert sentence(d).endswith("; so few trainings do not tell how far such a gain differs from one to the next.")


@pytest.mark.parametrize("rule", [RULE, CAREFUL])
def test_a_kept_verdict_says_the_same_in_words(rule):
    for d in (
        made("YES", "better", 0.00108, folds=3, evidence=14.2),
        made("YES", "better", 0.00108, folds=3, evidence=1e9, shared=True),
        made("UNSURE", "too close to call", 0.0005, evidence=2.13),
        made("NO", "too small to matter", 0.0002),
        made("NO", "worse", -0.0102),
        made("UNSURE", "noise floor unknown", 0.001, se=NAN, noise_floor=NAN),
    ):
        kept = Verdict.of(d).with_overrides({"shared": d.shared})
        assert kept.in_words(rule) == in_words(d, 10, 1.5)
    assert Verdict.incomparable(1, "no value").in_words(rule) == ""


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0131, "0.013"), (0.24999, "0.25"), (0.000404, "0.00040"), (3.26, "3.3"), (41.7, "42"), (0, "0")],
)
def test_two_digits_that_count(value, told):
    assert two_digits(value) == told
