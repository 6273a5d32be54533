"""Sample submissions of values: one column or several, names, a row a class; inferred, written, read, preflighted."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import ONE, inferred, save, table

from podium.data.infer.spelling import columns_of, combined_ids
from podium.data.samples import wanted_ids
from podium.formats.preflight import inspect
from podium.formats.submission_file import SubmissionWriter, read_submission

TEST = [f"t{i}q" for i in range(9)]


def sample(folder, header, text_of=lambda i: "0.5", ending=""):
    """Test images and a sample submission with a row each."""
    for name in TEST:
        save(folder / f"test/{name}.png", np.zeros((4, 4), np.uint8))
    rows = [f"{name}{ending},{text_of(i)}" for i, name in enumerate(TEST)]
    (folder / "sample_submission.csv").write_text("\n".join([header, *rows]) + "\n")


def submitted(folder, competition, found, values):
    """The header and first row of a submission of these values, which passes preflight."""
    form, path, seen = competition.submission, folder / "s.csv", {}
    ids = wanted_ids(competition, folder, found.test)
    assert ids == TEST
    with SubmissionWriter(path, form) as writer:
        for id in ids:
            writer.write(id, *values)
    assert inspect(path, form, ids, {}, seen.__setitem__) == []
    assert seen == dict.fromkeys(ids, tuple(values))
    assert len(list(read_submission(path, form))) == len(path.read_text().splitlines()) - 1
    return path.read_text().splitlines()[:2]


@pytest.mark.parametrize(
    "columns",
    ["eel,cat,dog", "p_eel,p_cat,p_dog", "Eel,Cat,Dog", "eel_prob,cat_prob,dog_prob"],
)
def test_a_probability_a_class(tmp_path, columns):
    ids = table(tmp_path / "d", lambda i: ONE[i % 3])
    sample(tmp_path / "d", f"id,{columns}", lambda i: "0.3,0.3,0.4", ".png")
    competition, found = inferred(tmp_path / "d")
    form = competition.submission
    assert (form.format, form.width, form.value_columns) == ("probs", 3, tuple(columns.split(",")))
    assert competition.classes == {"eel": 0, "cat": 1, "dog": 2}  # in the order of the columns
    assert {s.id: s.values for s in found.train} == {
        id: (float(competition.classes[ONE[i % 3]]),) for i, id in enumerate(ids)
    }
    assert "unsure" not in str(competition.tree())
    assert submitted(tmp_path / "d", competition, found, (0.25, 0.25, 0.5)) == [
        f"id,{columns}", "t0q.png,0.25,0.25,0.5"
    ]  # fmt: skip


def test_folders_of_classes_and_a_probability_each(tmp_path):
    for c in range(10):
        for i in range(3):
            save(tmp_path / f"d/train/c{c}/img_{c}{i}.jpg", np.full((4, 4), c, np.uint8))
    header = ",".join(["img", *(f"c{c}" for c in range(10))])
    sample(tmp_path / "d", header, lambda i: ",".join(["0.1"] * 10), ".png")
    competition, found = inferred(tmp_path / "d")
    assert competition.submission.value_columns == tuple(f"c{c}" for c in range(10))
    assert submitted(tmp_path / "d", competition, found, (0.1,) * 10)[0] == header


def test_columns_that_are_called_like_no_class_are_said_to_be_unsure(tmp_path):
    from podium.data.infer import infer

    table(tmp_path / "d", lambda i: ONE[i % 3])
    sample(tmp_path / "d", "id,x,y,z", lambda i: "0.3,0.3,0.4")
    inference = infer(tmp_path / "d", "n")
    assert "unsure" in inference.why["submission.value_columns"]
    assert list(inference.competition.classes) == ONE


def test_a_column_a_class_of_which_one_is_1(tmp_path):
    header = "image,MEL,NV,BCC"
    ids = table(tmp_path / "d", lambda i: ",".join("1.0" if i % 3 == k else "0.0" for k in range(3)), header=header)
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.labels) == ("classification", "one")
    assert competition.classes == {"MEL": 0, "NV": 1, "BCC": 2}
    assert {s.id: s.values for s in found.train} == {id: (float(i % 3),) for i, id in enumerate(ids)}
    assert competition.submission.value_columns == ("MEL", "NV", "BCC")
    text = (tmp_path / "d/train.csv").read_text().replace("1.0", "0.0", 1)
    (tmp_path / "d/train.csv").write_text(text)
    from podium.data.samples import list_samples

    (problem,) = list_samples(competition, tmp_path / "d").problems
    assert problem.reason == "0 of its classes are 1, not one"


@pytest.mark.parametrize("order", ["rust,scab,healthy", "healthy,rust,scab"])
def test_several_labels(tmp_path, order):
    known = "healthy,rust,scab"
    ids = table(tmp_path / "d", lambda i: f"{i % 2},{int(i % 3 == 0)},{int(i % 5 == 0)}", header=f"id,{known}")
    sample(tmp_path / "d", f"id,{order}", lambda i: "0,0,0")
    competition, found = inferred(tmp_path / "d")
    assert (competition.labels, competition.submission.value_columns) == ("many", tuple(order.split(",")))
    truth = {id: {"healthy": i % 2, "rust": i % 3 == 0, "scab": i % 5 == 0} for i, id in enumerate(ids)}
    for s in found.train:
        assert s.values == tuple(float(truth[s.id][name]) for name in competition.submission.value_columns)
    assert submitted(tmp_path / "d", competition, found, (0.5, 1.0, 0.0))[1] == "t0q,0.5,1,0"


@pytest.mark.parametrize("order", ["rbc,wbc,platelets", "wbc,platelets,rbc"])
def test_several_numbers(tmp_path, order):
    ids = table(tmp_path / "d", lambda i: f"{3 * i},{i % 7},{i * 0.37:.2f}", header="image,rbc,wbc,platelets")
    sample(tmp_path / "d", f"image,{order}", lambda i: "0,0,0")
    competition, found = inferred(tmp_path / "d")
    assert (competition.task, competition.submission.format) == ("regression", "values")
    assert competition.submission.value_columns == tuple(competition.data.targets) == tuple(order.split(","))
    truth = {id: {"rbc": 3 * i, "wbc": i % 7, "platelets": round(i * 0.37, 2)} for i, id in enumerate(ids)}
    for s in found.train:
        assert s.values == tuple(float(truth[s.id][name]) for name in competition.data.targets)
    assert submitted(tmp_path / "d", competition, found, (-1.5, 1e6, 0.125))[1] == "t0q,-1.5,1000000,0.125"


@pytest.mark.parametrize(
    ("text", "classes"),
    [(lambda i: ONE[0], ("cat", "dog", "eel")), (lambda i: "0", ("0", "1", "2"))],
    ids=["names", "numbers"],
)
def test_the_name_of_a_class(tmp_path, text, classes):
    table(tmp_path / "d", lambda i: ONE[i % 3])
    sample(tmp_path / "d", "id,label", text)
    competition, found = inferred(tmp_path / "d")
    form = competition.submission
    assert (form.format, form.value_column, form.classes) == ("names", "label", classes)
    assert submitted(tmp_path / "d", competition, found, (classes[1],))[1] == f"t0q,{classes[1]}"


def test_grades_are_written_as_grades(tmp_path):
    table(tmp_path / "d", lambda i: i * 7 % 5, header="id_code,diagnosis")
    sample(tmp_path / "d", "id_code,diagnosis", lambda i: "0")
    competition, _ = inferred(tmp_path / "d")
    assert (competition.submission.format, competition.submission.classes) == ("names", tuple("01234"))


def test_lists_of_names(tmp_path):
    table(tmp_path / "d", lambda i: " ".join(n for k, n in enumerate(ONE, 1) if i % k == 0), n=40)
    sample(tmp_path / "d", "id,label", lambda i: "cat")
    competition, found = inferred(tmp_path / "d")
    form = competition.submission
    assert (form.format, form.separator, form.classes) == ("names", " ", tuple(ONE))
    assert submitted(tmp_path / "d", competition, found, ("cat eel",))[1] == "t0q,cat eel"


@pytest.mark.parametrize("kind", ["joined", "column"])
def test_a_probability_row_a_class(tmp_path, kind):
    table(tmp_path / "d", lambda i: ONE[i % 3])
    sample(tmp_path / "d", "id,x")
    rows = [f"{t}_{c},0.5" if kind == "joined" else f"{t},{c},0.5" for t in TEST for c in ("dog", "cat", "eel")]
    header = "ID,Label" if kind == "joined" else "ID,class,Label"
    (tmp_path / "d/sample_submission.csv").write_text("\n".join([header, *rows]))
    competition, found = inferred(tmp_path / "d")
    form = competition.submission
    assert (form.format, form.row_a_class, form.classes) == ("probs", True, tuple(ONE))
    assert (form.id, form.class_column) == (("{id}_{class}", None) if kind == "joined" else ("{id}", "class"))
    first = submitted(tmp_path / "d", competition, found, (0.5, 0.25, 0.125))
    assert first == [header, "t0q_cat,0.5" if kind == "joined" else "t0q,cat,0.5"]


def test_a_flag_as_a_word(tmp_path):
    table(tmp_path / "d", lambda i: str(i % 2 == 0), header="id,label")
    sample(tmp_path / "d", "id,label", lambda i: "False")
    competition, found = inferred(tmp_path / "d")
    assert (competition.submission.format, competition.submission.classes) == ("names", ("False", "True"))
    submitted(tmp_path / "d", competition, found, ("True",))


@pytest.mark.parametrize(
    ("values", "spelling", "classes"),
    [
        ("a.jpg_Fish a.jpg_Sugar b.jpg_Fish b.jpg_Sugar", "{id}.jpg_{class}", ("Fish", "Sugar")),
        ("a_1 a_2 a_10 b_1 b_2 b_10", "{id}_{class}", ("1", "2", "10")),
        ("b_a_x_y b_a_z b_x_y b_z", "{id}_{class}", ("x_y", "z")),
        ("a-any b-any a-none b-none", "{id}-{class}", ("any", "none")),
        ("a b a b", None, ()),
        ("a_1 b_2 b_3", None, ()),
        ("q_1 q_2 r_1 r_2", None, ()),
    ],
)
def test_a_class_joined_to_an_id(values, spelling, classes):
    found = combined_ids(values.split(), {"a", "b", "b_a"})
    assert (found and found.spelling, found.classes if found else ()) == (spelling, classes)


@pytest.mark.parametrize(
    ("names", "columns", "found"),
    [
        ("a b", "b a", "a b"),
        ("Big Cat,Dog", "big_cat,dog", "big_cat,dog"),
        ("class1,class2", "prob_2,prob_1", "prob_1,prob_2"),
        ("a b", "a c", None),
        ("0 1 2", "class_0 class_1 class_2", "class_0 class_1 class_2"),
    ],
)
def test_a_column_called_like_a_class(names, columns, found):
    by = "," if "," in names else " "
    assert columns_of(names.split(by), columns.split(by)) == (found.split(by) if found else None)
