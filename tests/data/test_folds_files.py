"""Files of folds, and whether they leak: `folds.toml`, a user's list, a teammate's folds."""

import numpy as np
import pytest
from PIL import Image

from podium.config import read_toml
from podium.data.competition import Competition, FoldsConfig
from podium.data.folds import (
    FoldInput,
    Folds,
    check,
    choose,
    make_folds,
    read_about,
    read_folds,
    read_list,
    renew_about,
    write_about,
    write_folds,
)
from podium.data.folds.files import read_column
from podium.data.folds.inputs import fold_input, labels_of
from podium.data.prepare import Preparer
from podium.data.preprocess import Preprocess
from podium.data.samples import Sample, list_samples
from podium.errors import DataError

IDS = [f"i{n}" for n in range(12)]
INPUT = FoldInput(IDS, [f"g{n // 2}" for n in range(12)], area=[n / 12 for n in range(12)])
CONFIG = FoldsConfig(k=3)


def written(folder, input=INPUT, config=CONFIG):
    path, folds = folder / "folds.csv", make_folds(input, config)
    write_about(path, folds, choose(input, config), config)
    write_folds(path, folds)
    return path, folds


def test_folds_toml_says_how_they_were_made(tmp_path):
    path, folds = written(tmp_path)
    assert read_toml(tmp_path / "folds.toml") == {
        "strategy": "stratified-grouped",
        "by": "area",
        "why": "6 groups, masks differ in area, 8% are empty",
        "k": 3,
        "seed": 0,
        "sizes": [4, 4, 4],
        "digest": folds.digest(),
    }
    assert not read_about(path)["edited"]
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows[:-1], "i9,g4,0", ""]))
    assert read_about(path)["edited"] == (folds.fold["i9"] != 0 or rows[-1] != "i9,g4,0")
    (tmp_path / "folds.toml").unlink()
    assert read_about(path) == {}


def test_samples_that_podium_adds_are_no_edit(tmp_path):
    path, _ = written(tmp_path)
    before = read_about(path)
    folds = read_folds(path, {**INPUT.units(), "new": "new"}, 3)
    assert read_about(path)["edited"]
    renew_about(path, before)
    after = read_about(path)
    assert (after["edited"], after["why"], sum(after["sizes"])) == (False, before["why"], 13)
    assert after["digest"] == folds.digest()


def test_what_must_not_train_together_survives_folds_csv(tmp_path):
    ids = [f"f{n}" for n in range(20)]
    input, config = FoldInput(ids, ids), FoldsConfig(strategy="time", k=4, gap=2)
    path, folds = written(tmp_path, input, config)
    assert path.read_text().splitlines()[0] == "id,group,fold,not_with"
    assert folds.apart["f4"] == (1,)
    assert read_folds(path, input.units(), 4) == folds
    assert read_folds(path, {**input.units(), "new": "new"}, 4).apart == folds.apart
    assert read_folds(path, {"f4": "f4", "f7": "f7"}, 4) == folds.only(["f4", "f7"])
    assert folds.digest() != Folds(folds.fold, folds.group, 4).digest()
    path.write_text(path.read_text().replace(",0\n", ",7\n", 1))
    with pytest.raises(DataError, match="not_with '7'"):
        read_folds(path, input.units(), 4)


def test_a_list_may_name_images_and_have_more_columns(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("image,who,fold\na.jpg,me,1\nb,me,0\n")
    assert read_list(path, 2) == {"a": 1, "b": 0}
    path.write_text("who,id,fold\nme,v1.2,11\n")
    assert read_list(path) == {"v1.2": 11}


@pytest.mark.parametrize(
    ("text", "k", "words"),
    [
        ("id,fold\na,0\nb,2\n", 2, "line 3: fold '2' of 'b'"),
        ("id,fold\na,0\nb,one\n", None, "line 3: fold 'one' of 'b'"),
        ("id,fold\na,0\nb,²\n", None, "line 3: fold '²' of 'b'"),
        ("id,fold\na,0\na.png,1\n", None, "'a' is there twice, on lines 2 and 3"),
        ("id,fold\na,0\n,1\n", None, "line 3"),
        ("id,fold\na,0,1\n", None, "line 2"),
        ("id,fold\n", None, "no row with a fold"),
        ("id,folds\na,0\n", None, "no column is called 'fold'"),
        ("", None, "the file is empty"),
    ],
)
def test_a_wrong_list_is_refused_by_line(tmp_path, text, k, words):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        read_list(tmp_path / "mine.csv", k)
    assert words in str(caught.value)
    assert "mine.csv" in str(caught.value)


def test_a_column_is_found_by_the_ids_beside_it(tmp_path):
    path = tmp_path / "meta.csv"
    path.write_text("n,image,age\n1,a.png,30\n2,b.png,40\n3,c.png,50\n")
    assert read_column(path, "age", ["b", "a"]) == ["40", "30"]
    with pytest.raises(DataError, match=r"no age for the id 'd' \(1 such\)"):
        read_column(path, "age", ["a", "d"])
    with pytest.raises(DataError, match="no column is called 'ages'"):
        read_column(path, "ages", ["a"])


LEAKY = FoldInput(
    ["a", "b", "c", "d", "e"],
    ["g", "g", "h", "h", "e"],
    alike=["a", "b", "same", "d", "same"],
    labels=["cat", "cat", "dog", "dog", "dog"],
)


def test_every_kind_of_leak_is_told():
    found = check({"a": 0, "b": 1, "c": 0, "d": 0, "e": 1}, LEAKY, 2)
    assert found.leaks == [
        "1 torn groups (2 samples): 'a' is in fold 0, 'b' in fold 1",
        "1 torn clusters of (nearly) identical images (2 samples): 'c' is in fold 0, 'e' in fold 1",
    ]
    with pytest.raises(DataError) as caught:
        found.believe("mine.csv")
    assert all(leak in str(caught.value) for leak in found.leaks)


def test_what_is_missing_unknown_or_uneven_is_noted_and_no_leak():
    found = check({"a": 0, "b": 0, "x": 2, "e": 1}, LEAKY, 3)
    assert found.leaks == []
    assert found.notes == [
        "2 samples without a fold: c, d",
        "1 id that no training sample has: x",
        "folds without a sample: 2",
    ]
    ids = [str(n) for n in range(9)]
    uneven = check({id: int(n > 6) for n, id in enumerate(ids)}, FoldInput(ids, ids), 2)
    assert uneven.notes == ["sizes from 2 to 7 differ by more than the largest group, 1"]
    found.believe("mine.csv")


def test_the_table_has_what_is_in_each_fold():
    found = check({"a": 0, "b": 0, "c": 1, "d": 1, "e": 1}, LEAKY, 2)
    assert found.rows[0] == {"fold": 0, "samples": 2, "groups": 1, "class cat": 1.0, "class dog": 0.0}
    assert found.deviation == pytest.approx(0.6)
    areas = check({"a": 0, "b": 1}, FoldInput(["a", "b"], ["a", "b"], area=[0.0, 0.25]), 2)
    assert areas.rows == [
        {"fold": 0, "samples": 1, "groups": 1, "mean area": 0.0, "empty": 1.0},
        {"fold": 1, "samples": 1, "groups": 1, "mean area": 0.25, "empty": 0.0},
    ]


@pytest.mark.parametrize(
    ("settings", "values", "labels"),
    [
        ({"task": "classification"}, (2.0,), 2),
        ({"task": "classification", "labels": "many"}, (0.0, 1.0), (0.0, 1.0)),
        ({"task": "regression"}, (3.5,), 3.5),
        ({"task": "regression"}, (3.0, 1.0), (3.0, 1.0)),
    ],
)
def test_labels_are_what_the_task_makes_of_values(tmp_path, settings, values, labels):
    data = {"train_images": "*.png", "train_csv": "train.csv", "id_column": "id", "targets": ["y"]}
    competition = Competition.from_tree({"name": "c", "metric": "dice", "data": data, **settings})
    assert labels_of(competition, [Sample("a", tmp_path, values=values)]) == [labels]
    assert labels_of(competition, [Sample("a", tmp_path, values=values), Sample("b", tmp_path)]) == []


def test_folds_of_masks_have_the_classes_in_equal_parts(tmp_path):
    """A rare class, in a fifth of the masks, is in every fold; a class in all of them tells nothing."""
    rng, n = np.random.default_rng(0), 60
    has = [[True, i % 5 == 0, bool(rng.integers(2))] for i in range(n)]
    for i, flags in enumerate(has):
        (tmp_path / "data/images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8)).save(tmp_path / f"data/images/s{i:02}.png")
        for c, there in enumerate(flags):
            mask = np.zeros((12, 16), np.uint8)
            mask[4 * c : 4 * c + 3, : 3 + 12 * int(rng.integers(2))] = 255 * there
            (tmp_path / f"data/masks/c{c}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(tmp_path / f"data/masks/c{c}/s{i:02}.png")
    data = {"train_images": "images/*.png", "train_masks": "masks/{class}/{id}.png"}
    tree = {"name": "c", "metric": "mean_iou", "data": data, "classes": {"background": 0, "c0": 1, "c1": 2, "c2": 3}}
    competition = Competition.from_tree(tree)
    train = list_samples(competition, tmp_path / "data").train
    stores = Preparer(competition, tmp_path / "cache").train(train, Preprocess())
    input = fold_input(competition, tmp_path, train, stores.images, stores.truth)
    assert list(input.labels) == [(float(b), float(c)) for _, b, c in has], "the class in all of them is left out"
    assert "masks differ in their classes: stratified by labels" in str(choose(input, FoldsConfig()))
    folds = make_folds(input, FoldsConfig())
    for c in (1, 2):
        per_fold = [sum(has[i][c] for i in range(n) if folds.fold[f"s{i:02}"] == k) for k in range(5)]
        assert max(per_fold) - min(per_fold) <= 1, per_fold
    many = Preparer(competition.with_overrides({"labels": "many"}), tmp_path / "cache").train(train, Preprocess())
    again = fold_input(competition, tmp_path, train, many.images, many.truth)
    assert list(again.labels) == list(input.labels)
