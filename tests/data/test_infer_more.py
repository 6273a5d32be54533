"""More well-known folders, drawn small: many folders of patients, masks that only help, yes and no as 1 and -1."""

from __future__ import annotations

import numpy as np
from infer_drawing import inferred, planted, save, table, write

from podium.data.samples import list_samples

SMALL = np.full((8, 8), 90, np.uint8)


def test_mammograms_lie_in_a_folder_a_patient_and_their_names_come_once(tmp_path):
    """RSNA: image_id alone is the id; the submission, of each breast, is not one of images and is not taken."""
    rows = []
    for i in range(15):
        save(tmp_path / f"d/train_images/{100 + i // 3}/{4000 + 7 * i}.png", SMALL)
        rows.append(f"{100 + i // 3},{4000 + 7 * i},{'LR'[i % 2]},{50 + i},{int(i % 7 == 0)},{int(i % 5 == 0)}")
    tests = []
    for i in range(4):
        save(tmp_path / f"d/test_images/{900 + i // 2}/{8000 + i}.png", SMALL)
        tests.append(f"{900 + i // 2},{8000 + i},L,{60 + i},{900 + i // 2}_L")
    header = "patient_id,image_id,laterality,age"
    (tmp_path / "d/train.csv").write_text("\n".join([f"{header},cancer,biopsy", *rows]) + "\n")
    (tmp_path / "d/test.csv").write_text("\n".join([f"{header},prediction_id", *tests]) + "\n")
    (tmp_path / "d/sample_submission.csv").write_text("prediction_id,cancer\n900_L,0.02\n901_L,0.02\n")
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.train_images, competition.data.targets) == ("train_images/*/*.png", ["cancer"])
    assert {s.id: s.group for s in found.train} == {str(4000 + 7 * i): str(100 + i // 3) for i in range(15)}
    assert [(s.id, s.inputs) for s in found.test] == [(str(8000 + i), ("L", str(60 + i))) for i in range(4)]


def test_folders_of_the_first_letters_of_names(tmp_path):
    """As Google Landmarks; numbers that are called ids are classes."""
    ids = [f"{i * 2654435761 % 2**32:08x}" for i in range(1, 37)]
    for id in ids:
        save(tmp_path / f"d/train/{id[0]}/{id[1]}/{id}.jpg", SMALL)
    (tmp_path / "d/train.csv").write_text(
        "id,landmark_id\n" + "".join(f"{id},{i % 9 * 111}\n" for i, id in enumerate(ids))
    )
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.train_images, len(competition.classes)) == ("train/*/*/*.jpg", 9)
    assert [s.id for s in found.train] == sorted(ids)


def test_masks_beside_images_are_no_target_where_something_else_is_asked_for(tmp_path):
    """PANDA: grades are asked for; the masks only help, and the test images are hidden."""
    data = planted(12)
    write(tmp_path / "d", data, "train_images/{}.png", "train_label_masks/{}_mask.png")
    rows = "".join(f"{id},{'ab'[i % 2]},{i % 6},{i % 6}+{i % 3}\n" for i, id in enumerate(data))
    (tmp_path / "d/train.csv").write_text("image_id,provider,isup_grade,gleason_score\n" + rows)
    (tmp_path / "d/test.csv").write_text("image_id,provider\nxyz,a\n")
    (tmp_path / "d/sample_submission.csv").write_text("image_id,isup_grade\nxyz,0\n")
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.data.targets) == ("classification", ["isup_grade"])
    assert (competition.data.inputs, competition.metric) == (["provider"], "quadratic_kappa")
    assert {s.id: s.values for s in found.train} == {id: (float(i % 6),) for i, id in enumerate(data)}


def test_yes_and_no_as_1_and_minus_1(tmp_path):
    """CelebA, whose other table is of official parts: those of 2 are test images."""
    ids = table(tmp_path / "d", lambda i: f"{-1 if i % 2 else 1},{1 if i % 3 else -1}", header="image_id,Bald,Young")
    parts = "".join(f"{id},{i // 10}\n" for i, id in enumerate(ids))
    (tmp_path / "d/list_eval_partition.csv").write_text("image_id,partition\n" + parts)
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.targets, competition.labels) == (["Bald", "Young"], "many")
    wanted = {id: (float(i % 2 == 0), float(i % 3 > 0)) for i, id in enumerate(ids)}
    assert {s.id: s.values for s in found.train} == {id: wanted[id] for id in ids[:20]}
    text = (tmp_path / "d/train.csv").read_text().replace(f"{ids[0]},1", f"{ids[0]},0")
    (tmp_path / "d/train.csv").write_text(text)  # -1 beside 0 is no "no"
    problems = list_samples(competition, tmp_path / "d").problems
    assert {p.reason for p in problems} == {"'Bald' is -1, neither 0 nor 1"}
