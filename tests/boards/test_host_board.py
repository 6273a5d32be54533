"""`HostBoard`: the same calls by podium's own small client."""

from __future__ import annotations

import hashlib
from urllib.request import Request

import fake_kaggle
import pytest
from fake_kaggle import SLUG, TOKEN, Kaggle, Refused, serving

from podium.boards.choice import board_at
from podium.boards.host import HostBoard
from podium.boards.rpc import Rpc, _Kept
from podium.boards.tokens import token_file, token_of
from podium.errors import BoardError, ConfigError


@pytest.fixture
def host(kaggle, monkeypatch):
    kaggle.base = f"http://127.0.0.1:{kaggle.port}"
    monkeypatch.setenv("PODIUM_HOST_TOKEN", TOKEN)
    return HostBoard(kaggle.base, SLUG, team="team 3", sleep=lambda seconds: None)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "submission.csv.gz"
    path.write_bytes(b"y" * 321)
    return path


def test_submit_and_wait(host, kaggle, file):
    kaggle.slow = 3
    receipt = host.submit(file, "first", "0001-x")
    assert (receipt.id, receipt.public, receipt.private, receipt.attempt) == (1001, 0.321, None, "0001-x")
    assert (receipt.used_today, receipt.daily_limit) == (1, 5)
    assert kaggle.submissions[0]["data"] == file.read_bytes()
    assert "Authorization" not in kaggle.put_headers[0]  # the address is the permission
    assert [r.message for r in host.submissions()] == ["first"]
    assert host.submissions(reveal=True)[0].private == 0.5


def test_what_cannot_be_scored(host, kaggle, file):
    def no(data):
        raise Refused(400, "line 3: no number")

    kaggle.score = no
    with pytest.raises(BoardError, match="could not score submission 1001: line 3: no number"):
        host.submit(file, "x")


def test_what_is_handed_in_is_told_before_the_wait_for_its_score(host, kaggle, file):
    told = []

    def interrupted(seconds):
        raise KeyboardInterrupt

    kaggle.slow, host.sleep = 3, interrupted
    with pytest.raises(KeyboardInterrupt):
        host.submit(file, "first", "0001-x", known=told.append)
    assert [(r.id, r.status, r.message, r.attempt, r.file) for r in told] == [
        (1001, "pending", "first", "0001-x", "submission.csv.gz")
    ]


def test_a_host_that_does_not_answer_for_a_while_is_asked_again(host, kaggle, file):
    answers = [(503, "the host starts anew"), (429, "too many requests"), (502, "no answer of the host"), None]
    kaggle.failing["GetSubmission"] = answers.pop(0)
    kaggle.failing["GetSubmissionLimits"] = (429, "too many requests")

    def wait(seconds):
        kaggle.failing["GetSubmission"] = answers.pop(0)
        if kaggle.failing["GetSubmission"] is None:
            del kaggle.failing["GetSubmission"]

    host.sleep = wait
    receipt = host.submit(file, "first")
    assert (receipt.public, receipt.used_today, receipt.daily_limit) == (0.321, 0, 0)
    kaggle.failing["GetSubmission"] = (401, "the token is not valid")
    with pytest.raises(BoardError, match="not valid"):
        host.submit(file, "second")


def test_quota_leaderboard_and_deadline(host, kaggle, file):
    kaggle.daily = 1
    host.submit(file, "x")
    with pytest.raises(BoardError, match="daily submission limit of 1"):
        host.submit(file, "y")
    board = host.standings()
    assert len(board) == 30
    assert [(s.rank, s.score) for s in board if s.mine] == [(4, 0.897)]
    assert host.deadline().year == 2030


def test_baselines_have_no_place_where_the_host_says_so(host, kaggle, monkeypatch):
    rows = [("best", "0.9", 1), ("all empty", "0.8", None), ("team 3", "0.7", 2)]
    listed = [{"teamName": team, "score": score, "rank": rank} for team, score, rank in rows]
    monkeypatch.setattr(kaggle, "on_GetLeaderboard", lambda body: {"submissions": listed}, raising=False)
    assert [(s.rank, s.team, s.mine) for s in host.standings()] == [
        (1, "best", False), (None, "all empty", False), (2, "team 3", True),
    ]  # fmt: skip


def test_without_a_team_one_is_found_by_the_name_of_the_token(kaggle, host):
    kaggle.teams[6] = ("alice", 0.893, "alice")
    assert [s.rank for s in HostBoard(kaggle.base, SLUG).standings() if s.mine] == [7]


def test_download_goes_on_where_it_broke_off(host, kaggle, tmp_path):
    kaggle.cut = 1_200_000
    (path,) = host.fetch(tmp_path / "down")
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(kaggle.bundle).digest()
    assert [p.name for p in (tmp_path / "down").iterdir()] == [path.name]
    assert any(r.startswith("bytes=1") for r in kaggle.ranges)


@pytest.mark.parametrize("left", [b"", b" and more"], ids=["whole", "longer"])
def test_a_download_that_was_killed_before_it_got_its_name_begins_anew(host, kaggle, tmp_path, left):
    folder = tmp_path / "down"
    folder.mkdir()
    (folder / f"{SLUG}.zip.part").write_bytes(kaggle.bundle + left)
    (folder / f"{SLUG}.zip.part.etag").write_text(f'"{hashlib.md5(kaggle.bundle).hexdigest()}"')
    (path,) = host.fetch(folder)
    assert path.read_bytes() == kaggle.bundle
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_a_file_that_changed_meanwhile_is_fetched_anew(host, kaggle, tmp_path):
    folder = tmp_path / "down"
    folder.mkdir()
    (folder / f"{SLUG}.zip.part").write_bytes(b"old bytes")
    (folder / f"{SLUG}.zip.part.etag").write_text('"another"')
    (path,) = host.fetch(folder)
    assert path.read_bytes() == kaggle.bundle


@pytest.mark.parametrize(("status", "says"), [(401, "PODIUM_HOST_TOKEN"), (403, "rules"), (429, "standings")])
def test_refusals(host, kaggle, status, says):
    kaggle.failing["ListSubmissions"] = (status, "read the rules")
    with pytest.raises(BoardError, match=says) as error:
        host.submissions()
    assert "read the rules" in str(error.value)
    assert TOKEN not in str(error.value)


def test_nobody_at_home_and_what_is_no_host(tmp_path):
    with pytest.raises(BoardError, match="does not answer"):
        HostBoard("http://127.0.0.1:9", SLUG).limits()
    for url in ("ftp://x.org", "board.example.org", "http://", "http://user:pass@x.org"):
        with pytest.raises(ConfigError):
            Rpc(url)


def test_the_token_stays_with_its_host(kaggle, monkeypatch, tmp_path):
    """A redirect to another server, here another port, goes without it."""
    seen = []
    with serving(Kaggle(bundle=kaggle.bundle)) as other:
        monkeypatch.setattr(kaggle, "base", f"http://127.0.0.1:{other.port}")
        plain = fake_kaggle._Handler.do_GET

        def do_get(self):
            seen.append(self.headers.get("Authorization"))
            plain(self)

        monkeypatch.setattr(fake_kaggle._Handler, "do_GET", do_get)
        rpc = Rpc(f"http://127.0.0.1:{kaggle.port}", TOKEN)
        rpc.download("DownloadDataFiles", {"competitionName": SLUG}, tmp_path / "a.zip")
        monkeypatch.setattr(kaggle, "base", f"http://127.0.0.1:{kaggle.port}")
        rpc.download("DownloadDataFiles", {"competitionName": SLUG}, tmp_path / "b.zip")
    assert seen == [None, f"Bearer {TOKEN}"]


def test_nothing_goes_from_https_to_http(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"x")
    with pytest.raises(BoardError, match="from https to http"):
        Rpc("https://board.example.org", TOKEN).upload("http://board.example.org/api/v1/uploads/x", tmp_path / "a.csv")
    asked = Request("https://board.example.org/api", headers={"Authorization": f"Bearer {TOKEN}"})
    with pytest.raises(BoardError, match="from https to http"):
        _Kept().redirect_request(asked, None, 302, "", {}, "http://board.example.org/x")
    asked = Request("http://board.example.org/api", headers={"Authorization": f"Bearer {TOKEN}", "Range": "bytes=1-"})
    for target, kept in (("https://board.example.org/x", {"Range"}), ("/x", {"Range", "Authorization"})):
        assert set(_Kept().redirect_request(asked, None, 302, "", {}, target).headers) == kept


def test_tokens(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("PODIUM_HOST_TOKEN", raising=False)
    assert token_of("https://a.org") == ""
    file = token_file()
    file.parent.mkdir()
    file.write_text('"https://a.org/" = "one"\n"https://b.org" = "two"\n')
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        token_of("https://a.org")
    file.chmod(0o600)
    assert [token_of(u) for u in ("https://a.org", "https://b.org/", "https://c.org")] == ["one", "two", ""]
    file.write_text("secret-of-mine")
    with pytest.raises(ConfigError) as error:
        token_of("https://a.org")
    assert "secret-of-mine" not in str(error.value)
    monkeypatch.setenv("PODIUM_HOST_TOKEN", "three")
    assert token_of("https://a.org") == "three"


def test_addresses():
    board, keys = board_at("host:https://board.example.org/cars-2026")
    assert (board.name, keys["url"], keys["slug"]) == (
        "host:https://board.example.org/cars-2026", "https://board.example.org", "cars-2026",
    )  # fmt: skip
    board, keys = board_at("kaggle:https://www.kaggle.com/competitions/tgs-salt/")
    assert (board.name, keys) == ("kaggle:tgs-salt", {"kind": "kaggle", "slug": "tgs-salt"})
    assert board_at("some/folder") is None
    for odd in ("kaggle:", "kaggle:../x", "host:board.example.org/x", "host:https://x.org"):
        with pytest.raises(ConfigError):
            board_at(odd)
