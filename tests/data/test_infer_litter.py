"""What lies about in real folders confuses nothing; the real data sets are read as their READMEs say."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import ONE, check_masks, inferred, planted, save, table, write

from podium.data.competition import Competition
from podium.data.infer import infer
from podium.data.samples import list_samples
from podium.errors import DataError
from podium.formats import rle

# ---------------------------------------------------------------------- look-alikes


def litter(folder, ids):
    """What lies about in real data folders."""
    rng = np.random.default_rng(1)
    (folder / "images.csv").write_text(
        "\n".join(["image,car,angle,width", *(f"{id},{n % 3},{n},1918" for n, id in enumerate(ids))])
    )
    (folder / "frames.csv").write_text(
        "\n".join(["image,polyp_pixels,mean", *(f"{id},{n * 10 + 2},0.5" for n, id in enumerate(ids))])
    )
    (folder / "depths.csv").write_text("\n".join(["id,z", *(f"{id},{n * 3}" for n, id in enumerate([*ids, "other"]))]))
    (folder / "README.md").write_text("1: this\n2 = that, 240 images. 0/255, 2015\n")
    for id in ids:
        save(folder / f"thumbnails/{id}.png", rng.integers(0, 255, (4, 4), dtype=np.uint8))
        save(folder / f"__MACOSX/images/{id}.png", rng.integers(0, 2, (4, 4), dtype=np.uint8))
        (folder / f"images/._{id}.png").write_bytes(b"\0\5\26\7")
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / f"annotations/{id}.xml").write_text("<annotation/>")
    (folder / "images/Thumbs.db").write_bytes(b"x")
    (folder / ".hidden").mkdir()
    (folder / "empty/er").mkdir(parents=True)
    (folder / "images/loop").symlink_to(folder, target_is_directory=True)


def test_litter_does_not_confuse_masks(tmp_path):
    data = planted(12)
    folder = write(tmp_path / "d", data)
    plain = inferred(folder)[0]
    litter(folder, list(data))
    competition, found = inferred(folder)
    keys = ("task", "metric", "classes")
    assert [getattr(competition, k) for k in keys] == [getattr(plain, k) for k in keys]
    assert competition.data.train_masks == "masks/{id}.png"
    check_masks(competition, found, data)


def test_litter_does_not_confuse_runs(tmp_path):
    data = planted(12)
    folder = write(tmp_path / "d", data, masks=None)
    rows = [f"{id},{rle.encode(m > 0, 'column')}" for id, (_, m) in data.items()]
    (folder / "train.csv").write_text("\n".join(["id,rle_mask", *rows]))
    litter(folder, list(data))
    competition, found = inferred(folder)
    assert (competition.data.train_rle, competition.submission.order) == ("train.csv", "column")
    check_masks(competition, found, data)


def test_litter_does_not_confuse_labels(tmp_path):
    ids = table(tmp_path / "d", lambda i: ONE[i % 3])
    litter(tmp_path / "d", ids)
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.train_csv, competition.data.targets) == ("train.csv", ["label"])
    assert competition.data.train_images == "images/*.png"
    assert {s.id: s.values for s in found.train} == {id: (float(i % 3),) for i, id in enumerate(ids)}


# ---------------------------------------------------------------------- real data


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "n", "n_test", "groups", "expected"),
    [
        ("bccd_counts", 240, 0, 240, {"task": "regression", "data.targets": ["rbc", "wbc", "platelets"]}),
        ("camvid", 468, 233, 3, {"task": "segmentation", "data.ignore": [11], "data.mask_values": "classes",
         "classes.sky": 0, "classes.bicyclist": 10, "data.val_images": "val/*.jpg", "metric": "mean_iou"}),
        ("carvana", 48, 0, 12, {"task": "segmentation", "data.mask_values": "0/1", "metric": "dice",
         "data.train_masks": "train_masks/{id}_mask.gif", "data.train_images": "train/*.jpg"}),
        ("cvc_clinicdb", 328, 0, 14, {"task": "segmentation", "data.group_column": "sequence", "metric": "dice",
         "data.train_masks": "masks/{id}.png", "data.group_csv": "frames.csv", "data.mask_values": "0/max"}),
        ("dsb2018", 267, 0, 267, {"task": "instances", "submission.order": "column", "metric": "dsb2018"}),
        ("houses_price", 263, 0, 263, {"task": "regression", "data.targets": ["price_usd"],
         "data.views": ["bathroom", "bedroom", "frontal", "kitchen"]}),
        ("malaria_cells", 5000, 0, 105, {"task": "classification", "data.targets": ["parasitized"],
         "data.group_column": "patient"}),
        ("tgs_salt", 977, 0, 977, {"task": "segmentation", "submission.order": "column", "metric": "tgs_iou",
         "submission.id_column": "id", "submission.value_column": "rle_mask", "data.train_masks": "masks/{id}.png",
         "data.mask_values": "0/max"}),
    ],
)  # fmt: skip
def test_real_data(real_data, tmp_path, name, n, n_test, groups, expected):
    folder = real_data / name
    inference = infer(folder, name)
    (tmp_path / "competition.toml").write_text(inference.toml())
    competition = Competition.load(tmp_path / "competition.toml")
    assert competition == inference.competition
    tree = competition.tree()
    for key, value in expected.items():
        section, _, leaf = key.rpartition(".")
        assert (tree[section] if section else tree)[leaf] == value, key
    found = list_samples(competition, folder)
    assert (len(found.train), len(found.test), found.problems) == (n, n_test, [])
    assert len({s.group for s in found.train}) == groups


DAMAGED = {"empty": b"", "ragged": b"a,b\n1,2,3\n", "latin": b"a,b\n1,caf\xe9\n"}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_table_that_nobody_needs_may_be_damaged(tmp_path, content, capsys):
    data = planted()
    folder = write(tmp_path / "d", data)
    (folder / "notes.csv").write_bytes(content)
    competition, found = inferred(folder)
    check_masks(competition, found, data)
    assert "notes.csv is passed over" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["train.csv", "labels.csv", "sample_submission.csv", "notes.csv"])
@pytest.mark.parametrize("kind", ["masks", "classes", "nothing"])
def test_a_table_that_may_be_needed_may_not_be_damaged(tmp_path, name, kind):
    folder = tmp_path / "d"
    if kind == "classes":
        for i in range(8):
            save(folder / f"{'ab'[i % 2]}/x{i}.png", np.zeros((8, 8, 3), np.uint8))
    else:
        write(folder, planted(), masks="masks/{}.png" if kind == "masks" else None)
    (folder / name).write_bytes(DAMAGED["ragged"])
    needed = kind == "nothing" or name.startswith("sample") or (kind == "classes" and name != "notes.csv")
    if needed:
        with pytest.raises(DataError, match="the row has 3 fields"):
            infer(folder, "d")
    else:
        infer(folder, "d")
