"""Hostile and damaged files: only PodiumError comes out, nothing hangs, memory stays bounded, nothing is written."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from podium.data.clues import header_clues
from podium.data.competition import Competition
from podium.data.infer import infer
from podium.data.samples import list_samples
from podium.data.targets import read_labels, read_target
from podium.errors import PodiumError
from podium.formats import images, masks, rle, tables
from podium.formats.archives import unpack
from podium.recipe import Recipe

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
SECONDS = 10
"""No example may take longer."""


def bounded(call, *args):
    """The result of a call, None if it raised a PodiumError; anything else that it raises comes through."""
    start = time.monotonic()
    try:
        return call(*args)
    except PodiumError as error:
        assert str(error)  # noqa: PT017
        return None
    finally:
        assert time.monotonic() - start < SECONDS


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def encoded(form, mode="RGB"):
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    shape = (13, 17, 3) if mode == "RGB" else (13, 17)
    pixels = rng.integers(0, 255, shape).astype(np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(pixels)
    (image.convert("P") if mode == "P" else image).save(buffer, form)
    return buffer.getvalue()


def with_exif(form):
    """A small picture that tells where, when and with what it was taken."""
    buffer, tags = io.BytesIO(), Image.Exif()
    tags.update({271: "Canon", 272: "5D", 305: "GIMP", 306: "2019:05:01 09:00:00"})
    tags.get_ifd(0x8769).update({36867: "2019:05:01 09:00:00"})
    tags.get_ifd(0x8825).update({1: "N", 2: (47.0, 5.0, 1.0), 3: "W", 4: (8.0, 5.0, 1.0)})
    Image.new("RGB", (4, 4)).save(buffer, form, exif=tags)
    return buffer.getvalue()


SEEDS = [with_exif("JPEG"), with_exif("PNG")] + [encoded(form) for form in ("JPEG", "PNG", "TIFF", "BMP", "WEBP")] + [
    encoded("GIF", "P"), encoded("PNG", "P"), encoded("PNG", "L"), encoded("PNG", "I;16"), encoded("TIFF", "I;16")
]  # fmt: skip


@st.composite
def damaged(draw, seeds=SEEDS):
    """A file with bytes changed, cut off, put in, doubled or taken out."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(["set", "set", "flip", "cut", "insert", "drop", "double", "big"]))
        if what == "set" and data:
            data[at] = draw(st.integers(0, 255))
        elif what == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del data[at:]
        elif what == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif what == "drop":
            del data[at : at + draw(st.integers(1, 40))]
        elif what == "double":
            data[at:at] = data[at : at + 30]
        else:
            data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\x80\0\0\0"]))
    return bytes(data)


READERS = (
    images.read_image, images.image_facts, masks.read_mask, masks.mask_values, read_labels,
    lambda p: masks.read_mask(p, "0/1"),
    lambda p: images.read_header(p, header_clues),
)  # fmt: skip


@settings(max_examples=250)
@given(damaged() | st.binary(max_size=200))
def test_images_and_masks(folder, data):
    path = folder / "x.png"
    path.write_bytes(data)
    for read in READERS:
        bounded(read, path)


# ---------------------------------------------------------------------- bombs: in a process of little memory


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows=0, bits=8, colour=2):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = zlib.compress(bytes(rows * (1 + width * (3 if colour == 2 else 1))), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def gif(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + (
        b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x4c\1\0;"
    )  # fmt: skip


def bmp(width, height):
    return (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )


def jpeg(width, height):
    data = bytearray(encoded("JPEG"))
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff(width, height):
    return encoded("TIFF").replace(struct.pack("<HHII", 256, 3, 1, 17), struct.pack("<HHII", 256, 4, 1, width)).replace(
        struct.pack("<HHII", 257, 3, 1, 13), struct.pack("<HHII", 257, 4, 1, height))  # fmt: skip


def text_bomb():
    """A PNG whose compressed text is large."""
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 << 20), 9))
    good = encoded("PNG")
    return good[:33] + text + good[33:]


BOMBS = {
    "png": png(60_000, 60_000),
    "png, rows": png(60_000, 60_000, rows=300),
    "png, wide": png(2**31 - 1, 1),
    "png, tall": png(1, 2**31 - 1),
    "png, grey 16": png(60_000, 60_000, bits=16, colour=0),
    "gif": gif(65_535, 65_535),
    "bmp": bmp(60_000, 60_000),
    "bmp, negative": bmp(60_000, -60_000),
    "jpeg": jpeg(65_000, 65_000),
    "tiff": tiff(60_000, 60_000),
    "tiff, enormous": tiff(2**31, 2**31),
    "text": text_bomb(),
}

CHILD = """
import sys, resource
from pathlib import Path
from podium.data.targets import read_labels
from podium.errors import PodiumError
from podium.formats import images, masks
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20), used + (600 << 20)))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (images.read_image, images.image_facts, masks.read_mask, masks.mask_values, read_labels):
        try:
            read(path)
        except PodiumError as error:
            assert str(path) in str(error)
        except BaseException as error:
            print(path.name, read.__name__, repr(error))
print("survived")
"""


def test_image_bombs_are_refused_in_little_memory(tmp_path):
    for name, data in BOMBS.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=120,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout == "survived\n", done.stdout + done.stderr


# ---------------------------------------------------------------------- tables and runs

CELLS = st.text(st.sampled_from(list("abc019 ;,\"'\n\r\t\0\x1a.-é😀")), max_size=8)


@settings(max_examples=150)
@given(st.binary(max_size=120) | st.lists(CELLS, max_size=12).map(lambda c: ",".join(c).encode()) | damaged(
    [b"id,rle_mask\r\na,1 2\r\nb,\"3 4\"\r\n", "\ufeffid,x\nä,1\n".encode(), b"\x1f\x8b\x08\0"]))  # fmt: skip
def test_tables(folder, data):
    path = folder / "t.csv"
    path.write_bytes(data)
    bounded(tables.read_csv, path)


RUNS = st.text(st.sampled_from(list("0123456789 -+.e\t\n,;x٣\0")), max_size=30) | st.lists(
    st.integers(-3, 2**70) | st.integers(0, 99), max_size=9
).map(lambda n: " ".join(map(str, n)))


@settings(max_examples=300)
@given(RUNS, st.sampled_from(["row", "column"]))
def test_runs(text, order):
    mask = bounded(rle.decode, text, (7, 9), order)
    if mask is not None:
        assert rle.decode(rle.encode(mask, order), (7, 9), order).tolist() == mask.tolist()


# ---------------------------------------------------------------------- settings

GOOD = b"""name = "n"
task = "segmentation"
[data]
train_images = "images/*.png"
train_masks = "masks/{id}.png"
mask_values = "classes"
group = '^(?P<group>.)'
ignore = [255]
[classes]
a = 0
b = 1
[submission]
id = "{id}.jpg"
[folds]
k = 3
"""
PARTS = ["*", "**", "/", "..", "{id}", "{class}", "{view}", "[", "]", "!", "a-", ".png", "\0", "?", "images", "masks"]
PATTERNS = st.lists(st.sampled_from(PARTS), max_size=7).map("".join)


@settings(max_examples=150)
@given(damaged([GOOD]) | st.binary(max_size=60))
def test_settings(folder, data):
    path = folder / "competition.toml"
    path.write_bytes(data)
    bounded(Competition.load, path)
    bounded(Recipe.load, path)


DEEP = {"brackets": b"a = " + b"[" * 100_000, "tables": b"a = " + b"{b=" * 50_000, "digits": b"x = " + b"9" * 100_000}


@pytest.mark.parametrize("name", DEEP)
def test_settings_without_end(tmp_path, name):
    (tmp_path / "c.toml").write_bytes(DEEP[name])
    with pytest.raises(PodiumError):
        Competition.load(tmp_path / "c.toml")


@pytest.fixture(scope="module")
def drawn():
    """A small folder of data that patterns are tried on."""
    with tempfile.TemporaryDirectory() as path:
        root = Path(path)
        for name in ("images", "masks"):
            (root / name).mkdir()
            for id in "abc":
                Image.new("L", (4, 4), 255).save(root / name / f"{id}.png")
        yield root


@settings(max_examples=150)
@given(PATTERNS, PATTERNS, PATTERNS)
def test_patterns(drawn, first, second, third):
    tree = {"name": "n", "data": {"train_images": first or "images/*.png", "train_masks": second, "test_images": third}}
    tree["data"] = {k: v for k, v in tree["data"].items() if v}
    competition = bounded(Competition.from_tree, tree)
    if competition is not None:
        bounded(list_samples, competition, drawn)


# ---------------------------------------------------------------------- archives


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in {"train/a.txt": b"abc" * 50, "train/b.bin": bytes(range(60)), "dir/": b""}.items():
            z.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


@settings(max_examples=150)
@example(archive()[1:])  # offsets before its beginning
@given(damaged([archive()]) | st.binary(max_size=60))
def test_archives(data):
    with tempfile.TemporaryDirectory() as path:
        root = Path(path)
        (root / "x.zip").write_bytes(data)
        bounded(unpack, root / "x.zip", root / "in" / "side")
        assert {p.name for p in root.iterdir()} <= {"x.zip", "in"}
        assert {p.name for p in (root / "in").iterdir()} <= {"side"} if (root / "in").exists() else True


NAMES = st.lists(
    st.sampled_from(["..", "/", "a", "b", "\\", ".", " ", "C:", "\n", "😀", "é", "__MACOSX", "train"]),
    min_size=1,
    max_size=6,
).map("".join)


@FEW
@given(st.lists(st.tuples(NAMES, st.binary(max_size=9)), max_size=6))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_in_archives(members):
    with tempfile.TemporaryDirectory() as path:
        root = Path(path)
        with zipfile.ZipFile(root / "x.zip", "w") as z:
            for name, content in members:
                z.writestr(name, content)
        bounded(unpack, root / "x.zip", root / "in" / "side")
        assert {p.name for p in root.iterdir()} <= {"x.zip", "in"}
        assert {p.name for p in (root / "in").iterdir()} <= {"side"} if (root / "in").exists() else True


# ---------------------------------------------------------------------- whole folders

CELL = st.sampled_from(["a", "b", "c.png", "1 2", "3", "", "x y", "0.5", "id", "label"])
ROW = st.lists(CELL, min_size=2, max_size=3).map(",".join)
TABLE = st.lists(ROW, min_size=1, max_size=6).map(lambda rows: "\n".join(rows).encode())
JUNK = st.one_of(st.binary(max_size=60), damaged(), st.sampled_from(SEEDS), st.sampled_from(SEEDS), TABLE)
FOLDERS = [
    "",
    "train/",
    "train_masks/",
    "test/",
    "masks/",
    "masks/cat/",
    "masks/dog/",
    "cat/",
    "s/a/images/",
    "s/a/masks/",
]
FILES = "a.png|b.png|c.png|a_mask.png|b_mask.gif|a.jpg|train.csv|sample_submission.csv|README.md|[x].png|{id}.png"
PLACES = st.tuples(st.sampled_from(FOLDERS), st.sampled_from([*FILES.split("|"), "classes.txt", "é.tif", "a\nb.png"]))


def everything(root):
    """Infer, list and read every target."""
    competition = infer(root, "junk").competition
    assert Competition.from_tree(competition.tree()) == competition
    for sample in list_samples(competition, root).train:
        shape = bounded(images.image_size, sample.image)
        if shape is not None and (sample.mask or sample.class_masks or sample.rle is not None):
            bounded(read_target, competition, sample, shape)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.dictionaries(PLACES, JUNK, min_size=1, max_size=9))
def test_folders_of_junk(files):
    with tempfile.TemporaryDirectory() as path:
        root = Path(path) / "data"
        for (where, name), data in files.items():
            (root / where).mkdir(parents=True, exist_ok=True)
            (root / where / name).write_bytes(data)
        before = sorted(root.rglob("*"))
        bounded(everything, root)
        assert sorted(root.rglob("*")) == before
        assert [p.name for p in Path(path).iterdir()] == ["data"]


def test_pipes_loops_and_devices_do_not_hang(tmp_path):
    root = tmp_path / "data"
    for folder in ("train", "masks"):
        (root / folder).mkdir(parents=True)
        for id in "ab":
            Image.new("L", (4, 4), 255).save(root / folder / f"{id}.png")
        os.mkfifo(root / folder / "pipe.png")
        (root / folder / "zero.png").symlink_to("/dev/zero")
        (root / folder / "up").symlink_to(root, target_is_directory=True)
        (root / folder / "self.png").symlink_to(root / folder / "self.png")
    os.mkfifo(root / "train.csv")
    competition = infer(root, "n").competition
    found = bounded(list_samples, competition, root)
    assert [s.id for s in found.train] == ["a", "b"] or {s.id for s in found.train} == {"a", "b", "self"}
