"""Pseudo-labels: sure predictions alone, and never what knows the validation fold."""

from __future__ import annotations

import numpy as np
import pytest

from podium.errors import DataError
from podium.training.pseudo import PseudoConfig, choose, confidence, pseudo_sample, without_validation

PROBS = np.array([[0, 255, 128, 26]], np.uint8)


def test_confidence() -> None:
    assert confidence(np.array([[0, 255]], np.uint8)) == 1
    assert confidence(PROBS) == pytest.approx((1 + 1 + 128 / 255 + 229 / 255) / 4)


def test_the_surest_come_first_and_not_too_many() -> None:
    sureness = {"a": 0.95, "b": 0.99, "c": 0.5, "d": 0.9, "e": 0.95}
    assert choose(sureness, 10, PseudoConfig()) == ["b", "a", "e", "d"]
    assert choose(sureness, 10, PseudoConfig(most=0.2)) == ["b", "a"]
    assert choose(sureness, 10, PseudoConfig(confidence=1.0)) == []


def test_hard_and_soft_targets() -> None:
    hard = pseudo_sample("x", PROBS, PseudoConfig(sure=0.3))
    assert hard.target.tolist() == [[0, 255, 255, 0]]
    assert hard.counts.tolist() == [[True, True, False, True]]
    soft = pseudo_sample("x", PROBS, PseudoConfig(soft=True))
    assert soft.target.tolist() == PROBS.tolist()
    assert soft.counts.all()


def test_nothing_that_knows_the_validation_fold() -> None:
    ids = ["held", "sibling", "of_all", "of_own", "other"]
    trained_on = {"of_all": {0, 1, 2}, "of_own": {1, 2}}
    group = {"held": "car1", "sibling": "car1"}
    assert without_validation(ids, trained_on, group, {"held"}, 0) == ["of_own", "other"]
    assert without_validation([], {}, {}, {"held"}, 0) == []
    with pytest.raises(DataError, match=r"none of 1 pseudo-labels may be used for fold 0(.|\n)*this fold alone"):
        without_validation(["of_all"], trained_on, {}, {"held"}, 0)
