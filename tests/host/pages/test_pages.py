"""The pages as a browser without scripts asks for them: what they show, to whom, and forms that others forge."""

from __future__ import annotations

import re

import pytest
from fastapi import APIRouter

from hosting import House, client, serving
from podium.host import pages

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("pages") / "house", registration="open")
    for name, wrong in (("alice", 0.1), ("bob", 0.2)):
        house.user(name)
        house.host.accounts.set_password(house.users[name], PASSWORD)
        house.submit(name, wrong)
    house.user("olga", organiser=True)
    house.host.accounts.set_password(house.users["olga"], PASSWORD)
    house.grade()
    with serving(house.host) as port:
        yield house, port


def logged_in(port, name, next="/"):
    browser = client(port, follow_redirects=True)
    page = browser.post("/login", data={"name": name, "password": PASSWORD, "next": next})
    assert page.status_code == 200, page.text
    return browser, page


def secret(page):
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


def test_everybody_reads_what_is_public_and_is_sent_to_the_login_for_the_rest(served):
    _, port = served
    with client(port) as visitor:
        for path in ("/", "/c/cars", "/c/cars/leaderboard", "/c/cars/leaderboard/rows", "/c/cars/attempts", "/login"):
            answer = visitor.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
            assert "private" not in answer.text.lower() or "/leaderboard?private" not in answer.text
        for path in ("/c/cars/submissions", "/c/cars/team", "/account", "/c/cars/organise"):
            answer = visitor.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
        board = visitor.get("/c/cars/leaderboard").text
        assert board.index("alice") < board.index("bob")


def test_numbers_too_large_for_the_record_are_refused(served):
    _, port = served
    browser, _ = logged_in(port, "alice")
    csrf = secret(browser.get("/account"))
    for path in ("/account/tokens/{}/revoke", "/c/cars/submissions/{}/cancel", "/c/cars/team/offers/{}"):
        answer = browser.post(path.format(10**20), data={"csrf": csrf, "accept": "yes"})
        assert answer.status_code == 422, path


def test_no_page_needs_what_the_policy_forbids(served):
    _, port = served
    browser, _ = logged_in(port, "olga")
    for path in ("/", "/c/cars", "/c/cars/leaderboard", "/c/cars/submissions", "/c/cars/team", "/c/cars/organise"):
        answer = browser.get(path)
        assert not re.search(r"<script(?! src=\"/)|<style|\sstyle=|\son\w+=|(?:src|href|action)=.https?:", answer.text)
        assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_a_login_leads_back_and_never_to_another_site(served):
    _, port = served
    assert logged_in(port, "alice", "/c/cars/team")[1].url.path == "/c/cars/team"
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "c/cars"):
        assert logged_in(port, "alice", elsewhere)[1].url.path == "/"


def test_a_wrong_password_is_told_and_after_some_the_name_has_to_wait(tmp_path):
    house = House(tmp_path / "house", logins_a_quarter=5)
    with serving(house.host) as port, client(port) as visitor:
        codes = [
            visitor.post("/login", data={"name": "nobody", "password": "wrong password"}).status_code for _ in range(7)
        ]
    assert codes == [401] * 5 + [429] * 2


def test_a_token_serves_as_a_password_of_its_owner_alone(served):
    house, port = served
    with client(port) as visitor:
        for name, code in (("alice", 303), ("bob", 401)):
            answer = visitor.post("/login", data={"name": name, "password": house.tokens["alice"]})
            assert answer.status_code == code


def test_forms_of_other_sites_are_refused(served):
    house, port = served
    browser, _ = logged_in(port, "bob")
    before = house.host.events.last()
    for data in ({"name": "stolen"}, {"name": "stolen", "csrf": "x" * 43}):
        answer = browser.post("/c/cars/team/rename", data=data)
        assert answer.status_code == 403
        assert "not of this session" in answer.text
    with client(port) as visitor:
        origin = {"origin": "https://evil.example"}
        answer = visitor.post("/login", data={"name": "bob", "password": PASSWORD}, headers=origin)
    assert answer.status_code == 403
    assert house.host.events.last() == before


def test_no_page_or_call_that_changes_anything_is_served_without_the_sessions_secret(served):
    """Every one of them, as the organiser, who may do all: a new route without the check fails here."""
    house, port = served
    browser, _ = logged_in(port, "olga")
    free = ("/login", "/register", "/api/login", "/api/register", "/api/uploads/{token}")
    parts = [part.router for part in vars(pages).values() if isinstance(getattr(part, "router", None), APIRouter)]
    forms = [(m, r.path) for part in parts for r in part.routes for m in r.methods - {"GET", "HEAD"}]
    spec = browser.get("/openapi.json").json()["paths"]
    calls = [(m.upper(), p) for p, methods in spec.items() for m in methods if m != "get" and "/v1/" not in p]
    assert len(forms) > 15
    assert len(calls) > 20
    before = house.host.events.last()
    for method, path in [*forms, *calls]:
        if path in free:
            continue
        where = path.replace("{slug}", "cars").replace("{number}", "1")
        given = {"json": {}} if path.startswith("/api") else {"data": {"csrf": "x" * 43}}
        answer = browser.request(method, where, **given)
        assert (answer.status_code, "not of this session" in answer.text) == (403, True), (method, path, answer.text)
    assert house.host.events.last() == before


def test_names_are_shown_as_they_are_written(served):
    _, port = served
    browser, page = logged_in(port, "bob", "/c/cars/team")
    page = browser.post("/c/cars/team/rename", data={"csrf": secret(page), "name": "<b>Bob</b> & Söhne"})
    assert "The team has its new name." in page.text
    for path in ("/c/cars/team", "/c/cars/leaderboard", "/c/cars/leaderboard/rows"):
        assert "&lt;b&gt;Bob&lt;/b&gt; &amp; Söhne" in browser.get(path).text
        assert "<b>Bob" not in browser.get(path).text
    why = "see <script>alert(1)</script> and [this](javascript:alert(1)) and *that*"
    given = {"what": "<i>tricks</i>", "change": "augment", "verdict": "NO", "gain": "-0.5", "why": why}
    page = browser.post("/c/cars/attempts", data=given | {"csrf": secret(page)})
    assert "&lt;i&gt;tricks" in page.text
    assert "<em>that</em>" in page.text
    assert "<script>alert" not in page.text
    assert 'href="javascript' not in page.text
    assert "-0.50000" in page.text


def test_only_organisers_organise(served):
    _, port = served
    browser, page = logged_in(port, "alice", "/account")
    csrf = secret(page)
    browser.follow_redirects = False  # to a page that refuses, after something was done all the same
    assert browser.get("/c/cars/organise").status_code == 403
    for path in ("rules", "description", "rescore", "users"):
        answer = browser.post(f"/c/cars/organise/{path}", data={"csrf": csrf, "text": "x", "name": "x"})
        assert answer.status_code == 403
        assert "for organisers" in answer.text


def test_an_organiser_changes_rules_and_wrong_ones_change_nothing(served):
    house, port = served
    browser, page = logged_in(port, "olga", "/c/cars/organise")
    form = dict(
        re.findall(r'<input [^>]*name="(\w+)"[^>]*type="(?:text|number|datetime-local)" value="([^"]*)"', page.text)
    )
    form |= {"csrf": secret(page), "medals": "1", "board": "best", "late": "graded", "reveal": "end"}
    assert "Save" in page.text
    before = house.hosted.rules
    page = browser.post("/c/cars/organise/rules", data=form)
    assert house.hosted.rules == before
    page = browser.post("/c/cars/organise/rules", data=form | {"daily_limit": "7", "title": "Cars & Co", "paused": "1"})
    assert "The rules hold from now on." in page.text
    assert house.hosted.rules == before.model_copy(update={"daily_limit": 7, "title": "Cars & Co", "paused": True})
    for wrong in ({"daily_limit": "many"}, {"daily_limit": "0"}, {"end": "2001-01-01T00:00"}, {"end": "soon"}):
        answer = browser.post("/c/cars/organise/rules", data=form | {"daily_limit": "7", "title": "Cars & Co"} | wrong)
        assert answer.status_code == 400, wrong
        assert 'class="message error"' in answer.text
    assert house.hosted.rules.daily_limit == 7
    house.rules(daily_limit=5, title="", paused=False)


def test_a_new_user_gets_a_token_once(served):
    house, port = served
    browser, page = logged_in(port, "olga", "/c/cars/organise")
    page = browser.post("/c/cars/organise/users", data={"csrf": secret(page), "name": "carol"})
    token = re.search(r"<code>(podium_[\w-]+)</code>", page.text)[1]
    assert house.host.accounts.of_token(token).name == "carol"
    assert token not in browser.get("/c/cars/organise").text


def test_what_is_not_there_is_a_page_too(served):
    _, port = served
    with client(port) as visitor:
        for path in ("/c/nix", "/c/nix/leaderboard", "/c/../etc", "/static/app.py", "/static/..%2frender.py"):
            answer = visitor.get(path)
            assert answer.status_code == 404, path
        private = visitor.get("/c/cars/leaderboard?private=true")
    assert private.status_code == 403
    assert "is not revealed yet" in private.text


def test_private_scores_are_on_no_page_before_the_end(served):
    house, port = served
    rows = house.host.db.all("SELECT private FROM submissions WHERE private IS NOT NULL")
    hidden = [f"{row['private']:.5f}" for row in rows]
    assert hidden
    for name in ("alice", "olga"):
        browser, _ = logged_in(port, name)
        for path in ("/", "/c/cars", "/c/cars/leaderboard", "/c/cars/submissions", "/c/cars/team"):
            assert not [score for score in hidden if score in browser.get(path).text], path
    assert not [score for score in hidden if score in browser.get("/c/cars/organise").text]


def test_a_file_is_fetched_by_an_address_that_only_the_logged_in_get(served):
    _, port = served
    with client(port) as visitor:
        assert visitor.get("/c/cars/download").headers["location"] == "/login?next=/c/cars/download"
    browser, _ = logged_in(port, "alice")
    whole = browser.get("/c/cars/download")
    assert (whole.status_code, whole.content[:2]) == (200, b"PK")
    one = browser.get("/c/cars/download", params={"name": "sample_submission.csv"})
    assert one.text.startswith("img,rle_mask")
    assert browser.get("/c/cars/download", params={"name": "../solution.csv"}).status_code == 404
