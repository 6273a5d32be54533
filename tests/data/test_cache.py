"""Keys hash exactly what a stage reads; the log says why something was made again."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.data import cache
from podium.data.cache import StageLog, content_hashes, stage_key


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{i}.bin" for i in range(4)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * 50)
    return paths


def test_a_touched_file_keeps_its_hash_and_a_changed_one_does_not(tmp_path, files):
    memo = tmp_path / "memo.json"
    before = content_hashes(files, memo)
    assert len(set(before.values())) == 4
    os.utime(files[0], ns=(1, 1))
    assert content_hashes(files, memo) == before
    files[1].write_bytes(b"other" * 10)
    after = content_hashes(files, memo)
    assert [after[f] == before[f] for f in files] == [True, False, True, True]


def test_known_files_are_not_read_again(tmp_path, files, monkeypatch):
    memo = tmp_path / "memo.json"
    before = content_hashes(files, memo)
    monkeypatch.setattr(cache, "_digest", lambda path: pytest.fail(f"{path} read"))
    assert content_hashes(files[::-1], memo) == before


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b'{"FILE": 3}'])
def test_a_damaged_memo_costs_only_time(tmp_path, files, damage):
    before = content_hashes(files, tmp_path / "memo")
    (tmp_path / "memo").write_bytes(damage.replace(b"FILE", bytes(files[0])))
    assert content_hashes(files, tmp_path / "memo") == before
    assert content_hashes(files, tmp_path / "memo") == before


def test_a_file_that_cannot_be_read_has_the_reason_as_its_hash(tmp_path, files):
    """What cannot be read is the decoding stage's to report, sample by sample; it must not stop the others."""
    content = files[2].read_bytes()
    files[2].unlink()
    gone = content_hashes(files, tmp_path / "memo")
    assert gone[files[2]].startswith("cannot be read")
    files[2].write_bytes(content)
    back = content_hashes(files, tmp_path / "memo")
    assert len(back[files[2]]) == 32
    assert {k: v for k, v in back.items() if k != files[2]} == {k: v for k, v in gone.items() if k != files[2]}


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")), max_size=5))
def test_a_key_is_of_content_and_settings_not_of_their_order(content):
    settings = {"size": [1, 2], "order": "row"}
    key = stage_key("s", content.items(), settings)
    assert key == stage_key("s", list(content.items())[::-1], dict(reversed(settings.items())))
    assert key != stage_key("t", content.items(), settings)
    assert key != stage_key("s", content.items(), {"size": [2, 1], "order": "row"})
    assert key != stage_key("s", [*content.items(), ("new", "x")], settings)


def test_the_log_says_what_changed(tmp_path):
    log = StageLog(tmp_path / "log")
    content = {"a": "1", "b": "2"}
    assert log.why("s", content, {"size": None}) == "first time"
    assert log.why("s", content, {"size": None}) == "its result was not in the cache"
    assert log.why("s", content, {"size": [8, 8]}) == "size: None -> [8, 8]"
    assert log.why("s", {"a": "1", "b": "3", "c": "4"}, {"size": [8, 8]}) == "1 files added, 1 files changed"
    assert log.why("s", {"b": "3"}, {"size": [8, 8]}) == "2 files removed"
    assert log.why("other", {}, {}) == "first time"
    (tmp_path / "log").write_bytes(b"\xff{")
    assert log.why("s", {}, {}) == "first time"
