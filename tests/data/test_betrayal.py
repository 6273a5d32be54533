"""What betrays the target beside the pixels is found where it is planted in files, and only there."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from podium.data.clues import degrees, header_clues, jpeg_quality, natural, seconds, true_times
from podium.data.facts import gather
from podium.workspace import Workspace

N = 80
DAY = 86400.0
BASE = datetime(2019, 5, 1, 9, tzinfo=UTC).timestamp()
REGRESSION = 'task = "regression"\nmetric = "mae"\n'
CLASSES = 'task = "classification"\nmetric = "accuracy"\n'
TABLE = 'train_csv = "train.csv"\nid_column = "id"\ntargets = ["y"]\n'
KINDS = ("classes", "numbers", "empty", "area")


def image(path, rng, *, exif=(), quality=90, gps=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture, tags = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)), Image.Exif()
    for tag, value in exif:
        tags[tag] = value
    if gps:
        tags.get_ifd(0x8825).update({1: "N", 2: gps, 3: "W", 4: gps})
    picture.save(path, quality=quality, exif=tags)


def make(root, kind, plant, *, test=0):
    """A workspace of `N` images whose target is ``kind`` and whose file ``plant`` makes of (path, rng, y from 0 to 1).

    The order of the images says nothing, unless ``plant`` returns it.
    """
    rng = np.random.default_rng(7)
    y = rng.permutation(np.linspace(0, 1, N))
    data = root / "data"
    ids = [f"s{i:03d}" for i in range(N)]
    for id, v in zip(ids, y, strict=True):
        plant(data / "images" / f"{id}.jpg", rng, v)
        if kind in ("empty", "area"):
            mask = np.zeros((16, 16), np.uint8)
            mask[: int(v > 0.6) * 5 if kind == "empty" else 1 + int(14 * v)] = 255
            (data / "masks").mkdir(exist_ok=True)
            Image.fromarray(mask).save(data / "masks" / f"{id}.png")
    for i in range(test):
        image(data / "test" / f"t{i:03d}.jpg", rng)
    lines = "".join(
        f"{id},{v if kind == 'numbers' else ('no', 'yes')[int(v > 0.6)]}\n" for id, v in zip(ids, y, strict=True)
    )
    (data / "train.csv").write_text("id,y\n" + lines)
    head = {"numbers": REGRESSION, "classes": CLASSES}.get(kind, "")
    spec = f'name = "x"\n{head}[data]\ntrain_images = "images/*"\n'
    spec += TABLE if head else 'train_masks = "masks/{id}.png"\n'
    spec += 'test_images = "test/*"\n' if test else ""
    (root / "competition.toml").write_text(spec + ("[classes]\nno = 0\nyes = 1\n" if kind == "classes" else ""))
    return Workspace(root)


def found(space):
    from podium.data.betrayal import betrayals
    from podium.recipe import InputConfig

    facts, *_ = gather(space.competition, space.root, InputConfig())
    return {f.name: f for f in betrayals(facts)}


def shuffled(rng):
    return float(rng.integers(0, 1000)) * DAY / 10


def plain(path, rng, v):
    image(path, rng, quality=int(rng.integers(60, 95)), exif=[(306, stamp(BASE + shuffled(rng)))])
    os.utime(path, (0, BASE + shuffled(rng)))


def stamp(when):
    return datetime.fromtimestamp(when, UTC).strftime("%Y:%m:%d %H:%M:%S")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_where_nothing_is_planted(tmp_path, kind):
    assert found(make(tmp_path, kind, plain)) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_times_of_files(tmp_path, kind):
    def plant(path, rng, v):
        image(path, rng)
        os.utime(path, (0, BASE + 20 * DAY * v + rng.normal(0, 2 * DAY)))

    finding = found(make(tmp_path, kind, plant))["timestamps betray the target"]
    assert finding.severity == "warning"
    assert "The time of the image files goes with the target" in finding.what
    assert len(finding.examples) == 6
    assert all(caption.startswith("2019-0") for caption in finding.examples.values())
    assert "data.group" in finding.remedy


def test_times_of_copying_are_no_evidence(tmp_path):
    """The files of the one class were written first, and just now."""

    def plant(path, rng, v):
        image(path, rng)
        now = datetime.now(UTC).timestamp()
        os.utime(path, (now, now - 5 * (v > 0.6)))

    assert "timestamps betray the target" not in found(make(tmp_path, "classes", plant))


def test_which_times_are_of_the_files():
    old = np.linspace(0, 1e6, 100)
    assert true_times(old, np.full(100, 2e6))
    assert not true_times(old, old + 1)  # written when they were changed
    assert not true_times(np.linspace(0, 1.5, 100), np.full(100, 2e6))  # an older copying
    assert not true_times(np.full(100, 5.0), np.full(100, 2e6))
    assert not true_times(np.full(100, np.nan), np.full(100, np.nan))


@pytest.mark.parametrize("kind", KINDS)
def test_time_of_exif(tmp_path, kind):
    def plant(path, rng, v):
        image(path, rng, exif=[(306, stamp(BASE + 20 * DAY * v + rng.normal(0, 2 * DAY)))])

    finding = found(make(tmp_path, kind, plant))["exif betrays the target"]
    assert "The time of EXIF goes with the target" in finding.what
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (lambda path, rng, v: image(path, rng, exif=[(271, "Canon" if v > 0.6 else "Nikon")]), "The camera of EXIF"),
        (lambda path, rng, v: image(path, rng, exif=[(305, "crop 1.0" if v > 0.6 else "edit 2")]), "The software"),
        (lambda path, rng, v: image(path, rng, exif=[(271, "Canon")] if v > 0.6 else []), "The camera of EXIF (none)"),
        (lambda path, rng, v: image(path, rng, gps=(47.0 + v, 5.0, 1.0)), "The place of EXIF"),
    ],
)
def test_other_exif(tmp_path, plant, told):
    finding = found(make(tmp_path, "classes", plant))["exif betrays the target"]
    assert finding.what.startswith(told) or any(told[4:] in line for line in finding.detail)
    assert "class yes" in finding.what


def test_compression(tmp_path):
    finding = found(make(tmp_path, "empty", lambda p, rng, v: image(p, rng, quality=70 if v > 0.6 else 90)))
    assert "The JPEG quality goes with the target" in finding["compression betrays the target"].what
    assert finding["size of the image files betrays the target"].severity == "note"  # as a consequence


def test_names(tmp_path):
    space = make(tmp_path, "area", plain)
    areas = {p.stem: np.asarray(Image.open(p)).mean() for p in (tmp_path / "data" / "masks").iterdir()}
    for n, id in enumerate(sorted(areas, key=lambda id: areas[id])):  # 0 to 79, without leading zeros
        for folder, suffix in (("images", ".jpg"), ("masks", ".png")):
            (tmp_path / "data" / folder / (id + suffix)).rename(tmp_path / "data" / folder / f"n{n}{suffix}")
    finding = found(space)["order of the ids betrays the target"]
    assert "rank correlation +" in finding.what
    assert list(finding.examples)[:3] == ["n0", "n1", "n2"]


def test_rows_of_the_table(tmp_path):
    space = make(tmp_path, "numbers", plain)
    path = tmp_path / "data" / "train.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *sorted(rows, key=lambda row: float(row.split(",")[1]))]) + "\n")
    names = found(space)
    assert set(names) == {"order of the rows betrays the target"}


def test_blocks_of_neighbours(tmp_path):
    """Ten samples that follow one another are of one subject: the place goes up and down, and says little by itself."""
    space = make(tmp_path, "numbers", plain)
    values = np.repeat([5, 1, 8, 2, 7, 0, 6, 3], 10) + np.random.default_rng(0).normal(0, 0.3, N)
    rows = "".join(f"s{i:03d},{v}\n" for i, v in enumerate(values))
    (tmp_path / "data" / "train.csv").write_text("id,y\n" + rows)
    finding = found(space)["order of the ids betrays the target"]
    assert "neighbours have a like target" in finding.what
    assert 'folds.strategy = "time"' in finding.remedy


def test_neighbours_that_take_turns(tmp_path):
    space = make(tmp_path, "numbers", plain)
    rows = "".join(f"s{i:03d},{i % 2 + v}\n" for i, v in enumerate(np.random.default_rng(0).normal(0, 0.3, N)))
    (tmp_path / "data" / "train.csv").write_text("id,y\n" + rows)
    assert "neighbours have targets that take turns" in found(space)["order of the ids betrays the target"].what


def test_what_the_test_images_have_of_it_is_told(tmp_path):
    def plant(path, rng, v):
        image(path, rng, exif=[(271, "Canon" if v > 0.6 else "Nikon")])

    finding = found(make(tmp_path, "classes", plant, test=20))["exif betrays the target"]
    assert any("of 20 test images looked at have it" in line for line in finding.detail)


def test_times_outlive_an_archive(tmp_path):
    def plant(path, rng, v):
        image(path, rng)

    make(tmp_path / "w", "classes", plant)
    data = tmp_path / "w" / "data"
    target = dict(line.split(",") for line in (data / "train.csv").read_text().splitlines()[1:])
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as z:
        z.write(data / "train.csv", "train.csv")
        for path in sorted((data / "images").iterdir()):
            day = 1 + 10 * (target[path.stem] == "yes")
            info = zipfile.ZipInfo(
                f"images/{path.name}", (2019, 5, day, *np.random.default_rng(day).integers(0, 24, 1), 0, 0)
            )
            z.writestr(info, path.read_bytes())
    space = Workspace.new(tmp_path / "new", tmp_path / "all.zip")
    assert "timestamps betray the target" in found(space)


def test_classes_in_masks(tmp_path):
    def plant(path, rng, v):
        image(path, rng)
        os.utime(path, (0, BASE + 20 * DAY * v + rng.normal(0, 2 * DAY)))

    space = make(tmp_path, "empty", plant)
    for path in (tmp_path / "data" / "masks").iterdir():  # every image has road, some have a car
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8)).save(path)
    spec = (tmp_path / "competition.toml").read_text() + 'mask_values = "classes"\n[classes]\nroad = 0\ncar = 1\n'
    (tmp_path / "competition.toml").write_text(spec.replace("[data]", 'metric = "mean_iou"\n[data]'))
    space = Workspace(tmp_path)
    assert "class car: AUC" in found(space)["timestamps betray the target"].what


def test_small_readings():
    assert seconds("2017:03:02 14:05:00\0") == datetime(2017, 3, 2, 14, 5, tzinfo=UTC).timestamp()
    assert seconds("0000:00:00 00:00:00") is seconds(None) is seconds("x") is None
    assert degrees((10, 30, 0), "S") == -10.5
    assert degrees(None, None) is degrees(("x",), "N") is degrees((float("nan"),), "N") is None
    assert sorted(["img10", "img2", "a", "img2b"], key=natural) == ["a", "img2", "img2b", "img10"]


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 95])
def test_jpeg_quality_is_the_one_it_was_saved_with(tmp_path, quality):
    image(tmp_path / "a.jpg", np.random.default_rng(0), quality=quality)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert header_clues(opened)["quality"] == pytest.approx(quality, abs=1)
        assert jpeg_quality(opened.quantization[0]) == pytest.approx(quality, abs=1)
