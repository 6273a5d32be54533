"""Zip archives: what competitions ship is unpacked; everything nasty is refused by name and leaves nothing outside."""

from __future__ import annotations

import contextlib
import struct
import zipfile

import numpy as np
import pytest
from archive_drawing import content, files_below, make, zipped

from podium.data.samples import list_samples
from podium.errors import DataError, PodiumError
from podium.formats.archives import home_of, unpack
from podium.workspace import Workspace

# ---------------------------------------------------------------------- what is shipped


@pytest.mark.parametrize(
    ("name", "members", "home"),
    [
        ("train.zip", {"train/a": b"", "train/b": b""}, "."),
        ("train.zip", {"a.jpg": b"", "b.jpg": b""}, "train"),
        ("train.zip", {"images/a": b"", "masks/a": b""}, "train"),
        ("test.zip", {"images/a": b"", "images/b": b""}, "test"),
        ("train_masks.csv.zip", {"train_masks.csv": b""}, "."),
        ("train.zip", {"train/a": b"", "__MACOSX/train/._a": b"", ".DS_Store": b""}, "."),
        ("one.zip", {"deep/er/a.csv": b""}, "one"),
    ],
)
def test_where_an_archive_goes(tmp_path, name, members, home):
    assert home_of(make(tmp_path / name, members), tmp_path / "d") == tmp_path / "d" / home


def test_plain_folders_and_litter(tmp_path):
    members = {
        "a/": b"",
        "a/b.txt": b"1",
        "ä 😀.txt": b"2",
        "__MACOSX/a/._b.txt": b"x",
        "a/Thumbs.db": b"x",
        "w\\c": b"3",
    }
    unpack(make(tmp_path / "x.zip", members), tmp_path / "d")
    assert files_below(tmp_path / "d") == {"a/b.txt": b"1", "ä 😀.txt": b"2", "w/c": b"3"}


def test_archives_inside_are_unpacked_once(tmp_path):
    inner = zipped({"a.txt": b"1", "b.txt": b"2"})
    members = {"train.zip": inner, "t.csv.zip": zipped({"t.csv": b"i"}), "deep.zip": zipped({"x/more.zip": inner})}
    unpack(make(tmp_path / "all.zip", members), tmp_path / "d")
    assert files_below(tmp_path / "d") == {
        "train/a.txt": b"1", "train/b.txt": b"2", "t.csv": b"i", "deep/x/more.zip": inner
    }  # fmt: skip


@pytest.fixture(name="content")
def _content():
    return content()


def one_with_everything(folder, content):
    return make(folder / "comp.zip", {f"{d}/{n}": b for d, files in content.items() for n, b in files.items()})


def of_a_folder(folder, content):
    return make(folder / "x.zip", {f"my comp/{d}/{n}": b for d, files in content.items() for n, b in files.items()})


def nested(folder, content):
    return make(folder / "comp.zip", {f"{d}.zip": zipped(files) for d, files in content.items()})


def as_downloaded(folder, content):
    for d, files in content.items():
        make(folder / "got" / f"{d}.zip", files)
    rows = "".join(f"t{i}.png,1 1\n" for i in range(3))
    make(folder / "got/sample_submission.csv.zip", {"sample_submission.csv": "img,rle_mask\n" + rows})
    (folder / "got/notes.txt").write_text("x")
    return folder / "got"


def with_litter(folder, content):
    for d, files in content.items():
        make(folder / "got" / f"{d}.zip", {f"{d}/{n}": b for n, b in files.items()} | {f"__MACOSX/{d}/._x.png": b"x"})
    return folder / "got"


@pytest.mark.parametrize("ship", [one_with_everything, of_a_folder, nested, as_downloaded, with_litter])
def test_a_workspace_of_archives(tmp_path, content, ship):
    space = Workspace.new(tmp_path / "ws", ship(tmp_path, content))
    found = list_samples(space.competition, space.root / "data")
    assert {s.id for s in found.train} == {n.removesuffix(".png") for n in content["train"]}
    assert {s.id for s in found.test} == {"t0", "t1", "t2"}
    assert found.problems == []
    assert all(s.mask.read_bytes() == content["train_masks"][f"{s.id}_mask.png"] for s in found.train)
    if ship is as_downloaded:
        assert space.competition.submission.id == "{id}.png"


# ---------------------------------------------------------------------- what is refused


def link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return {info: target}


def flagged(members, offset, value):
    """The archive with a field of each central header set."""
    data = bytearray(zipped(members))
    at = -1
    while (at := data.find(b"PK\1\2", at + 1)) >= 0:
        data[at + offset : at + offset + len(value)] = value
    return bytes(data)


def overlapping():
    """Two members that share one stretch of data: the second central header points at the first's file."""
    data = bytearray(zipped({"a": b"x" * 4000, "b": b"x" * 4000}))
    second = data.find(b"PK\1\2", data.find(b"PK\1\2") + 1)
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    end = data.find(b"PK\1\2")
    body = data.find(b"PK\3\4", 4)
    cut = data[:body] + data[end:]
    tail = cut.find(b"PK\5\6")
    cut[tail + 16 : tail + 20] = struct.pack("<I", body)
    return bytes(cut)


NASTY = {
    "up": zipped({"../outside": b"x"}),
    "up inside": zipped({"a/../../outside": b"x"}),
    "absolute": zipped({"/tmp/podium_outside": b"x"}),
    "backslashes": zipped({"..\\outside": b"x"}),
    "link": zipped(link("a", "/etc/passwd")),
    "twice": zipped({"a//b": b"x", "a/b": b"y"}),
    "dot": zipped({".": b"x"}),
    "no name": flagged({"a": b"x"}, 28, b"\0\0\1\0"),
    "encrypted": flagged({"a": b"x" * 99}, 8, b"\1\0"),
    "lies: larger": flagged({"a": b"x" * 99}, 24, struct.pack("<I", 9_000)),
    "lies: smaller": flagged({"a": b"x" * 99}, 24, struct.pack("<I", 9)),
    "lies: enormous": flagged({"a": b"x" * 99}, 24, struct.pack("<I", 0xFFFFFFF0)),
    "bzip2": flagged({"a": b"x" * 99}, 10, b"\x0c\0"),
    "unknown method": flagged({"a": b"x" * 99}, 10, b"\x63\0"),
    "version": flagged({"a": b"x"}, 6, b"\xff\0"),
    "not utf-8": flagged({"ab": b"x"}, 8, b"\0\x08").replace(b"ab", b"\xff\xfe"),
    "crc": zipped({"a": b"x" * 99}).replace(b"xxxx", b"xxyx", 1),
    "truncated": zipped({"a": b"x" * 9999})[:5000],
    "half of the end": zipped({"a": b"x" * 9999})[:-9],
    "overlapping": overlapping(),
    "empty file": b"",
    "no zip": b"PK\5\6" + b"\xff" * 18,
    "html": b"<html>404</html>",
    "long name": zipped({"n" * 300: b"x"}),
    "deep": zipped({"d/" * 3000 + "a": b"x"}),
    "file as folder": zipped({"a": b"x", "a/b": b"y"}),
    "bad archive inside": zipped({"in.zip": b"PK\5\6 no"}),
    "up in an archive inside": zipped({"in.zip": zipped({"../../outside": b"x", "b": b""})}),
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_archives_are_refused(tmp_path, name):
    path = tmp_path / "in" / "x.zip"
    path.parent.mkdir()
    path.write_bytes(NASTY[name])
    with pytest.raises(PodiumError) as caught:
        unpack(path, tmp_path / "a" / "b")
    assert str(path.parent) in str(caught.value) or "in.zip" in str(caught.value)
    outside = [
        p for p in tmp_path.rglob("*") if p.is_file() and p != path and not p.is_relative_to(tmp_path / "a" / "b")
    ]
    assert outside == []


def test_a_nul_in_a_name_stays_inside(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped({"aXb.txt": b"x"}).replace(b"aXb", b"a\0b"))
    with contextlib.suppress(PodiumError):
        unpack(tmp_path / "x.zip", tmp_path / "d")
    assert {p.name for p in tmp_path.iterdir()} <= {"x.zip", "d"}


def test_a_bomb_by_its_ratio(tmp_path):
    path = make(tmp_path / "x.zip", {"zeros": bytes(30 << 20)}, compresslevel=9)
    with pytest.raises(DataError, match=r"'zeros' would grow from .* KB to 30\.0 MB"):
        unpack(path, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_more_than_the_disk_holds(tmp_path, small_disk):
    path = make(tmp_path / "x.zip", {f"{i}": np.random.default_rng(i).bytes(1 << 20) for i in range(4)})
    with pytest.raises(PodiumError, match="free"):
        unpack(path, small_disk / "d")
    assert files_below(small_disk) == {}


def test_many_tiny_members(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as z:
        for i in range(4_000):
            z.writestr(f"{i % 50}/{i}", b"")
    assert len(unpack(tmp_path / "x.zip", tmp_path / "d")) == 4_000


def test_a_refused_archive_leaves_no_workspace(tmp_path):
    (tmp_path / "x.zip").write_bytes(NASTY["crc"])
    with pytest.raises(DataError, match="download it again"):
        Workspace.new(tmp_path / "ws", tmp_path / "x.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]
