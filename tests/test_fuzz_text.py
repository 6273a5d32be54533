"""Hostile and damaged tables, runs, settings and patterns: only PodiumError comes out, and nothing hangs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fuzzing import bounded, damaged
from podium.data.competition import Competition
from podium.data.samples import list_samples
from podium.errors import PodiumError
from podium.formats import rle, tables
from podium.recipe import Recipe

CELLS = st.text(st.sampled_from(list("abc019 ;,\"'\n\r\t\0\x1a.-é😀")), max_size=8)


@settings(max_examples=150)
@given(st.binary(max_size=120) | st.lists(CELLS, max_size=12).map(lambda c: ",".join(c).encode()) | damaged(
    [b"id,rle_mask\r\na,1 2\r\nb,\"3 4\"\r\n", "\ufeffid,x\nä,1\n".encode(), b"\x1f\x8b\x08\0"]))  # fmt: skip
def test_tables(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
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
PARTS = ["*", "**", "/", "..", "{id}", "{id1}", "{id2}", "{class}", "{view}", "[", "]", "!", "a-", ".png", "\0", "?"]
PARTS += ["images", "masks"]
PATTERNS = st.lists(st.sampled_from(PARTS), max_size=7).map("".join)


@settings(max_examples=150)
@given(damaged([GOOD]) | st.binary(max_size=60))
def test_settings(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
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
