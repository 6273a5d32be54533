"""Competitions from frames, polars' or any with columns."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image

from podium.data.samples import list_samples
from podium.data.targets import read_target
from podium.errors import DataError
from podium.workspace import Workspace


class PandasLike:
    """What podium uses of a pandas frame: columns, and values by column."""

    def __init__(self, columns):
        self.table = {c: np.array(v, dtype=object) for c, v in columns.items()}
        self.columns = np.array(list(columns), dtype=object)

    def __getitem__(self, name):
        return self.table[name]


@pytest.fixture(params=[pl.DataFrame, PandasLike])
def frame(request):
    return request.param


@pytest.fixture
def files(tmp_path):
    """Twelve images and masks in folders of all kinds, and what is in the masks."""
    rng, columns, truth = np.random.default_rng(0), {"photo": [], "truth": []}, {}
    for i in range(12):
        pixels, mask = rng.integers(0, 255, (8, 9, 3), dtype=np.uint8), rng.random((8, 9)) < 0.4
        image, of = tmp_path / f"{'xyz'[i % 3]}/p{i}.png", tmp_path / f"other/{i}-truth.gif"
        for path, content in ((image, pixels), (of, mask * np.uint8(255))):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(content).save(path)
        columns["photo"].append(str(image))
        columns["truth"].append(str(of))
        truth[f"p{i}"] = mask
    return columns, truth


def samples(space):
    return {s.id: s for s in list_samples(space.competition, space.root / "data").train}


def test_masks(tmp_path, frame, files):
    columns, truth = files
    space = Workspace.from_frame(tmp_path / "ws", frame(columns), image="photo", mask="truth")
    found = samples(space)
    assert found.keys() == truth.keys()
    for id, mask in truth.items():
        np.testing.assert_array_equal(read_target(space.competition, found[id], (8, 9)), mask)


def test_masks_and_inputs(tmp_path, frame, files):
    columns = files[0] | {"depth": [3 * i for i in range(12)], "age": list(range(12))}
    space = Workspace.from_frame(tmp_path / "ws", frame(columns), image="photo", mask="truth", inputs=["depth"])
    assert space.competition.data.inputs == ["depth"]
    assert [samples(space)[f"p{i}"].inputs for i in range(12)] == [(str(3 * i),) for i in range(12)]
    without = Workspace.from_frame(tmp_path / "ws2", frame(columns), image="photo", mask="truth")
    assert without.competition.data.inputs == []


def test_several_numbers(tmp_path, frame, files):
    columns = files[0] | {"x": [0.5 * i for i in range(12)], "y": list(range(12))}
    space = Workspace.from_frame(tmp_path / "ws", frame(columns), image="photo", targets=["x", "y"])
    assert (space.competition.task, space.competition.submission.value_columns) == ("regression", ("x", "y"))
    assert [samples(space)[f"p{i}"].values for i in range(12)] == [(0.5 * i, float(i)) for i in range(12)]


def test_classes_groups_and_inputs(tmp_path, frame, files):
    columns = files[0] | {
        "what": ["cat", "dog", "eel"] * 4, "who": [f"n{i // 3}" for i in range(12)], "sex": ["m", None] * 6,
    }  # fmt: skip
    space = Workspace.from_frame(
        tmp_path / "ws", frame(columns), ["folds.k=3"], image="photo", targets=["what"], group="who", inputs=["sex"]
    )
    found = samples(space)
    assert (space.competition.task, list(space.competition.classes)) == ("classification", ["cat", "dog", "eel"])
    assert [found[f"p{i}"].values for i in range(12)] == [(float(i % 3),) for i in range(12)]
    assert [found[f"p{i}"].inputs for i in range(12)] == [("m",), ("",)] * 6
    assert [found[f"p{i}"].group for i in range(12)] == [f"n{i // 3}" for i in range(12)]


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        ({"a": [float(i) for i in range(12)]}, "regression"),
        ({"age": [i * 1.5 for i in range(12)], "label": [i * 3 for i in range(12)]}, "regression"),
        ({"a": [True, False] * 6}, "classification"),
        ({"a": [1, 0] * 6, "b": [0, 0, 1] * 4}, "classification"),
    ],
)
def test_targets_as_given(tmp_path, frame, files, columns, task):
    ids = [f"id {i}" for i in range(12)]
    table = frame({"photo": files[0]["photo"], "key": ids} | columns)
    space = Workspace.from_frame(tmp_path / "ws", table, image="photo", targets=list(columns), id="key")
    assert (space.competition.task, space.competition.data.targets) == (task, list(columns))
    found = samples(space)
    assert [found[id].values for id in ids] == [tuple(map(float, row)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize(
    ("change", "columns", "words"),
    [
        ({}, {"image": "foto", "mask": "truth"}, "no column 'foto'"),
        ({}, {"image": "photo"}, "give a mask column or target columns"),
        (
            {"photo": ["/no/such.png"] * 12, "k": [str(i) for i in range(12)]},
            {"image": "photo", "mask": "truth", "id": "k"},
            "no such file",
        ),
        ({"k": ["a"] * 12}, {"image": "photo", "mask": "truth", "id": "k"}, "'a' is there twice"),
        (
            {"k": [f"../../{i}" for i in range(12)]},
            {"image": "photo", "mask": "truth", "id": "k"},
            "cannot be a file's name",
        ),
        ({"k": [None] * 12}, {"image": "photo", "mask": "truth", "id": "k"}, "cannot be a file's name"),
    ],
)
def test_frames_that_do_not_fit(tmp_path, frame, files, change, columns, words):
    table = frame(files[0] | {"n": list(range(12))} | change)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=words):
        Workspace.from_frame(tmp_path / "ws", table, **columns)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_frame(tmp_path, frame):
    with pytest.raises(DataError, match="no row"):
        Workspace.from_frame(tmp_path / "ws", frame({"a": [], "b": []}), image="a", mask="b")
