"""What is predicted of the test set beside what is predicted in validation."""

from __future__ import annotations

import numpy as np
import polars as pl

from podium.formats import rle
from podium.formats.preflight import inspect
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter
from podium.ledger.likeness import Tally, unlike, validation_figures
from podium.metrics import get_metric

MASKS = SubmissionFormat(id_column="img", value_column="mask")


def masks(n, side, empty, seed, size=100):
    rng = np.random.default_rng(seed)
    found = np.zeros((n, size, size), bool)
    for mask in found:
        edge = int(rng.integers(side - 4, side + 5)) * (rng.random() >= empty)
        mask[:edge, :edge] = True
    return found


def of_submission(tmp_path, given):
    path = tmp_path / "s.csv.gz"
    with SubmissionWriter(path, MASKS) as writer:
        for n, mask in enumerate(given):
            writer.write(f"t{n}", rle.encode(mask, "row"))
    ids = [f"t{n}" for n in range(len(given))]
    tally = Tally(MASKS, dict.fromkeys(ids, given[0].shape))
    assert inspect(path, MASKS, ids, tally.shapes, tally) == []
    return dict(tally.figures)


def of_validation(given):
    sums = given.sum((1, 2))
    table = pl.DataFrame({"id": [f"v{n}" for n in range(len(given))], "score": 1.0, "intersection": sums})
    table = table.with_columns(pl.Series("predicted", sums), pl.Series("truth", sums))
    return validation_figures(table, get_metric("dice"), MASKS, pixels=given[0].size)


def test_larger_masks_are_told_and_by_how_much(tmp_path):
    said = [str(u) for u in unlike(of_submission(tmp_path, masks(60, 60, 0, 1)), of_validation(masks(80, 50, 0, 2)))]
    assert len(said) == 1
    assert said[0].startswith("your test masks are 4")
    assert said[0].endswith("% larger than in validation")


def test_more_empty_masks_are_told(tmp_path):
    found = unlike(of_submission(tmp_path, masks(80, 50, 0.6, 1)), of_validation(masks(80, 50, 0.1, 2)))
    told = {u.figure: str(u) for u in found}
    assert "of your test masks are empty" in told["empty"]
    assert "in validation" in told["empty"]


def test_the_same_kind_of_masks_is_hardly_ever_told(tmp_path):
    false = sum(
        bool(unlike(of_submission(tmp_path, masks(50, 50, 0.3, k)), of_validation(masks(60, 50, 0.3, 1000 + k))))
        for k in range(60)
    )
    assert false == 0


def test_values_names_and_objects():
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"truth": rng.integers(0, 2, 200), "predicted": rng.random((200, 2)).tolist()})
    form = SubmissionFormat(format="names", value_column="label", classes=("cat", "dog"))
    figures = validation_figures(table, get_metric("accuracy"), form, 1.0, ("cat", "dog"))
    tally = Tally(form)
    for _ in range(100):
        tally("x", ("cat",))
    (cat, _) = sorted(unlike(dict(tally.figures), figures), key=lambda u: u.figure)
    assert str(cat).startswith("100 % of your test samples are 'cat', and ")

    prices = SubmissionFormat(format="values", value_column="price")
    table = pl.DataFrame({"truth": rng.normal(5, 1, 200), "predicted": rng.normal(5, 1, 200)})
    tally = Tally(prices)
    for value in rng.normal(500, 100, 100):
        tally("x", (float(value),))
    (one,) = unlike(dict(tally.figures), validation_figures(table, get_metric("rmse"), prices, 1.0))
    assert "the mean of your test predictions of 'price' is " in str(one)

    objects = SubmissionFormat(format="rle_objects")
    hits = [[int(t), int(f), 1] * 10 for t, f in rng.integers(1, 9, (60, 2))]
    tally = Tally(objects, {"x": (10, 10)})
    for _ in range(60):
        tally("x", (np.array([[0, 1]]),))
    found = unlike(
        dict(tally.figures), validation_figures(pl.DataFrame({"hits": hits}), get_metric("dsb2018"), objects, 1.0)
    )
    assert any("fewer objects than in validation" in str(u) for u in found)
