"""`podium new --from kaggle:SLUG` and `podium submit` to Kaggle, from a workspace, by the real client."""

from __future__ import annotations

import gzip

import cv2
import numpy as np
import pytest
from fake_kaggle import SLUG, TOKEN, Refused, zipped

from attempt_drawing import draw_attempt
from drawing import draw
from podium import submitting
from podium.boards.host import HostBoard
from podium.boards.kaggle import KaggleBoard
from podium.config import read_toml
from podium.errors import BoardError, DataError, PodiumError, SubmissionError
from podium.formats import rle
from podium.workspace import Workspace
from test_laps_of_tasks import workspace_of


def salt(n=12, tests=9):
    """The files of a competition in the likeness of TGS Salt, as one bundle with archives in it."""
    rng = np.random.default_rng(1)
    rows, wanted, train, test = ["id,rle_mask"], ["id,rle_mask"], {}, {}
    for k in range(n + tests):
        image, mask = draw(rng, (40, 40))
        png = cv2.imencode(".png", image)[1].tobytes()
        if k < n:
            train[f"images/s{k:02d}.png"] = png
            rows.append(f"s{k:02d},{rle.encode(mask, 'column')}")
        else:
            test[f"images/t{k:02d}.png"] = png
            wanted.append(f"t{k:02d},1 1")
    return zipped({
        "train.zip": zipped(train), "test.zip": zipped(test),
        "train.csv": "\n".join(rows).encode(), "sample_submission.csv": "\n".join(wanted).encode(),
    })  # fmt: skip


@pytest.fixture
def space(kaggle, tmp_path, monkeypatch):
    kaggle.bundle = salt()
    monkeypatch.setattr(KaggleBoard.__init__, "__defaults__", ("", None, lambda seconds: None))
    return Workspace.new(tmp_path / "salt", f"kaggle:{SLUG}", ["folds.k=2"])


def write(path, ids, text="1 5"):
    lines = [b"id,rle_mask", *(f"{id},{text}".encode() for id in ids)]
    path.write_bytes(gzip.compress(b"\n".join(lines)) if path.suffix == ".gz" else b"\n".join(lines))
    return path


def test_from_the_slug_to_a_scored_submission(space, kaggle, tmp_path):
    board = space.competition.board
    assert (board.kind, board.slug, board.daily_limit) == ("kaggle", SLUG, 5)
    assert not (tmp_path / "salt.download").exists()
    assert len(space.samples().test) == 9
    ids = [s.id for s in space.samples().test]

    before = list(kaggle.log)
    with pytest.raises(SubmissionError, match="1 missing id"):
        space.submit("bad", write(tmp_path / "bad.csv", ids[1:]))
    assert kaggle.log == before  # nothing has left: no quota is used

    receipt = space.submit("first", write(tmp_path / "mine.csv", ids))
    assert (receipt.id, receipt.used_today, receipt.daily_limit) == (1001, 1, 5)
    (folder,) = space.submissions.all()
    kept = read_toml(folder / "receipt.toml")
    assert (kept["board"], kept["message"], kept["public"]) == (f"kaggle:{SLUG}", "first", receipt.public)
    assert (folder / "mine.csv").is_file()

    found = space.standings(leaderboard=True)
    assert [(r["id"], r["public"], r["private"], r["final"]) for r in found] == [(1001, receipt.public, None, True)]
    assert (found.limits.left, found.deadline.year) == (4, 2030)
    assert [s.rank for s in found.around("me")] == [1, *range(9, 16)]
    assert found.head().startswith(f"kaggle:{SLUG}; 4 of 5 submissions left today (UTC); ")

    with pytest.raises(BoardError, match='as number 1001 "first"'):  # the same rows, gzipped under another name
        space.submit("again", write(tmp_path / "other.csv.gz", ids))
    assert len(kaggle.submissions) == 1


def test_a_used_up_quota_is_found_before_the_file_is_sent(space, kaggle, tmp_path):
    kaggle.daily = 0
    kaggle.submissions.append({"status": "COMPLETE"})
    ids = [s.id for s in space.samples().test]
    with pytest.raises(BoardError, match="no submission is left"):
        space.submit("late", write(tmp_path / "mine.csv", ids))
    assert "StartSubmissionUpload" not in kaggle.log


def test_the_receipt_is_there_when_the_wait_is_interrupted_and_its_score_comes_later(
    space, kaggle, tmp_path, monkeypatch
):
    def interrupted(seconds):
        raise KeyboardInterrupt

    ids = [s.id for s in space.samples().test]
    kaggle.slow = 1
    monkeypatch.setattr(KaggleBoard.__init__, "__defaults__", ("", None, interrupted))
    with pytest.raises(KeyboardInterrupt):
        space.submit("first", write(tmp_path / "mine.csv", ids))
    (folder,) = space.submissions.all()
    kept = read_toml(folder / "receipt.toml")
    assert (kept["id"], kept["status"], kept["message"], "public" in kept) == (1001, "pending", "first", False)
    with pytest.raises(BoardError, match="as number 1001"):
        space.submit("again", write(tmp_path / "mine.csv", ids))
    kaggle.submissions[0]["pending"] = 0
    (row,) = space.standings()
    assert row["public"] is not None
    assert len(space.submissions.all()) == 1


def test_what_a_host_refuses_it_says_itself_and_what_it_could_not_score_may_come_again(
    space, kaggle, tmp_path, monkeypatch
):
    monkeypatch.setenv("PODIUM_HOST_TOKEN", TOKEN)
    kaggle.base = f"http://127.0.0.1:{kaggle.port}"
    board = HostBoard(kaggle.base, SLUG, sleep=lambda seconds: None)
    handing = submitting.Submitting(*space._made_of, board)
    file = write(tmp_path / "mine.csv", [s.id for s in space.samples().test])

    def no(data):
        raise Refused(400, "the truth is out")

    kaggle.score = no
    with pytest.raises(BoardError, match="the truth is out"):
        handing.submit("first", file, again=False)
    (folder,) = space.submissions.all()
    assert read_toml(folder / "receipt.toml")["status"] == "error"
    kaggle.score = lambda data: 0.5
    assert handing.submit("first", file, again=False).public == 0.5

    kaggle.daily = 1  # no submission is left, and that is not why
    kaggle.failing["StartSubmissionUpload"] = (403, "the competition is paused")
    with pytest.raises(BoardError, match="is paused"):
        handing.submit(
            "second", write(tmp_path / "other.csv", [s.id for s in space.samples().test], "2 5"), again=False
        )


@pytest.mark.slow
def test_what_was_downloaded_is_kept_when_it_is_not_understood(kaggle, tmp_path):
    kaggle.bundle = zipped({"readme.txt": b"nothing here"})
    with pytest.raises(PodiumError):
        Workspace.new(tmp_path / "odd", f"kaggle:{SLUG}")
    assert not (tmp_path / "odd").exists()
    assert (tmp_path / "odd.download" / f"{SLUG}.zip").is_file()


@pytest.mark.slow
def test_an_archive_that_leads_outside_is_refused(kaggle, tmp_path):
    kaggle.bundle = zipped({"../../evil.txt": b"x"})
    with pytest.raises(DataError, match="leads outside"):
        Workspace.new(tmp_path / "odd", f"kaggle:{SLUG}")
    assert not (tmp_path.parent / "evil.txt").exists()


def test_the_local_board_reads_a_file_once_and_what_is_unlike_validation_is_told(tmp_path, monkeypatch, capsys):
    space = workspace_of(tmp_path, "overlapping")
    draw_attempt(space, "baseline", 0.5)
    monkeypatch.setattr(submitting, "inspect", lambda *a: pytest.fail("read once more"))
    ids = [s.id for s in space.samples().test]
    rows = [f"{id}_{name}," for id in ids for name in ("red", "green")]
    file = tmp_path / "empty.csv"
    file.write_text("\n".join(["id,rle_mask", *rows]) + "\n")
    receipt = space.submit("nothing", file)
    assert receipt.public is not None
    assert "warning: 100 % of your test masks are empty" in capsys.readouterr().err
    file.write_text("\n".join(["id,rle_mask", *rows[1:]]) + "\n")
    with pytest.raises(SubmissionError, match="1 missing id"):
        space.submit("bad", file)
    assert len(space.board().submissions()) == 1
