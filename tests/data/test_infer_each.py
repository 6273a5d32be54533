"""Several targets of which each has one class: what tells so, and what does not."""

from __future__ import annotations

import pytest
from infer_drawing import inferred, table

from podium.data.infer import infer, infer_with
from podium.data.samples import list_samples
from podium.errors import DataError

ROOTS, VOWELS = 5, 3
HEADER = "image_id,root,vowel"


def codes(i):
    return f"{i % ROOTS},{i * 7 % VOWELS}"


def drawn(folder, text=codes, header=HEADER, n=40):
    folder.mkdir(exist_ok=True)
    return table(folder, text, n=n, header=header)


def rows_a_target(folder, test, names=("vowel", "root")):
    lines = [f"{id}_{name},0" for id in test for name in names]
    (folder / "sample_submission.csv").write_text("\n".join(["row_id,target", *lines]) + "\n")


def check(competition, ids):
    assert (competition.task, competition.labels, competition.metric) == ("classification", "each", "accuracy")
    assert competition.data.targets == ["root", "vowel"]
    assert [(p.name, p.classes, p.start, p.weight) for p in competition.parts] == [
        ("root", ("0", "1", "2", "3", "4"), 0, 0.5),
        ("vowel", ("0", "1", "2"), 5, 0.5),
    ]
    assert competition.submission.choices == (("0", "1", "2", "3", "4"), ("0", "1", "2"))


def test_a_row_for_each_target_in_the_sample_submission(tmp_path):
    """As Bengali.AI: Test_0_vowel_diacritic,0."""
    ids = drawn(tmp_path / "d")
    rows_a_target(tmp_path / "d", ids[:12])
    competition, found = inferred(tmp_path / "d")
    check(competition, ids)
    form = competition.submission
    assert (form.format, form.id_column, form.id, form.classes) == (
        "names",
        "row_id",
        "{id}_{class}",
        ("root", "vowel"),
    )
    assert found.problems == []
    first = {s.id: s.values for s in found.train}[ids[3]]
    assert first == (0, 0, 0, 1, 0, 1, 0, 0)


def test_a_column_for_each_target_in_the_sample_submission(tmp_path):
    words = ("ash", "elm", "oak")
    ids = drawn(tmp_path / "d", lambda i: f"{words[i % 3]},{('old', 'young')[i * 5 % 2]}", "id,tree,age_class")
    (tmp_path / "d/sample_submission.csv").write_text(
        "id,tree,age_class\n" + "".join(f"{i},ash,old\n" for i in ids[:9])
    )
    competition, found = inferred(tmp_path / "d")
    assert (competition.labels, found.problems) == ("each", [])
    assert list(competition.classes) == ["tree:ash", "tree:elm", "tree:oak", "age_class:old", "age_class:young"]
    assert competition.submission.value_columns == ("tree", "age_class")


def test_numbers_are_not_taken_for_classes_unless_it_is_said(tmp_path):
    ids = drawn(tmp_path / "d")
    (tmp_path / "d/sample_submission.csv").write_text("image_id,root,vowel\n" + "".join(f"{i},0,0\n" for i in ids[:9]))
    assert infer(tmp_path / "d", "x").competition.task == "regression"
    said = infer_with(tmp_path / "d", "x", ["labels=each", 'data.targets=["root", "vowel"]']).competition
    check(said, ids)
    assert list_samples(said, tmp_path / "d").problems == []


def submission(folder, header, ids):
    (folder / "sample_submission.csv").write_text(f"{header}\n" + "".join(f"{i},0,ash\n" for i in ids[:9]))


def test_a_column_that_says_the_same_in_other_words_is_no_second_target(tmp_path):
    header = "id,class_id,class_name"
    ids = drawn(tmp_path / "d", lambda i: f"{i % 4},{('ash', 'elm', 'oak', 'yew')[i % 4]}", header)
    submission(tmp_path / "d", header, ids)
    assert infer(tmp_path / "d", "x").competition.labels == "one"


def test_a_number_and_a_class_are_no_targets_of_one_kind(tmp_path):
    ids = drawn(tmp_path / "d", lambda i: f"{i * 37 % 11},{('a', 'b', 'c')[i % 3]}", "id,count,kind")
    submission(tmp_path / "d", "id,count,kind", ids)
    with pytest.raises(DataError, match="asks for kind and count"):
        infer(tmp_path / "d", "x")
    assert infer(tmp_path / "d", "x", ["kind"]).competition.labels == "one"


def test_a_value_that_is_no_class_of_its_target_is_a_problem(tmp_path):
    ids = drawn(tmp_path / "d")
    rows_a_target(tmp_path / "d", ids[:12])
    competition, _ = inferred(tmp_path / "d")
    path = tmp_path / "d/train.csv"
    path.write_text(path.read_text().replace(f"{ids[5]},0,2", f"{ids[5]},0,9"))
    (problem,) = list_samples(competition, tmp_path / "d").problems
    assert problem.id == ids[5]
    assert "'vowel' is '9', none of its [classes]" in problem.reason
