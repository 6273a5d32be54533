"""Folds: disjoint, covering, whole groups, even, seeded, whatever the order of the rows."""

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.data.competition import FoldsConfig
from podium.data.folds import FoldInput, Folds, check_leaks, hold_out_groups, make_folds, read_folds, write_folds
from podium.errors import DataError


def split(groups, k, seed=0):
    return make_folds(FoldInput.of(groups), FoldsConfig(k=k, seed=seed))


@st.composite
def grouped(draw, least=5):
    sizes = draw(st.lists(st.integers(1, 9), min_size=least, max_size=25))
    return {f"id{g}-{i}": f"g{g}" for g, n in enumerate(sizes) for i in range(n)}


@given(grouped(), st.integers(2, 5), st.integers(0, 3))
def test_folds_are_disjoint_covering_whole_and_even(groups, k, seed):
    folds = split(groups, k, seed)
    parts = [folds.validation(f) for f in range(k)]
    assert sorted(itertools.chain(*parts)) == sorted(groups)
    assert all(parts)
    for f in range(k):
        assert sorted(folds.training(f) + parts[f]) == sorted(groups)
        assert not {groups[i] for i in parts[f]} & {groups[i] for i in folds.training(f)}
    assert folds.sizes() == [len(p) for p in parts]
    assert max(folds.sizes()) - min(folds.sizes()) <= max(Counter(groups.values()).values())


@given(grouped(), st.randoms(use_true_random=False), st.integers(0, 3))
def test_folds_do_not_depend_on_row_order(groups, rng, seed):
    rows = list(groups.items())
    rng.shuffle(rows)
    a, b = split(groups, 3, seed), split(dict(rows), 3, seed)
    assert a == b
    assert a.digest() == b.digest()


def test_another_seed_is_another_split():
    groups = {str(i): str(i) for i in range(40)}
    assert split(groups, 4, 0) == split(groups, 4, 0)
    assert len({split(groups, 4, seed).digest() for seed in range(5)}) == 5


@pytest.mark.parametrize("seed", range(5))
def test_large_groups_go_first_so_that_small_ones_even_out(seed):
    groups = {f"big{i}": "big" for i in range(6)} | {f"s{i}": f"s{i}" for i in range(6)}
    assert split(groups, 2, seed).sizes() == [6, 6]


def test_fewer_groups_than_folds_is_refused_with_what_would_do():
    with pytest.raises(DataError, match="3 groups cannot fill 5 folds") as caught:
        split({str(i): str(i % 3) for i in range(30)}, 5)
    assert "folds.k = 3" in caught.value.remedy


def test_one_group_of_all_samples_cannot_be_mended_by_fewer_folds():
    with pytest.raises(DataError, match="1 group cannot fill 2 folds") as caught:
        split({str(i): "road" for i in range(30)}, 2)
    assert "data.group" in caught.value.remedy
    assert "folds.k" not in caught.value.remedy


@pytest.mark.parametrize("id", ["a", "a,b", 'say "x"', " blank ", "ä😀", "line\nbreak", "1.2.3", "#x"])
def test_any_id_survives_folds_csv(tmp_path, id):
    groups = {id: f"g {id}", "other": "o", "third": "t"}
    folds = split(groups, 2)
    write_folds(tmp_path / "folds.csv", folds)
    assert read_folds(tmp_path / "folds.csv", groups, 2) == folds


def test_rows_in_any_order_and_of_excluded_samples_are_fine(tmp_path):
    groups = {str(i): str(i // 2) for i in range(12)}
    folds = split(groups, 3)
    write_folds(tmp_path / "f.csv", folds)
    head, *rows = (tmp_path / "f.csv").read_text().splitlines()
    random.Random(1).shuffle(rows)
    (tmp_path / "f.csv").write_text("\n".join([head, *rows]))
    assert read_folds(tmp_path / "f.csv", groups, 3) == folds
    fewer = {id: g for id, g in groups.items() if id not in ("0", "5")}
    read = read_folds(tmp_path / "f.csv", fewer, 3)
    assert read.fold == {id: folds.fold[id] for id in sorted(fewer)}
    assert read.digest() != folds.digest()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,g,0\nb,h,2", ["line 3", "fold '2' of 'b'", "folds.k = 2"]),
        ("a,g,0\nb,h,-1", ["fold '-1'"]),
        ("a,g,0\nb,h,", ["fold ''"]),
        ("a,g,0\nb,h,1.0", ["fold '1.0'"]),
        ("a,g,0\nb,h,1\na,g,1", ["'a' is there twice", "2 and 4"]),
    ],
)
def test_a_wrong_folds_csv_is_refused_by_line(tmp_path, rows, words):
    (tmp_path / "folds.csv").write_text("id,group,fold\n" + rows + "\n")
    with pytest.raises(DataError) as caught:
        read_folds(tmp_path / "folds.csv", {"a": "g", "b": "h"}, 2)
    assert all(w in str(caught.value) for w in [*words, "folds.csv"]), str(caught.value)


def test_new_samples_go_to_the_fold_of_their_group_or_the_smallest(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("id,group,fold\na,g,1\nb,h,0\nc,h,0\ngone,x,1\n")
    groups = {"a": "g", "b": "h", "c": "h", "d": "g", "e": "new", "f": "new"}
    folds = read_folds(path, groups, 2)
    assert folds.fold == {"a": 1, "b": 0, "c": 0, "d": 1, "e": 0, "f": 0}
    rows = path.read_text().splitlines()
    assert rows == ["id,group,fold", "a,g,1", "b,h,0", "c,h,0", "d,g,1", "e,new,0", "f,new,0", "gone,x,1"]
    assert read_folds(path, groups, 2) == folds
    assert path.read_text().splitlines() == rows


def test_a_torn_group_is_refused_naming_two_samples(tmp_path):
    with pytest.raises(DataError, match="group 'g' is torn: 'a' is in fold 0, 'c' in fold 1"):
        check_leaks({"a": 0, "b": 0, "c": 1}, {"a": "g", "b": "h", "c": "g"}, tmp_path)


@given(grouped(least=2), st.floats(0.1, 0.9), st.integers(0, 5))
def test_held_out_groups_are_whole_and_near_the_share(groups, share, seed):
    sizes = Counter(groups.values())
    try:
        held = hold_out_groups(groups, share, seed)
    except DataError:  # no choice of groups comes nearer to the share than all or nothing
        n = len(groups)
        assert min(sizes.values()) > 2 * share * n - 1e-6 or max(sizes.values()) >= 2 * (1 - share) * n - 1e-6
        return
    assert 0 < len(held) < len(groups)
    assert not {groups[i] for i in held} & {groups[i] for i in groups.keys() - held}
    assert held == hold_out_groups(dict(reversed(groups.items())), share, seed)
    assert len(held) - share * len(groups) <= max(sizes.values()) / 2


@pytest.mark.parametrize("share", [0, 1, -1, 2, float("nan")])
def test_a_share_that_leaves_a_side_empty_is_refused(share):
    with pytest.raises(DataError, match="cannot hold out"):
        hold_out_groups({str(i): str(i) for i in range(9)}, share)


def test_sizes_count_empty_folds():
    assert Folds({"a": 2}, {"a": "a"}, 3).sizes() == [0, 0, 1]
