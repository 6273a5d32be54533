"""Finished submissions by number, name or folder name."""

import pytest

from podium.errors import BoardError
from podium.files import mark_complete
from podium.ledger.submissions import TABLE, Submissions


def make(folder, *names, finished=True):
    for name in names:
        (folder / name).mkdir(parents=True)
        if finished:
            (folder / name / TABLE).write_bytes(b"")
            mark_complete(folder / name)


def test_numbers_go_up_and_never_onto_what_is_there(tmp_path):
    there = Submissions(tmp_path / "s")
    assert there.next("baseline").name == "0001-baseline"
    make(tmp_path / "s", "0001-baseline", "0002-wider", "0010-x")
    make(tmp_path / "s", "0011-wider", finished=False)
    make(tmp_path / "s", "2nd-thoughts", "notes")
    assert there.next("wider").name == "0012-wider"
    assert [p.name for p in there.all()] == ["0001-baseline", "0002-wider", "0010-x"]


def test_order_is_by_number_beyond_four_digits(tmp_path):
    make(tmp_path, "9999-a", "10000-b")
    assert Submissions(tmp_path).get(None).name == "10000-b"
    assert Submissions(tmp_path).next("c").name == "10001-c"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (None, "0003-wider"),
        ("1", "0001-base"),
        ("0001", "0001-base"),
        ("wider", "0003-wider"),
        ("0002-wider", "0002-wider"),
    ],
)
def test_one_is_found(tmp_path, reference, name):
    make(tmp_path, "0001-base", "0002-wider", "0003-wider")
    assert Submissions(tmp_path).get(reference).name == name


def test_a_file_from_elsewhere_is_no_prediction(tmp_path):
    make(tmp_path, "0001-base", "0002-given")
    (tmp_path / "0002-given" / TABLE).unlink()
    assert Submissions(tmp_path).get(None).name == "0001-base"
    assert Submissions(tmp_path).get("given").name == "0002-given"
    (tmp_path / "0001-base" / TABLE).unlink()
    with pytest.raises(BoardError, match="nothing is predicted yet"):
        Submissions(tmp_path).get(None)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(BoardError, match="nothing is predicted yet"):
        Submissions(tmp_path / "none").get(None)
    make(tmp_path, "0001-base")
    with pytest.raises(BoardError, match="'0001-base'"):
        Submissions(tmp_path).get("0001-bas")
