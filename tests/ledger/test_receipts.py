"""Receipts: written, read back, and the same content known again."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from podium.boards.base import Receipt, in_utc, number, status_of
from podium.errors import LedgerError, SubmissionError
from podium.files import mark_complete
from podium.ledger.receipts import Kept, content_hash, receipts, twin
from podium.ledger.submissions import Submissions

AT = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)


def kept(folder, **changes):
    folder.mkdir(parents=True)
    given = {"id": 7, "at": AT, "sha256": "ab", "message": 'a "b"\nc', "attempt": "0001-x", "file": "f.csv"}
    given |= {"public": 0.5, "private": None, "used_today": 1, "daily_limit": 5} | changes
    one = Kept(Receipt(**given), folder, "kaggle:x", "content-of-it", (1, 4), 0.61)
    one.write()
    mark_complete(folder)
    return one


def test_what_is_written_is_read(tmp_path):
    first, second = kept(tmp_path / "0001-x"), kept(tmp_path / "0002-y", public=None, status="error", error="no")
    assert receipts(Submissions(tmp_path)) == [first, second]
    assert twin([first, second], "content-of-it", "kaggle:x") == first
    assert twin([first, second], "content-of-it", "local") is None
    assert first.scored(second.receipt).receipt.public == 0.5


def test_a_receipt_of_an_older_podium_is_read(tmp_path):
    one = kept(tmp_path / "0001-x")
    path = one.folder / "receipt.toml"
    kept_lines = [
        li for li in path.read_text().splitlines() if not li.startswith(("board", "content", "cv", "attempts"))
    ]
    path.write_text("\n".join(kept_lines))
    (old,) = receipts(Submissions(tmp_path))
    assert (old.board, old.content, old.cv, old.receipt) == ("local", "", None, one.receipt)


def test_a_damaged_receipt_is_named(tmp_path):
    one = kept(tmp_path / "0001-x")
    (one.folder / "receipt.toml").write_text("id = 'seven'\n")
    with pytest.raises(LedgerError, match=r"0001-x/receipt\.toml"):
        receipts(Submissions(tmp_path))


def test_content_is_what_is_in_a_gzip(tmp_path):
    for name, data in (("a.csv", b"x" * 9), ("b.gz", gzip.compress(b"x" * 9)), ("c.csv", gzip.compress(b"x" * 9, 1))):
        (tmp_path / name).write_bytes(data)
    assert len({content_hash(p) for p in tmp_path.iterdir()}) == 1
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"x" * 99)[:-5])
    with pytest.raises(SubmissionError, match="damaged"):
        content_hash(tmp_path / "d.gz")


def test_what_boards_write():
    assert (
        in_utc("2026-01-02 03:04:05")
        == in_utc("2026-01-02T05:04:05+02:00")
        == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    assert in_utc("2026-01-02T03:04:05.120Z").microsecond == 120000
    assert in_utc("never") is None
    assert [number(t) for t in ("0.5", "", None, "None")] == [0.5, None, None, None]
    assert [status_of(t) for t in ("SubmissionStatus.COMPLETE", "complete", "error", "PENDING", "")] == [
        "complete", "complete", "error", "pending", "pending",
    ]  # fmt: skip
