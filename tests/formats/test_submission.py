"""Submission files: writing and reading, and the table of all that preflight finds."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.errors import DataError, PodiumError, SubmissionError
from podium.formats.preflight import check, inspect
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter, read_submission

FMT = SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg")
IDS = ["a", "b", "c"]
SHAPES = dict.fromkeys(IDS, (10, 10))
GOOD = "img,rle_mask\na.jpg,1 2\nb.jpg,\nc.jpg,4 6 90 11\n"


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
def test_written_is_read_and_passes(tmp_path, name):
    path = tmp_path / name
    with SubmissionWriter(path, FMT) as writer:
        for sample, text in zip(IDS, ["1 2", "", "4 6 90 11"], strict=True):
            writer.write(sample, text)
    data = path.read_bytes()
    assert (gzip.decompress(data) if name.endswith("gz") else data).decode() == GOOD
    assert [tuple(row) for row in read_submission(path, FMT)] == [
        (2, "a.jpg", ("1 2",), ""),
        (3, "b.jpg", ("",), ""),
        (4, "c.jpg", ("4 6 90 11",), ""),
    ]
    check(path, FMT, IDS, SHAPES)
    seen = {}
    assert inspect(path, FMT, IDS, SHAPES, seen.__setitem__) == []
    np.testing.assert_array_equal(seen["c"], [[[3, 6], [89, 11]]])


def test_gzip_bytes_do_not_depend_on_time_or_name(tmp_path):
    for name in ("one.csv.gz", "two.csv.gz"):
        with SubmissionWriter(tmp_path / name, FMT) as writer:
            writer.write("a", "1 2")
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
def test_a_failure_leaves_the_old_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"old")

    def interrupted():
        with SubmissionWriter(path, FMT) as writer:
            writer.write("a", "1 2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), min_size=1), st.text("0123 "))))
@settings(deadline=None, max_examples=50)
def test_any_id_survives_quoting(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("q") / "s.csv"
    with SubmissionWriter(path, FMT) as writer:
        for sample, text in rows:
            writer.write(sample, text)
    assert [(FMT.sample_id(row.row_id), *row.values) for row in read_submission(path, FMT)] == rows


def test_read_submission_names_the_missing_column(tmp_path):
    (tmp_path / "s.csv").write_text("img,rle\n")
    with pytest.raises(SubmissionError, match="rle_mask"):
        list(read_submission(tmp_path / "s.csv", FMT))


DAMAGE = [
    # name, content, [(kind, line, value)]
    ("bytes that are no text", b"\x89PNG\r\n", [("unreadable", 1, "")]),
    ("an empty file", b"", [("unreadable", 0, "")]),
    ("Latin-1", GOOD.replace("b.jpg", "ü.jpg").encode("latin-1"), [("unreadable", 3, "")]),
    ("a gzip file that is cut off", gzip.compress(GOOD.encode(), mtime=0)[:-9], [("unreadable", 0, "")]),
    ("no header", GOOD.partition("\n")[2], [("column", 1, "a.jpg,1 2")] * 2),
    ("a misspelt column", GOOD.replace("rle_mask", "rle_masks"), [("column", 1, "img,rle_masks")]),
    ("an extra column", "img,rle_mask,x\na.jpg,,1\nb.jpg,,1\nc.jpg,,1\n", [("column", 1, "x")]),
    ("a column twice", "img,rle_mask,img\na.jpg,,a.jpg\nb.jpg,,b.jpg\nc.jpg,,c.jpg\n", [("column", 1, "img")]),
    ("only a header", "img,rle_mask\n", [("missing id", 0, f"{i}.jpg") for i in IDS]),
    ("a missing row", GOOD.replace("b.jpg,\n", ""), [("missing id", 0, "b.jpg")]),
    ("an extra row", GOOD + "d.jpg,1 2\n", [("extra id", 5, "d.jpg")]),
    ("ids without .jpg", GOOD.replace("b.jpg", "b"), [("extra id", 3, "b"), ("missing id", 0, "b.jpg")]),
    ("a row twice", GOOD + "a.jpg,5 1\n", [("double id", 5, "a.jpg")]),
    ("a short row", GOOD.replace("b.jpg,", "b.jpg"), [("fields", 3, "b.jpg")]),
    ("a long row", GOOD.replace("b.jpg,", "b.jpg,1,2"), [("fields", 3, "b.jpg,1,2"), ("odd count", 3, "1")]),
    ("a blank line", GOOD.replace("b.jpg", "\nb.jpg"), [("fields", 3, "")]),
    ("an open quote", GOOD.replace("b.jpg,", 'b.jpg,"'), [("unreadable", 3, "")]),
    ("words", GOOD.replace("1 2", "1 two"), [("not a number", 2, "two")]),
    ("decimals", GOOD.replace("1 2", "1.0 2"), [("not a number", 2, "1.0")]),
    ("an odd count", GOOD.replace("1 2", "1 2 3"), [("odd count", 2, "3")]),
    ("a start of 0", GOOD.replace("1 2", "0 2"), [("start", 2, "0")]),
    ("a negative start", GOOD.replace("1 2", "-7 2"), [("start", 2, "-7")]),
    ("a length of 0", GOOD.replace("1 2", "1 0"), [("length", 2, "0")]),
    ("a run past the end", GOOD.replace("90 11", "90 12"), [("out of range", 4, "12")]),
    ("a number past int64", GOOD.replace("90 11", "90 99999999999999999999"), [("out of range", 4, "9" * 20)]),
    ("overlapping runs", GOOD.replace("90 11", "9 11"), [("overlapping", 4, "9")]),
    ("unsorted runs", GOOD.replace("90 11", "2 1"), [("unsorted", 4, "2")]),
    (
        "several at once",
        "img,rle_mask\na.jpg,0 1\na.jpg,1 2\nx.jpg,2 3 4\n",
        [
            ("start", 2, "0"),
            ("double id", 3, "a.jpg"),
            ("extra id", 4, "x.jpg"),
            ("odd count", 4, "4"),
            ("missing id", 0, "b.jpg"),
            ("missing id", 0, "c.jpg"),
        ],
    ),
]


@pytest.mark.parametrize(("name", "content", "expected"), DAMAGE, ids=[d[0] for d in DAMAGE])
def test_preflight_finds_it_all_by_line_and_value(tmp_path, name, content, expected):
    path = tmp_path / "s.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = inspect(path, FMT, IDS, SHAPES)
    assert [(p.kind, p.line, p.value) for p in problems] == expected
    assert all(p.found and (p.remedy or p.kind == "unreadable") for p in problems)
    with pytest.raises(SubmissionError) as caught:
        check(path, FMT, IDS, SHAPES)
    for problem in problems:
        assert str(problem) in str(caught.value)
        assert problem.value in str(problem) or problem.kind in ("column", "fields")
        assert not problem.line or f"line {problem.line}" in str(problem)


def test_a_misspelt_column_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "s.csv").write_text(GOOD.replace("rle_mask", "rle_masks"))
    with pytest.raises(SubmissionError, match="did you mean 'rle_masks'"):
        check(tmp_path / "s.csv", FMT, IDS, SHAPES)


def test_ten_are_listed_and_all_are_counted(tmp_path):
    (tmp_path / "s.csv").write_text("img,rle_mask\n")
    ids = [f"i{k}" for k in range(1200)]
    with pytest.raises(SubmissionError, match=r"(?s)1200 missing id.*i9\.jpg.*… and 1,190 more") as caught:
        check(tmp_path / "s.csv", FMT, ids, dict.fromkeys(ids, (4, 4)))
    assert "i10.jpg" not in str(caught.value)


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(PodiumError, match="no such file"):
        check(tmp_path / "none.csv", FMT, IDS, SHAPES)
    with pytest.raises(DataError, match="no such file"):
        list(read_submission(tmp_path / "none.csv", FMT))


def test_order_of_rows_and_columns_is_free(tmp_path):
    (tmp_path / "s.csv").write_text("rle_mask,img\n1 2,c.jpg\n,b.jpg\n,a.jpg\n")
    assert inspect(tmp_path / "s.csv", FMT, IDS, SHAPES) == []
