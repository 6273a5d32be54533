"""The real kaggle client against a server of the tests' own; nothing can leave this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_kaggle import TOKEN, Kaggle, serving, zipped

GUARD = Path(__file__).parent / "guard"


@pytest.fixture
def leaks(tmp_path, monkeypatch):
    """The file in which a child process notes what it wanted to reach outside; `GUARD` keeps it from doing so."""
    import os

    file = tmp_path / "leaks.txt"
    monkeypatch.setenv("PODIUM_TEST_LEAKS", str(file))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(GUARD), os.environ.get("PYTHONPATH", "")])))
    return file


@pytest.fixture
def kaggle(tmp_path, monkeypatch, leaks):
    """The server, and an environment in which the client finds it and nothing else; at the end nobody asked others."""
    home = tmp_path / "home"
    home.mkdir()
    bundle = zipped({"train.csv": b"id,rle_mask\na,1 2\n", "images/a.png": bytes(3_000_000)})
    files = [{"name": n, "totalBytes": s, "creationDate": "2026-01-01T00:00:00Z"} for n, s in
             (("train.csv", 18), ("images/a.png", 3_000_000), ("sample_submission.csv", 30))]  # fmt: skip
    teams = [(f"team {n}", round(0.9 - n / 1000, 5), f"user{n}") for n in range(30)]
    teams[11] = ("We, Alice", 0.889, "bob,alice")
    with serving(Kaggle(bundle=bundle, files=files, teams=teams)) as server:
        proxy = f"http://127.0.0.1:{server.port}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {
            "HOME": str(home), "KAGGLE_API_ENVIRONMENT": "LOCALHOST", "KAGGLE_API_TOKEN": TOKEN,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield server
        assert server.refused == []
        assert not leaks.exists(), leaks.read_text()
