"""Boards of every task: what is hidden, that the truth scores best, and that scores agree with the metric's own."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from podium.data.samples import list_samples
from podium.data.targets import class_order
from podium.errors import SubmissionError
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter
from podium.host.grading import Classes, grade
from podium.host.hold_out import hold_out
from podium.host.solution import read_solution, write_solution
from podium.metrics import get_metric
from task_drawing import TASKS, draw_task, metric_of


class Held:
    """A competition of a task with a part of it hidden."""

    def __init__(self, root, task, n=24):
        self.source = draw_task(root / "source", task, n)
        self.data, self.board = root / "data", root / "board"
        self.made = hold_out(self.source, root / "source/data", self.data, self.board, 0.34, 0.5)
        self.competition = self.made.competition
        self.form, self.metric = self.competition.submission, metric_of(self.competition)
        self.solution = read_solution(self.board / "solution.csv", self.form)
        self.classes = Classes(self.competition.labels, tuple(class_order(self.competition)))

    def grade(self, path):
        return grade(path, self.solution, self.metric, self.form, self.classes)

    def perfect(self, path):
        """The solution without what only the board knows."""
        with open(self.board / "solution.csv", newline="") as f:
            rows = list(csv.DictReader(f))
        with open(path, "w", newline="") as f:
            writer = csv.DictWriter(f, self.form.columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return path


@pytest.fixture(params=TASKS)
def held(request, tmp_path):
    return Held(tmp_path, request.param)


def test_both_sides_are_whole_and_hidden_targets_are_on_the_board_alone(held):
    found = list_samples(held.competition, held.data)
    train, test = {s.id for s in found.train}, {s.id for s in found.test}
    assert len(train) + len(test) == 24
    assert not train & test
    assert not found.problems
    assert set(held.solution.ids) == test
    files = {p.relative_to(held.data).as_posix() for p in held.data.rglob("*") if not p.is_dir()}
    seen = [f for f in files if any(id in f for id in test)]
    assert all(f.startswith("test/") for f in seen), seen
    if held.competition.data.train_csv:
        with open(held.data / held.competition.data.train_csv, newline="") as f:
            assert {row["id"] for row in csv.DictReader(f)} == train
    before = {s.id: s.inputs for s in list_samples(held.source, held.data.parent / "source/data").train}
    assert all(s.inputs == before[s.id] for s in found.test), "what a model may use is there for the test side too"


def test_the_truth_scores_best_and_nothing_worse(held, tmp_path):
    best = held.grade(held.perfect(tmp_path / "perfect.csv"))
    ideal = 1.0 if held.metric.greater_is_better else 0.0
    assert best.public == best.private == pytest.approx(ideal, abs=1e-9)
    nothing = held.grade(held.data / "sample_submission.csv")
    for part in (nothing.public, nothing.private):
        assert held.metric.better(ideal, part), "a submission that says nothing scores worse"
    assert bool(best.per_sample) == held.metric.mean_over_samples


def test_a_file_without_a_row_is_refused(held, tmp_path):
    path = held.perfect(tmp_path / "short.csv")
    lines = path.read_text().splitlines(keepends=True)
    first = lines[1].split(",")[0]
    path.write_text("".join(line for line in lines if not line.startswith(first + ",")))
    with pytest.raises(SubmissionError, match="missing id"):
        held.grade(path)


FORMS = {
    "one a class": ("one", SubmissionFormat(format="probs", value_columns=["a", "b", "c"])),
    "names": ("one", SubmissionFormat(format="names", classes=["a", "b", "c"], value_column="label")),
    "several names": (
        "many",
        SubmissionFormat(format="names", classes=["a", "b", "c"], value_column="label", separator=" "),
    ),
    "several": ("many", SubmissionFormat(format="probs", value_columns=["a", "b", "c"])),
    "a row a class": ("many", SubmissionFormat(format="probs", class_column="c", classes=["a", "b", "c"])),
}


def values_of(kind, flags):
    names = [n for n, f in zip("abc", flags, strict=True) if f]
    return (" ".join(names),) if "names" in kind else tuple(map(float, flags))


@pytest.mark.parametrize("kind", FORMS)
def test_classes_are_scored_as_the_metric_does(kind, tmp_path):
    """Against arrays put together by hand."""
    labels, form = FORMS[kind]
    rng = np.random.default_rng(0)
    n = 12
    one = np.eye(3)[np.arange(n) % 3]
    truth = one if labels == "one" else np.maximum(one, rng.random((n, 3)) < 0.4)
    guess = truth[rng.permutation(n)]
    ids, usage = [f"s{i}" for i in range(n)], ["Public", "Private"] * (n // 2)
    write_solution(tmp_path / "solution.csv", form, ids=ids, truth=[values_of(kind, t) for t in truth], usage=usage)
    with SubmissionWriter(tmp_path / "s.csv", form) as writer:
        for id, flags in zip(ids, guess, strict=True):
            writer.write(id, *values_of(kind, flags))
    metric = get_metric("f1_macro" if labels == "many" else "accuracy")
    scored = grade(
        tmp_path / "s.csv",
        read_solution(tmp_path / "solution.csv", form),
        metric,
        form,
        Classes(labels, ("a", "b", "c")),
    )
    part = np.array(usage) == "Public"
    by_hand = (truth, guess) if labels == "many" else (truth.argmax(1), guess.argmax(1))
    assert scored.public == pytest.approx(metric.score(*(a[part] for a in by_hand)))
    assert scored.private == pytest.approx(metric.score(*(a[~part] for a in by_hand)))


def test_a_metric_that_cannot_score_the_values_is_a_refusal(tmp_path):
    form = SubmissionFormat(format="values", value_column="price")
    usage = ["Public", "Private"]
    write_solution(tmp_path / "solution.csv", form, ids=["a", "b"], truth=[(1.0,), (2.0,)], usage=usage)
    (tmp_path / "s.csv").write_text("id,price\na,-3\nb,2\n")
    solution = read_solution(tmp_path / "solution.csv", form)
    with pytest.raises(SubmissionError, match=r"rmsle.*-1 or below"):
        grade(tmp_path / "s.csv", solution, get_metric("rmsle"), form)


def test_classes_that_share_pixels_are_refused_where_each_pixel_has_one(tmp_path):
    held = Held(tmp_path, "class map")
    path = held.perfect(tmp_path / "s.csv")
    with open(path, newline="") as f:
        rows = list(csv.reader(f))
    rows[2][2] = rows[1][2]
    path.write_text("\n".join(",".join(r) for r in rows) + "\n")
    with pytest.raises(SubmissionError, match="pixels in common"):
        held.grade(path)


def test_hidden_images_of_class_folders_do_not_say_their_class(tmp_path):
    from PIL import Image

    from podium.data.competition import Competition

    for name in ("cat", "dog"):
        for k in range(6):
            path = tmp_path / f"source/{name}/{name}.{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), 20 * k + (name == "dog"), np.uint8)).save(path)
    data = {"train_images": "{class}/*.png"}
    tree = {
        "name": "pets",
        "task": "classification",
        "metric": "accuracy",
        "classes": {"cat": 0, "dog": 1},
        "data": data,
    }
    tree["submission"] = {"format": "names", "value_column": "label", "classes": ["cat", "dog"]}
    made = hold_out(Competition.from_tree(tree), tmp_path / "source", tmp_path / "data", tmp_path / "board", 0.3, 0.5)
    found = list_samples(made.competition, tmp_path / "data")
    assert (len(found.train), len(found.test)) == (made.train, made.test)
    assert {s.values for s in found.train} == {(0.0,), (1.0,)}
    assert not any(name in s.image.name for s in found.test for name in ("cat", "dog"))
    solution = read_solution(tmp_path / "board/solution.csv", made.competition.submission)
    assert set(solution.ids) == {s.id for s in found.test}
