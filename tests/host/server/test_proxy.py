"""Behind a proxy that speaks TLS: addresses, cookies and counting are the visitor's."""

from __future__ import annotations

import httpx
import pytest

from hosting import House, client, serving

HTTPS = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}


@pytest.fixture
def house(tmp_path, request):
    house = House(tmp_path / "house", proxy=request.param, registration="open", logins_a_quarter=2)
    house.user("alice")
    house.host.accounts.set_password(house.users["alice"], "correct horse")
    return house


def log_in(http, password, name="alice", **headers):
    return http.post("/api/login", json={"name": name, "password": password}, headers=headers)


@pytest.mark.parametrize("house", [True], indirect=True)
def test_what_the_proxy_says_is_believed(house):
    with serving(house.host) as port, client(port, house.tokens["alice"]) as http:
        asked = call_start(http, HTTPS)
        assert asked["createUrl"].startswith(f"https://127.0.0.1:{port}/")
        assert call_start(http, {})["createUrl"].startswith("http://")  # by a tunnel, beside the proxy
        cookie = log_in(http, "correct horse", **HTTPS).headers["set-cookie"]
        assert "; secure" in cookie.lower()
        page = http.get("/account", headers=HTTPS | {"cookie": cookie.split(";")[0], "authorization": ""}).text
        assert f"host:https://127.0.0.1:{port}/" in page
        assert "HTTP_PROXY=http://localhost:8765" in page
        wrong = [log_in(http, "wrong", f"nobody{n}", **HTTPS).status_code for n in range(50)]
        assert wrong[0] == 401
        assert wrong[-1] == 429  # and others are counted apart
        assert log_in(http, "wrong", "somebody", **HTTPS | {"x-forwarded-for": "203.0.113.8"}).status_code == 401


@pytest.mark.parametrize("house", [True], indirect=True)
def test_only_the_proxy_is_believed(house):
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    headers = {"authorization": f"Bearer {house.tokens['alice']}"}
    with serving(house.host) as port, httpx.Client(
        base_url=f"http://127.0.0.1:{port}", transport=transport, headers=headers
    ) as http:  # fmt: skip
        assert call_start(http, HTTPS)["createUrl"].startswith("http://")


@pytest.mark.parametrize("house", [False], indirect=True)
def test_without_a_proxy_nobody_is_believed(house):
    with serving(house.host) as port, client(port, house.tokens["alice"]) as http:
        assert call_start(http, HTTPS)["createUrl"].startswith("http://")
        assert "; secure" not in log_in(http, "correct horse", **HTTPS).headers["set-cookie"].lower()


def call_start(http, headers):
    given = {"competitionName": "cars", "fileName": "a.csv", "contentLength": 10}
    found = http.post("/api/v1/competitions.CompetitionApiService/StartSubmissionUpload", json=given, headers=headers)
    assert found.status_code == 200, found.text
    return found.json()
