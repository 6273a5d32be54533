"""The server from outside: addresses, sizes, times, and what is refused before it is looked at."""

from __future__ import annotations

import re
import shutil
import string
import time

import pytest

from hosting import SERVICE, House, call, client, raw, serving, uploaded
from podium.host.server import uploads
from podium.host.server.uploads import start_upload

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
    answer = raw(live.port, request_)
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
    assert raw(live.port, head).startswith(b"HTTP/1.1 4")


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


def test_a_download_whose_file_is_another_now_comes_whole(live):
    """Its rest would be joined to the first part of the old one."""

    def address(http):
        return http.post("/api/competitions/cars/files", json={"name": "sample_submission.csv"}).json()["url"]

    file = live.hosted.folder / "data" / "sample_submission.csv"
    with client(live.port, live.tokens["alice"]) as http:
        old, left = http.get(address(http)), address(http)
        file.write_bytes(file.read_bytes() + b"\n")
        tag = old.headers["etag"]
        new = http.get(address(http), headers={"range": "bytes=10-", "if-range": tag})
        assert (new.status_code, new.content) == (200, old.content + b"\n")
        assert new.headers["etag"] != tag
        assert http.get(left, headers={"range": "bytes=10-", "if-range": tag}).status_code == 409
        file.write_bytes(old.content)


def test_an_address_spelt_in_another_way_is_the_same_address(live):
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    with client(live.port, live.tokens["alice"]) as http:
        where = http.post("/api/competitions/cars/files", json={"name": "sample_submission.csv"}).json()["url"]
        address, name = where.rsplit("/", 1)
        other = address[:-1] + letters[letters.index(address[-1]) ^ 1]  # the last letter has bits that say nothing
        assert http.get(f"{other}/{name}").status_code == 200
        assert http.get(where).status_code == 410


# sizes and times


def test_bodies_that_are_too_large_with_and_without_saying_so(live):
    with client(live.port, live.tokens["alice"]) as http:
        answer = http.post(SERVICE + "ListCompetitions", content=b"x" * 2_000_000)
        assert answer.status_code == 413
        answer = http.post(SERVICE + "ListCompetitions", content=iter([b"x" * 600_000, b"x" * 600_000]))
        assert answer.status_code == 413


def test_a_body_that_does_not_come(live, monkeypatch):
    monkeypatch.setattr("podium.host.server.guard.IDLE_SECONDS", 0.3)
    answer = raw(live.port, b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab")
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'{"a":' * 5000, b"\xff", b'{"competitionName": 5}', b'{"page": -1}', b'{"page": 1e400}'],
)
def test_bodies_that_are_no_request(live, body):
    with client(live.port, live.tokens["alice"]) as http:
        for method in ("ListCompetitions", "ListSubmissions", "GetSubmission", "StartSubmissionUpload"):
            answer = http.post(SERVICE + method, content=body)
            assert answer.status_code < 500, (method, answer.text)
        assert http.post("/api/login", content=body).status_code == 422


def test_halves_of_characters_are_refused_and_numbers_too_large_too(live):
    half = rb'{"competitionName": "\ud800", "search": "\ud800", "fileName": "\ud800", "contentLength": 1}'
    with client(live.port, live.tokens["alice"]) as http:
        for method in ("ListCompetitions", "GetCompetition", "StartSubmissionUpload", "\\ud800"):
            assert http.post(SERVICE + method, content=half).status_code in (400, 404)
        login = rb'{"name": "\ud800", "password": "\ud800"}'
        assert http.post("/api/login", content=login).status_code in (400, 401, 422)
    with client(live.port, live.tokens["olga"]) as http:
        for rules in (rb'{"title": "\ud800"}', rb'{"\ud800": 1}'):
            assert http.patch("/api/organiser/competitions/cars/rules", content=rules).status_code in (400, 422)
        assert http.get("/api/organiser/competitions/cars/rules").status_code == 200


def test_expired_uploads_are_removed_while_the_host_is_served(tmp_path, monkeypatch):
    monkeypatch.setattr("podium.host.server.app.SWEEP_SECONDS", 0.05)
    house = House(tmp_path / "house")
    token = start_upload(house.host, house.hosted, house.user("alice"), "a.csv", 3)
    house.put(token, b"abc")
    house.clock.forward(hours=7)
    with serving(house.host):
        for _ in range(200):
            if not list(house.host.blobs.iterdir()):
                break
            time.sleep(0.02)
    assert not list(house.host.blobs.iterdir())


def test_an_upload_is_given_up_before_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "LOOK", 300_000)
    house = House(tmp_path / "house", spare_mb=10)
    house.user("alice")
    with serving(house.host) as port, client(port, house.tokens["alice"]) as http:
        asked = http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 10**6}).json()
        real = shutil.disk_usage
        monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=9 * 2**20))
        assert http.put(f"/api/uploads/{asked['token']}", content=b"x" * 10**6).status_code == 503
        monkeypatch.setattr(shutil, "disk_usage", real)
        assert http.put(f"/api/uploads/{asked['token']}", content=b"x" * 10**6).status_code == 201
