"""Ids that are names of folders of samples, and test images that a table or few folders tell."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import inferred, planted, save, write

from podium.data.infer import infer


def table(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n", encoding="utf-8")


def sample_folders(folder, n, tests, masks=True):
    for i, (image, labels) in enumerate(planted(n).values()):
        save(folder / f"train/c{i}/image.png", image)
        if masks:
            save(folder / f"train/c{i}/mask.png", labels * np.uint8(255))
    for i, (image, _) in enumerate(planted(tests, seed=9).values()):
        save(folder / f"test/t{i}/image.png", image)
    return folder


def test_a_submission_and_groups_by_the_names_of_sample_folders(tmp_path):
    folder = sample_folders(tmp_path / "d", 9, 2)
    table(folder / "sample_submission.csv", ["case", "segmentation"], [[f"t{i}", "1 1"] for i in range(2)])
    table(folder / "meta.csv", ["case", "patient_id"], [[f"c{i}", f"P{i // 3}"] for i in range(9)])
    competition, samples = inferred(folder)
    assert competition.submission.id_column == "case"
    assert competition.submission.value_column == "segmentation"
    assert [s.id for s in samples.test] == ["t0", "t1"]
    assert len({s.group for s in samples.train}) == 3


def test_a_table_of_labels_by_the_names_of_sample_folders(tmp_path):
    folder = sample_folders(tmp_path / "d", 12, 3, masks=False)
    table(folder / "train.csv", ["case", "label"], [[f"c{i}", "ab"[i % 2]] for i in range(12)])
    table(folder / "sample_submission.csv", ["case", "label"], [[f"t{i}", "a"] for i in range(3)])
    competition, samples = inferred(folder)
    assert list(competition.classes) == ["a", "b"]
    assert {s.id: s.values for s in samples.train} == {f"c{i}": (float(i % 2),) for i in range(12)}
    assert [s.id for s in samples.test] == ["t0", "t1", "t2"]


@pytest.mark.parametrize("tests", [1, 2])
def test_few_folders_of_test_samples_are_seen(tmp_path, tests):
    for i, (image, labels) in enumerate(planted(5).values()):
        save(tmp_path / f"d/train/c{i}/images/c{i}.png", image)
        for k in range(2):
            save(tmp_path / f"d/train/c{i}/masks/{i}{k}f0.png", np.roll(labels, 4 * k, 1) * np.uint8(255))
    for i in range(tests):
        save(tmp_path / f"d/test/t{i}/images/t{i}.png", image)
    table(tmp_path / "d/sample_submission.csv", ["ImageId", "EncodedPixels"], [[f"t{i}", ""] for i in range(tests)])
    competition, samples = inferred(tmp_path / "d")
    assert competition.data.sample_submission
    assert (len(samples.train), [s.id for s in samples.test]) == (5, [f"t{i}" for i in range(tests)])


def test_a_test_table_tells_the_test_images_of_one_folder(tmp_path):
    names = list(planted(12))
    write(tmp_path / "d", planted(12), masks="")
    table(tmp_path / "d/train.csv", ["image", "label"], [[f"{n}.png", "ab"[i % 2]] for i, n in enumerate(names[:8])])
    table(tmp_path / "d/test.csv", ["image"], [[f"{n}.png"] for n in names[8:]])
    _, samples = inferred(tmp_path / "d")
    assert {s.id for s in samples.train} == set(names[:8])
    assert {s.id for s in samples.test} == set(names[8:])
    assert infer(tmp_path / "d", "d").why["data.test_images"] == "4 images, the ids of test.csv"


def test_images_that_no_table_tells_are_counted(tmp_path):
    names = list(planted(12))
    write(tmp_path / "d", planted(12), masks="")
    for name, part in (("train", names[:6]), ("val", names[6:8]), ("test", names[8:])):
        table(tmp_path / f"d/{name}.csv", ["image", "label"], [[f"{n}.png", i % 2] for i, n in enumerate(part)])
    why = infer(tmp_path / "d", "d").why["data.test_images"]
    assert why == "4 images, the ids of test.csv"
