"""The server from outside: who may see and do what."""

from __future__ import annotations

import csv
import io
import shutil
import threading
import time
import zipfile
from pathlib import Path

import pytest

from hosting import House, call, client, serving, uploaded
from podium.host.server import sse, uploads
from podium.host.server.refusals import Forbidden, Refusal, Unknown
from podium.host.server.standings import as_csv, harmless, standings
from podium.host.server.submissions import hand_in, submission
from podium.host.server.teams import enter, rename

PASSWORD = "correct horse battery"


# who may see what


def test_nothing_tells_of_another_teams_submission_or_of_private_scores(live):
    """Every GET route and every call of the kaggle client, as another team, a visitor, and the organiser."""
    rows = live.host.db.all("SELECT * FROM submissions ORDER BY id")
    private = [f"{row['private']:.5f}"[:7] for row in rows]
    exact = [repr(row["private"]) for row in rows]
    with client(live.port) as http:
        paths = http.get("/openapi.json").json()["paths"]
    by_private = {"sortBy": "SUBMISSION_SORT_BY_PRIVATE_SCORE"}
    asked = 0
    for who in ("eve", "alice", None, "olga"):
        with client(live.port, live.tokens[who] if who else None) as http:
            texts = []
            for path, methods in paths.items():
                if "get" not in methods or path.endswith("/events"):
                    continue
                for number in (1, 2):
                    where = path.replace("{slug}", "cars").replace("{number}", str(number))
                    for query in ("", "?private=true"):
                        texts.append(http.get(where + query).text)
                        asked += 1
            for method, body in (
                ("ListSubmissions", {}), ("GetLeaderboard", {}), ("GetCompetition", {}), ("GetSubmission", {"ref": 1}),
                ("GetSubmission", {"ref": 2}), ("ListTeamPublicSubmissions", {"teamId": 2}),
                ("GetLeaderboard", {"overridePublic": True}), ("ListSubmissions", by_private),
            ):  # fmt: skip
                texts.append(call(http, method, competitionName="cars", **body).text)
            board = call(http, "DownloadLeaderboard", competitionName="cars")
            if who:
                with zipfile.ZipFile(io.BytesIO(board.content)) as z:
                    texts.append(z.read(z.namelist()[0]).decode())
        said = "\n".join(texts)
        assert not [p for p in (*private, *exact) if p in said], who
        if who in ("eve", None):
            assert "of alice" not in said
        if who != "olga":
            assert "of bob" not in said
            assert rows[1]["sha256"] not in said
    assert asked > 50


@pytest.mark.parametrize("number", [2, 999])
def test_another_teams_submission_is_answered_like_one_that_does_not_exist(live, number):
    with client(live.port, live.tokens["alice"]) as http:
        for method, path in (("GET", f"/api/submissions/{number}"), ("POST", f"/api/submissions/{number}/cancel")):
            answer = http.request(method, path)
            assert answer.status_code == 404
            assert answer.json()["message"] == f"there is no submission {number} of yours"
        assert http.put("/api/competitions/cars/picks", json={"ids": [number]}).status_code == 404


@pytest.mark.parametrize("who", ["alice", None])
def test_what_is_for_organisers_is_for_nobody_else(live, who):
    with client(live.port) as http:
        spec = http.get("/openapi.json").json()["paths"]
    routes = [(m, p) for p, methods in spec.items() if p.startswith("/api/organiser") for m in methods]
    assert len(routes) > 8
    with client(live.port, live.tokens[who] if who else None) as http:
        for method, path in routes:
            where = path.replace("{slug}", "cars").replace("{number}", "1")
            answer = http.request(method, where, json={} if method in ("post", "put", "patch") else None)
            assert answer.status_code == (403 if who else 401), (method, path, answer.text)


def test_an_upload_is_its_owners_once_and_of_its_competition(live):
    data = live.csv(0.3, 77).read_bytes()
    with client(live.port, live.tokens["alice"]) as alice, client(live.port, live.tokens["bob"]) as bob:
        token = alice.post("/api/competitions/cars/uploads", json={"file_name": "a.csv", "size": len(data)}).json()[
            "token"
        ]
        hand = {"token": token, "message": ""}
        early = alice.post("/api/competitions/cars/submissions", json=hand)
        assert (early.status_code, early.json()["message"]) == (409, "its bytes have not come; send the file first")
        for _ in range(2):  # a client may send it again
            assert alice.put(f"/api/uploads/{token}", content=data).status_code == 201
        assert bob.post("/api/competitions/cars/submissions", json=hand).status_code == 404
        assert alice.post("/api/competitions/cars/submissions", json=hand).status_code == 201
        again = alice.post("/api/competitions/cars/submissions", json=hand)
        assert (again.status_code, "handed in already" in again.text) == (409, True)
        assert alice.put(f"/api/uploads/{token}", content=data).status_code == 409
        assert alice.put("/api/uploads/podium_" + "x" * 43, content=data).status_code == 404


def test_an_upload_is_for_the_competition_that_it_was_asked_for_alone(house):
    """The other may have been over its quota, or closed: what it would have refused is not brought in this way."""
    other = Path(house.hosted.folder).with_name("bikes")
    shutil.copytree(house.hosted.folder, other)
    alice, data = house.user("alice"), house.csv(0.1).read_bytes()
    token = uploads.start_upload(house.host, house.hosted, alice, "a.csv", len(data))
    house.put(token, data)
    bikes = house.host.competitions.get("bikes")
    enter(house.host, bikes, alice)
    with pytest.raises(Unknown, match="no such upload of yours in this competition"):
        hand_in(house.host, bikes, alice, token, "")
    assert hand_in(house.host, house.hosted, alice, token, "").competition == "cars"


def test_uploads_that_were_never_handed_in_give_way_to_new_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_OPEN", 3)
    house = House(tmp_path / "house")
    user, tokens = house.user("alice"), []
    for n in range(5):
        tokens.append(uploads.start_upload(house.host, house.hosted, user, "a.csv", 1))
        house.put(tokens[-1], b"%d" % n)
    for token in tokens[:2]:
        with pytest.raises(Unknown):
            hand_in(house.host, house.hosted, user, token, "")
    assert len(list(house.host.blobs.iterdir())) == 3
    hand_in(house.host, house.hosted, user, tokens[2], "")


def test_an_upload_expires_and_what_came_of_it_is_swept_away(house):
    data = house.csv(0.1).read_bytes()
    kept = house.send("alice", data)
    token = uploads.start_upload(house.host, house.hosted, house.users["alice"], "b.csv", 1)
    house.put(token, b"x")
    assert uploads.sweep(house.host) == 0
    house.clock.forward(hours=7)
    with pytest.raises(Forbidden, match="this upload has expired"):
        hand_in(house.host, house.hosted, house.users["alice"], token, "")
    with pytest.raises(Forbidden, match="this upload has expired"):
        house.put(token, b"x")
    assert uploads.sweep(house.host) == 1
    assert len(list(house.host.blobs.iterdir())) == 1
    house.grade()
    assert submission(house.host, kept.id, house.users["alice"]).status == "scored"


def test_a_team_has_a_disk_quota_and_the_disk_a_reserve(tmp_path):
    house = House(tmp_path / "house", team_mb=1, upload_mb=1)
    alice = house.user("alice")
    house.send("alice", b"x" * 2**19)
    with pytest.raises(Refusal, match="the team has stored 0 MB"):
        uploads.start_upload(house.host, house.hosted, alice, "a.csv", 2**19 + 1)
    with pytest.raises(Refusal, match="1 MB at most"):
        uploads.start_upload(house.host, house.hosted, alice, "a.csv", 2**20 + 1)
    uploads.start_upload(house.host, house.hosted, alice, "a.csv", 2**19)
    full = House(tmp_path / "full", spare_mb=10**9)
    with pytest.raises(Refusal, match="the host's disk is nearly full"):
        full.submit("alice")


def test_more_and_fewer_bytes_than_declared(live):
    with client(live.port, live.tokens["alice"]) as http:
        for sent, status in ((b"x" * 11, 413), (b"x" * 9, 400), (b"", 400)):
            token = http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 10}).json()["token"]
            answer = http.put(f"/api/uploads/{token}", content=sent)
            assert answer.status_code == status
            assert "retry-after" not in answer.headers

        def chunks():
            yield from (b"12345", b"67890")

        token = http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 10}).json()["token"]
        assert http.put(f"/api/uploads/{token}", content=chunks()).status_code == 201  # chunked
    assert not list(live.host.blobs.glob(".*.tmp"))


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(live):
    with client(live.port, live.tokens["alice"]) as http:
        answer = http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 600 * 2**20})
        assert (answer.status_code, "512 MB at most" in answer.text) == (413, True)
        answer = call(http, "StartSubmissionUpload", competitionName="cars", contentLength=600 * 2**20)
        assert answer.status_code == 413


# logins


def test_a_browser_needs_the_secret_of_its_session_to_change_anything(live):
    with client(live.port) as http:
        made = http.post("/api/register", json={"name": "dora", "password": PASSWORD})
        assert made.status_code == 201
        cookie = made.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert http.get("/api/me").json()["name"] == "dora"
        assert http.post("/api/competitions/cars/team", json={}).status_code == 403
        assert http.post("/api/competitions/cars/team", json={}, headers={"x-csrf-token": "x"}).status_code == 403
        good = {"x-csrf-token": made.json()["csrf"]}
        assert http.post("/api/competitions/cars/team", json={}, headers=good).status_code == 201
        assert http.post("/api/logout", headers=good).status_code == 204
        assert http.get("/api/me").status_code == 401


def test_failed_logins_are_slowed_down_for_the_name(tmp_path):
    house = House(tmp_path / "house", logins_a_quarter=3)
    house.user("alice", password=PASSWORD)
    with serving(house.host) as port, client(port) as http:
        for _ in range(3):
            assert http.post("/api/login", json={"name": "alice", "password": "wrong"}).status_code == 401
        answer = http.post("/api/login", json={"name": "ALICE", "password": PASSWORD})
        assert (answer.status_code, answer.json()["message"]) == (429, "too many failed attempts; wait some minutes")


def test_failures_of_others_at_an_address_lock_nobody_out(tmp_path):
    house = House(tmp_path / "house", logins_a_quarter=3)
    house.user("alice", password=PASSWORD)
    with serving(house.host) as port, client(port) as http:
        for n in range(10):
            assert http.post("/api/login", json={"name": f"nobody{n}", "password": "wrong"}).status_code == 401
        assert http.post("/api/login", json={"name": "alice", "password": PASSWORD}).status_code == 200
        codes = [http.get("/api/me", headers={"authorization": f"Bearer wrong{n}"}).status_code for n in range(40)]
        assert (codes[0], codes[-1]) == (401, 429)
        right = {"authorization": f"Bearer {house.tokens['alice']}"}
        assert http.get("/api/me", headers=right).status_code == 200


def test_registrations_are_counted_and_one_too_many_makes_no_user(tmp_path):
    house = House(tmp_path / "house", logins_a_quarter=1, registration="open")
    with serving(house.host) as port, client(port) as http:
        http.post("/api/login", json={"name": "carl", "password": "wrong"})  # the name has to wait
        codes = []
        for n in range(12):
            http.cookies.clear()
            given = {"name": "carl" if n == 0 else f"user{n}", "password": PASSWORD}
            codes.append(http.post("/api/register", json=given).status_code)
    assert codes[0] in (201, 429)
    assert codes[-1] == 429
    made = house.host.db.one("SELECT count(*) AS n FROM users")["n"]
    assert made == codes.count(201)


def test_requests_are_counted(tmp_path):
    house = House(tmp_path / "house", requests_a_minute=20)
    with serving(house.host) as port, client(port) as http:
        codes = [http.get("/api/competitions").status_code for _ in range(30)]
    assert codes[:20] == [200] * 20
    assert codes[-1] == 429


# names on the way out


def test_a_spreadsheet_runs_nothing_of_a_team_name(tmp_path):
    house = House(tmp_path / "house")
    house.submit("alice")
    house.grade()
    rename(house.host, house.hosted, house.users["alice"], '=HYPERLINK("http://evil","x")')
    with serving(house.host) as port, client(port) as http:
        text = http.get("/api/competitions/cars/board.csv").text
    name, score = list(csv.reader(io.StringIO(text)))[1][2:5:2]
    assert name == '\'=HYPERLINK("http://evil","x")'
    assert float(score) > 0
    assert [harmless(c) for c in ("+1", "-1", "@x", "|x", "a=b")] == ["'+1", "'-1", "'@x", "'|x", "a=b"]


def test_a_negative_score_stays_a_number_in_the_file_of_the_board(tmp_path):
    house = House(tmp_path / "house")
    house.submit("alice")
    house.grade()
    with house.host.db.write() as db:
        db.execute("UPDATE submissions SET shown = -0.12345")
    text = as_csv(standings(house.host, house.hosted, None))
    assert list(csv.reader(io.StringIO(text)))[1][4] == "-0.12345"


# the live feed


@pytest.mark.parametrize("who", ["eve", None])
def test_what_was_missed_is_replayed_to_those_whom_it_concerns_alone(live, who):
    """From the first event on: alice's and bob's submissions are among them, and their teams' own events."""
    assert live.host.db.one("SELECT count(*) AS n FROM events WHERE team IS NOT NULL")["n"] >= 2
    last, seen = live.host.events.last("cars", "board"), []
    with (
        client(live.port, live.tokens[who] if who else None) as http,
        http.stream("GET", "/api/competitions/cars/events?since=0") as answer,
    ):
        for line in answer.iter_lines():
            seen.append(line)
            if line == f"id: {last}":
                break
    kinds = {line for line in seen if line.startswith("event:")}
    assert "event: board" in kinds
    assert not kinds & {"event: submission", "event: team"}


def test_events_come_with_ids_are_replayed_and_tell_no_scores(live, monkeypatch):
    monkeypatch.setattr(sse, "HEARTBEAT", 1.0)
    seen, last = [], live.host.events.last()

    def listen(token, into, headers):
        with (
            client(live.port, token) as http,
            http.stream("GET", "/api/competitions/cars/events", headers=headers) as r,
        ):
            for line in r.iter_lines():
                into.append(line)
                if line == "event: board":
                    break

    eve = threading.Thread(target=listen, args=(live.tokens["eve"], seen, {}))
    eve.start()
    time.sleep(0.5)
    with client(live.port, live.tokens["alice"]) as http:
        number = uploaded(http, live.csv(0.15, 5).read_bytes(), message="secret message").json()["id"]
    eve.join(30)
    assert not eve.is_alive()
    said = "\n".join(seen)
    assert "event: submission" not in said  # of another team
    assert "secret" not in said
    mine = []
    listen(live.tokens["alice"], mine, {"last-event-id": str(last)})  # what was missed
    ids = [int(line[4:]) for line in mine if line.startswith("id: ")]
    assert ids == sorted(ids)
    assert min(ids) > last
    assert f'data: {{"id": {number}, "status": "queued"}}' in mine
    score = live.host.db.one("SELECT public, private FROM submissions WHERE id = ?", number)
    assert not [s for s in score if s is not None and str(s)[:6] in "\n".join(mine)]
