"""Inference over generated layouts and real data sets: what is read off, and what is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from podium.data.competition import Competition
from podium.data.infer import infer
from podium.data.samples import list_samples
from podium.errors import DataError
from podium.formats.masks import read_mask


def inferred(folder):
    """The competition, after a round trip through its commented file, with every sample it finds."""
    inference = infer(folder, "tiny")
    path = folder.parent / "competition.toml"
    path.write_text(inference.toml(), encoding="utf-8")
    competition = Competition.load(path)
    assert competition == inference.competition
    return competition, list_samples(competition, folder)


LAYOUTS = [
    {},
    {"images": "train/{id}.png", "masks": "train/{id}_mask.png"},
    {"images": "{id}.jpg", "masks": "{id}-label.png"},
    {"images": "both/{id}.jpg", "masks": "both/{id}.png"},
    {"images": "train/images/{id}.png", "masks": "train/masks/{id}.png"},
    {"images": "imgs/{id}.JPG", "masks": "gt/{id}.bmp"},
    {"images": "a [v2]/deep er/{id}.png", "masks": "a [v2]/ännotations/{id}.png"},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda x: str(x.get("masks")))
def test_layouts_with_mask_files(tmp_path, tiny_competition, layout):
    tiny = tiny_competition(tmp_path / "d", **layout)
    competition, found = inferred(tiny.folder)
    assert {s.id for s in found.train} == set(tiny.masks)
    assert found.problems == []
    for sample in found.train:
        assert (read_mask(sample.mask, competition.data.mask_values) == tiny.masks[sample.id]).all()
        assert sample.group == sample.id.partition("_")[0]
    assert [s.id for s in found.test] == tiny.test
    assert competition.submission.id == "{id}.jpg"
    assert (competition.submission.id_column, competition.submission.value_column) == ("img", "rle_mask")


def test_mixed_suffixes(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", images="train/{id}.png", masks="masks/{id}.png")
    for n, id in enumerate(tiny.masks):
        if n % 2:
            for folder, suffix in (("train", ".jpeg"), ("masks", ".tif")):
                path = tiny.folder / folder / f"{id}.png"
                with Image.open(path) as image:
                    image.save(path.with_suffix(suffix))
                path.unlink()
    competition, found = inferred(tiny.folder)
    assert {s.id for s in found.train} == set(tiny.masks)
    assert all((read_mask(s.mask, competition.data.mask_values) == tiny.masks[s.id]).all() for s in found.train)


@pytest.mark.parametrize("id", ["a b", "ä😀", "1.2.3", "x[1]", "it's", "#"])
def test_odd_names(tmp_path, tiny_competition, id):
    tiny = tiny_competition(tmp_path / "d", table="t.csv")
    old = next(iter(tiny.masks))
    shutil.move(tiny.folder / f"train/{old}.jpg", tiny.folder / f"train/{id}.jpg")
    shutil.move(tiny.folder / f"train_masks/{old}_mask.gif", tiny.folder / f"train_masks/{id}_mask.gif")
    _, found = inferred(tiny.folder)
    assert {s.id for s in found.train} == tiny.masks.keys() - {old} | {id}


# ---------------------------------------------------------------------- run-length masks


@pytest.mark.parametrize("size", [(24, 40), (32, 32)], ids=["non-square", "square"])
@pytest.mark.parametrize("order", ["row", "column"])
@pytest.mark.parametrize("masks", [None, "masks/{id}.png"], ids=["by edges", "by masks"])
def test_the_order_of_runs_is_told(tmp_path, tiny_competition, size, order, masks):
    tiny = tiny_competition(tmp_path / "d", size=size, masks=masks, table="train.csv", order=order)
    competition, found = inferred(tiny.folder)
    assert competition.submission.order == order
    assert {s.id for s in found.train} == set(tiny.masks)
    assert (competition.data.train_rle is None) == (masks is not None)
    assert competition.data.test_images == "test/*.jpg"


def test_empty_masks_among_run_lengths(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", masks=None, table="train.csv", order="column", test_groups=0)
    lines = (tiny.folder / "train.csv").read_text().splitlines()
    lines[1:9] = [line.partition(",")[0] + "," for line in lines[1:9]]
    (tiny.folder / "train.csv").write_text("\n".join(lines))
    competition, found = inferred(tiny.folder)
    assert competition.submission.order == "column"
    assert sum(s.rle == "" for s in found.train) == 8


def test_plain_ids_and_no_test_set(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", masks=None, table="t.csv", row_id="{id}", test_groups=0)
    competition, found = inferred(tiny.folder)
    assert competition.submission.id == "{id}"
    assert (competition.data.test_images, competition.data.sample_submission) == (None, None)
    assert found.test == []


def test_a_byte_order_mark_is_taken_off(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", masks=None, table="t.csv")
    (tiny.folder / "t.csv").write_bytes(b"\xef\xbb\xbf" + (tiny.folder / "t.csv").read_bytes())
    competition, found = inferred(tiny.folder)
    assert competition.submission.id_column == "img"
    assert {s.id for s in found.train} == set(tiny.masks)


def test_latin_1_is_refused_with_what_to_type(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", masks=None, table="t.csv")
    (tiny.folder / "t.csv").write_bytes(b"img,name\nx,caf\xe9\n")
    with pytest.raises(DataError, match=r"t\.csv line 2: not UTF-8") as caught:
        infer(tiny.folder, "n")
    assert "iconv" in caught.value.remedy


def test_a_double_id_is_refused(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", masks=None, table="t.csv")
    text = (tiny.folder / "t.csv").read_text()
    (tiny.folder / "t.csv").write_text(text + text.splitlines()[3] + "\n")
    with pytest.raises(DataError, match="the id 'car0_03' is there twice"):
        infer(tiny.folder, "n")


# ---------------------------------------------------------------------- groups


def group_table(tiny, groups, column="patient"):
    rows = [f"{id}.png,{g},7" for id, g in zip(tiny.masks, groups, strict=True)]
    (tiny.folder / "meta.csv").write_text("\n".join([f"image,{column},age", *rows]))


def test_a_group_column_wins_over_the_names(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", test_groups=0)
    group_table(tiny, [f"p{i // 6}" for i in range(18)])
    competition, found = inferred(tiny.folder)
    assert (competition.data.group_csv, competition.data.group_column) == ("meta.csv", "patient")
    assert [s.group for s in found.train] == [f"p{i // 6}" for i in range(18)]


def test_a_group_column_like_the_names_becomes_the_pattern(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", test_groups=0)
    group_table(tiny, [f"p{i // 3}" for i in range(18)])
    competition, _ = inferred(tiny.folder)
    assert competition.data.group
    assert competition.data.group_csv is None


def test_as_many_groups_are_not_yet_the_same_groups(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", test_groups=0)
    group_table(tiny, [f"p{i % 6}" for i in range(18)])
    competition, _ = inferred(tiny.folder)
    assert competition.data.group is None
    assert competition.data.group_csv == "meta.csv"


@pytest.mark.parametrize("column", ["age", "country"])
def test_other_columns_are_no_groups(tmp_path, tiny_competition, column):
    tiny = tiny_competition(tmp_path / "d", images="i/{id}x.png", masks="masks/{id}x.png", test_groups=0)
    (tiny.folder / "meta.csv").write_text(
        "\n".join([f"image,{column}", *(f"{id}x,{n % 4}" for n, id in enumerate(tiny.masks))])
    )
    competition, found = inferred(tiny.folder)
    assert (competition.data.group, competition.data.group_csv) == (None, None)
    assert len({s.group for s in found.train}) == 18


# ---------------------------------------------------------------------- kinds of masks


def rewrite(tiny, change):
    for n, (id, mask) in enumerate(tiny.masks.items()):
        Image.fromarray(change(mask, n)).save(tiny.folder / "masks" / f"{id}.png")


@pytest.fixture
def png(tmp_path, tiny_competition):
    return tiny_competition(tmp_path / "d", masks="masks/{id}.png", test_groups=0)


def soft(mask, n):
    grey = mask * np.uint8(255)
    grey[:4, :4] = [[20, 90, 128, 230]] * 4
    return grey


@pytest.mark.parametrize(
    ("change", "values"),
    [
        (lambda m, n: m.astype(np.uint8), "0/1"),
        (lambda m, n: m * np.uint8(255), "0/max"),
        (lambda m, n: m * np.uint16(65535) if n % 2 else m * np.uint8(255), "0/max"),
        (lambda m, n: m * np.uint8(1 if n % 2 else 255), "0/1"),
        (soft, "0/max"),
    ],
    ids=["0/1", "0/255", "16 and 8 bits", "0/1 and 0/255", "soft edges"],
)
def test_mask_values(png, change, values):
    rewrite(png, change)
    competition, found = inferred(png.folder)
    assert competition.data.mask_values == values
    if change is not soft:
        assert all((read_mask(s.mask, values) == png.masks[s.id]).all() for s in found.train)


def numbered(n, dtype):
    return lambda mask, i: (np.arange(mask.size).reshape(mask.shape) * n // mask.size).astype(dtype)


@pytest.mark.parametrize(
    ("change", "task", "values", "classes"),
    [
        (numbered(12, np.uint8), "segmentation", "classes", 12),
        (lambda m, i: np.where(m, 255, numbered(12, np.uint8)(m, i)).astype(np.uint8), "segmentation", "classes", 12),
        (lambda m, i: m * np.array([85, 170, 255], np.uint8)[i % 3], "segmentation", "classes", 4),
        (lambda m, i: numbered(3 + i, np.uint16)(m, i), "instances", "instances", 1),
        (numbered(200, np.uint8), "instances", "instances", 1),
    ],
    ids=["classes", "classes and 255", "factor-coded", "instances", "many instances in 8 bits"],
)
def test_several_classes_and_instances_are_told_apart(png, change, task, values, classes):
    rewrite(png, change)
    competition, _ = inferred(png.folder)
    assert (competition.task, competition.data.mask_values) == (task, values)
    assert len(competition.classes) == classes


def test_255_beside_class_numbers_is_ignored(png):
    rewrite(png, lambda m, i: np.where(m, 255, numbered(5, np.uint8)(m, i)).astype(np.uint8))
    competition, _ = inferred(png.folder)
    assert competition.data.ignore == [255]
    assert sorted(competition.classes.values()) == [0, 1, 2, 3, 4]


def test_a_broken_mask_is_left_to_prepare(png):
    (png.folder / "masks/car0_01.png").write_bytes(b"broken")
    competition, _ = inferred(png.folder)
    assert competition.data.mask_values == "0/max"


# ---------------------------------------------------------------------- nothing to go by


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match="no image found"):
        infer(tmp_path, "n")


def test_images_without_masks_are_listed(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "d", masks=None)
    with pytest.raises(DataError, match="no targets found") as caught:
        infer(tiny.folder, "n")
    assert "train (18 images)" in caught.value.remedy


def test_every_value_told_has_a_reason_and_can_be_overruled(tmp_path, tiny_competition):
    inference = infer(tiny_competition(tmp_path / "d").folder, "n")
    assert all(inference.why.values())
    assert any("train_masks/{id}_mask.gif" in line for line in inference.told())
    other = inference.with_value("metric", "iou", "I say so").with_value("folds.k", 3, "few cars")
    assert (other.competition.metric, other.competition.folds.k) == ("iou", 3)
    assert "I say so" in other.toml()
    assert "I say so" not in other.with_competition(inference.competition).toml()


# ---------------------------------------------------------------------- real data
