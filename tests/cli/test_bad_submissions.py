"""`podium submit FILE`: what a board would refuse is named by line and value, and takes nothing from the quota."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import Ran, fails, ok

Rows = list[list[str]]


@pytest.fixture(scope="module")
def good(trained: Path) -> Rows:
    """The rows of a submission in order, the header first."""
    file = trained / "submissions" / "0001-baseline" / "submission.csv.gz"
    return [line.split(",") for line in gzip.decompress(file.read_bytes()).decode().splitlines()]


@pytest.fixture(scope="module")
def board(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace for submissions that are refused."""
    return Path(shutil.copytree(trained, tmp_path_factory.mktemp("board") / "ws", symlinks=True))


def scored(workspace: Path) -> list[dict[str, Any]]:
    """The submissions on the board."""
    return list(ok(workspace, "standings", "--json").json["submissions"])


def write(path: Path, rows: Rows) -> Path:
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def missing(rows: Rows) -> Rows:
    return rows[:-1]


def extra(rows: Rows) -> Rows:
    return [*rows, ["stranger.jpg", ""]]


def double(rows: Rows) -> Rows:
    return [*rows, rows[2]]


def columns(rows: Rows) -> Rows:
    return [["image", "mask"], *rows[1:]]


def value(text: str) -> Callable[[Rows], Rows]:
    return lambda rows: [*rows[:2], [rows[2][0], text], *rows[3:]]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (missing, ["1 missing id", "{last}"]),
        (extra, ["line 6", "stranger.jpg"]),
        (double, ["line 6", "{second}", "line 3"]),
        (columns, ["line 1", "'img'", "'rle_mask'"]),
        (value("1 x"), ["line 3", "rle_mask", "'x'"]),
        (value("1 3 9"), ["line 3", "3 numbers"]),
        (value("0 3"), ["line 3", "0"]),
        (value("5 0"), ["line 3", "0"]),
        (value("1020 30"), ["line 3", "30", "1024"]),
        (value("10 10 15 5"), ["line 3", "15"]),
        (value("100 5 10 5"), ["line 3", "10"]),
    ],
    ids=["missing", "extra", "double", "columns", "word", "odd", "start", "length", "range", "overlap", "unsorted"],
)
def test_what_a_board_would_refuse(
    board: Path, good: Rows, tmp_path: Path, spoil: Callable[[Rows], Rows], says: list[str]
) -> None:
    file = write(tmp_path / "mine.csv", spoil(good))
    wanted = [s.format(last=good[-1][0], second=good[2][0]) for s in says]
    fails(board, "submit", file, says=[file, *wanted], remedy=False)
    assert scored(board) == []


def test_files_that_are_no_submissions(board: Path, good: Rows, tmp_path: Path) -> None:
    fails(board, "submit", "nothere.csv", says=["nothere.csv", "no such file"])
    fails(board, "submit", "nothere", says=["nothere", "0001-baseline"])
    (tmp_path / "empty.csv").touch()
    fails(board, "submit", tmp_path / "empty.csv", says=["empty.csv", "empty"], remedy=False)
    latin = tmp_path / "latin.csv"
    latin.write_bytes(write(latin, good).read_bytes().replace(b".jpg", b"\xe9.jpg"))
    fails(board, "submit", latin, says=["latin.csv", "line 2", "0xe9", "iconv"], remedy=False)
    packed = tmp_path / "cut.csv.gz"
    packed.write_bytes(gzip.compress(write(tmp_path / "x.csv", good).read_bytes())[:-12])
    fails(board, "submit", packed, says=["cut.csv.gz", "gzip", "damaged"], remedy=False)
    assert scored(board) == []


def test_the_quota_the_same_file_and_a_byte_order_mark(trained_workspace: Path, good: Rows, tmp_path: Path) -> None:
    space = trained_workspace
    spec = space / "competition.toml"
    spec.write_text(spec.read_text().replace("daily_limit = 5", "daily_limit = 3"))

    first = ok(space, "submit", "-m", "first", "--json").json
    assert (first["id"], first["used_today"], first["attempt"]) == (1, 1, "0000-baseline")
    receipt = space / "submissions" / "0001-baseline" / "receipt.toml"
    assert receipt.is_file()
    fails(space, "submit", says=["submitted before", '"first"', "--again"])
    again = ok(space, "submit", "--again", "--json").json
    assert (again["public"], again["used_today"]) == (first["public"], 2)

    fails(space, "submit", write(tmp_path / "bad.csv", missing(good)), says=["missing id"], remedy=False)
    bom = write(tmp_path / "bom.csv", [good[0], *([id, ""] for id, _ in good[1:])])
    bom.write_bytes(b"\xef\xbb\xbf" + bom.read_bytes())
    assert ok(space, "submit", bom, "--json").json["used_today"] == 3  # the bad one took nothing

    other = write(tmp_path / "other.csv", value("1 3")(good))
    fails(space, "submit", other, says=["quota is used up", "3 of 3", "resets at", "UTC"])
    assert len(scored(space)) == 3


def test_a_board_that_cannot_be_used(trained_workspace: Path, tmp_path: Path) -> None:
    space = trained_workspace
    labels = space / "board" / "solution.csv"
    hidden = labels.rename(tmp_path / "solution.csv")
    fails(space, "submit", says=[labels, "no hidden labels", "--hold-out"])
    hidden.rename(labels)

    database = space / "board" / "board.db"
    assert not database.exists()
    database.mkdir()
    fails(space, "submit", says=[database, "cannot be used"])
    database.rmdir()
    database.write_text("this is no database, though it is long enough to be taken for one at first sight\n" * 20)
    fails(space, "submit", says=[database, "damaged"])
    fails(space, "standings", says=[database, "damaged"])
    database.unlink()
    done: Ran = ok(space, "submit", "--json")
    assert done.json["id"] == 1

    spec = space / "competition.toml"
    spec.write_text(spec.read_text().replace('kind = "local"', 'kind = "none"'))
    fails(space, "submit", says=["no board", "submissions/"])
    fails(space, "standings", says=["no board"])
