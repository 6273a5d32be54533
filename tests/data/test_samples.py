"""From competition.toml and files to samples; everything wrong with them by name."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from podium.data.competition import Competition
from podium.data.samples import (
    Problem,
    Sample,
    add_exclusions,
    group_of,
    images_by_id,
    list_samples,
    merge_groups,
    read_exclusions,
    wanted_ids,
)
from podium.errors import DataError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(folder / name)


def spec(**data):
    data = {"train_images": "train/*.jpg", "train_masks": "masks/{id}.png"} | data
    return Competition.from_tree({"name": "n", "data": {k: v for k, v in data.items() if v}})


def test_images_masks_and_groups_come_together(tmp_path):
    touch(tmp_path, "train/b_1.jpg", "train/a_1.jpg", "masks/a_1.png", "masks/b_1.png", "test/c.jpg")
    found = list_samples(spec(group="^(?P<group>.)", test_images="test/*.jpg"), tmp_path)
    assert found.train == [
        Sample("a_1", tmp_path / "train/a_1.jpg", mask=tmp_path / "masks/a_1.png", group="a"),
        Sample("b_1", tmp_path / "train/b_1.jpg", mask=tmp_path / "masks/b_1.png", group="b"),
    ]
    assert found.test == [Sample("c", tmp_path / "test/c.jpg", group="c", split="test")]
    assert found.problems == []


def test_what_has_no_partner_is_a_problem_not_a_crash(tmp_path):
    touch(tmp_path, "train/a.jpg", "train/b.jpg", "masks/a.png", "masks/z.png")
    found = list_samples(spec(), tmp_path)
    assert [s.id for s in found.train] == ["a"]
    assert [(p.id, p.reason) for p in found.problems] == [("b", "has no mask"), ("z", "is a mask without an image")]


@pytest.mark.parametrize("id", ["a b", "ä😀", "a.b.c", "x_mask", "[1]", "#1", "(a)+", "a{b}", "%20", "'"])
def test_names_of_all_kinds(tmp_path, id):
    touch(tmp_path, f"train/{id}.jpg", f"masks/{id}_mask.gif")
    for pattern in ("masks/{id}_mask.gif", "masks/{id}_mask.*"):
        (sample,) = list_samples(spec(train_masks=pattern), tmp_path).train
        assert (sample.id, sample.mask) == (id, tmp_path / f"masks/{id}_mask.gif")


def test_other_files_and_hidden_ones_are_passed_over(tmp_path):
    touch(tmp_path, "train/a.jpg", "train/._a.jpg", "train/b.PNG")
    (tmp_path / "train" / "Thumbs.db").touch()
    (tmp_path / "train" / "folder.jpg").mkdir()
    assert list(images_by_id(tmp_path, "train/*")) == ["a", "b"]


def test_two_files_of_one_id_are_refused(tmp_path):
    touch(tmp_path, "train/a.jpg", "train/a.png", "masks/a.png", "masks/a.gif")
    with pytest.raises(DataError, match="two files have the id 'a'"):
        images_by_id(tmp_path, "train/*")
    with pytest.raises(DataError, match="two masks for the id 'a'"):
        list_samples(spec(train_masks="masks/{id}.*"), tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [([], "data folder is not there"), (["other/a.jpg"], "no training image"), (["train/a.jpg"], "no mask found")],
)
def test_nothing_there_is_said(tmp_path, files, words):
    touch(tmp_path / "d", *files)
    with pytest.raises(DataError, match=words):
        list_samples(spec(), tmp_path / "d")


# ---------------------------------------------------------------------- tables


def rle(tmp_path, text, **data):
    touch(tmp_path, "train/a.jpg", "train/b.jpg", "test/c.jpg", "test/d.jpg")
    (tmp_path / "t.csv").write_text(text)
    comp = spec(train_masks=None, train_rle="t.csv", test_images="test/*.jpg", **data)
    return comp.with_overrides({"submission": {"id": "{id}.jpg"}})


def test_run_length_targets(tmp_path):
    comp = rle(tmp_path, "id,rle_mask\na.jpg,1 2\nb.jpg,\n")
    assert [(s.id, s.rle) for s in list_samples(comp, tmp_path).train] == [("a", "1 2"), ("b", "")]


@pytest.mark.parametrize(
    ("text", "words"),
    [("id,rle_mask\na.jpg,\na.jpg,\n", "'a.jpg' is there twice, on lines 2 and 3"), ("id,mask\n", "'rle_mask'"),
     ("id,rle_mask\na,\n", "not spelled like"), ("", "empty"), ("id,rle_mask\n,1 1\n", "'id' is empty")],
)  # fmt: skip
def test_a_wrong_table_is_refused(tmp_path, text, words):
    with pytest.raises(DataError, match=words) as caught:
        list_samples(rle(tmp_path, text), tmp_path)
    assert "t.csv" in str(caught.value)


def test_wanted_ids_are_those_of_the_sample_submission_in_its_order(tmp_path):
    comp = rle(tmp_path, "id,rle_mask\nd.jpg,\nc.jpg,\n", sample_submission="t.csv")
    test = [Sample(i, tmp_path) for i in "cd"]
    assert wanted_ids(comp, tmp_path, test) == ["d", "c"]
    with pytest.raises(DataError, match=r"no test image for 'd\.jpg'"):
        wanted_ids(comp, tmp_path, test[:1])
    assert wanted_ids(spec(), tmp_path, test) == ["c", "d"]


# ---------------------------------------------------------------------- groups


def test_groups_by_pattern(tmp_path):
    assert group_of(spec(group="^(?P<group>[^_]+)_").data, tmp_path, ["a_1", "a_2", "b_1"]) == {
        "a_1": "a",
        "a_2": "a",
        "b_1": "b",
    }
    assert group_of(spec().data, tmp_path, ["a", "b"]) == {"a": "a", "b": "b"}
    for pattern in ("^(?P<group>x)_", "^(?P<group>x)?"):
        with pytest.raises(DataError, match="the id 'a_1' does not match"):
            group_of(spec(group=pattern).data, tmp_path, ["a_1"])


def test_groups_by_table(tmp_path):
    (tmp_path / "g.csv").write_text("img,car\na.jpg,k\nb.b,l\nc,k\n")
    data = spec(group_csv="g.csv", group_id_column="img", group_column="car").data
    assert group_of(data, tmp_path, ["a", "b.b", "c"]) == {"a": "k", "b.b": "l", "c": "k"}
    with pytest.raises(DataError, match=r"no group for the id 'z' \(2 such\)"):
        group_of(data, tmp_path, ["a", "z", "y"])


rows = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 8)), min_size=1, max_size=14)


@given(rows)
def test_merged_groups_are_the_transitive_closure(pairs):
    groups, alike = zip(*((g, str(n)) for g, n in pairs), strict=True)
    reach = [
        {j for j in range(len(pairs)) if groups[i] == groups[j] or alike[i] == alike[j]} for i in range(len(pairs))
    ]
    for _ in pairs:  # the closure, by brute force
        reach = [set().union(*(reach[j] for j in r)) for r in reach]
    merged = merge_groups(groups, alike)
    for i in range(len(pairs)):
        assert {j for j in range(len(pairs)) if merged[i] == merged[j]} == reach[i]
        assert merged[i] == min(groups[j] for j in reach[i])


@given(rows, st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_row_order(pairs, rng):
    keyed = {(i, g): (g, str(n)) for i, (g, n) in enumerate(pairs)}
    shuffled = list(keyed.items())
    rng.shuffle(shuffled)

    def merge(items):
        return dict(zip([k for k, _ in items], merge_groups(*zip(*(v for _, v in items), strict=True)), strict=True))

    assert merge(list(keyed.items())) == merge(shuffled)


# ---------------------------------------------------------------------- exclude.csv


def test_exclusions_are_added_to_what_stands_there(tmp_path):
    path = tmp_path / "exclude.csv"
    assert read_exclusions(path) == {}
    path.write_text("id,reason\nmine,blurred\n")
    add_exclusions(
        path, [Problem("b,c", "f", "cut, off"), Problem("b,c", "g", "no mask"), Problem("mine", "f", "x")], "me"
    )
    assert read_exclusions(path) == {"b,c": "cut, off; no mask", "mine": "blurred"}
    add_exclusions(path, [Problem("d", "f", "w")], "you")
    assert path.read_text() == 'id,reason,by\n"b,c","cut, off; no mask",me\nd,w,you\nmine,blurred,user\n'


def test_an_exclude_csv_of_ids_alone_is_enough(tmp_path):
    (tmp_path / "exclude.csv").write_text("id\na\n")
    assert read_exclusions(tmp_path / "exclude.csv") == {"a": ""}


def test_a_file_name_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "train").mkdir()
    with open(os.fsencode(tmp_path / "train") + b"/caf\xe9.png", "wb") as f:
        f.write(b"x")
    with pytest.raises(DataError, match=r"not UTF-8: b'caf.xe9\.png'"):
        images_by_id(tmp_path, "train/*")
