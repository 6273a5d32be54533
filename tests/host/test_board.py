"""The local board: exact scores, quota, repeated and bad files, hidden private scores."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from drawing import tiny_competition
from podium.errors import BoardError, BusyError, DataError, StorageError, SubmissionError
from podium.formats import rle
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter
from podium.host.board import LocalBoard
from podium.host.grading import grade
from podium.host.solution import read_solution, split_public, truth_format, write_solution
from podium.host.store import BoardStore, Entry
from podium.metrics import get_metric
from podium.workspace import Workspace

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


def random_masks(seed, n):
    rng = np.random.default_rng(seed)
    sizes = [(int(rng.integers(3, 30)), int(rng.integers(3, 30))) for _ in range(n)]
    return [rng.random(size) < rng.choice([0, 0.1, 0.5, 0.9, 1]) for size in sizes]


@pytest.fixture(params=["row", "column"])
def fmt(request):
    return SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg", order=request.param)


class Game:
    """A board with known truth, and files to submit to it."""

    def __init__(self, folder, fmt, metric="dice", limit=3, n=24):
        self.folder, self.fmt, self.metric, self.clock = folder, fmt, get_metric(metric), Clock()
        self.ids = [f"s{k}" for k in range(n)]
        self.truth = random_masks(1, n)
        self.usage = split_public(self.ids, [f"g{k // 3}" for k in range(n)], 0.4, 0)
        write_solution(
            folder / "board/solution.csv",
            fmt,
            ids=self.ids,
            shapes=[m.shape for m in self.truth],
            truth=[(rle.runs_of(m, fmt.order),) for m in self.truth],
            usage=self.usage,
        )
        self.board = LocalBoard(folder / "board", fmt, self.metric, limit, self.clock)

    def masks(self, seed):
        rng = np.random.default_rng(seed)
        return [m ^ (rng.random(m.shape) < 0.05 * (rng.random() < 0.7)) for m in self.truth]

    def file(self, seed, name=None):
        path = self.folder / (name or f"{seed}.csv")
        with SubmissionWriter(path, self.fmt) as writer:
            for sample, mask in zip(self.ids, self.masks(seed), strict=True):
                writer.write(sample, rle.encode(mask, self.fmt.order))
        return path


@pytest.fixture
def game(tmp_path):
    return Game(tmp_path, SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg"))


def by_pixels(name, predicted, truth):
    both, total = (predicted & truth).sum(), predicted.sum() + truth.sum()
    if name == "dice":
        return 2 * both / total if total else 1.0
    ratio = both / (total - both) if total else 1.0
    if name == "iou":
        return ratio
    if not truth.any():
        return float(not predicted.any())
    return np.mean([ratio > t + 1e-9 for t in np.arange(50, 100, 5) / 100])


@pytest.mark.parametrize("name", ["dice", "iou", "tgs_iou"])
def test_the_score_is_that_of_the_pixels(tmp_path, fmt, name):
    game = Game(tmp_path, fmt, name)
    file = game.file(7, "s.csv.gz")
    expected = np.array([by_pixels(name, p, t) for p, t in zip(game.masks(7), game.truth, strict=True)])
    public = np.array(game.usage) == "Public"
    receipt = game.board.submit(file, "first", "0001-wider")
    assert receipt.public == pytest.approx(expected[public].mean(), abs=1e-12)
    revealed = game.board.standings(reveal=True)[0]
    assert revealed.private == pytest.approx(expected[~public].mean(), abs=1e-12)
    grades = grade(file, game.board.solution, game.metric, fmt)
    np.testing.assert_allclose(list(grades.per_sample.values()), expected, atol=1e-12, rtol=0)


def test_receipt(game):
    receipt = game.board.submit(game.file(1), "first", "0001-wider")
    assert (receipt.id, receipt.message, receipt.attempt, receipt.file) == (1, "first", "0001-wider", "1.csv")
    assert (receipt.at, receipt.used_today, receipt.daily_limit) == (NOON, 1, 3)
    assert len(receipt.sha256) == 64


def test_private_scores_are_hidden_without_reveal(game):
    submitted = [game.board.submit(game.file(k), "") for k in range(3)]
    assert all(r.private is None for r in submitted + game.board.submissions() + game.board.standings())
    assert [r.id for r in game.board.submissions()] == [1, 2, 3]
    public = [r.public for r in game.board.standings()]
    assert public == sorted(public, reverse=True)
    private = [r.private for r in game.board.standings(reveal=True)]
    assert None not in private
    assert private == sorted(private, reverse=True)


def test_quota_resets_at_midnight_utc(game):
    game.clock.now = datetime(2025, 3, 1, 23, 59, 59, tzinfo=timezone(timedelta(hours=1)))
    for k in range(3):
        game.board.submit(game.file(k), "")
    game.clock.now = datetime(2025, 3, 1, 23, 59, 30, tzinfo=UTC)
    file = game.file(3)
    with pytest.raises(BoardError, match=r"3 of 3(.|\n)*resets at 2025-03-02 00:00 UTC, in 0 h 01 min"):
        game.board.submit(file, "")
    game.clock.now = datetime(2025, 3, 2, 0, 0, 0, tzinfo=UTC)
    assert game.board.submit(file, "").used_today == 1
    assert [r.used_today for r in game.board.submissions()] == [1, 2, 3, 1]


def test_a_bad_file_uses_nothing_of_the_quota(game):
    bad = game.file(1, "bad.csv")
    bad.write_text(bad.read_text().replace("s3.jpg", "s4.jpg"))
    for _ in range(5):
        with pytest.raises(SubmissionError, match="already, on line"):
            game.board.submit(bad, "")
    assert game.board.submit(game.file(1), "").used_today == 1
    entries = game.board.store.list()
    assert [e.status for e in entries] == ["rejected"] * 5 + ["scored"]
    assert "already, on line" in entries[0].error
    assert len(game.board.submissions()) == 1


def test_the_same_file_twice_is_named_and_costs_nothing(game):
    game.board.submit(game.file(1), "the first")
    copy = game.file(1, "copy.csv")
    with pytest.raises(BoardError, match=r'number 1 "the first"'):
        game.board.submit(copy, "")
    assert game.board.submit(copy, "", again=True).used_today == 2


def test_two_threads_race_for_the_last_slot(tmp_path):
    game = Game(tmp_path, SubmissionFormat(id="{id}.jpg"), limit=1)
    files = [game.file(k) for k in range(4)]
    start, results = threading.Barrier(4), []

    def submit(file):
        board = LocalBoard(tmp_path / "board", game.fmt, game.metric, 1, game.clock)
        start.wait()
        try:
            results.append(board.submit(file, ""))
        except BoardError as error:
            results.append(error)

    threads = [threading.Thread(target=submit, args=(f,)) for f in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(r, BoardError) for r in results) == [False, True, True, True]
    assert len(game.board.submissions()) == 1


def test_no_labels_and_no_file(tmp_path, game):
    empty = LocalBoard(tmp_path / "none", game.fmt, game.metric, 3)
    with pytest.raises(BoardError, match="--hold-out"):
        empty.submit(game.file(1), "")
    with pytest.raises(SubmissionError, match="no such file"):
        game.board.submit(tmp_path / "none.csv", "")


def test_a_full_disk_is_said_and_loses_nothing(game, monkeypatch):
    game.board.submit(game.file(1), "")
    connect = sqlite3.connect

    def full(*args, **kwargs):
        db = connect(*args, **kwargs)
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        return db

    monkeypatch.setattr(sqlite3, "connect", full)
    with pytest.raises(StorageError, match="the disk is full"):
        game.board.submit(game.file(2), "x" * 100_000)
    monkeypatch.undo()
    assert game.board.submit(game.file(2), "").used_today == 2


def test_another_writer_is_a_busy_error(tmp_path):
    store = BoardStore(tmp_path / "b.db", timeout=0.05)
    with sqlite3.connect(tmp_path / "b.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError):
            store.add(Entry("a", NOON.isoformat(), "0", "f", public=0.5, private=0.5), 5)
        assert store.list() == []
        other.execute("ROLLBACK")
    other.close()


def test_quota_is_by_team(tmp_path):
    store = BoardStore(tmp_path / "b.db")
    for team in ("a", "b"):
        store.add(Entry(team, NOON.isoformat(), team, "f", public=0.5, private=0.5), 1)
    assert [e.team for e in store.list()] == ["a", "b"]
    assert [e.id for e in store.list("b")] == [2]
    with pytest.raises(BoardError, match="quota"):
        store.add(Entry("a", NOON.isoformat(), "other", "f", public=0.5, private=0.5), 1)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "b.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageError, match="damaged"):
        BoardStore(tmp_path / "b.db")


def test_solution_round_trip(game):
    solution = game.board.solution
    assert list(solution.ids) == game.ids
    assert list(solution.usage) == game.usage
    for sample, (runs,), mask in zip(solution.ids, solution.truth, game.truth, strict=True):
        np.testing.assert_array_equal(rle.mask_of(runs, solution.shapes[sample]), mask)


FMT = SubmissionFormat(id="{id}.jpg")
HEAD = "id,rle_mask,height,width,Usage\n"
ROWS = "a.jpg,1 2,2,2,Public\nb.jpg,,2,2,Private\n"


def solution_of(tmp_path, text, shapes=None):
    (tmp_path / "solution.csv").write_text(text)
    return read_solution(tmp_path / "solution.csv", FMT, shapes)


def test_ignored_rows_are_wanted_but_do_not_score(tmp_path):
    solution = solution_of(tmp_path, HEAD + ROWS + "c.jpg,,2,2,Ignored\n")
    assert (solution.ids, solution.ignored) == (("a", "b"), ("c",))
    (tmp_path / "s.csv").write_text("id,rle_mask\na.jpg,1 2\nb.jpg,\nc.jpg,1 4\n")
    grades = grade(tmp_path / "s.csv", solution, get_metric("iou"), FMT)
    assert (grades.public, grades.private, grades.per_sample) == (1.0, 1.0, {"a": 1.0, "b": 1.0})
    (tmp_path / "s.csv").write_text("id,rle_mask\na.jpg,1 2\nb.jpg,\n")
    with pytest.raises(SubmissionError, match=r"c\.jpg"):
        grade(tmp_path / "s.csv", solution, get_metric("iou"), FMT)


def test_sizes_may_be_passed_instead(tmp_path):
    text = "id,rle_mask,Usage\na.jpg,1 2,Public\nb.jpg,,private\n"
    assert solution_of(tmp_path, text, {"a": (2, 2), "b": (3, 3)}).shapes["b"] == (3, 3)
    with pytest.raises(DataError, match=r"size of 'b\.jpg'"):
        solution_of(tmp_path, text, {"a": (2, 2)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,rle_mask,height,width\n", "'Usage'"),
        ("id,rle_mask,Usage\n", "'height'"),
        (HEAD + "a.jpg,1 2,2,2,Secret\n", r"line 2.*Usage is 'Secret'"),
        (HEAD + ROWS + "a.jpg,,2,2,Public\n", r"line 4.*on line 2"),
        (HEAD + "a.jpg,1 9,2,2,Public\n", r"line 2, 'a.jpg'.*past the last pixel"),
        (HEAD + "a.jpg,1 2,2.5,2,Public\n", r"height is '2.5'"),
        (HEAD + "a,1 2,2,2,Public\n", "not spelled"),
        (HEAD + "a.jpg,1 2,2,2,Public\n", "no row has the Usage Private"),
        (HEAD + "a.jpg,1 2,2\n", "3 fields"),
    ],
)
def test_solution_faults(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        solution_of(tmp_path, text)


@pytest.mark.parametrize(
    ("form", "rows", "said"),
    [
        ({"format": "values"}, ["a,0.5", "b,nan"], r"line 3, 'b'.*not all finite"),
        ({"format": "values"}, ["a,inf", "b,1"], r"line 2, 'a'.*not all finite"),
        ({"format": "names"}, ["a,cat", "b,dgo"], r"(?s)line 3.*'dgo' is no class.*dog"),
        ({"format": "names"}, ["a,cat", "b,"], "line 3.*'' is no class"),
        ({"format": "names", "separator": "|"}, ["a,cat|dgo", "b,"], "line 2.*'dgo' is no class"),
        ({"format": "names", "separator": "|"}, ["a,cat|dog", "b,"], ""),
        ({"format": "names"}, ["a,dog", "b,cat"], ""),
    ],
)
def test_values_and_names_of_a_solution_are_looked_at(tmp_path, form, rows, said):
    fmt = truth_format(SubmissionFormat(value_column="x", **form), ("cat", "dog"))
    text = "\n".join(["id,x,Usage", f"{rows[0]},Public", f"{rows[1]},Private"])
    (tmp_path / "solution.csv").write_text(text)
    if not said:
        assert read_solution(tmp_path / "solution.csv", fmt).ids == ("a", "b")
        return
    with pytest.raises(DataError, match=said):
        read_solution(tmp_path / "solution.csv", fmt)


def test_a_solution_that_is_not_in_order_makes_no_workspace(tmp_path):
    tiny = tiny_competition(tmp_path / "source", test_groups=2)
    (tmp_path / "solution.csv").write_text("img,rle_mask,height,width,Usage\ncar_x,1 2,2,2,Pubic\n")
    with pytest.raises(DataError, match="line 2"):
        Workspace.new(tmp_path / "w", tiny.folder, solution=tmp_path / "solution.csv")
    assert not (tmp_path / "w").exists()


def test_split_keeps_groups_whole_and_ignores_row_order():
    ids = [f"s{k}" for k in range(100)]
    groups = [f"g{k // 5}" for k in range(100)]
    usage = split_public(ids, groups, 0.3, 1)
    assert usage.count("Public") == 30
    assert all(len({u for u, g in zip(usage, groups, strict=True) if g == one}) == 1 for one in groups)
    assert split_public(ids[::-1], groups[::-1], 0.3, 1) == usage[::-1]
    assert split_public(ids, groups, 0.3, 2) != usage
    for share in (0.0001, 0.9999):
        assert len(set(split_public(ids, groups, share, 1))) == 2
    with pytest.raises(DataError, match="1 group"):
        split_public(ids, ["g"] * 100, 0.3, 1)
