"""Competitions made from data: what competitors get holds no label of the hidden part."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image

from drawing import save_mask, tiny_competition
from hosting import House
from podium.errors import BoardError, ConfigError, DataError
from podium.formats import tables
from podium.host.server.from_data import new_competition
from podium.host.server.host import Host
from podium.host.server.leaks import _names_hidden
from podium.host.server.neutral import plain_jpeg, plain_png


@pytest.fixture
def host(tmp_path):
    return Host.make(tmp_path / "host")


def data_of(host, slug):
    return host.competitions.folder / slug / "data"


def test_held_out_labels_are_in_the_solution_and_nowhere_else(host, tmp_path):
    tiny = tiny_competition(tmp_path / "source", n_groups=10, test_groups=0, table="train_masks.csv")
    made = new_competition(host, "cars", tiny.folder, ["rules.daily_limit=3"], share=0.3, public=0.4)
    hosted = host.competitions.get("cars")
    assert hosted.rules.daily_limit == 3
    solution = tables.read_csv(hosted.solution)
    hidden = {name.removesuffix(".jpg") for name in solution["img"]}
    assert made.public + made.private == len(hidden)
    published = {f.name for f in hosted.files}
    assert {f"test/{id}.jpg" for id in hidden} <= published
    assert not [f for f in published if any(id in f for id in hidden) and not f.startswith("test/")]
    rows = tables.read_csv(data_of(host, "cars") / "train_masks.csv")
    assert not hidden & {name.removesuffix(".jpg") for name in rows["img"]}
    with zipfile.ZipFile(hosted.bundle.path) as z:
        assert set(z.namelist()) == published
    assert {f.modified for f in hosted.files} == {1577836800.0}
    assert not [p for p in data_of(host, "cars").rglob("*") if p.is_symlink()]


def test_a_solution_of_ones_own_decides_what_is_hidden(host, tmp_path):
    house = House(tmp_path / "house")
    new_competition(host, "own", house.folder / "source", solution=house.folder / "solution.csv")
    assert host.competitions.get("own").solution.read_bytes() == (house.folder / "solution.csv").read_bytes()
    for wrong in ({}, {"share": 0.3, "solution": house.folder / "solution.csv"}):
        with pytest.raises(ConfigError, match="which labels are hidden"):
            new_competition(host, "other", house.folder / "source", **wrong)
    with pytest.raises(BoardError, match="there is a competition 'own' already"):
        new_competition(host, "own", house.folder / "source", share=0.3)


def leak_solution(source, house):
    (source / "notes.csv").write_bytes((house.folder / "solution.csv").read_bytes())


def leak_mask(source, house):
    save_mask(source / "extra" / f"{house.ids[0]}_mask.png", house.truth[house.ids[0]])


def leak_row(source, house):
    (source / "areas.csv").write_text("img,area\n" + "".join(f"{i}.jpg,{house.truth[i].sum()}\n" for i in house.ids))


def leak_sample(source, house):
    text = "img,rle_mask\n" + "".join(f"{i}.jpg,1 {n + 1}\n" for n, i in enumerate(house.ids))
    (source / "sample_submission.csv").write_text(text)


def leak_tsv(source, house):
    rows = [f"{i}.jpg\t{house.truth[i].sum()}\n" for i in house.ids]
    (source / "areas.tsv").write_text("".join(rows))


def leak_txt(source, house):  # the label first, in UTF-16
    rows = [f"{house.truth[i].sum()} test/{i}.jpg\n" for i in house.ids]
    (source / "areas.txt").write_text("".join(rows), encoding="utf-16")


def leak_json(source, house):
    found = {i: int(house.truth[i].sum()) for i in house.ids}
    (source / "areas.json").write_text(json.dumps(found))


def leak_nested(source, house):
    found = [{"file": f"{i}.jpg", "area": int(house.truth[i].sum())} for i in house.ids]
    (source / "areas.json").write_text(json.dumps(found, indent=1))


def leak_label_file(source, house):
    (source / "labels").mkdir()
    (source / "labels" / f"{house.ids[0]}.txt").write_text("0 0.5 0.5 0.1 0.1\n")


@pytest.mark.parametrize(
    ("leak", "told"),
    [
        (leak_solution, "the solution itself is among the data"),
        (leak_mask, "an image beside that of the hidden sample"),
        (leak_row, "a table with 12 rows about hidden samples"),
        (leak_tsv, "a table with 11 rows about hidden samples"),
        (leak_txt, "a text that says something of hidden samples"),
        (leak_json, "a text that says something of hidden samples"),
        (leak_nested, "a text that says something of hidden samples"),
        (leak_label_file, "a file named after the hidden sample"),
        (leak_sample, "the sample submission has different values"),
    ],
    ids=[
        "the solution",
        "a mask",
        "a table",
        "a tsv",
        "a txt",
        "a json",
        "a json of lines",
        "a label file",
        "the sample submission",
    ],
)
def test_labels_among_the_data_are_refused_and_nothing_is_left(host, tmp_path, leak, told):
    house = House(tmp_path / "house")
    leak(house.folder / "source", house)
    with pytest.raises(DataError, match=told):
        new_competition(host, "leaky", house.folder / "source", solution=house.folder / "solution.csv")
    assert not (host.competitions.folder / "leaky").exists()
    assert not list(host.competitions.folder.glob(".leaky*"))


def test_lists_of_names_and_explanations_are_no_labels_and_what_is_closed_is_told(host, tmp_path):
    house = House(tmp_path / "house")
    source, ids = house.folder / "source", house.ids
    (source / "test.txt").write_text("".join(f"{i}\n" for i in ids))
    (source / "paths.txt").write_text("files:\n" + "".join(f"test/{i}.jpg\r\n" for i in ids))
    (source / "split.json").write_text(json.dumps({"train": ["car0_01"], "test": ids}, indent=1))
    (source / "split.txt").write_text("test: " + " ".join(ids) + "\n")
    (source / "README.md").write_text(f"Images such as `{ids[0]}.jpg` are 24 pixels high.\n")
    np.save(source / "extra.npy", np.arange(3))
    made = new_competition(host, "fine", source, solution=house.folder / "solution.csv")
    assert [r for r in made.remarks if r.startswith("not looked into: 1 .npy;")]


def class_folders(folder, n=60, name="{k:03d}", exif=False, seed=0):
    """Two classes in folders, by brightness; ``name`` may betray them."""
    rng = np.random.default_rng(seed)
    for k in range(n):
        label = ("cat", "dog")[int(rng.random() < 0.5)]
        path = folder / label / (name.format(k=k, label=label) + ".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
        info = Image.Exif()
        if exif:
            info[0x010F] = f"camera of {label}s"
            info[0x9003] = f"2020:01:01 00:00:{30 * (label == 'dog') + k % 30:02d}"
        image.save(path, exif=info)
        os.utime(path, (1e9 + 1e6 * (label == "dog") + k,) * 2)


def test_exif_and_times_are_not_published_and_names_of_classes_are_taken_out(host, tmp_path):
    class_folders(tmp_path / "source", name="{label}_{k:03d}", exif=True)
    new_competition(host, "pets", tmp_path / "source", share=0.4)
    test = sorted((data_of(host, "pets") / "test").iterdir())
    assert test
    for path in test:
        assert not Image.open(path).getexif()
        assert path.stat().st_mtime == 1577836800.0
        assert "cat" not in path.name
        assert "dog" not in path.name
        assert b"camera of" not in path.read_bytes()


def test_an_order_of_names_that_betrays_the_class_is_refused_unless_names_are_neutral(host, tmp_path):
    rng = np.random.default_rng(0)
    for k in range(160):
        path = tmp_path / "source" / ("cat" if k < 80 else "dog") / f"{k:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    with pytest.raises(DataError, match="order of the ids betrays the target"):
        new_competition(host, "pets", tmp_path / "source", share=0.5)
    new_competition(host, "pets", tmp_path / "source", share=0.5, neutral=True)
    assert all(p.stem.startswith("test_") for p in (data_of(host, "pets") / "test").iterdir())


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_keeps_its_pixels_and_orientation_and_nothing_else(orientation):
    rng, out = np.random.default_rng(0), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "secret camera"
    image = Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8))
    image.save(out, "JPEG", exif=exif, comment=b"secret comment", xmp=b"secret xmp", icc_profile=b"icc" * 50)
    plain = plain_jpeg(out.getvalue())
    assert b"secret" in out.getvalue()
    assert b"secret" not in plain
    before, after = Image.open(out), Image.open(io.BytesIO(plain))
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
    assert after.getexif().get(0x0112, 1) == orientation
    assert after.info["icc_profile"] == b"icc" * 50
    assert plain_jpeg(plain) == plain


def test_a_png_keeps_its_pixels_only():
    out = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(out, "PNG")
    data = out.getvalue()

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    told = (
        data[:33] + chunk(b"tEXt", b"label\0secret") + chunk(b"tIME", bytes(7)) + data[33:] + b"secret behind the end"
    )
    plain = plain_png(told)
    assert plain == data
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(plain))), np.asarray(Image.open(out)))


def test_an_own_metric_comes_along_and_its_direction_is_spelt_out(host, tmp_path, monkeypatch):
    house = House(tmp_path / "house")
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\ndef half(counts):\n    return float(np.mean(counts.intersection)) / 2\n"
        "half.kind = 'overlap'\nhalf.greater_is_better = False\n"
    )
    monkeypatch.chdir(tmp_path)
    hidden = house.folder / "solution.csv"
    new_competition(host, "own", house.folder / "source", ["metric=mine.py:half"], solution=hidden)
    hosted = host.competitions.get("own")
    assert (hosted.spec.metric, hosted.metric_name, hosted.greater_is_better) == ("mine.py:half:min", "half", False)
    assert (hosted.folder / "mine.py").is_file()
    assert "mine.py" not in {f.name for f in hosted.files}


def test_the_server_starts_without_torch():
    code = (
        "import sys\nfor name in ('torch', 'torchvision', 'lightning_fabric', 'timm', 'sklearn', 'pandas'):\n"
        "    sys.modules[name] = None\n"
        "import podium.cli.host, podium.host.server.app, podium.host.server.serving, podium.host.server.from_data\n"
        "import podium.host.server.marking\nfrom podium.host.server.app import make_app\n"
        "from podium.host.server.host import Host\nimport tempfile, pathlib\n"
        "make_app(Host.make(pathlib.Path(tempfile.mkdtemp()) / 'host'))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,rooms\n{train},3\n{more},4\n", None),  # 3 and 4 are hidden ids as well
        ("photo,rooms\n{train}.jpg,3\n{more}.jpg,4\n", None),
        ("id,rooms\n{train},3\n5,4\n", "id"),
        ("rooms,house\n{train},3\n{train},4\n{train},5\n", "house"),  # made of hidden ids
    ],
)
def test_small_numbers_that_happen_to_be_ids_are_no_rows_about_hidden_samples(text, told):
    table = pl.read_csv(text.format(train=1, more=2).encode(), infer_schema=False)
    hidden = {str(n) for n in range(3, 40)}
    assert _names_hidden(table, hidden, {"1", "2", *map(str, range(40, 99))}) == told
