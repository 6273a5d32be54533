"""The official kaggle client, unmodified, driven by `KaggleBoard` against a server on the loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from fake_kaggle import SLUG, TOKEN, Refused

from podium.boards.client import KaggleClient, redacted
from podium.boards.complaints import explained
from podium.boards.kaggle import KaggleBoard
from podium.errors import BoardError, ConfigError


def board(**given):
    return KaggleBoard(SLUG, sleep=lambda seconds: None, **given)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "submission.csv.gz"
    path.write_bytes(b"x" * 123)
    return path


def told(error):
    """An error without what must never be in one."""
    text = str(error.value)
    assert TOKEN not in text
    assert "secret-signature" not in text
    assert "Traceback" not in text
    return text


def test_files_page_by_page(kaggle):
    assert board().files() == [("train.csv", 18), ("images/a.png", 3_000_000), ("sample_submission.csv", 30)]
    assert kaggle.log.count("ListDataFiles") == 2


def test_download_that_broke_off_goes_on_and_a_second_one_is_skipped(kaggle, tmp_path):
    kaggle.cut = 1_500_000
    (path,) = board().fetch(tmp_path / "down")
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(kaggle.bundle).digest()
    assert any(r.startswith("bytes=") for r in kaggle.ranges)
    before = path.stat().st_mtime_ns
    assert board().fetch(tmp_path / "down") == [path]
    assert path.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_download_that_is_no_archive(kaggle, tmp_path):
    kaggle.redirects = False
    with pytest.raises(BoardError, match="no archive") as error:
        board().fetch(tmp_path / "down")
    assert "/data" in told(error)


def test_submit_and_wait(kaggle, file):
    kaggle.slow = 2
    receipt = board().submit(file, '-- more, "augmentation"', "0002-more")
    assert (receipt.id, receipt.public, receipt.private, receipt.status) == (1001, 0.123, None, "complete")
    assert (receipt.message, receipt.attempt, receipt.file) == ('-- more, "augmentation"', "0002-more", file.name)
    assert (receipt.used_today, receipt.daily_limit) == (1, 5)
    assert receipt.at.isoformat() == "2026-11-23T11:11:41.120000+00:00"
    assert kaggle.submissions[0]["data"] == file.read_bytes()
    assert "Authorization" not in kaggle.put_headers[0]


@pytest.mark.slow
def test_submit_where_the_client_names_no_number(kaggle, file):
    """As 2.2.4 does it: the new one is found in the list."""
    client = KaggleClient()
    client.version = (2, 2, 4)
    kaggle.on_CreateSubmission({"blobFileTokens": kaggle.on_StartSubmissionUpload({})["token"]})
    kaggle.lists_ref = False
    assert board(client=client).submit(file, "second").id == 1002


@pytest.mark.slow
@pytest.mark.parametrize("version", [4, 5])
def test_a_client_that_ends_well_without_having_submitted(kaggle, file, version):
    """2.2.4 exits with 0 when the upload fails; what counts is whether the submission is there."""

    class Silent(KaggleClient):
        def run(self, *args, **more):
            return "Could not submit to competition" if args[1] == "submit" else super().run(*args, **more)

    client = Silent()
    client.version = (2, 2, version)
    with pytest.raises(BoardError, match="did not reach Kaggle") as error:
        board(client=client).submit(file, "x")
    assert "to do:" in told(error)
    assert kaggle.submissions == []


@pytest.mark.slow
def test_a_submission_that_cannot_be_scored(kaggle, file):
    def no(data):
        raise Refused(400, "Row 7: id 'q' is unknown")

    kaggle.score = no
    with pytest.raises(BoardError, match=r"could not score submission 1001: Row 7: id 'q' is unknown") as error:
        board().submit(file, "x")
    told(error)


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 413, 503])
def test_an_upload_that_is_refused(kaggle, file, status):
    kaggle.failing["PUT"] = (status, "")
    with pytest.raises(BoardError, match="upload broke off or was refused") as error:
        board().submit(file, "x")
    told(error)
    assert kaggle.submissions == []


@pytest.mark.slow
def test_quota_used_up_is_said_before_a_byte_is_sent(kaggle, file):
    kaggle.daily = 1
    board().submit(file, "x")
    with pytest.raises(BoardError, match="no submission is left: 1 submission today") as error:
        board().submit(file, "y")
    told(error)
    assert kaggle.log.count("PUT") == 1
    assert board().limits().left == 0


def test_rules_that_are_not_accepted(kaggle, file, tmp_path):
    kaggle.accepted = False
    for action in (lambda: board().fetch(tmp_path / "down"), lambda: board().submit(file, "x")):
        with pytest.raises(BoardError, match="rules of 'salt-of-the-earth' are not accepted") as error:
            action()
        assert f"https://www.kaggle.com/competitions/{SLUG}/rules" in told(error)


COMPLAINTS = pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        (401, "401 Client Error: Unauthorized", ["does not know you", "kaggle auth login"]),
        (403, "Permission denied", ["does not let you", "join it"]),
        (404, "404 Client Error: Not Found", ["no competition 'salt-of-the-earth'"]),
        (429, "Too Many Requests", ["slow down"]),
        (400, "The competition deadline has passed", ["takes no submission now", "deadline has passed"]),
        (500, "Internal Server Error", ["problem of its own"]),
        (503, "Service Unavailable", ["problem of its own"]),
        (400, "Something nobody has heard of", ["refused: Something nobody has heard of"]),
        (400, f"leaked token={TOKEN} in https://x/y?X-Goog-Signature=secret-signature", ["refused: leaked token=…"]),
    ],
)


@COMPLAINTS
def test_every_complaint_is_known(status, message, says):
    found = explained(redacted(message), SLUG)
    assert all(s in str(found) for s in says), str(found)


@COMPLAINTS
@pytest.mark.slow
def test_every_complaint_is_one_error(kaggle, status, message, says):
    kaggle.failing["ListSubmissions"] = (status, message)
    with pytest.raises(BoardError) as error:
        board().submissions()
    assert all(s in told(error) for s in says), str(error.value)


@pytest.mark.slow
def test_nobody_logged_in(kaggle, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    with pytest.raises(BoardError, match="does not know you") as error:
        board().submissions()
    assert "kaggle auth login" in told(error)


@pytest.mark.slow
def test_a_token_that_is_not_good(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_other")
    with pytest.raises(BoardError, match="does not know you"):
        board().submissions()


def test_a_server_that_is_not_there(kaggle, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(BoardError, match="cannot be reached") as error:
        board().limits()
    told(error)


def test_a_server_that_does_not_answer(kaggle, monkeypatch):
    with pytest.raises(BoardError, match="did not answer within"):
        KaggleClient().run("competitions", "files", SLUG, timeout=0.05)


@pytest.mark.slow
def test_submissions_keep_private_scores_back(kaggle, file):
    board().submit(file, "a,b\nc")
    assert board().submissions()[0].private is None
    (shown,) = board().submissions(reveal=True)
    assert (shown.private, shown.message) == (0.5, "a,b\nc")


@pytest.mark.slow
def test_no_submission_yet(kaggle):
    assert board().submissions() == []


@pytest.mark.slow
def test_limits(kaggle, file):
    board().submit(file, "x")
    found = board().limits()
    assert (found.today, found.left, found.total) == (1, 4, 1)


def test_the_leaderboard_and_my_team_on_it(kaggle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / f"{SLUG}.zip"
    data.write_bytes(b"the data, which has the same name")
    found = board().standings()
    assert [s.rank for s in found] == list(range(1, 31))
    assert [(s.rank, s.team, s.score) for s in found if s.mine] == [(12, "We, Alice", 0.889)]
    assert data.read_bytes() == b"the data, which has the same name"
    assert [s.team for s in board(team="team 3").standings() if s.mine] == ["team 3"]


def test_deadline_of_the_right_competition(kaggle):
    assert board().deadline().isoformat() == "2030-01-31T23:59:00+00:00"


def test_an_environment_that_would_mislead_the_client(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHSOT")
    with pytest.raises(BoardError, match="KAGGLE_API_ENVIRONMENT is 'LOCALHSOT'"):
        board().submissions()
    assert kaggle.log == []


def test_what_is_not_installed_is_said(monkeypatch):
    import importlib.metadata
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "six" else find(name))
    with pytest.raises(BoardError, match="needs the package six"):
        KaggleClient()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BoardError, match=r"podium\[kaggle\]"):
        KaggleClient()
    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.6.17")
    with pytest.raises(BoardError, match=r"kaggle 1\.6\.17 is installed"):
        KaggleClient()


@pytest.mark.parametrize("slug", ["", "../etc", "a b", "--help", "x/y", "ä"])
def test_what_cannot_be_a_competition(slug):
    with pytest.raises(ConfigError):
        KaggleBoard(slug)


def test_credentials_are_struck_out(monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", "abcdef123456")
    shown = redacted("key abcdef123456, Authorization: Bearer KGAT_x1234, ?sig=aaaabbbb&x=1")
    assert "abcdef" not in shown
    assert "KGAT" not in shown
    assert "aaaabbbb" not in shown


def test_kaggle_is_never_imported(kaggle, file):
    code = "import podium.boards.kaggle, podium.cli, sys; print([m for m in sys.modules if m.startswith('kaggle')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_nothing_can_leave_this_machine(kaggle, leaks, monkeypatch):
    """The proof: the client, sent to the real site without a proxy, is stopped by the guard before a name is asked."""
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT")
    with pytest.raises(BoardError) as error:
        board().submissions()
    told(error)
    noted = leaks.read_text().splitlines()
    assert noted
    assert all("kaggle.com" in line for line in noted)
    assert kaggle.log == []
    leaks.unlink()


def test_a_proxy_that_is_asked_for_another_host_refuses(kaggle, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT")
    with pytest.raises(BoardError, match="cannot be reached"):
        board().submissions()
    assert any("api.kaggle.com" in line for line in kaggle.refused)
    kaggle.refused.clear()
