"""Columns beside the image: fitted on training samples alone, the same numbers ever after."""

import json

import numpy as np
import pytest

from podium.data.metadata import MOST_CATEGORIES, Column, Metadata
from podium.errors import DataError


def test_numbers_are_standardised_and_say_what_is_missing():
    column = Column.fit("age", ["10", "20", "", "30"])
    encoded = column.encode(["20", "10", "", "50"])
    assert encoded[0].tolist() == [0, 0]
    assert encoded[2].tolist() == [0, 1]
    sd = np.std([10, 20, 30])
    np.testing.assert_allclose(encoded[[1, 3], 0], [-10 / sd, 30 / sd], rtol=1e-6)


def test_categories_have_a_number_each_and_unknown_ones_none():
    column = Column.fit("sex", ["m", "f", "m", ""])
    assert column.categories == ["f", "m"]
    assert column.encode(["m", "f", "x", ""]).tolist() == [[0, 1], [1, 0], [0, 0], [0, 0]]


def test_only_the_commonest_categories_count():
    column = Column.fit("zip", [f"z{i}" for i in range(100)] + ["a", "a"])
    assert len(column.categories) == MOST_CATEGORIES
    assert "a" in column.categories


def test_a_constant_column_is_zero():
    assert Column.fit("x", ["3", "3"]).encode(["3", "4"])[0].tolist() == [0, 0]


def test_text_among_numbers_is_named():
    with pytest.raises(DataError, match=r"'old'.*'age'"):
        Column.fit("age", ["1", "2"]).encode(["old"])


def test_it_survives_a_checkpoint():
    rows = [("1", "a"), ("2", "b"), ("", "a")]
    fitted = Metadata.fit(["n", "c"], rows)
    again = Metadata.of_state(json.loads(json.dumps(fitted.state())))
    assert fitted.width == again.width == 4
    np.testing.assert_array_equal(fitted.encode(rows), again.encode(rows))
    assert Metadata.fit([], [(), ()]).encode([(), ()]).shape == (2, 0)
