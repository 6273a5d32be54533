"""Folders as well-known sets come, each drawn small: Cityscapes, Pascal VOC, DeepGlobe, DRIVE, Sartorius and so on."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import SIZE, check_masks, inferred, planted, read_all, save, table, write

from podium.data.competition import listed
from podium.data.infer import infer
from podium.data.targets import read_target
from podium.errors import DataError
from podium.formats import rle

SMALL = np.full((8, 8, 3), 90, np.uint8)


def test_cityscapes(tmp_path):
    cities = zip("aabbccdeee", planted(10).values(), strict=True)
    data = {f"{city}_{i:06}_000019": drawn for i, (city, drawn) in enumerate(cities)}
    for id, (image, labels) in data.items():
        place = f"{'train' if id[0] in 'abcd' else 'val'}/{id[0]}"
        save(tmp_path / f"d/leftImg8bit/{place}/{id}_leftImg8bit.png", image)
        gt = tmp_path / f"d/gtFine/{place}/{id}_gtFine"
        save(gt.with_name(gt.name + "_labelIds.png"), labels * np.uint8(26) + np.uint8(labels == 0) * np.uint8(7))
        save(gt.with_name(gt.name + "_color.png"), np.repeat(labels[..., None] * np.uint8(99), 3, 2))
        save(gt.with_name(gt.name + "_instanceIds.png"), labels.astype(np.uint16) * 26001)
    for i in range(3):
        save(tmp_path / f"d/leftImg8bit/test/berlin/berlin_{i:06}_000019_leftImg8bit.png", data[next(iter(data))][0])
        save(tmp_path / f"d/gtFine/test/berlin/berlin_{i:06}_000019_gtFine_labelIds.png", np.zeros(SIZE, np.uint8))
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {"class7": 7, "class26": 26}
    assert {s.id for s in found.train if s.split == "val"} == {id for id in data if id[0] == "e"}
    assert [s.id for s in found.test] == [f"berlin_{i:06}_000019" for i in range(3)]
    check_masks(competition, found, data)


@pytest.mark.parametrize("names", [("train", "val"), ("train", "val", "trainval")])
def test_pascal_voc_says_in_lists_what_to_train_on(tmp_path, names):
    root, data = tmp_path / "d/VOC2012", planted(12)
    write(root, data, "JPEGImages/{}.jpg", "SegmentationClass/{}.png", lambda labels: labels * np.uint8(3))
    write(root, data, "JPEGImages/{}.jpg", "SegmentationObject/{}.png", lambda labels: labels)
    for i in range(30):  # most images have no mask
        save(root / f"JPEGImages/2008_{i}.jpg", SMALL)
    ids = sorted(data)
    parts = {"train": ids[:8], "val": ids[8:], "trainval": ids}
    for name in names:
        path = root / f"ImageSets/Segmentation/{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(parts[name]) + "\n")
    (root / "ImageSets/Main").mkdir()
    for name, some in (("train", ids[:3]), ("val", ["2008_1"])):
        (root / f"ImageSets/Main/{name}.txt").write_text("\n".join(f"{id}  -1" for id in some))
    competition, found = inferred(tmp_path / "d")
    assert all("Segmentation" in name for name in listed(competition.data.train_list))
    assert {s.id for s in found.train if s.split == "val"} == set(ids[8:])
    check_masks(competition, found, data)


def test_lists_of_train_and_test_images_in_one_folder(tmp_path):
    ids = table(tmp_path / "d", lambda i: ["Mass|Hernia", "Mass", "No Finding"][i % 3], header="image,Finding Labels")
    (tmp_path / "d/boxes.csv").write_text("image,Finding Label,x,y,,\n" + f"{ids[0]},Mass,1,2,,\n")
    (tmp_path / "d/train_val_list.txt").write_text("".join(f"{id}.png\n" for id in ids[:18]))
    (tmp_path / "d/test_list.txt").write_text("".join(f"{id}.png\n" for id in ids[18:]))
    competition, found = inferred(tmp_path / "d")
    assert competition.data.targets == ["Finding Labels"]
    assert [s.id for s in found.train] == sorted(ids[:18])
    assert [s.id for s in found.test] == sorted(ids[18:])
    assert found.problems == []


@pytest.mark.parametrize("text", ["", "nobody\n", "\xe9"])
def test_a_list_without_an_image_is_an_error(tmp_path, text):
    write(tmp_path / "d", planted())
    (tmp_path / "d/l.txt").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"no training image is listed|not UTF-8"):
        inferred(tmp_path / "d", 'data.train_list="l.txt"')
    with pytest.raises(DataError, match="cannot be read"):
        inferred(tmp_path / "d", 'data.val_list="none.txt"')


def test_a_list_tells_the_official_validation_images(tmp_path):
    data = planted()
    write(tmp_path / "d", data)
    (tmp_path / "d/v.txt").write_text("\n".join(sorted(data)[:3]))
    _, found = inferred(tmp_path / "d", 'data.val_list="v.txt"')
    assert {s.id for s in found.train if s.split == "val"} == set(sorted(data)[:3])


def test_deepglobe_has_both_in_one_folder_and_names_its_colours(tmp_path):
    data = planted(12)
    colours = np.array([[0, 0, 255], [0, 255, 0]], np.uint8)
    write(tmp_path / "d/train", data, "{}_sat.jpg", "{}_mask.png", lambda labels: colours[labels])
    for i in range(3):
        save(tmp_path / f"d/test/t{i}_sat.jpg", SMALL)
    (tmp_path / "d/class_dict.csv").write_text("name,r,g,b\nwater,0,0,255\nforest,0,255,0\n")
    (tmp_path / "d/metadata.csv").write_text("image_id,split\n" + "".join(f"{id},train\n" for id in data))
    competition, found = inferred(tmp_path / "d")
    assert competition.colours == {"water": [0, 0, 255], "forest": [0, 255, 0]}
    assert [s.id for s in found.test] == ["t0", "t1", "t2"]
    assert read_all(competition, found).keys() == data.keys()


def test_drive_has_fields_of_view_and_a_second_reader(tmp_path):
    data = {f"{i:02}": v for i, v in enumerate(planted(12).values())}
    for id, (image, labels) in data.items():
        part = "training" if int(id) < 8 else "test"
        root = tmp_path / f"d/DRIVE/{part}"
        save(root / f"images/{id}_{part}.tif", image)
        save(root / f"1st_manual/{id}_manual1.gif", labels * np.uint8(255))
        save(root / f"mask/{id}_{part}_mask.gif", np.full(SIZE, 255, np.uint8))
        if part == "test":
            save(root / f"2nd_manual/{id}_manual2.gif", labels * np.uint8(255))
    competition, found = inferred(tmp_path / "d")
    check_masks(competition, found, {id: v for id, v in data.items() if int(id) < 8})
    assert [s.id for s in found.test] == ["08", "09", "10", "11"]
    assert competition.data.test_masks == "DRIVE/test/1st_manual/{id}_manual1.gif"


def test_a_folder_that_is_called_like_masks_holds_both(tmp_path):
    data = planted()
    competition, found = inferred(write(tmp_path / "d", data, "Kvasir-SEG/images/{}.png", "Kvasir-SEG/masks/{}.png"))
    check_masks(competition, found, data)


@pytest.mark.parametrize("names", [("{c}/{i:03}", 4), ("{c}/{c}_{i}", 4), ("{c}/{c}_{i}", 9)])
def test_a_folder_for_each_case(tmp_path, names):
    name, cases = names
    drawn = list(planted(4 * cases).values())
    for k, (image, labels) in enumerate(drawn):
        at = name.format(c=f"p{k // 4}", i=k % 4)
        save(tmp_path / f"d/images/{at}.png", image)
        save(tmp_path / f"d/masks/{at}.png", labels * np.uint8(255))
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, len(competition.classes)) == ("segmentation", 1)
    assert len(found.train) == 4 * cases
    assert len({s.group for s in found.train}) == cases
    ordered = sorted(found.train, key=lambda s: s.mask)
    for sample, (_, labels) in zip(ordered, drawn, strict=True):
        np.testing.assert_array_equal(read_target(competition, sample, SIZE), labels > 0)


def runs(tmp_path, rows, header="id,annotation,cell_type"):
    (tmp_path / "d/train.csv").write_text("\n".join([header, *rows]) + "\n")
    for i in range(2):
        save(tmp_path / f"d/test/t{i}.png", SMALL)
    (tmp_path / "d/sample_submission.csv").write_text("id,predicted\nt0,1 1\nt1,1 1\n")


def test_a_kind_of_image_in_rows_of_objects_is_no_class(tmp_path):
    rows = []
    for k, (id, (image, _)) in enumerate(planted().items()):
        save(tmp_path / f"d/train/{id}.png", image)
        for x in (1, 9, 17):
            mask = np.zeros(SIZE, bool)
            mask[2 : 6 + k, x : x + 5] = True
            rows.append(f"{id},{rle.encode(mask)},{'cort' if k % 2 else 'astro'}")
    runs(tmp_path, rows)
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.submission.format) == ("instances", "rle_objects")
    assert all(read_target(competition, s, SIZE).max() == 3 for s in found.train)


def test_a_table_that_nothing_needs_may_have_a_slip(tmp_path):
    data = planted(12)
    write(tmp_path / "d", data, "train/1_{}.tif", "train/1_{}_mask.tif")
    rows = [f"1,{i},1 3" for i in range(5)] + ["1,2,1 3", "1,2,1 3"]
    (tmp_path / "d/train_masks.csv").write_text("\n".join(["subject,img,pixels", *rows]))
    for i in range(1, 5):
        save(tmp_path / f"d/test/{i}.tif", SMALL)
    (tmp_path / "d/sample_submission.csv").write_text("img,pixels\n" + "".join(f"{i},1 1\n" for i in range(1, 5)))
    competition, found = inferred(tmp_path / "d")
    check_masks(competition, found, {f"1_{id}": v for id, v in data.items()})
    assert competition.submission.id_column == "img"


def test_a_flag_called_group_is_no_group(tmp_path):
    table(tmp_path / "d", lambda i: f"{i % 2},{i * 7 % 50}", header="Id,Group,Pawpularity")
    competition, _ = inferred(tmp_path / "d")
    assert (competition.data.group_csv, competition.folds.k) == (None, 5)


def test_test_images_of_several_views_and_what_they_are_asked_for(tmp_path):
    views, train, test = ("blue", "green", "red"), [f"a-{i}" for i in range(12)], ["b-1", "b-2"]
    for part, ids in (("train", train), ("test", test)):
        for id in ids:
            for view in views:
                save(tmp_path / f"d/{part}/{id}_{view}.png", SMALL)
    (tmp_path / "d/train.csv").write_text(
        "Id,Target\n" + "".join(f"{id},{i % 3}{' 4' * (i % 2)}\n" for i, id in enumerate(train))
    )
    (tmp_path / "d/sample_submission.csv").write_text("Id,Predicted\n" + "".join(f"{id},0\n" for id in test))
    competition, found = inferred(tmp_path / "d")
    assert [(s.id, len(s.views)) for s in found.test] == [("b-1", 3), ("b-2", 3)]
    assert (competition.submission.value_column, competition.labels) == ("Predicted", "many")


@pytest.mark.parametrize("name", ["{c}.{i}", "{c}_{i}", "{c}-{i:03}"])
def test_classes_in_file_names(tmp_path, name):
    for c in ("cat", "guinea_pig", "dog"):
        for i in range(8):
            save(tmp_path / f"d/train/{name.format(c=c, i=i)}.jpg", SMALL)
    for i in range(3):
        save(tmp_path / f"d/test1/{i}.jpg", SMALL)
    competition, found = inferred(tmp_path / "d")
    assert competition.classes == {"cat": 0, "dog": 1, "guinea_pig": 2}
    assert all(list(competition.classes)[int(s.values[0])] == s.id[: -len(name.format(c="", i=1))] for s in found.train)
    assert len(found.test) == 3


@pytest.mark.parametrize("name", ["img_{i}", "{c}_{i}", "train_{i}"])
def test_numbers_alone_and_cameras_names_are_no_classes(tmp_path, name):
    for i in range(20):
        save(tmp_path / f"d/{name.format(c='DSC' if i % 2 else 'IMG', i=i)}.jpg", SMALL)
    with pytest.raises(DataError, match="no targets found"):
        infer(tmp_path / "d", "n")


def test_humpback_whales_are_guessed_several_times_and_most_are_seen_once(tmp_path):
    names = ["new_whale", *(f"w_{i:x}" for i in range(50))]
    ids = table(tmp_path / "d", lambda i: names[max(0, i - 9)], n=60, header="Image,Id", ending=".png")
    (tmp_path / "d/sample_submission.csv").write_text(f"Image,Id\n{ids[0]}.png,new_whale w_1f w_2a\n")
    inference = infer(tmp_path / "d", "n")
    form = inference.competition.submission
    assert (inference.competition.metric, form.format, form.guesses, len(form.classes)) == ("map3", "names", 3, 51)
    (line,) = [line for line in inference.told() if line.startswith("classes = ")]
    assert line.endswith("… 43 more}: the values of Id")


def test_bone_age_calls_the_columns_of_its_test_images_otherwise(tmp_path):
    ages = table(
        tmp_path / "d", lambda i: f"{i * 7 + 1},{i % 2 == 0}", header="id,boneage,male", images="boneage-train/{}.png"
    )
    for i in range(4):
        save(tmp_path / f"d/boneage-test/{4360 + i}.png", SMALL)
    (tmp_path / "d/test.csv").write_text("Case ID,Sex\n" + "".join(f"{4360 + i},{'MF'[i % 2]}\n" for i in range(4)))
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.targets, competition.data.inputs) == (["boneage"], ["male"])
    assert {s.id: s.inputs for s in found.train} == {id: (str(i % 2 == 0),) for i, id in enumerate(ages)}
    assert [s.inputs for s in found.test] == [("True",), ("False",)] * 2


@pytest.mark.parametrize("rows", ["Case ID,Sex\n{0},x\n{1},y\n", "Case ID,Weight\n{0},1\n{1},2\n"])
def test_columns_that_mean_something_else_are_no_inputs(tmp_path, rows):
    table(tmp_path / "d", lambda i: f"{i * 7 + 1},{i % 2 == 0}", header="id,boneage,male", images="train/{}.png")
    for i in range(2):
        save(tmp_path / f"d/test/{4360 + i}.png", SMALL)
    (tmp_path / "d/test.csv").write_text(rows.format(4360, 4361))
    inference = infer(tmp_path / "d", "n")
    assert inference.competition.data.test_inputs_csv is None
    assert inference.competition.data.inputs == []
    assert "no table has it for the test images: male" in inference.why["data.targets"]


def test_deepglobe_does_not_score_what_it_calls_unknown(tmp_path):
    data = planted(12, classes=3)
    colours = np.array([[0, 255, 255], [0, 255, 0], [0, 0, 255], [0, 0, 0]], np.uint8)
    write(tmp_path / "d/train", data, "{}_sat.jpg", "{}_mask.png", lambda labels: colours[labels])
    rows = zip(("urban_land", "forest_land", "water", "unknown"), colours.tolist(), strict=True)
    text = "".join(f"{name},{r},{g},{b}\n" for name, (r, g, b) in rows)
    (tmp_path / "d/class_dict.csv").write_text("name,r,g,b\n" + text)
    competition, found = inferred(tmp_path / "d")
    assert competition.data.ignore == ["unknown"]
    assert competition.classes == {"urban_land": 0, "forest_land": 1, "water": 2}
    assert competition.submission.classes == ("urban_land", "forest_land", "water")
    check_masks(competition, found, data, lambda labels: np.where(labels == 3, 255, labels))


def test_unknown_beside_one_class_is_its_background(tmp_path):
    colours = np.array([[0, 0, 0], [0, 255, 0]], np.uint8)
    write(tmp_path / "d", planted(), change=lambda labels: colours[labels])
    (tmp_path / "d/class_dict.csv").write_text("name,r,g,b\nunknown,0,0,0\nforest,0,255,0\n")
    competition, _ = inferred(tmp_path / "d")
    assert (competition.data.ignore, competition.classes) == ([], {"unknown": 0, "forest": 1})
