"""The server from outside: who may see what, what is refused and how it is told."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import re
import socket
import stat
import threading
import time
import zipfile

import pytest

from hosting import House, client, serving, wait_graded
from podium.host.server import sse
from podium.host.server.incoming import opened
from podium.host.server.standings import harmless
from podium.host.server.teams import enter, rename

KAGGLE = "/api/v1/competitions.CompetitionApiService/"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A host that is served for all tests of this file: alice and bob have submitted."""
    house = House(tmp_path_factory.mktemp("live") / "house", rules={"daily_limit": 500}, registration="open")
    house.user("eve")
    house.user("olga", organiser=True)
    house.submit("alice", 0.1, message="of alice")
    house.submit("bob", 0.2, message="of bob")
    with serving(house.host) as port:
        wait_graded(house)
        house.port = port
        yield house


def raw(port, data, wait=5.0):
    """The answer to bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as s:
        s.sendall(data)
        answer = b""
        try:
            while chunk := s.recv(65536):
                answer += chunk
                if b"\r\n\r\n" in answer and b"connection: keep-alive" not in answer.lower() and len(chunk) < 100:
                    break
        except TimeoutError:
            pass
    return answer


def call(http, method, **body):
    return http.post(KAGGLE + method, json=body)


def uploaded(http, data, name="sub.csv", message=""):
    """Hand in over REST; the answer to the last step that was made."""
    asked = http.post("/api/competitions/cars/uploads", json={"file_name": name, "size": len(data)})
    if asked.status_code != 201:
        return asked
    token = asked.json()["token"]
    sent = http.put(f"/api/uploads/{token}", content=data)
    if sent.status_code != 201:
        return sent
    return http.post("/api/competitions/cars/submissions", json={"token": token, "message": message})


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


# addresses and headers


@pytest.mark.parametrize(
    "request_",
    [
        b"GET http://api.kaggle.com/ HTTP/1.1\r\nHost: api.kaggle.com\r\n\r\n",
        b"GET http://evil.example/api/competitions HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/competitions HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://localhost/api/competitions HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://localhost@evil.example/api/competitions HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
        b"GET https://evil.example/ HTTP/1.1\r\nHost: localhost\r\nx-podium-target: localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_it_is_no_proxy_for_others(live, request_):
    answer = raw(live.port, request_, 3.0)
    assert re.match(rb"HTTP/1.1 (421|400) ", answer), answer[:80]
    assert b"carvana" not in answer


def test_absolute_targets_of_its_own_are_served(live):
    answer = raw(
        live.port, b"GET http://localhost/api/competitions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"slug":"cars"' in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
    ],
)
def test_heads_that_are_none(live, head):
    assert raw(live.port, head, 3.0).startswith(b"HTTP/1.1 4")


def test_every_answer_has_the_headers_that_bind_browsers(live):
    with client(live.port) as http:
        for path in ("/docs", "/api/competitions", "/nothing", "/api/submissions/1"):
            headers = http.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe-inline" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers


def test_the_rest_page_escapes_and_loads_nothing_from_elsewhere(live):
    with client(live.port) as http:
        page = http.get("/docs").text
    assert "/api/competitions/{slug}/board" in page
    assert "http" not in re.sub(r"https?://\.\.\.", "", page.split("<main>")[0])
    assert "<script" not in page


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../solution.csv", "..%2fsolution.csv", "data/../solution.csv", "\x00", "a\\b"]
)
def test_paths_that_lead_elsewhere(live, path):
    with client(live.port, live.tokens["alice"]) as http:
        assert call(http, "DownloadDataFile", competitionName="cars", fileName=path).status_code == 404
        assert http.post("/api/competitions/cars/files", json={"name": path}).status_code == 404
        assert call(http, "ListDataFiles", competitionName=path).status_code == 404
        sent = uploaded(http, live.csv(0.31, len(path)).read_bytes(), name=path)
        assert sent.json()["file_name"] in ("passwd", "solution.csv", "..%2fsolution.csv", "submission.csv", "b")
    assert not (live.folder.parent / "solution.csv").exists()


def test_the_solution_and_the_rules_are_no_files_of_the_competition(live):
    assert not {"solution.csv", "rules.toml", "truth/runs.npy"} & {f.name for f in live.hosted.files}
    link = live.hosted.folder / "data" / "link.csv"
    link.symlink_to(live.hosted.solution)
    live.host.competitions._known.clear()
    try:
        assert "link.csv" not in {f.name for f in live.hosted.files}
    finally:
        link.unlink()
        live.host.competitions._known.clear()


# downloads


def test_an_address_is_for_one_download_and_its_rest(live):
    with client(live.port, live.tokens["alice"]) as http:
        where = http.post("/api/competitions/cars/files", json={"name": "sample_submission.csv"}).json()["url"]
    with client(live.port) as http:  # the address is the right
        whole = http.get(where)
        assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
        assert http.get(where).status_code == 410
        tag = whole.headers["etag"]
        rest = http.get(where, headers={"range": "bytes=10-", "if-range": tag})
        assert (rest.status_code, rest.content) == (206, whole.content[10:])
        assert rest.headers["content-range"] == f"bytes 10-{len(whole.content) - 1}/{len(whole.content)}"
        assert http.get(where, headers={"range": "bytes=10-", "if-range": '"other"'}).status_code == 410
        assert http.get(where, headers={"range": f"bytes={len(whole.content)}-", "if-range": tag}).status_code == 416
        last = http.get(where, headers={"range": "bytes=-5", "if-range": tag})
        assert last.content == whole.content[-5:]
        for _ in range(20):
            answer = http.get(where, headers={"range": "bytes=0-", "if-range": tag})
        assert answer.status_code == 410
        forged = where.replace("/api/downloads/", "/api/downloads/A")
        assert http.get(forged).status_code == 410


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


def test_requests_are_counted(tmp_path):
    house = House(tmp_path / "house", requests_a_minute=20)
    with serving(house.host) as port, client(port) as http:
        codes = [http.get("/api/competitions").status_code for _ in range(30)]
    assert codes[:20] == [200] * 20
    assert codes[-1] == 429


# sizes and times


def test_bodies_that_are_too_large_with_and_without_saying_so(live):
    with client(live.port, live.tokens["alice"]) as http:
        answer = http.post(KAGGLE + "ListCompetitions", content=b"x" * 2_000_000)
        assert answer.status_code == 413
        answer = http.post(KAGGLE + "ListCompetitions", content=iter([b"x" * 600_000, b"x" * 600_000]))
        assert answer.status_code == 413


def test_a_body_that_does_not_come(live, monkeypatch):
    monkeypatch.setattr("podium.host.server.guard.IDLE_SECONDS", 0.3)
    answer = raw(live.port, b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab", 5.0)
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'{"a":' * 5000, b"\xff", b'{"competitionName": 5}', b'{"page": -1}', b'{"page": 1e400}'],
)
def test_bodies_that_are_no_request(live, body):
    with client(live.port, live.tokens["alice"]) as http:
        for method in ("ListCompetitions", "ListSubmissions", "GetSubmission", "StartSubmissionUpload"):
            answer = http.post(KAGGLE + method, content=body)
            assert answer.status_code < 500, (method, answer.text)
        assert http.post("/api/login", content=body).status_code == 422


# names on the way out


def test_a_spreadsheet_runs_nothing_of_a_team_name(tmp_path):
    house = House(tmp_path / "house")
    house.submit("alice")
    house.grade()
    rename(house.host, house.hosted, house.users["alice"], '=HYPERLINK("http://evil","x")')
    with serving(house.host) as port, client(port) as http:
        text = http.get("/api/competitions/cars/board.csv").text
    name = list(csv.reader(io.StringIO(text)))[1][2]
    assert name == '\'=HYPERLINK("http://evil","x")'
    assert [harmless(c) for c in ("+1", "-1", "@x", "|x", "a=b", 5)] == ["'+1", "'-1", "'@x", "'|x", "a=b", 5]


# the live feed


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


# files that are not what they seem


def zipped(*members, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            info.compress_type = options.get("compress", zipfile.ZIP_DEFLATED)
            z.writestr(info, content)
    return out.getvalue()


def link():
    info = zipfile.ZipInfo("submission.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((info, "/etc/passwd"))


def encrypted():
    data = bytearray(zipped(("a.csv", "x")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


HOSTILE = {
    "a gzip bomb": (lambda: gzip.compress(bytes(40 << 20)), "grows too much"),
    "a zip bomb": (lambda: zipped(("a.csv", bytes(40 << 20))), "grows too much"),
    "a zip in a zip": (lambda: zipped(("a.zip", zipped(("a.csv", "x")))), "expected: one CSV file"),
    "several files": (lambda: zipped(("a.csv", "x"), ("b.csv", "x")), "the zip has 2 files"),
    "a link": (link, "has a link in it"),
    "an encrypted zip": (encrypted, "is encrypted"),
    "a zip compressed oddly": (lambda: zipped(("a.csv", "x"), compress=zipfile.ZIP_BZIP2), "in a way that is not read"),
    "half a zip": (lambda: zipped(("a.csv", "x" * 1000))[:-30], "the zip is damaged"),
    "half a gzip": (lambda: gzip.compress(b"img,rle_mask\n" * 1000)[:-9], "damaged"),
    "nothing": (lambda: b"", "the file is empty"),
    "zeros": (lambda: bytes(10_000), "there is no column"),
    "UTF-16": (lambda: "img,rle_mask\n".encode("utf-16"), "UTF-16"),
    "no UTF-8": (lambda: b"img,rle_mask\ncar3_01.jpg,\xff\xfe\n", "not UTF-8"),
    "a word": (lambda: b"img,rle_mask\ncar3_01.jpg,nan inf\n", "not a whole number"),
    "a huge number": (lambda: b"img,rle_mask\ncar3_01.jpg,1 " + b"9" * 5000 + b"\n", "reaches past the last pixel"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_fail_with_a_reason_and_use_nothing(live, kind):
    make, told = HOSTILE[kind]
    with client(live.port, live.tokens["eve"]) as http:
        before = http.get("/api/competitions/cars/limits").json()["total"]
        made = uploaded(http, make(), name="evil.csv")
        assert made.status_code == 201, made.text
        wait_graded(live)
        found = http.get(f"/api/submissions/{made.json()['id']}").json()
        assert found["status"] == "failed"
        assert told in found["error"], found["error"]
        assert str(live.folder) not in found["error"]
        assert http.get("/api/competitions/cars/limits").json()["total"] == before


def test_a_zip_of_one_csv_and_a_gzip_are_graded(live):
    data = live.csv(0.12, 9).read_bytes()
    with client(live.port, live.tokens["eve"]) as http:
        ids = [uploaded(http, d).json()["id"] for d in (zipped(("my.csv", data)), gzip.compress(data), data)]
        wait_graded(live)
        scores = {http.get(f"/api/submissions/{n}").json()["public"] for n in ids}
    assert len(scores) == 1
    assert None not in scores


def test_a_zip_of_masks_is_bounded_too(tmp_path, monkeypatch):
    monkeypatch.setattr("podium.host.server.incoming.LARGEST", 1000)
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(("a.png", bytes(600)), ("b.png", bytes(600)), compress=zipfile.ZIP_STORED))
    with pytest.raises(Exception, match="grows too much"), opened(path, "a.zip", masks=True):
        pass


def test_what_the_kaggle_client_prints_of_an_error_is_json_with_a_message(live):
    with client(live.port, live.tokens["alice"]) as http:
        for answer in (call(http, "Nothing"), call(http, "GetCompetition", competitionName="x"), http.get("/nowhere")):
            assert set(json.loads(answer.text)) == {"code", "message"}
            assert json.loads(answer.text)["code"] == answer.status_code == 404


def test_a_full_disk_is_told_and_uses_nothing(disk):
    house = House(disk / "house", spare_mb=0)
    enter(house.host, house.hosted, house.user("alice"))
    with serving(house.host) as port, client(port, house.tokens["alice"]) as http:
        token = http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 300_000}).json()["token"]
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(bytes(4096)):
                pass
        answer = http.put(f"/api/uploads/{token}", content=b"x" * 300_000)
        assert answer.status_code == 503, answer.text
        assert "disk" in answer.text
        assert http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 1}).status_code == 503
        filler.unlink()
        assert http.put(f"/api/uploads/{token}", content=b"x" * 300_000).status_code == 201
        assert http.get("/api/competitions/cars/limits").json()["total"] == 0
