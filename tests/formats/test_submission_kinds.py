"""Submissions of several values: columns, a row a class, a row an object; written, read and preflighted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.config import emit_toml, read_toml
from podium.errors import ConfigError, SubmissionError
from podium.formats import rle
from podium.formats.bits import pack
from podium.formats.preflight import inspect
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter, read_submission

PROBS = SubmissionFormat(format="probs", value_columns=("cat", "dog"))
NUMBERS = SubmissionFormat(format="values", value_columns=("x", "y"))
GUESSES = SubmissionFormat(format="names", value_column="Id", classes=("cat", "dog", "eel"), guesses=2)
NAMES = SubmissionFormat(format="names", value_column="tags", classes=("cat", "dog"), separator=" ")
COLUMN = SubmissionFormat(value_column="rle", class_column="ClassId", classes=("1", "2"))
JOINED = SubmissionFormat(value_column="rle", id="{id}.jpg_{class}", classes=("Fish", "Fish_2"))
WIDE = SubmissionFormat(value_columns=("cup", "disc"))
OBJECTS = SubmissionFormat(format="rle_objects", value_column="rle")
ROWS = SubmissionFormat(format="probs", value_column="p", class_column="c", classes=("a", "b"))
KINDS = [PROBS, NUMBERS, NAMES, GUESSES, COLUMN, JOINED, WIDE, OBJECTS, ROWS]
SHAPES = dict.fromkeys("ab", (4, 5))


@pytest.mark.parametrize("form", KINDS, ids=range(len(KINDS)))
def test_a_format_survives_its_file(tmp_path, form):
    (tmp_path / "c.toml").write_text(emit_toml({"submission": form.tree()}, {}))
    tree = read_toml(tmp_path / "c.toml")["submission"]
    assert SubmissionFormat.from_tree(tree) == form
    assert ("value_columns" in tree) == (len(form.value_columns) > 1) == ("value_column" not in tree)


def test_one_column_and_several_replace_each_other():
    several = SubmissionFormat(value_column="x").with_overrides(['value_columns=["a","b"]'])
    assert (several.value_columns, several.value_column) == (("a", "b"), "a")
    one = several.with_overrides(["value_column=x"])
    assert (one.value_columns, one.value_column) == (("x",), "x")
    assert SubmissionFormat().value_columns == ("rle_mask",)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"value_columns": ["a", "a"]}, "'a' is there twice"),
        ({"value_columns": ["id", "b"]}, "'id' is there twice"),
        ({"value_columns": 3}, "a list"),
        ({"class_column": "c"}, "submission.classes"),
        ({"guesses": 2}, 'guesses with submission.format = "names" only'),
        ({"id": "{id}_{class}"}, "submission.classes"),
        ({"id": "{id}_{class}", "classes": ["a"], "class_column": "c"}, "one of submission.class_column"),
        ({"id": "{class}"}, "{id} in it once"),
        ({"class_column": "c", "classes": ["a", "b"], "value_columns": ["x", "y"]}, "one value column"),
        ({"format": "rle_objects", "value_columns": ["x", "y"]}, "one value column"),
    ],
)
def test_settings_that_do_not_fit(tree, message):
    with pytest.raises(ConfigError) as caught:
        SubmissionFormat.from_tree(tree)
    assert message in str(caught.value)


def written(path, form, of):
    with SubmissionWriter(path, form) as writer:
        for id, values in of.items():
            writer.write(id, *values)
    return path.read_text().splitlines()


WRITTEN = [
    (PROBS, (0.25, 1.0), ["id,cat,dog", "a,0.25,1"]),
    (NUMBERS, (-1.5e-7, 123456789), ["id,x,y", "a,-1.5e-07,123456789"]),
    (NAMES, ("cat dog",), ["id,tags", "a,cat dog"]),
    (COLUMN, ("1 2", ""), ["id,ClassId,rle", "a,1,1 2", "a,2,"]),
    (JOINED, ("", "3 4"), ["id,rle", "a.jpg_Fish,", "a.jpg_Fish_2,3 4"]),
    (WIDE, ("1 2", "4 1"), ["id,cup,disc", "a,1 2,4 1"]),
    (OBJECTS, ("1 2", "4 1", "6 1"), ["id,rle", "a,1 2", "a,4 1", "a,6 1"]),
    (OBJECTS, (), ["id,rle", "a,"]),
    (ROWS, (0.5, 0), ["id,c,p", "a,a,0.5", "a,b,0"]),
]


@pytest.mark.parametrize(("form", "values", "lines"), WRITTEN)
def test_what_is_written_passes_and_comes_back(tmp_path, form, values, lines):
    assert written(tmp_path / "s.csv", form, {"a": values}) == lines
    seen = {}
    assert inspect(tmp_path / "s.csv", form, ["a"], SHAPES, seen.__setitem__) == []
    if form.format.startswith("rle"):
        assert tuple(map(rle.format_runs, seen["a"])) == values
    else:
        assert seen["a"] == values
    assert [form.sample_id(row.row_id) for row in read_submission(tmp_path / "s.csv", form)] == ["a"] * (len(lines) - 1)


@pytest.mark.parametrize(("form", "values"), [(PROBS, (1,)), (COLUMN, ("",)), (NAMES, ("a", "b")), (WIDE, ())])
def test_too_few_or_too_many_values(tmp_path, form, values):
    with pytest.raises(SubmissionError, match=f"{len(values)} values? for 'a'"):
        written(tmp_path / "s.csv", form, {"a": values})
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize("form", [COLUMN, JOINED])
def test_packed_masks_of_classes_are_written_as_their_text(tmp_path, form):
    rng = np.random.default_rng(0)
    stacks = {f"s{i}": rng.random((2, 9, 13)) < 0.4 for i in range(40)}
    with SubmissionWriter(tmp_path / "packed.csv", form) as writer:
        for id, stack in stacks.items():
            writer.write_packed(id, np.stack([pack(m) for m in stack]), 13)
    lines = written(tmp_path / "s.csv", form, {id: [rle.encode(m) for m in stack] for id, stack in stacks.items()})
    assert (tmp_path / "packed.csv").read_text().splitlines() == lines
    with pytest.raises(SubmissionError, match="1 packed mask"), SubmissionWriter(tmp_path / "s.csv", form) as writer:
        writer.write_packed("x", pack(stacks["s0"][0]), 13)


DAMAGE = [
    # format, rows, [(kind, line, value)]
    (PROBS, "id,cat\na,1\nb,1", [("column", 1, "id,cat")]),
    (PROBS, "id,dog,cat\na,1,0\nb,1,0", []),
    (PROBS, "id,cat,dog\na,1.2,-0.1\nb,,nan", [
        ("not a probability", 2, "1.2"), ("not a probability", 2, "-0.1"), ("not a number", 3, ""),
        ("not a number", 3, "nan"),
    ]),
    (PROBS, "id,cat,dog\na,1\nb,1,0", [("fields", 2, "a,1")]),
    (NUMBERS, "id,x,y\na,1,two\nb,inf,3", [("not a number", 2, "two"), ("not a number", 3, "inf")]),
    (NAMES, "id,tags\na,cat  dog\nb,", []),
    (NAMES, "id,tags\na,cat cow\nb,dogs", [("name", 2, "cow"), ("name", 3, "dogs")]),
    (COLUMN, "id,ClassId,rle\na,1,1 2\nb,2,", []),
    (COLUMN, "id,ClassId,rle\na,1,1 2\na,1,4 2\nb,3,", [("double id", 3, "a"), ("class", 4, "3")]),
    (COLUMN, "id,ClassId,rle\na,1,1 2", [("missing id", 0, "b")]),
    (COLUMN, "id,ClassId,rle\na,1,20 2\nb,1,\nc,1,", [("out of range", 2, "2"), ("extra id", 4, "c")]),
    (JOINED, "id,rle\na.jpg_Fish,\na.jpg_Fish_2,\nb.jpg_Fish,\nb_Fish,", [
        ("extra id", 5, "b_Fish"), ("missing id", 0, "b.jpg_Fish_2")
    ]),
    (JOINED, "id,rle\na.jpg_Fish,\na.jpg_Fish_2,\nb.jpg_Fish,\nb.jpg_Fish_2,\nb.jpg_Fish,", [
        ("double id", 6, "b.jpg_Fish")
    ]),
    (WIDE, "id,cup,disc\na,1 2,0 1\nb,,3", [("start", 2, "0"), ("odd count", 3, "3")]),
    (OBJECTS, "id,rle\na,1 2\na,3 2\nb,", []),
    (OBJECTS, "id,rle\na,1 3\na,6 1\na,3 2\nb,", [("objects overlap", 2, "a")]),
    (OBJECTS, "id,rle\na,1 3\nc,6 1\nc,6 1", [("extra id", 3, "c"), ("missing id", 0, "b")]),
    (ROWS, "id,c,p\na,a,0\na,b,1\nb,a,0.5", [("missing id", 0, "b")]),
]  # fmt: skip


@pytest.mark.parametrize(("form", "rows", "expected"), DAMAGE)
def test_preflight(tmp_path, form, rows, expected):
    (tmp_path / "s.csv").write_text(rows + "\n")
    seen = {}
    problems = inspect(tmp_path / "s.csv", form, ["a", "b"], SHAPES, seen.__setitem__)
    assert [(p.kind, p.line, p.value) for p in problems] == expected
    assert all(p.found and p.remedy for p in problems)
    assert set(seen) <= {"a", "b"}
    if not expected:
        assert set(seen) == {"a", "b"}


def test_a_class_without_a_row_is_an_empty_mask(tmp_path):
    (tmp_path / "s.csv").write_text("id,ClassId,rle\na,2,1 2\n")
    seen = {}
    inspect(tmp_path / "s.csv", COLUMN, ["a"], SHAPES, seen.__setitem__)
    assert [r.tolist() for r in seen["a"]] == [[], [[0, 2]]]


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)


@given(st.lists(TEXT, unique=True, min_size=1, max_size=4), st.lists(TEXT, unique=True, min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_any_id_and_class_survive(tmp_path_factory, ids, classes):
    """A class in a column: any names. Joined ids are told apart where no class ends with the mark and another."""
    form = SubmissionFormat(format="values", value_column="v\0", class_column="c\0", classes=tuple(classes))
    path = tmp_path_factory.mktemp("k") / "s.csv"
    truth = {id: tuple(float(i * 10 + k) for k in range(len(classes))) for i, id in enumerate(ids)}
    written(path, form, truth)
    seen = {}
    assert inspect(path, form, ids, {}, seen.__setitem__) == []
    assert seen == truth
    joined = SubmissionFormat(format="values", value_column="v\0", id="{id}|{class}", classes=tuple(classes))
    plain = [id for id in ids if "|" not in id]
    if plain and not any("|" in c for c in classes):
        written(path, joined, {id: truth[id] for id in plain})
        seen = {}
        assert inspect(path, joined, plain, {}, seen.__setitem__) == []
        assert seen == {id: truth[id] for id in plain}


@pytest.mark.parametrize(
    ("text", "found"),
    [("dog", ""), ("dog cat", ""), ("dog cat eel", "3 guesses"), ("", "0 guesses"), ("dog cow", "'cow' is no class")],
)
def test_guesses_are_names_the_likeliest_first(tmp_path, text, found):
    (tmp_path / "s.csv").write_text(f"id,Id\na,{text}\nb,eel\n")
    problems = inspect(tmp_path / "s.csv", GUESSES, ["a", "b"], {})
    assert [p.found for p in problems] == ([found] if found else [])
