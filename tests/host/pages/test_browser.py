"""The pages in a real browser: registration, the drop zone, a board that moves by itself, a merger, the reveal."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hosting import House, serving, wait_graded
from podium.host.server.teams import rename

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
NEEDED = ("chromium", "chromedriver")


@pytest.fixture(scope="module")
def needed():
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        told = f"not on this machine: {', '.join(absent)} (Debian's packages chromium and chromium-driver)"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)


class Browser:
    """Chromium, asked for what a person would look for."""

    def __init__(self, port, folder, width=1280):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.base = f"http://127.0.0.1:{port}"

    def go(self, path):
        self.driver.get(self.base + path)

    def find(self, css):
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css="main"):
        """In one step: the page may draw it anew at any moment."""
        return self.driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", css).strip()

    def until(self, what, seconds=30):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, 0.1).until(lambda _: what())

    def fill(self, **fields):
        for name, value in fields.items():
            self.find(f"#{name}").clear()
            self.find(f"#{name}").send_keys(value)

    def press(self, words):
        from selenium.webdriver.common.by import By

        self.driver.find_element(By.XPATH, f"//main//button[normalize-space()='{words}']").click()

    def register(self, name):
        self.go("/register")
        self.fill(name=name, password=f"{name} has a long password")
        self.press("Register")
        self.until(lambda: name in self.text("h1"))

    def upload(self, file, message):
        self.go("/c/cars/submissions")
        self.find("#file").send_keys(str(file))
        self.fill(message=message)
        self.press("Submit")

    def board(self):
        cells = "[...document.querySelectorAll('tbody tr')].map(row => row.innerText.trim().split(/\\s+/).slice(0, 2))"
        return self.driver.execute_script(f"return {cells}")


@pytest.fixture
def lap(needed, tmp_path):
    house, browsers = House(tmp_path / "house", registration="open"), []

    def open_browser(**more):
        browsers.append(Browser(port, tmp_path / f"profile{len(browsers)}", **more))
        return browsers[-1]

    with serving(house.host) as port:
        yield house, open_browser
        for browser in browsers:
            browser.driver.quit()


@pytest.mark.slow
def test_two_people_from_registration_to_the_reveal(lap):
    house, open_browser = lap
    alice, bob = open_browser(), open_browser(width=390)
    alice.register("alice")
    bob.register("bob")

    alice.upload(house.csv(0.2), "first")
    alice.until(lambda: "is handed in" in alice.text(".drop [role=status]"))
    alice.until(lambda: "scored" in alice.text("[data-live]"))  # drawn anew, without a reload
    assert alice.text("[data-live]").count("first") == 1

    alice.go("/c/cars/leaderboard")
    alice.until(lambda: alice.text(".live") == "live")
    assert alice.board() == [["1", "alice"]]
    alice.driver.execute_script("window.notReloaded = true")
    bob.upload(house.csv(0.1, 1), "better")
    alice.until(lambda: [row[1] for row in alice.board()] == ["bob", "alice"])
    assert alice.driver.execute_script("return window.notReloaded")
    assert alice.text("tr.mine").split()[:2] == ["2", "alice"]

    bad = house.folder / "bad.csv"
    bad.write_text("img,rle_mask\nnobody.jpg,1 2\n")
    bob.upload(bad, "damaged")
    bob.until(lambda: "failed" in bob.text("[data-live]"))
    assert "nobody.jpg" in bob.text("tr.reason")

    bob.go("/c/cars/team")
    bob.press("Propose")
    bob.until(lambda: "The proposal is sent" in bob.text())
    alice.go("/c/cars/team")
    assert "bob proposes to become one team with yours" in alice.text()
    alice.press("Accept")
    alice.until(lambda: "Accepted." in alice.text())
    alice.go("/c/cars/leaderboard")
    assert len(alice.board()) == 1
    alice.go("/c/cars/submissions")
    assert "better" in alice.text()
    assert "first" in alice.text()

    alice.go("/c/cars/leaderboard?private=true")
    assert "is not revealed yet" in alice.text()
    wait_graded(house)
    house.clock.forward(days=31)
    alice.go("/login")
    alice.fill(name="alice", password="alice has a long password")
    alice.press("Log in")
    alice.until(lambda: "Competitions" in alice.text("h1"))
    alice.go("/c/cars/leaderboard?private=true")
    assert "Private board" in alice.text()
    assert "shake" in alice.text("thead")
    assert len(alice.board()) == 1
    expected = {"Failed to load resource: the server responded with a status of 403 (Forbidden)"}
    said = [line["message"] for line in alice.driver.get_log("browser") if line["level"] == "SEVERE"]
    assert all(any(words in line for words in expected) for line in said), said


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(lap):
    house, open_browser = lap
    house.user("olga", organiser=True)
    house.host.accounts.set_password(house.users["olga"], "olga has a long password")
    house.submit("a-user-whose-name-is-as-long-as-they-get", 0.1)
    house.grade()
    phone = open_browser(width=360)
    phone.go("/login")
    phone.fill(name="olga", password="olga has a long password")
    phone.press("Log in")
    pages = ("", "/leaderboard", "/submissions", "/team", "/attempts", "/organise")
    for path in ["/", "/account", *(f"/c/cars{page}" for page in pages)]:
        phone.go(path)
        assert phone.driver.execute_script("return document.documentElement.scrollWidth") <= 360, path


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_name_pushes_scores_out_of_sight(lap, width):
    """Names, file names, notes and reasons without a blank in them are broken."""
    house, open_browser = lap
    alice = house.user("alice", organiser=True)
    house.host.accounts.set_password(alice, "alice has a long password")
    house.send("alice", house.csv(0.1).read_bytes(), "n" * 300, file_name="f" * 110 + ".csv")
    house.send("alice", b"img,rle_mask\n" + b"1" * 3000, file_name="bad.csv")
    house.submit("a-user-whose-name-is-as-long-as-they-get", 0.2, seed=1)
    wait_graded(house)
    rename(house.host, house.hosted, alice, "W" * 50)
    browser = open_browser(width=width)
    browser.go("/login")
    browser.fill(name="alice", password="alice has a long password")
    browser.press("Log in")
    hidden = "[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth + 1)"
    for path in ("leaderboard", "submissions", "organise"):
        browser.go(f"/c/cars/{path}")
        assert "0.86529" in browser.text()
        assert not browser.driver.execute_script(f"return {hidden}"), path
    house.clock.forward(days=31)
    browser.driver.delete_all_cookies()
    browser.go("/c/cars/leaderboard?private=true")
    assert not browser.driver.execute_script(f"return {hidden}")


def test_the_style_and_the_script_are_our_own():
    import podium.host.pages

    folder = Path(podium.host.pages.__file__).parent
    for file in folder.rglob("*.*"):
        if file.suffix in (".html", ".css", ".js"):
            outside = [
                w for w in ("http://", "https://", "//cdn") if w in file.read_text().replace("http://www.w3.org", "")
            ]
            assert outside == [], file
