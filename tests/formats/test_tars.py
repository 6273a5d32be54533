"""Tar archives, 7z and their like: what is shipped is unpacked, what is nasty is refused, the rest says its command."""

from __future__ import annotations

import gzip
import io
import tarfile

import numpy as np
import pytest
from archive_drawing import content, files_below, make, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.data.samples import list_samples
from podium.errors import ConfigError, DataError, PodiumError
from podium.formats.archives import by_hand, is_archive, unpack, unpack_home
from podium.workspace import Workspace

KINDS = [".tar", ".tar.gz", ".tgz"]


@pytest.fixture(name="content")
def _content():
    return content()


def tarred(members, kind=".tar"):
    """The bytes of a tar; members are contents by name, or TarInfo objects without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if "gz" in kind else "w") as tar:
        for name, data in members.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info is not name:
                info.size, info.mtime = len(data), 1_500_000_000
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_plain_folders_and_litter(tmp_path, kind):
    folder = tarfile.TarInfo("./a")
    folder.type = tarfile.DIRTYPE
    members = {
        folder: b"",
        "./a/b.txt": b"1",
        "a/._b.txt": b"x",
        "ä 😀.txt": b"2",
        "n" * 120 + "/c": b"3",
        "__MACOSX/q": b"",
    }
    (tmp_path / f"x{kind}").write_bytes(tarred(members, kind))
    written = unpack(tmp_path / f"x{kind}", tmp_path / "d")
    assert files_below(tmp_path / "d") == {"a/b.txt": b"1", "ä 😀.txt": b"2", "n" * 120 + "/c": b"3"}
    assert {p.stat().st_mtime for p in written} == {1_500_000_000}


@pytest.mark.parametrize(
    ("name", "members", "home"),
    [
        ("train.tar", ["train/a", "train/b"], "."),
        ("train.tar.gz", ["a.jpg", "b.jpg"], "train"),
        ("train.tgz", ["images/a", "masks/a"], "train"),
        ("t.csv.tar.gz", ["t.csv"], "."),
    ],
)
def test_where_a_tar_goes(tmp_path, name, members, home):
    (tmp_path / name).write_bytes(tarred(dict.fromkeys(members, b"x"), name[-3:]))
    written = unpack_home(tmp_path / name, tmp_path / "d")
    assert {p.relative_to(tmp_path / "d" / home).as_posix() for p in written} == set(members)
    assert set(files_below(tmp_path / "d")) == {p.relative_to(tmp_path / "d").as_posix() for p in written}
    with pytest.raises(DataError, match="is there already"):
        unpack_home(tmp_path / name, tmp_path / "d")


def alone(folder, files, kind):
    path = folder / f"comp{kind}"
    path.write_bytes(tarred({f"{d}/{n}": b for d, of in files.items() for n, b in of.items()}, kind))
    return path


def in_a_zip(folder, files, kind):
    return make(folder / "comp.zip", {f"{d}{kind}": tarred(of, kind) for d, of in files.items()})


def zips_in_it(folder, files, kind):
    path = folder / f"comp{kind}"
    path.write_bytes(tarred({f"{d}.zip": zipped(of) for d, of in files.items()}, kind))
    return path


def as_downloaded(folder, files, kind):
    (folder / "got").mkdir()
    for d, of in files.items():
        (folder / "got" / f"{d}{kind}").write_bytes(tarred({f"{d}/{n}": b for n, b in of.items()}, kind))
    return folder / "got"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ship", [alone, in_a_zip, zips_in_it, as_downloaded])
def test_a_workspace_of_tars(tmp_path, content, ship, kind):
    space = Workspace.new(tmp_path / "ws", ship(tmp_path, content, kind))
    found = list_samples(space.competition, space.root / "data")
    assert {s.id for s in found.train} == {n.removesuffix(".png") for n in content["train"]}
    assert {s.id for s in found.test} == {"t0", "t1", "t2"}
    assert not [p for p in (space.root / "data").rglob("*") if p.name.startswith(".")]


# ---------------------------------------------------------------------- what is refused


def special(name, type, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = type, link, size
    return {info: bytes(size)}


def huge_header(kind):
    """A long name that claims to be a gigabyte."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 22)
    return gzip.compress(data) if "gz" in kind else data


NASTY = {
    "up": lambda k: tarred({"../outside": b"x"}, k),
    "up inside": lambda k: tarred({"a/../../outside": b"x"}, k),
    "absolute": lambda k: tarred({"/tmp/podium_outside": b"x"}, k),
    "backslashes": lambda k: tarred({"..\\outside": b"x"}, k),
    "symlink": lambda k: tarred(special("a", tarfile.SYMTYPE, "/etc/passwd"), k),
    "through a link": lambda k: tarred(special("a", tarfile.SYMTYPE, "..") | {"a/outside": b"x"}, k),
    "hard link": lambda k: tarred(special("a", tarfile.LNKTYPE, "/etc/passwd"), k),
    "device": lambda k: tarred(special("a", tarfile.CHRTYPE), k),
    "pipe": lambda k: tarred(special("a", tarfile.FIFOTYPE), k),
    "sparse": lambda k: tarred(special("a", tarfile.GNUTYPE_SPARSE), k),
    "twice": lambda k: tarred({"a/b": b"x", "a//b": b"y"}, k),
    "dot": lambda k: tarred({".": b"x"}, k),
    "deep": lambda k: tarred({"d/" * 3000 + "a": b"x"}, k),
    "long name": lambda k: tarred({"n" * 300: b"x"}, k),
    "file as folder": lambda k: tarred({"a": b"x", "a/b": b"y"}, k),
    "truncated": lambda k: tarred({"a": np.random.default_rng(0).bytes(50_000)}, k)[:20_000],
    "empty": lambda k: b"",
    "html": lambda k: b"<html>404</html>" * 60,
    "huge header": huge_header,
    "up in a zip inside": lambda k: tarred({"in.zip": zipped({"../../outside": b"x"})}, k),
    "up in a tar inside": lambda k: tarred({"in.tar": tarred({"../../outside": b"x"})}, k),
}


@pytest.mark.parametrize("kind", [".tar", ".tar.gz"])
@pytest.mark.parametrize("name", NASTY)
def test_nasty_tars_are_refused(tmp_path, name, kind):
    path = tmp_path / "in" / f"x{kind}"
    path.parent.mkdir()
    path.write_bytes(NASTY[name](kind))
    with pytest.raises(PodiumError) as caught:
        unpack(path, tmp_path / "a" / "b")
    assert f"x{kind}" in str(caught.value) or "in." in str(caught.value)
    outside = [
        p for p in tmp_path.rglob("*") if p.is_file() and p != path and not p.is_relative_to(tmp_path / "a" / "b")
    ]
    assert outside == []


def test_a_bomb_in_one_member(tmp_path):
    (tmp_path / "x.tgz").write_bytes(tarred({"zeros": bytes(30 << 20)}, "gz"))
    with pytest.raises(DataError, match=r"'zeros' would grow from .* KB to 30\.0 MB"):
        unpack(tmp_path / "x.tgz", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_bomb_of_many_members(tmp_path):
    (tmp_path / "x.tgz").write_bytes(tarred({f"zeros{i}": bytes(4 << 20) for i in range(9)}, "gz"))
    with pytest.raises(DataError, match=r"would grow to more than 10\.0 MB"):
        unpack(tmp_path / "x.tgz", tmp_path / "d")
    assert sum(map(len, files_below(tmp_path / "d").values())) <= 10 << 20


def test_more_than_the_disk_holds(tmp_path, small_disk):
    (tmp_path / "x.tar").write_bytes(tarred({"a": np.random.default_rng(0).bytes(8 << 20)}))
    with pytest.raises(PodiumError, match="free"):
        unpack(tmp_path / "x.tar", small_disk / "d")
    assert files_below(small_disk) == {}


@pytest.mark.parametrize("kind", [".tar", ".tar.gz"])
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_bytes_raise_nothing_else(tmp_path_factory, kind, data):
    members = {"a/b.txt": b"1" * 700, "n" * 130: b"2", "c.png": bytes(range(256))}
    raw = bytearray(tarred(members, kind))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=8)):
        raw[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    root = tmp_path_factory.mktemp("t")
    (root / f"x{kind}").write_bytes(bytes(raw[:cut]) if cut % 3 == 0 else bytes(raw))
    try:
        unpack(root / f"x{kind}", root / "in" / "side")
    except PodiumError as error:
        assert str(error)  # noqa: PT017
    assert {p.name for p in root.iterdir()} <= {f"x{kind}", "in"}


# ---------------------------------------------------------------------- what is not read


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("train.7z", "7z x train.7z -otrain"),
        ("a b.rar", "unrar x 'a b.rar' 'a b'/"),
        ("train.tar.xz", "mkdir train && tar -xJf train.tar.xz -C train"),
        ("train.tbz2", "mkdir train && tar -xjf train.tbz2 -C train"),
        ("train.zip", ""),
        ("train.png", ""),
    ],
)
def test_the_command_that_unpacks_it(tmp_path, name, command):
    assert by_hand(tmp_path / name) == command
    assert is_archive(tmp_path / name) == (name == "train.zip")


@pytest.mark.parametrize("ship", ["alone", "folder", "in a zip"])
def test_a_7z_is_answered_in_one_sentence(tmp_path, ship):
    got = tmp_path / "got"
    got.mkdir()
    if ship == "in a zip":
        source = make(tmp_path / "comp.zip", {"train.7z": b"7z\xbc\xaf'\x1c", "train.csv": b"id,label\n"})
    else:
        (got / "train.7z").write_bytes(b"7z\xbc\xaf'\x1c")
        source = got / "train.7z" if ship == "alone" else got
    with pytest.raises(DataError) as caught:
        Workspace.new(tmp_path / "ws", source)
    assert caught.value.found == "train.7z is an archive that podium does not unpack"
    assert "7z x train.7z -otrain" in str(caught.value)
    assert not (tmp_path / "ws").exists()


def test_archives_beside_images_are_left_and_named(tmp_path, content, capsys):
    for d, files in content.items():
        for n, b in files.items():
            (tmp_path / "got" / d).mkdir(parents=True, exist_ok=True)
            (tmp_path / "got" / d / n).write_bytes(b)
    (tmp_path / "got/train.tgz").write_bytes(b"not looked at")
    Workspace.new(tmp_path / "ws", tmp_path / "got")
    assert "not unpacked, since there are images beside: train.tgz" in capsys.readouterr().err


# ---------------------------------------------------------------------- own metrics


def test_an_own_metric_is_copied_into_the_workspace(tmp_path, content, monkeypatch):
    source = one = tmp_path / "got.tar"
    one.write_bytes(tarred({f"{d}/{n}": b for d, files in content.items() for n, b in files.items()}))
    (tmp_path / "mine").mkdir()
    text = '"""Mine."""\n\ndef area(counts):\n    return (counts.intersection + 1.0) / (counts.truth + 1.0)\n\n'
    (tmp_path / "mine/score.py").write_text(text + "area.kind = 'overlap'\narea.per_sample = True\n")
    monkeypatch.chdir(tmp_path)
    space = Workspace.new(tmp_path / "ws", source, settings=["metric=mine/score.py:area:max"])
    assert space.competition.metric == "score.py:area:max"
    assert (tmp_path / "ws/score.py").read_text().startswith('"""Mine."""')
    monkeypatch.chdir("/")
    assert Workspace(tmp_path / "ws").metric.kind == "overlap"
    with pytest.raises(ConfigError, match=r"there is no file none\.py"):
        Workspace.new(tmp_path / "other", source, settings=["metric=none.py:area:max"])
    assert not (tmp_path / "other").exists()
