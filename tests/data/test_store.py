"""The pixel store: what goes in comes out, whatever kills the build, however many build it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_items import IDS, item

from podium.data import build as build_module
from podium.data.store import Item, Store, StoreWriter, build_store, ordered_map
from podium.errors import DataError, StorageError
from podium.files import MARKER, is_complete


def check(store, ids):
    assert store.ids == ids
    for i, id in enumerate(ids):
        made = item(id)
        if made.pixels is None:
            assert store.errors[id] == "is broken"
            assert store.shape(i) == (0, 0)
        elif made.pixels.dtype == np.bool_:
            assert (store.mask(i) == made.pixels).all()
            assert store.mask(i).dtype == np.uint8
        else:
            assert (store.image(i) == made.pixels).all()
            assert store.shape(i) == made.pixels.shape[:2]


def content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_what_goes_in_comes_out_through_the_map(tmp_path):
    store = build_store(tmp_path / "s", IDS, item, what="test")
    check(store, IDS)
    assert store.image(1).base is not None  # a view
    assert not store.image(1).flags.writeable
    assert sorted(os.listdir(tmp_path)) == ["s"]
    assert set(store.errors) == {i for i in IDS if int(i) % 7 == 5}
    assert store.index["mode"][1] == "m1"


@given(st.lists(st.integers(0, 10_000), unique=True, max_size=12))
def test_any_items_in_any_order(tmp_path_factory, numbers):
    ids = [str(n) for n in numbers]
    check(build_store(tmp_path_factory.mktemp("any") / "s", ids, item, what="test"), ids)


def test_names_of_all_kinds_are_kept(tmp_path):
    ids = ["a b", "ä😀", "1.2", "\n", '"', ",", "\u2028", "\r"]
    store = build_store(tmp_path / "s", ids, lambda id: Item(id, np.zeros((1, 1, 3), np.uint8), {}), what="test")
    assert store.ids == ids


def test_the_same_items_give_the_same_bytes_with_any_number_of_workers(tmp_path):
    a = build_store(tmp_path / "a", IDS, item, what="test", workers=1)
    b = build_store(tmp_path / "b", IDS, item, what="test", workers=8)
    assert content(a.folder) == content(b.folder)


def test_a_finished_store_is_not_made_again(tmp_path):
    build_store(tmp_path / "s", IDS, item, what="test")
    check(build_store(tmp_path / "s", IDS, lambda id: pytest.fail("called"), what="test"), IDS)


def test_an_unfinished_folder_is_not_a_store(tmp_path):
    build_store(tmp_path / "s", IDS, item, what="test")
    (tmp_path / "s" / MARKER).unlink()
    with pytest.raises(DataError, match="not finished"):
        Store(tmp_path / "s")


def test_a_store_of_nothing_and_of_errors_alone(tmp_path):
    assert len(build_store(tmp_path / "none", [], item, what="test")) == 0
    assert build_store(tmp_path / "bad", ["5"], item, what="test").errors == {"5": "is broken"}


# ---------------------------------------------------------------------- stopped builds


def counting(calls):
    def produce(id):
        calls.append(id)
        return item(id)

    return produce


def stopped_build(folder, monkeypatch, at=30):
    """Leave what a build leaves that stops at item ``at``; returns the number of items on disk."""
    monkeypatch.setattr(build_module, "COMMIT_BYTES", 4000)

    def produce(id):
        if id == str(at):
            raise RuntimeError("a bug")
        return item(id)

    with pytest.raises(RuntimeError, match="a bug"):
        build_store(folder, IDS, produce, what="test", workers=1)
    assert not is_complete(folder)
    return len((folder.with_name("s.partial") / "index.jsonl").read_bytes().splitlines())


def test_a_stopped_build_goes_on_from_what_was_committed(tmp_path, monkeypatch):
    done, calls = stopped_build(tmp_path / "s", monkeypatch), []
    assert done > 20
    check(build_store(tmp_path / "s", IDS, counting(calls), what="test"), IDS)
    assert sorted(calls, key=int) == IDS[done:]
    clean = build_store(tmp_path / "clean", IDS, item, what="test")
    assert content(tmp_path / "s") == content(clean.folder)


@pytest.mark.parametrize(
    "tear",
    [lambda b: b[:-7], lambda b: b + b"\0" * 9, lambda b: b + b"null\n", lambda b: b + b"{}\n",
     lambda b: b[:200] + b"\n" + b[200:], lambda b: b""],
    ids=["cut", "zeros", "null", "empty row", "broken line", "nothing"],
)  # fmt: skip
def test_a_torn_journal_costs_no_more_than_the_torn_lines(tmp_path, monkeypatch, tear):
    done, calls = stopped_build(tmp_path / "s", monkeypatch), []
    journal = tmp_path / "s.partial" / "index.jsonl"
    torn = tear(journal.read_bytes())
    journal.write_bytes(torn)
    kept = 0
    for id, line in zip(IDS, torn.splitlines(keepends=True), strict=False):
        try:
            kept += json.loads(line)["id"] == id and line.endswith(b"\n")
        except (ValueError, TypeError, KeyError):
            break
    check(build_store(tmp_path / "s", IDS, counting(calls), what="test"), IDS)
    assert sorted(calls, key=int) == IDS[min(kept, done) :]
    assert content(tmp_path / "s") == content(build_store(tmp_path / "clean", IDS, item, what="test").folder)


def test_pixels_that_did_not_reach_the_disk_are_made_again(tmp_path, monkeypatch):
    stopped_build(tmp_path / "s", monkeypatch)
    with open(tmp_path / "s.partial" / "pixels.bin", "r+b") as f:
        f.truncate(2000)
    check(build_store(tmp_path / "s", IDS, item, what="test"), IDS)


def test_pixels_beyond_the_journal_are_cut_off(tmp_path, monkeypatch):
    stopped_build(tmp_path / "s", monkeypatch)
    with open(tmp_path / "s.partial" / "pixels.bin", "ab") as f:
        f.write(b"x" * 999)
    check(build_store(tmp_path / "s", IDS, item, what="test"), IDS)


def test_a_build_stopped_before_it_got_its_name_is_not_done_again(tmp_path):
    clean = content(build_store(tmp_path / "s", IDS, item, what="test").folder)
    (tmp_path / "s").rename(tmp_path / "s.partial")
    (tmp_path / "s.partial" / ".index.parquet.1.tmp").touch()
    (tmp_path / "s.partial" / "index.jsonl").touch()
    build_store(tmp_path / "s", IDS, lambda id: pytest.fail("called"), what="test")
    assert content(tmp_path / "s") == clean


CHILD = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[4])
    from store_items import IDS, item
    from podium.data import build, store
    build.COMMIT_BYTES = 3000
    folder, log, pause = Path(sys.argv[1]), open(sys.argv[2], "a", buffering=1), float(sys.argv[3])
    def produce(id):
        time.sleep(pause if int(id) >= int(sys.argv[5]) else 0.01)
        log.write(id + "\\n")
        return item(id)
    print("ready", flush=True)
    store.build_store(folder, IDS, produce, what="test", workers=2)
""")


def child(folder, log, pause, quick=0):
    """A process that builds; each item takes it ``pause`` seconds, but for the first ``quick`` ones."""
    here = os.path.dirname(__file__)
    args = [sys.executable, "-c", CHILD, str(folder), str(log), str(pause), here, str(quick)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def journaled(folder):
    journal = folder.with_name(folder.name + ".partial") / "index.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def test_kill_9_at_any_moment_and_the_next_build_ends_the_same(tmp_path):
    folder, rng, progress = tmp_path / "s", random.Random(0), []
    for attempt in range(4):
        with child(folder, tmp_path / f"log{attempt}", 0.01) as process:
            process.stdout.readline()
            wanted, give_up = (progress[-1] if progress else 0) + rng.randint(1, 8), time.monotonic() + 30
            while journaled(folder) < wanted and process.poll() is None and time.monotonic() < give_up:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not folder.exists()
        progress.append(journaled(folder))
    assert progress == sorted(progress)
    assert progress[-1] > 4
    calls = []
    check(build_store(folder, IDS, counting(calls), what="test"), IDS)
    assert sorted(calls, key=int) == IDS[progress[-1] :]
    assert content(folder) == content(build_store(tmp_path / "clean", IDS, item, what="test").folder)
    assert sorted(p for p in os.listdir(tmp_path) if not p.startswith("log")) == ["clean", "s"]


def test_two_processes_that_build_one_store_do_the_work_once(tmp_path):
    folder, log = tmp_path / "s", tmp_path / "log"
    with child(folder, log, 0.01) as one, child(folder, log, 0.01) as two:
        errors = [p.communicate(timeout=60)[1] for p in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0], errors
    check(Store(folder), IDS)
    assert sorted(log.read_text().split(), key=int) == IDS


def test_a_builder_that_is_killed_hands_over_to_the_one_that_waits(tmp_path):
    folder, log = tmp_path / "s", tmp_path / "log"
    with child(folder, log, 60, quick=20) as one:  # however slowly the other one starts
        one.stdout.readline()
        while journaled(folder) < 5:
            time.sleep(0.001)
        with child(folder, tmp_path / "log2", 0) as two:
            assert "another podium builds it" in two.stderr.readline()
            one.kill()
            errors = two.communicate(timeout=60)[1]
    assert two.returncode == 0, errors
    check(Store(folder), IDS)
    assert len((tmp_path / "log2").read_text().split()) < len(IDS)


# ---------------------------------------------------------------------- a full disk


def big(id):
    return Item(id, np.random.default_rng(int(id)).integers(0, 256, (100, 100, 3), dtype=np.uint8), {})


def test_a_full_disk_stops_the_build_and_space_lets_it_go_on(small_disk, monkeypatch):
    monkeypatch.setattr(build_module, "COMMIT_BYTES", 100_000)
    folder, filler, ids = small_disk / "cache" / "s", small_disk / "filler", IDS[:40]  # 1.2 MB
    filler.write_bytes(b"x" * 1_200_000)
    with pytest.raises(StorageError, match="disk is full") as caught:
        build_store(folder, ids, big, what="test")
    assert str(folder.parent) in str(caught.value)
    assert not folder.exists()
    filler.unlink()
    calls = []

    def produce(id):
        calls.append(id)
        return big(id)

    store = build_store(folder, ids, produce, what="test")
    assert 0 < len(calls) < len(ids)
    for i, id in enumerate(ids):
        assert (store.image(i) == big(id).pixels).all()
    assert os.listdir(folder.parent) == ["s"]


def test_what_cannot_fit_is_refused_before_anything_is_made(small_disk):
    with pytest.raises(StorageError, match="this needs"):
        build_store(small_disk / "s", IDS, lambda id: pytest.fail("called"), what="test", need=10 * 2**20)


# ---------------------------------------------------------------------- its parts


def test_a_writer_reopened_on_a_finished_folder_begins_anew(tmp_path):
    for n in (5, 3):
        with StoreWriter(tmp_path / "w", []) as writer:
            assert not is_complete(tmp_path / "w")
            for id in IDS[:n]:
                writer.add(item(id))
        writer.finish()
    assert Store(tmp_path / "w").ids == IDS[:3]
    assert sorted(os.listdir(tmp_path / "w")) == [MARKER, "index.parquet", "pixels.bin"]


@pytest.mark.parametrize("workers", [1, 3])
def test_ordered_map_keeps_order_and_never_runs_far_ahead(workers):
    taken = []

    def source():
        for i in range(100):
            taken.append(i)
            yield i

    for n, value in enumerate(ordered_map(lambda i: i * i, source(), workers, ahead=2)):
        assert value == n * n
        assert len(taken) <= n + workers * 2 + 1


def test_ordered_map_hands_errors_on():
    def work(i):
        return 1 // (3 - i)

    results = ordered_map(work, range(9), 2)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
