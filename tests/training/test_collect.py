"""Fold runs for `podium verdict --collect`: the scores come back, nothing else stays."""

import numpy as np
import pytest

from podium.errors import ConfigError
from podium.metrics import get_metric
from podium.training.collect import scores_only
from podium.training.fold_run import FoldData

SMALL = ["train.epochs=1", "model.width=0.125", "model.depth=2", "input.size=[16,16]"]


@pytest.fixture
def small(workspace):
    recipe = workspace.recipe("smoke").with_overrides(SMALL)
    p = workspace.prepare(recipe)
    return FoldData(workspace.competition, p.stores, p.folds, workspace.metric, p.samples, p.opened), recipe


def test_scores_and_groups_of_a_fold_in_order_of_ids(small, tmp_path):
    data, recipe = small
    train = scores_only(data, tmp_path / "kept")
    scores, groups = train(recipe, 1, 7)
    again, other = train(recipe, 1, 7), train(recipe, 1, 8)
    ids = sorted(data.folds.validation(1))
    names = [data.folds.group[id] for id in ids]
    assert len(scores) == len(ids)
    assert [sorted(set(names))[code] for code in groups] == names
    assert np.array_equal(scores, again[0])
    assert not np.array_equal(scores, other[0])
    assert np.array_equal(groups, other[1])
    assert [p for p in (tmp_path / "kept").rglob("*") if p.is_file()] == []


def test_a_metric_of_all_samples_together_is_refused(small, tmp_path):
    data, _ = small
    with pytest.raises(ConfigError, match="dice_pooled"):
        scores_only(FoldData(data.competition, data.stores, data.folds, get_metric("dice_pooled")), tmp_path)
