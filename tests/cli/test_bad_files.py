"""Damaged, missing, double and odd files: one clear message, nothing lost, and the way out works."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from running import SMALL, cut, fails, make_rle_data, new_workspace, ok, write_gif, write_jpeg


def zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<html>404 not found</html>\n")


def excluded(workspace: Path) -> dict[str, str]:
    """{id: reason} of exclude.csv."""
    with open(workspace / "exclude.csv", newline="") as f:
        return {row["id"]: row["reason"] for row in csv.DictReader(f)}


def folds(workspace: Path) -> set[str]:
    """Ids of folds.csv."""
    with open(workspace / "folds.csv", newline="") as f:
        return {row["id"] for row in csv.DictReader(f)}


def folds_rows(workspace: Path) -> list[str]:
    """The lines of folds.csv."""
    return (workspace / "folds.csv").read_text().splitlines()[1:]


def test_bad_training_images_are_named_left_out_on_demand_and_taken_back(tmp_path: Path, data: Path) -> None:
    space = new_workspace(tmp_path, data)
    bad = {"car1_0": cut, "car2_1": zero_bytes, "car3_0": text}
    for id, damage in bad.items():
        damage(data / "train" / f"{id}.jpg")

    message = fails(space, "prepare", says=["3 samples cannot be used", *bad, "--exclude-bad"])
    assert all(f"{id}: " in message and f"train/{id}.jpg)" in message for id in bad)
    assert not (space / "exclude.csv").exists()
    assert not (space / "folds.csv").exists()
    fails(space, "prepare", says=["3 samples cannot be used"])  # as often as it is asked

    told = ok(space, "prepare", "--exclude-bad")
    assert excluded(space).keys() == bad.keys()
    assert all(excluded(space).values())
    assert "train images: reused" in told.out
    assert "excluded: 3 samples" in told.out
    before = folds_rows(space)
    assert len(before) == 12, "a fold is given to the excluded too, so that none moves when one is taken back"

    write_jpeg(data / "train" / "car1_0.jpg", np.full((32, 32, 3), 90, np.uint8))
    rows = (space / "exclude.csv").read_text().splitlines(keepends=True)
    (space / "exclude.csv").write_text("".join(r for r in rows if not r.startswith("car1_0")))
    told = ok(space, "prepare")
    assert "1 files changed" in told.out
    assert "excluded: 2 samples" in told.out
    assert excluded(space).keys() == bad.keys() - {"car1_0"}
    assert folds_rows(space) == before


@pytest.mark.slow
def test_a_bad_test_image_is_predicted_empty_when_left_out(tmp_path: Path, data: Path) -> None:
    space = new_workspace(tmp_path, data)
    cut(data / "test" / "new1_0.jpg")
    fails(space, "prepare", says=["new1_0: ", "test/new1_0.jpg", "--exclude-bad"])
    ok(space, "prepare", "--exclude-bad")
    assert excluded(space).keys() == {"new1_0"}
    ok(space, "baseline", *SMALL)
    done = ok(space, "predict", "--json").json
    assert done["rows"] == 4
    assert done["empty"] >= 1


def test_a_loss_of_masks_is_refused_for_classes(tmp_path: Path, data: Path) -> None:
    many_classes(data)
    space = new_workspace(tmp_path, data)
    ok(space, "prepare")
    fails(space, "baseline", "loss.terms={bce=1.0}", says=["bce", "ce"])
    assert not list((space / "attempts").glob("*/fold*"))


def test_a_folder_called_like_an_image_is_no_image(tmp_path: Path, data: Path) -> None:
    (data / "train" / "car9_0.jpg").mkdir()
    space = new_workspace(tmp_path, data)
    ok(space, "prepare")
    assert len(folds(space)) == 12


def test_an_image_that_leads_nowhere(tmp_path: Path, data: Path) -> None:
    space = new_workspace(tmp_path, data)
    image = data / "train" / "car1_1.jpg"
    image.unlink()
    image.symlink_to(tmp_path / "gone.jpg")
    fails(space, "prepare", says=["car1_1: no such file", "train/car1_1.jpg", "--exclude-bad"])
    ok(space, "prepare", "--exclude-bad")
    assert excluded(space).keys() == {"car1_1"}


def test_bad_masks_are_named_and_left_out_on_demand(tmp_path: Path, data: Path) -> None:
    space = new_workspace(tmp_path, data)
    masks = data / "train_masks"
    write_gif(masks / "car0_0_mask.gif", np.eye(48, dtype=np.uint8))
    (masks / "car1_0_mask.gif").unlink()
    shutil.copy(masks / "car2_0_mask.gif", masks / "car99_0_mask.gif")
    cut(masks / "car3_1_mask.gif", 0.6)
    wrong = {
        "car0_0": "mask is 48x48, its image 32x32",
        "car1_0": "has no mask",
        "car99_0": "is a mask without an image",
        "car3_1": "",
    }
    fails(
        space,
        "prepare",
        says=["4 samples", *(f"{id}: {why}" for id, why in wrong.items()), "car99_0_mask.gif", "car3_1_mask.gif"],
    )
    assert not (space / "exclude.csv").exists()
    ok(space, "prepare", "--exclude-bad")
    assert excluded(space).keys() == wrong.keys()
    assert len(folds(space)) == 11, "all but the one without a mask, which is no training sample"
    ok(space, "prepare")


def test_a_bad_image_stops_a_hold_out_and_leaves_nothing(tmp_path: Path, data: Path) -> None:
    cut(data / "train" / "car1_0.jpg")
    fails(tmp_path, "new", "ws", "--from", data, "--hold-out", "0.34", says=["car1_0.jpg"])
    assert not (tmp_path / "ws").exists()


@pytest.mark.slow
def test_latin_1_is_refused_with_the_line_and_the_remedy_works(tmp_path: Path, data: Path) -> None:
    table = data / "sample_submission.csv"
    good = table.read_bytes()
    table.write_bytes(good.replace(b"new1_0", b"n\xe9w1_0"))
    fails(tmp_path, "new", "ws", "--from", data, says=[table, "line 3", "0xe9", "iconv -f LATIN1 -t UTF-8"])
    assert not (tmp_path / "ws").exists()

    table.write_bytes(good)
    space = new_workspace(tmp_path, data)
    ok(space, "baseline", *SMALL)
    table.write_bytes(good.replace(b"new1_0", b"n\xe9w1_0"))
    fails(space, "predict", says=["sample_submission.csv line 3", "iconv"])
    assert not list((space / "submissions").glob("*"))
    table.write_bytes(b"\xef\xbb\xbf" + good)
    assert ok(space, "predict", "--json").json["rows"] == 4


@pytest.mark.slow
def test_a_byte_order_mark_is_harmless_to_the_end(tmp_path: Path) -> None:
    data = make_rle_data(tmp_path / "data")
    table = data / "train.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    space = new_workspace(tmp_path, data, "--hold-out", "0.3")
    ok(space, "baseline", *SMALL)
    ok(space, "predict")
    assert 0 <= ok(space, "submit", "--json").json["public"] <= 1


def test_an_id_of_two_files(tmp_path: Path, data: Path) -> None:
    space = new_workspace(tmp_path, data, "data.train_images=train/*")
    double = data / "train" / "car1_0.png"
    write_jpeg(data / "train" / "other.jpg", np.zeros((32, 32, 3), np.uint8))
    (data / "train" / "other.jpg").rename(double)
    fails(space, "prepare", says=["'car1_0'", "train/car1_0.png", "train/car1_0.jpg"])


def test_an_id_of_two_rows(tmp_path: Path) -> None:
    data = make_rle_data(tmp_path / "data")
    table = data / "train.csv"
    table.write_text(table.read_text() + "s03,1 1\n")
    fails(tmp_path, "new", "ws", "--from", data, says=["train.csv", "s03", "lines 5 and 10"])


def test_runs_that_do_not_fit_their_image(tmp_path: Path) -> None:
    data = make_rle_data(tmp_path / "data")
    space = new_workspace(tmp_path, data)
    table = data / "train.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:2], "s01,1000 100", "s02,5 3 4 2", *lines[4:]]) + "\n")
    fails(space, "prepare", says=["2 samples", "s01: ", "s02: ", "100", "(train.csv)"])
    ok(space, "prepare", "--exclude-bad")
    assert excluded(space).keys() == {"s01", "s02"}


def empty(data: Path) -> None:
    shutil.rmtree(data)
    data.mkdir()


def a_file(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("not a folder")


def no_masks(data: Path) -> None:
    shutil.rmtree(data / "train_masks")


def many_classes(data: Path) -> None:
    for path in (data / "train_masks").iterdir():
        write_gif(path, np.arange(32 * 32, dtype=np.uint8).reshape(32, 32) % 7)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (empty, ["no image found"]),
        (shutil.rmtree, ["not there"]),
        (a_file, ["a file, not a folder"]),
        (no_masks, ["no targets found", "train (12 images)"]),
    ],
)
def test_folders_that_are_no_data(tmp_path: Path, data: Path, damage: Callable[[Path], None], says: list[str]) -> None:
    damage(data)
    fails(tmp_path, "new", "ws", "--from", data, says=[data if says[0] != "train_masks" else "train_masks", *says])
    assert sorted(p.name for p in tmp_path.iterdir()) in (["data"], [])


def test_data_that_has_gone_or_moved(tmp_path: Path, data: Path) -> None:
    space = new_workspace(tmp_path, data)
    moved = data.rename(tmp_path / "elsewhere")
    fails(space, "prepare", says=[space / "data", "not there"])
    (space / "data").unlink()
    (space / "data").symlink_to(moved)
    ok(space, "prepare")
    shutil.rmtree(moved / "train")
    fails(space, "prepare", says=["no training image found", "train_images"])


def test_fewer_groups_than_folds(tmp_path: Path, data: Path) -> None:
    ok(tmp_path, "new", "ws", "--from", data, "folds.k=7")
    fails(tmp_path / "ws", "prepare", says=["6 groups", "7 folds", "folds.k = 6"])


def test_new_never_touches_a_folder_in_use(tmp_path: Path, data: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "thesis.txt").write_text("years of work")
    fails(tmp_path, "new", "used", "--from", data, says=[used, "not empty"])
    fails(tmp_path, "new", "used/thesis.txt", "--from", data, says=["thesis.txt", "file"])
    assert [p.name for p in used.iterdir()] == ["thesis.txt"]
    assert (used / "thesis.txt").read_text() == "years of work"
    (tmp_path / "vacant").mkdir()
    ok(tmp_path, "new", "vacant", "--from", data)
