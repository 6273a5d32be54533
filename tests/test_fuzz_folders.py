"""Hostile archives and folders of junk: only PodiumError comes out, nothing hangs, and nothing is written."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fuzzing import SEEDS, bounded, damaged
from podium.data.competition import Competition
from podium.data.infer import infer
from podium.data.samples import list_samples
from podium.data.targets import read_target
from podium.formats import images
from podium.formats.archives import unpack

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


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

CELL = st.sampled_from(["a", "b", "c.png", "1 2", "3", "", "x y", "0.5", "id", "label", "p1_a", "train/p2/d1/a.png"])
ROW = st.lists(CELL, min_size=2, max_size=3).map(",".join)
TABLE = st.lists(ROW, min_size=1, max_size=6).map(lambda rows: "\n".join(rows).encode())
NAMED = st.sampled_from([b'{"0": "a", "1": "b"}', b'["a", "b"]', b'{"categories": [{"id": 0}]}', b"[[["])
JUNK = st.one_of(st.binary(max_size=60), NAMED, damaged(), st.sampled_from(SEEDS), st.sampled_from(SEEDS), TABLE)
FOLDERS = [
    "",
    "train/",
    "train_masks/",
    "test/",
    "masks/",
    "masks/cat/",
    "masks/dog/",
    "cat/",
    "train/p1/d1/",
    "train/p2/d1/",
    "train/p2/d2/",
    "s/a/images/",
    "s/a/masks/",
]
FILES = "a.png|b.png|c.png|a_mask.png|b_mask.gif|a.jpg|train.csv|sample_submission.csv|README.md|[x].png|{id}.png"
PLACES = st.tuples(
    st.sampled_from(FOLDERS), st.sampled_from([*FILES.split("|"), "classes.txt", "classes.json", "é.tif", "a\nb.png"])
)


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
