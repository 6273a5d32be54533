"""A board that asks for several guesses a row, the likeliest first."""

from __future__ import annotations

import pytest

from podium.formats.submission import SubmissionFormat
from podium.host.grading import Classes, grade
from podium.host.solution import read_solution, write_solution
from podium.metrics import get_metric

WHALES = ("new_whale", "w_1", "w_2")
FORM = SubmissionFormat(format="names", id_column="Image", value_column="Id", classes=WHALES, guesses=2)


def test_each_guess_is_worth_less_than_the_one_before(tmp_path):
    ids, truth = ["a", "b", "c", "d"], [("w_1",), ("w_2",), ("new_whale",), ("w_1",)]
    usage = ["Public", "Public", "Private", "Private"]
    write_solution(tmp_path / "solution.csv", FORM, ids=ids, truth=truth, usage=usage)
    solution = read_solution(tmp_path / "solution.csv", FORM)
    guesses = ["w_1 w_2", "new_whale w_2", "w_1 w_2", "w_1"]
    rows = "".join(f"{id},{text}\n" for id, text in zip(ids, guesses, strict=True))
    (tmp_path / "s.csv").write_text("Image,Id\n" + rows)
    scores = grade(tmp_path / "s.csv", solution, get_metric("map5"), FORM, Classes("one", WHALES))
    assert (scores.public, scores.private) == (pytest.approx((1 + 1 / 2) / 2), pytest.approx((0 + 1) / 2))
