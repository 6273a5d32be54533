"""Files are there whole or not at all; locks die with their process."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from podium.errors import BusyError, StorageError
from podium.files import MARKER, building, is_complete, locked, open_atomic, require_space, size_text, write_atomic


def child(code, *args, **kwargs):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE, text=True, **kwargs)


# ---------------------------------------------------------------------- atomic files


def test_write_atomic_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_atomic(path, "one")
    write_atomic(path, b"zwei \xc3\xa4")
    assert path.read_text() == "zwei ä"
    assert os.listdir(path.parent) == ["b.txt"]


def test_a_failure_in_the_middle_leaves_the_old_content_and_no_litter(tmp_path):
    path = tmp_path / "f"
    write_atomic(path, "old")
    with pytest.raises(ZeroDivisionError), open_atomic(path) as f:  # noqa: PT012 - the writing belongs to it
        f.write(b"half of the new")
        f.flush()
        _ = 1 / 0
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_kill_in_the_middle_leaves_the_old_content(tmp_path):
    path = tmp_path / "f"
    write_atomic(path, "old")
    code = (
        "import sys, time; from pathlib import Path; from podium.files import open_atomic\n"
        "with open_atomic(Path(sys.argv[1])) as f:\n"
        "    f.write(b'new' * 1000); f.flush(); print('half', flush=True); time.sleep(60)"
    )
    with child(code, path) as process:
        assert process.stdout.readline() == "half\n"
        assert path.read_text() == "old"
        process.kill()
    assert path.read_text() == "old"
    write_atomic(path, "newer")
    assert path.read_text() == "newer"


def test_a_reader_never_sees_a_half(tmp_path):
    path, contents = tmp_path / "f", {bytes([c]) * 200_000 for c in b"abc"}
    write_atomic(path, b"a" * 200_000)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for content in contents:
                write_atomic(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    seen = {path.read_bytes() for _ in range(200)}
    stop.set()
    writer.join()
    assert seen <= contents


def test_two_threads_that_write_one_file_do_not_tear_it(tmp_path):
    path, gate = tmp_path / "f", threading.Barrier(2)

    def write(text):
        with open_atomic(path) as f:
            gate.wait()
            f.write(text * 100)
            f.flush()
            gate.wait()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(write, (b"a", b"bb"))) == [None, None]
    assert path.read_bytes() in (b"a" * 100, b"bb" * 100)
    assert os.listdir(tmp_path) == ["f"]


def test_who_has_the_old_file_open_reads_the_old_content_to_its_end(tmp_path):
    path = tmp_path / "f"
    write_atomic(path, "old and long")
    with open(path) as f:
        assert f.read(3) == "old"
        write_atomic(path, "new")
        assert f.read() == " and long"


# ---------------------------------------------------------------------- folders


def test_building_gives_name_and_marker_last(tmp_path):
    with building(tmp_path / "x", "note") as folder:
        (folder / "f").write_text("1")
        assert not (tmp_path / "x").exists()
    assert is_complete(tmp_path / "x")
    assert sorted(os.listdir(tmp_path / "x")) == [MARKER, "f"]
    assert (tmp_path / "x" / MARKER).read_text() == "note"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_building_leaves_nothing_on_error(tmp_path, error):
    with pytest.raises(error), building(tmp_path / "x") as folder:  # noqa: PT012 - the writing belongs to it
        (folder / "f").write_text("1")
        raise error
    assert os.listdir(tmp_path) == []


def test_building_removes_what_a_killed_build_left(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from podium.files import building\n"
        "with building(Path(sys.argv[1])) as f:\n    (f / 'junk').touch(); print('in', flush=True); time.sleep(60)"
    )
    with child(code, tmp_path / "x") as process:
        process.stdout.readline()
        process.kill()
    assert len(os.listdir(tmp_path)) == 1
    assert not (tmp_path / "x").exists()
    with building(tmp_path / "x") as folder:
        (folder / "f").touch()
    assert os.listdir(tmp_path) == ["x"]
    assert sorted(os.listdir(tmp_path / "x")) == [MARKER, "f"]


# ---------------------------------------------------------------------- locks

HOLD = (
    "import sys, time; from pathlib import Path; from podium.files import locked\n"
    "with locked(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
)


def test_a_second_holder_is_told_who_the_first_is_until_that_one_dies(tmp_path):
    path = tmp_path / ".podium" / "lock"
    with child(HOLD, path) as process:
        process.stdout.readline()
        with pytest.raises(BusyError, match=f"process {process.pid},") as caught, locked(path):
            pass
        assert str(tmp_path) in caught.value.where
        process.send_signal(signal.SIGKILL)
        process.wait()
        with locked(path):
            pass


def test_a_lock_is_free_after_its_block_and_after_an_error_in_it(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError), locked(tmp_path / "lock"):
            raise ValueError
    with locked(tmp_path / "lock"), pytest.raises(BusyError), locked(tmp_path / "lock"):
        pass


def test_a_lock_file_of_nonsense_is_no_obstacle(tmp_path):
    path = tmp_path / "lock"
    path.write_bytes(b"\xff\xfe nonsense")
    with locked(path):
        pass
    with child(HOLD, path) as process:
        process.stdout.readline()
        path.write_bytes(b"\xff nonsense")
        with pytest.raises(BusyError, match="unnamed"), locked(path):
            pass
        process.kill()


def test_waiting_says_so_once_and_then_gets_the_lock(tmp_path):
    path, told, order = tmp_path / "lock", threading.Event(), []

    def second():
        with locked(path, wait=told.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(path):
        thread.start()
        assert told.wait(20)
        time.sleep(0.02)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


# ---------------------------------------------------------------------- a full disk


def test_on_a_full_disk_the_old_content_stays_and_space_helps(small_disk):
    path = small_disk / "f"
    write_atomic(path, "old")
    with pytest.raises(StorageError, match="disk is full") as caught:
        write_atomic(path, b"x" * 3 * 2**20)
    assert str(path) in str(caught.value)
    assert os.listdir(small_disk) == ["f"]
    assert path.read_text() == "old"
    write_atomic(path, b"x" * 2**20)
    assert path.stat().st_size == 2**20


def test_building_on_a_full_disk_leaves_nothing(small_disk):
    with pytest.raises(StorageError, match="disk is full"), building(small_disk / "x") as folder:
        (folder / "f").write_bytes(b"x" * 3 * 2**20)
    assert os.listdir(small_disk) == []


def test_a_lock_can_be_held_on_a_full_disk(small_disk):
    with locked(small_disk / "lock"):
        pass
    (small_disk / "filler").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize))
    with locked(small_disk / "lock"), pytest.raises(BusyError), locked(small_disk / "lock"):
        pass


def test_work_that_cannot_fit_is_refused_with_both_figures(small_disk):
    with pytest.raises(StorageError, match=r"2\.0 MB free and this needs 5\.0 MB"):
        require_space(small_disk / "not" / "there" / "yet", 5 * 2**20)
    require_space(small_disk, 2**20)


def test_size_text():
    assert [size_text(n) for n in (0, 1023, 1536, 5 * 2**20, 3 * 2**40)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KB",
        "5.0 MB",
        "3.0 TB",
    ]
