"""A user's own metric: what loads, and what is said of what does not."""

from __future__ import annotations

import numpy as np
import pytest

from podium.errors import ConfigError
from podium.metrics import Counts, get_metric

SOURCE = '''
import numpy as np

def misses(truth, predicted):
    """Share of samples that are wrong."""
    return (truth != predicted).mean()

def errors(truth, predicted):
    return abs(truth - predicted)
errors.per_sample = True
errors.greater_is_better = False

def covered(counts):
    return counts.intersection / np.maximum(counts.truth, 1)
covered.kind, covered.per_sample = "overlap", True

def wrong_kind(truth, predicted): ...
wrong_kind.kind = "pixels"

def text(truth, predicted):
    return "good"

no_function = 3
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    return tmp_path


def test_one_number(folder):
    metric = get_metric("own.py:misses:min", folder=folder)
    assert not metric.greater_is_better
    assert not metric.mean_over_samples
    assert metric.description == "Share of samples that are wrong."
    assert metric.score(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 0])) == 0.25
    assert get_metric("own.py:misses:max", folder=folder).greater_is_better
    assert get_metric(f"{folder}/own.py:misses:max").name == f"{folder}/own.py:misses:max"


def test_one_number_a_sample_and_another_kind(folder):
    metric = get_metric("own.py:errors", folder=folder)
    assert metric.better(1, 2)
    assert metric.per_sample(np.array([1, 2]), np.array([1, 5])).tolist() == [0, 3]
    assert metric.score(np.array([1, 2]), np.array([1, 5])) == 1.5
    covered = get_metric("own.py:covered:max", folder=folder)
    assert covered.kind == "overlap"
    assert covered.score(Counts.of([(1, 9, 2), (3, 3, 3)])) == 0.75


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own.py:misses", ["does not say which direction", "own.py:misses:max or own.py:misses:min"]),
        ("own.py:misses:up", ["direction 'up'", "max", "own.py:misses:min"]),
        ("own.py:errors:max", ["greater_is_better = False"]),
        ("own.py:miss:max", ["no function 'miss'", "did you mean 'misses'"]),
        ("own.py:no_function:max", ["no function 'no_function'"]),
        ("own.py:wrong_kind:max", ["'pixels'", "overlap, boundary, confusion, instances, table"]),
        ("owns.py:misses:max", ["there is no file", "owns.py"]),
        ("broken.py:misses:max", ["ModuleNotFoundError", "nothing_of_this_name"]),
        ("own.py", ["path.py:function:max"]),
        ("own.py:", ["path.py:function:max"]),
    ],
)
def test_what_does_not_load(folder, name, said):
    with pytest.raises(ConfigError) as caught:
        get_metric(name, "competition.toml: metric", folder)
    for words in said:
        assert words in str(caught.value)


def test_what_it_must_return(folder):
    with pytest.raises(ConfigError, match=r"(?s)text returned .* one number"):
        get_metric("own.py:text:max", folder=folder).score(np.zeros(2), np.zeros(2))
    (folder / "own.py").write_text("def f(truth, predicted):\n    return truth\n")
    with pytest.raises(ConfigError, match=r"(?s)f returned .* of shape \(2,\).*per_sample"):
        get_metric("own.py:f:max", folder=folder).score(np.zeros(2), np.zeros(2))
