"""Zips of PNG masks: what is written comes back, and everything that a board would refuse is found."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from podium.formats.mask_archive import MaskArchive, inspect_archive
from podium.formats.submission import SubmissionFormat

FMT = SubmissionFormat(format="png", id="{id}_L")
IDS = ["a", "b"]
SHAPES = {"a": (5, 7), "b": (4, 4)}
VALUES = (0, 3, 9)


def masks():
    rng = np.random.default_rng(0)
    return {id: rng.choice(VALUES, SHAPES[id]).astype(np.uint8) for id in IDS}


def write(path):
    with MaskArchive(path, FMT) as archive:
        for id, mask in masks().items():
            archive.write(id, mask)
    return path


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def found(path, changes):
    """The problems of an archive in which some members are others, or gone (None)."""
    members = {f"{id}_L.png": png(mask) for id, mask in masks().items()} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)
    return inspect_archive(path, FMT, IDS, SHAPES, VALUES)


def test_what_is_written_comes_back_and_is_the_same_twice(tmp_path):
    seen = {}
    path = write(tmp_path / "s.zip")
    assert inspect_archive(path, FMT, IDS, SHAPES, VALUES, seen.__setitem__) == []
    assert seen.keys() == set(IDS)
    for id, mask in masks().items():
        np.testing.assert_array_equal(seen[id], mask)
    assert path.read_bytes() == write(tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["a_L.png", "b_L.png"]


def test_a_folder_in_the_archive_and_litter_do_no_harm(tmp_path):
    changes = {"__MACOSX/._a_L.png": b"x", ".DS_Store": b"x", "b_L.png": None, "masks/b_L.png": png(masks()["b"])}
    assert found(tmp_path / "s.zip", changes) == []


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"a_L.png": None}, "missing id", "a_L.png"),
        ({"c_L.png": png(np.zeros((4, 4), np.uint8))}, "extra id", "not asked for"),
        ({"a.png": b""}, "extra id", "not asked for"),
        ({"x/a_L.png": png(masks()["a"])}, "double id", "twice"),
        ({"a_L.png": png(np.zeros((7, 5), np.uint8))}, "mask", "5x7, its image 7x5"),
        ({"a_L.png": png(np.full((5, 7), 4, np.uint8))}, "mask", "holds 4"),
        ({"a_L.png": png(np.zeros((5, 7, 3), np.uint8))}, "mask", "colours"),
        ({"a_L.png": b"no png"}, "mask", "cannot be decoded"),
        ({"a_L.png": png(masks()["a"])[:40]}, "mask", "cannot be decoded"),
        ({"a_L.png": bytes(1 << 20)}, "mask", "1,048,576 bytes"),
    ],
)
def test_what_a_board_would_refuse(changes, kind, told, tmp_path):
    problems = found(tmp_path / "s.zip", changes)
    assert [p.kind for p in problems] == [kind]
    assert told in str(problems[0])
    assert problems[0].remedy


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "s.zip").write_text("id,mask\n")
    assert [p.kind for p in inspect_archive(tmp_path / "s.zip", FMT, IDS, SHAPES, VALUES)] == ["unreadable"]
