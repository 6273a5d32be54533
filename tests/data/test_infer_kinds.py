"""Numbers, classes and flags: what a target column means where numbers are missing, few or uncertain."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import inferred, save, table

from podium.data.infer import infer
from podium.errors import DataError

SMALL = np.zeros((8, 8, 3), np.uint8)


def sample(folder, header, row):
    for i in range(3):
        save(folder / f"test/t{i}.png", SMALL)
    (folder / "sample_submission.csv").write_text("\n".join([header, *(f"t{i},{row}" for i in range(3))]) + "\n")


@pytest.mark.parametrize("word", ["NA", "nan", "None", "-", ""])
def test_a_missing_number_is_no_class(tmp_path, word):
    ids = table(tmp_path / "d", lambda i: word if i in (3, 7) else f"{20 + i % 5 / 10}", header="image,thickness_mm")
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, len(found.train)) == ("regression", 22)
    assert {p.id for p in found.problems} == {ids[3], ids[7]}
    assert all("thickness_mm" in p.reason for p in found.problems)


def test_a_missing_flag_is_no_third_class(tmp_path):
    ids = table(tmp_path / "d", lambda i: "NA" if i == 5 else str(i % 2))
    competition, found = inferred(tmp_path / "d")
    assert (competition.classes, [p.id for p in found.problems]) == ({"label": 1}, [ids[5]])


def test_a_class_may_be_called_none(tmp_path):
    table(tmp_path / "d", lambda i: ["none", "mild", "-"][i % 3])
    assert inferred(tmp_path / "d")[0].classes == {"-": 0, "mild": 1, "none": 2}


@pytest.mark.parametrize("columns", ["0,1,2", "class_0,class_1,class_2", "p2,p1,p0"])
def test_a_submission_with_a_column_a_number_tells_classes(tmp_path, columns):
    table(tmp_path / "d", lambda i: str(i % 3), header="image,grading", images="train/{}.png")
    sample(tmp_path / "d", f"image,{columns}", "0.3,0.3,0.4")
    competition, _ = inferred(tmp_path / "d")
    assert (competition.task, len(competition.classes)) == ("classification", 3)
    assert competition.submission.format == "probs"
    assert set(competition.submission.value_columns) == set(columns.split(","))


def test_a_submission_with_a_column_for_0_and_one_for_1(tmp_path):
    table(tmp_path / "d", lambda i: str(i % 2), images="train/{}.png")
    sample(tmp_path / "d", "id,0,1", "0.5,0.5")
    competition, _ = inferred(tmp_path / "d")
    assert (competition.classes, competition.submission.value_columns) == ({"0": 0, "1": 1}, ("0", "1"))


@pytest.mark.parametrize(
    ("name", "of", "task"),
    [
        ("target", lambda i: i % 3, "classification"),
        ("y", lambda i: i % 5 + 1, "classification"),
        ("type", lambda i: i % 7 * 2, "classification"),
        ("cell_type", lambda i: i % 4, "classification"),
        ("target", lambda i: i % 12, "regression"),  # more than ten
        ("target", lambda i: i % 4 * 2, "regression"),  # not one after the other
        ("target", lambda i: 5 if i == 0 else i % 5, "regression"),  # a rare one
        ("target", lambda i: i % 3 / 2, "regression"),
        ("cells", lambda i: i % 3, "regression"),
        ("n_type", lambda i: i, "regression"),
    ],
)
def test_few_whole_numbers_are_classes_by_their_name_only(tmp_path, name, of, task):
    table(tmp_path / "d", lambda i: str(of(i)), n=48, header=f"image,{name}")
    assert inferred(tmp_path / "d")[0].task == task


def test_uncertain_labels_are_read_as_told(tmp_path):
    """CheXpert: 1, 0, -1 for uncertain, and nothing for what a report does not mention."""
    words = ["", "1.0", "0.0", "-1.0"]
    header = "image,Edema,Mass,Sex"
    ids = table(tmp_path / "d", lambda i: f"{words[i % 4]},{words[i // 4 % 4]},{'MF'[i % 2]}", header=header)
    competition, found = inferred(tmp_path / "d")
    assert (competition.labels, competition.data.targets) == ("many", ["Edema", "Mass"])
    assert competition.data.flags == {"": 0, "-1.0": 0}
    assert found.problems == []
    wanted = {id: (float(i % 4 == 1), float(i // 4 % 4 == 1)) for i, id in enumerate(ids)}
    assert {s.id: s.values for s in found.train} == wanted
    _, other = inferred(tmp_path / "d", 'data.flags={"-1.0"=1}')
    assert {p.reason for p in other.problems} == {"'Edema' is '', not a number", "'Mass' is '', not a number"}


def test_a_gap_among_flags_is_a_problem_and_no_zero(tmp_path):
    ids = table(tmp_path / "d", lambda i: f"{'' if i == 4 else i % 2},{i % 3 == 0:d}", header="image,wet,dry")
    competition, found = inferred(tmp_path / "d")
    assert (competition.data.flags, [p.id for p in found.problems]) == ({}, [ids[4]])


def test_it_says_that_it_is_unsure(tmp_path):
    table(tmp_path / "d", lambda i: str(i % 3), header="image,target")
    why = infer(tmp_path / "d", "d").why["data.targets"]
    assert why.startswith("unsure whether classes or amounts: 3 whole numbers")


def test_emotions_of_a_split_table_are_classes(tmp_path):
    """FER 2013 as images: a row number, and the parts are called Training, PublicTest and PrivateTest."""
    parts = ["Training", "Training", "PublicTest", "PrivateTest"]
    table(tmp_path / "d", lambda i: f"{i},{i % 7},{parts[i % 4]}", n=56, header="image,,emotion,Usage")
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, len(competition.classes), competition.data.inputs) == ("classification", 7, [])
    assert (len(found.train), sum(s.split == "val" for s in found.train), len(found.test)) == (42, 14, 14)


def test_a_submission_of_values_that_a_column_has_under_another_name(tmp_path):
    """Happywhale: predictions are values of individual_id, and species is what the name of a column would say."""
    whose = [f"w{i // 4:03x}" for i in range(24)]
    header = "image,species,individual_id"
    table(tmp_path / "d", lambda i: f"{['orca', 'beluga'][i // 12]},{whose[i]}", header=header, images="train/{}.png")
    sample(tmp_path / "d", "image,predictions", "w001 w002 w003 w000 w004")
    competition, _ = inferred(tmp_path / "d")
    assert (competition.data.targets, competition.metric) == (["individual_id"], "map5")
    assert competition.submission.value_column == "predictions"


def test_a_submission_with_a_row_for_each_of_several_numbers(tmp_path):
    table(tmp_path / "d", lambda i: f"{i * 1.5},{i * 2.5}", header="id,root,vowel", images="train/{}.png")
    for i in range(4):
        save(tmp_path / f"d/test/t{i}.png", SMALL)
    rows = "".join(f"t{i}_{name},0\n" for i in range(4) for name in ("vowel", "root"))
    (tmp_path / "d/sample_submission.csv").write_text(f"row_id,target\n{rows}")
    competition, _ = inferred(tmp_path / "d")
    form = competition.submission
    assert (competition.data.targets, form.format, form.classes) == (["root", "vowel"], "values", ("root", "vowel"))


@pytest.mark.parametrize("asked", [True, False])
def test_whole_numbers_as_pandas_writes_them_beside_a_gap(tmp_path, asked):
    ids = table(tmp_path / "d", lambda i: "" if i == 4 else f"{i % 3}.0", images="train/{}.png")
    if asked:
        sample(tmp_path / "d", "id,label", "0")
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.classes) == ("classification", {"0": 0, "1": 1, "2": 2})
    assert {s.id: s.values for s in found.train} == {id: (i % 3,) for i, id in enumerate(ids) if i != 4}
    if asked:
        assert (competition.submission.format, competition.submission.classes) == ("names", ("0", "1", "2"))


def test_a_submission_may_number_its_rows(tmp_path):
    table(tmp_path / "d", lambda i: f"{i},{['cat', 'dog'][i % 2]}", header="image,,label", images="train/{}.png")
    for i in range(3):
        save(tmp_path / f"d/test/t{i}.png", SMALL)
    rows = "".join(f"{i},t{i},cat\n" for i in range(3))
    (tmp_path / "d/sample_submission.csv").write_text(f",image,label\n{rows}")
    competition, found = inferred(tmp_path / "d")
    form = competition.submission
    assert (form.format, form.id_column, form.value_column, len(found.test)) == ("names", "image", "label", 3)


def test_names_and_numbers_that_are_asked_for_together_are_refused(tmp_path):
    table(tmp_path / "d", lambda i: f"{'abc'[i % 3]},{10 + i * 1.5}", header="id,species,grams", images="train/{}.png")
    sample(tmp_path / "d", "id,species,grams", "a,1")
    with pytest.raises(DataError, match="asks for species and grams, and one has names, the other numbers"):
        infer(tmp_path / "d", "d")
    found = infer(tmp_path / "d", "d", ["grams"]).competition
    assert (found.task, found.data.targets, found.data.inputs) == ("regression", ["grams"], [])
