"""Words that tell masks and tests, masks of one channel, and what is said where no targets are found."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import inferred, planted, save, write

from podium.data.infer import infer
from podium.data.targets import read_target
from podium.errors import DataError


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("labels.tsv", "Save labels.tsv as CSV, with commas"),
        ("labels.xlsx", "Save the sheet of labels.xlsx as CSV"),
        ("annotations/instances.json", "Write what annotations/instances.json says as a CSV file with a row an image"),
        ("train.txt", "Write what train.txt says as a CSV file with a header"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(tmp_path, file, advice):
    folder = write(tmp_path / "d", planted(4), masks="")
    (folder / "README.txt").write_text("a data set")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(b"x")
    with pytest.raises(DataError, match="no targets found") as error:
        infer(folder, "d")
    assert f"also there, not read: {file}. {advice}" in error.value.remedy
    assert "README" not in str(error.value)


def test_many_files_of_one_kind_are_counted(tmp_path):
    folder = write(tmp_path / "d", planted(4), images="images/train/{}.png", masks="")
    (folder / "labels/train").mkdir(parents=True)
    for i in range(4):
        (folder / f"labels/train/{i}.txt").write_text("0 .5 .5 .1 .1\n")
    with pytest.raises(DataError, match="no targets found") as error:
        infer(folder, "d")
    assert "not read: 4 files labels/train/*.txt" in error.value.remedy


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("img_dir/{}.png", "ann_dir/{}.png"),
        ("img/{}.png", "lbl/{}.png"),
        ("rgb/{}.png", "semantic/{}.png"),
        ("{}.bmp", "{}_anno.bmp"),
    ],
)
def test_words_that_say_masks(tmp_path, images, masks):
    write(tmp_path / "d", planted(6, classes=3), images, masks, lambda labels: labels)
    competition, samples = inferred(tmp_path / "d")
    assert competition.task == "segmentation"
    assert len(competition.classes) == 4
    assert (len(samples.train), samples.problems) == (6, [])


def test_words_that_say_other_things(tmp_path):
    write(tmp_path / "d", planted(6), "imagesTr/{}.png", "labelsTr/{}.png")
    write(tmp_path / "d", planted(3, seed=5), "imagesTs/{}.png", masks="")
    for id, (image, _) in planted(9, seed=7).items():
        save(tmp_path / f"d/unlabeled/{id}.png", image)
    _, samples = inferred(tmp_path / "d")
    assert (len(samples.train), len(samples.test), samples.problems) == (6, 3, [])


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_class_numbers_in_one_channel_of_colours(tmp_path, channel):
    def change(labels):
        return np.stack([labels * np.uint8(3) * (c == channel) for c in range(3)], axis=2).astype(np.uint8)

    data = planted(8, classes=3)
    write(tmp_path / "d", data, "CameraRGB/{}.png", "CameraSeg/{}.png", change)
    competition, samples = inferred(tmp_path / "d")
    assert sorted(competition.classes.values()) == [0, 3, 6, 9]
    for sample in samples.train:
        labels = data[sample.id][1]
        assert np.array_equal(read_target(competition, sample, labels.shape), labels)


def test_the_field_of_view_is_no_target_of_test_images_either(tmp_path):
    write(tmp_path / "d", planted(6), "training/images/{}_training.png", "training/1st_manual/{}_manual1.png")
    write(tmp_path / "d", planted(6), "training/images/{}_training.png", "training/mask/{}_training_mask.png")
    write(tmp_path / "d", planted(3, seed=3), "test/images/{}_test.png", "test/mask/{}_test_mask.png")
    competition, samples = inferred(tmp_path / "d")
    assert competition.data.train_masks == "training/1st_manual/{id}_manual1.png"
    assert competition.data.test_masks is None
    assert len(samples.test) == 3
