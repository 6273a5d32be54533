"""What a submission says of a prediction, in every format."""

from __future__ import annotations

import numpy as np
import pytest

from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.errors import ConfigError
from podium.formats import rle
from podium.inference.answers import answers_of_masks, answers_of_values, numbers_of_masks
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training.tasks import create_task
from task_drawing import SPECS, metric_of

PLAIN = Preprocess.of(None)


def task_of(name, **submission):
    spec = SPECS[name]
    tree = {"name": "x", **spec, "submission": submission or spec["submission"]}
    competition = Competition.from_tree(tree)
    return create_task(competition, metric_of(competition), Recipe()), competition.submission


def probs_of(labels, classes):
    return ((labels[:, :, None] == np.arange(classes)) * 255).astype(np.uint8)


LABELS = np.array([[0, 1, 1], [2, 2, 0]])


def test_a_row_a_class_has_the_runs_of_each():
    task, fmt = task_of("class map")
    answer = answers_of_masks(task, fmt, PLAIN)(probs_of(LABELS, 3), (2, 3))
    assert answer == tuple(rle.encode(k == LABELS) for k in range(3))


def test_a_background_may_be_left_out_of_the_rows():
    task, fmt = task_of("class map", format="rle", class_column="class", classes=["red", "green"])
    answer = answers_of_masks(task, fmt, PLAIN)(probs_of(LABELS, 3), (2, 3))
    assert answer == tuple(rle.encode(k == LABELS) for k in (1, 2))


def test_png_masks_hold_the_numbers_of_the_classes():
    task, _ = task_of("class map", format="png")
    assert (numbers_of_masks(task, PLAIN)(probs_of(LABELS, 3), (2, 3)) == LABELS).all()
    with pytest.raises(ConfigError, match="png"):
        numbers_of_masks(task_of("overlapping", format="png")[0], PLAIN)


def test_objects_have_a_row_each_and_share_no_pixel():
    task, fmt = task_of("objects")
    probs = np.zeros((6, 9, 2), np.uint8)
    probs[1:5, 1:8, 0] = 255
    probs[1:5, 4, 1] = 255  # a rim parts it
    answer = answers_of_masks(task, fmt, PLAIN)(probs, (6, 9))
    masks = [rle.decode(text, (6, 9), "column") for text in answer]
    assert len(masks) == 2
    assert not (masks[0] & masks[1]).any()
    assert ((masks[0] | masks[1]) == (probs[:, :, 0] > 0)).all()
    assert answers_of_masks(task, fmt, PLAIN)(np.zeros_like(probs), (6, 9)) == ()


P = np.array([0.1, 0.7, 0.2], np.float32)


@pytest.mark.parametrize(
    ("task", "submission", "answer"),
    [
        ("one class", {}, ("green",)),
        ("one class", {"format": "probs", "value_columns": ["r", "g", "b"]}, (0.1, 0.7, 0.2)),
        ("one class", {"format": "values", "value_column": "colour"}, (1.0,)),
        ("one class", {"format": "names", "value_column": "colour", "guesses": 2}, ("green blue",)),
        (
            "one class",
            {"format": "names", "value_column": "colour", "guesses": 5, "separator": "|"},
            ("green|blue|red",),
        ),
        ("several labels", {}, (0.1, 0.7, 0.2)),
        ("several labels", {"format": "values", "value_columns": ["r", "g", "b"]}, (0.0, 1.0, 0.0)),
        ("several labels", {"format": "names", "value_column": "tags", "classes": ["R", "G", "B"]}, ("G",)),
    ],
)
def test_classes(task, submission, answer):
    task, fmt = task_of(task, **submission)
    found = answers_of_values(task, fmt)(P)
    assert found == answer if isinstance(answer[0], str) else found == pytest.approx(answer)


def test_numbers_are_as_they_are_and_whole_where_the_metric_wants_that():
    task, fmt = task_of("numbers")
    assert answers_of_values(task, fmt)(np.array([3.25, -1.5])) == (3.25, -1.5)
    task, fmt = task_of("number")
    task.metric = get_metric("quadratic_kappa")
    assert answers_of_values(task, fmt)(np.array([3.25])) == (3.0,)


@pytest.mark.parametrize(
    ("task", "submission"),
    [
        ("class map", {"format": "rle"}),
        ("overlapping", {"format": "rle"}),
        ("objects", {"format": "rle"}),
    ],
)
def test_a_format_without_room_for_the_masks_is_refused(task, submission):
    task, fmt = task_of(task, **submission)
    with pytest.raises(ConfigError, match="does not fit"):
        answers_of_masks(task, fmt, PLAIN)


@pytest.mark.parametrize(
    ("task", "submission"),
    [
        ("one class", {"format": "probs", "value_column": "p"}),
        ("numbers", {"format": "values", "value_column": "a"}),
        ("number", {"format": "names", "value_column": "price"}),
        ("several labels", {"format": "rle"}),
    ],
)
def test_a_format_without_room_for_the_values_is_refused(task, submission):
    task, fmt = task_of(task, **submission)
    with pytest.raises(ConfigError, match="does not fit"):
        answers_of_values(task, fmt)
