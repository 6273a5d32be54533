"""Strategies: whatever is evened out, groups stay whole and sizes even; what is evened out is even."""

import itertools
import random
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.config import ConfigError
from podium.data.competition import FoldsConfig
from podium.data.folds import FoldInput, check, choose, make_folds
from podium.data.folds.balance import balanced, by_rank, contiguous
from podium.errors import DataError

EVEN = [
    ("random", None),
    ("stratified", None),
    ("stratified", "empty"),
    ("stratified", "area"),
    ("grouped", None),
    ("stratified-grouped", None),
    ("stratified-grouped", "area"),
    ("binned", "area"),
    ("binned", "depth"),
    ("rank", None),
    ("rank", "depth"),
    ("time", None),
    ("time", "depth"),
    ("auto", None),
]
"""(folds.strategy, folds.by) of those that assign by themselves."""


@st.composite
def inputs(draw, least=5, single=False):
    sizes = draw(st.lists(st.just(1) if single else st.integers(1, 9), min_size=least, max_size=25))
    if not single:
        sizes[0] = max(sizes[0], 2)  # "grouped" wants a group
    ids = [f"id{g}-{i}" for g, n in enumerate(sizes) for i in range(n)]
    rng = random.Random(draw(st.integers(0, 2**32)))  # a draw of hypothesis for each value would cost ten times as much
    label = draw(
        st.sampled_from(
            [
                lambda: rng.choice(["cat", "dog"]),
                lambda: rng.randint(0, 4),
                lambda: (rng.randint(0, 1), rng.randint(0, 1)),
                lambda: rng.choice([0.0, 5.0, rng.uniform(-5, 5)]),
                lambda: (rng.uniform(0, 5), rng.choice([0.0, rng.uniform(0, 5)])),
            ]
        )
    )
    return FoldInput(
        ids,
        [f"g{g}" for g, n in enumerate(sizes) for _ in range(n)],
        alike=[f"{id}" if i % 7 else "same" for i, id in enumerate(ids)] if draw(st.booleans()) else (),
        labels=[label() for _ in ids],
        area=[rng.choice([0.0, 0.1, 0.5, float("nan")]) for _ in ids],
        order=[float(rng.randint(0, 50)) for _ in ids],
    )


def shuffled(input, rng):
    places = list(range(len(input.ids)))
    rng.shuffle(places)
    return input.only(places)


@pytest.mark.parametrize(("strategy", "by"), EVEN)
@settings(max_examples=25)
@given(data=st.data(), k=st.integers(2, 5), seed=st.integers(0, 3))
def test_every_strategy_keeps_what_folds_promise(strategy, by, data, k, seed):
    input = data.draw(inputs())
    config = FoldsConfig(k=k, seed=seed, strategy=strategy, by=by)
    units = input.units()
    if len(set(units.values())) < k:
        with pytest.raises(DataError, match="cannot fill"):
            make_folds(input, config)
        return
    folds = make_folds(input, config)
    parts = [folds.validation(f) for f in range(k)]
    assert sorted(itertools.chain(*parts)) == sorted(input.ids)
    assert all(parts)
    for part in parts:
        assert not {units[i] for i in part} & {units[i] for i in units.keys() - set(part)}
    assert max(folds.sizes()) - min(folds.sizes()) <= max(Counter(units.values()).values())
    assert make_folds(shuffled(input, data.draw(st.randoms(use_true_random=False))), config) == folds
    assert not check(folds.fold, input, k).leaks


@pytest.mark.parametrize(("strategy", "by"), [s for s in EVEN if "grouped" not in s[0]])
@settings(max_examples=15)
@given(data=st.data(), k=st.integers(2, 5))
def test_without_groups_sizes_differ_by_one_at_most(strategy, by, data, k):
    input = replace(data.draw(inputs(single=True)), alike=())
    sizes = make_folds(input, FoldsConfig(k=k, strategy=strategy, by=by)).sizes()
    assert max(sizes) - min(sizes) <= 1


@given(
    st.lists(st.integers(1, 40), min_size=6, max_size=40),
    st.integers(2, 6),
    st.integers(0, 3),
    st.integers(0, 4),
)
def test_the_arithmetic_keeps_its_bound(sizes, k, seed, columns):
    sizes, rng = np.array(sizes), np.random.default_rng(seed)
    features = rng.normal(size=(len(sizes), columns)) * sizes[:, None]
    for part in (
        balanced(sizes, features, features, k, seed),
        by_rank(sizes, rng.permutation(len(sizes)), k),
        contiguous(sizes, k),
    ):
        assert set(part.tolist()) == set(range(k))
        count = np.bincount(part, sizes, k)
        assert count.max() - count.min() <= sizes.max()


@given(st.lists(st.integers(1, 9), min_size=4, max_size=9), st.integers(2, 4))
def test_contiguous_blocks_are_near_the_best_there_are(sizes, k):
    part = contiguous(np.array(sizes), k)
    assert (np.diff(part) >= 0).all()
    blocks = np.bincount(part, sizes, k)
    cuts = itertools.combinations(range(1, len(sizes)), k - 1)
    spans = ([sum(sizes[a:b]) for a, b in itertools.pairwise((0, *cut, len(sizes)))] for cut in cuts)
    best = min(max(s) - min(s) for s in spans)
    assert best <= blocks.max() - blocks.min() <= max(sizes)


def skewed(n=600, groups=60, seed=0, classes=(0.9, 0.07, 0.03)):
    """Groups that lean to one class, of sizes between 1 and many."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(groups, 2))
    group = rng.choice(groups, n, p=weights)
    lean = rng.dirichlet(np.array(classes) * 2, groups)
    labels = [int(rng.choice(len(classes), p=lean[g])) for g in group]
    return FoldInput([f"i{n}" for n in range(n)], [f"g{g}" for g in group], labels=labels)


def test_stratified_folds_share_classes_better_than_random_ones():
    off = Counter()
    for seed, strategy in itertools.product(range(4), ("grouped", "stratified-grouped")):
        input = skewed(seed=seed)
        off[strategy] += check(make_folds(input, FoldsConfig(strategy=strategy, seed=seed)).fold, input, 5).deviation
    assert off["stratified-grouped"] < off["grouped"] / 2


def test_without_groups_each_fold_has_its_part_of_each_class():
    input = FoldInput(
        [str(i) for i in range(103)], [str(i) for i in range(103)], labels=[i % 20 == 0 for i in range(103)]
    )
    folds = make_folds(input, FoldsConfig(strategy="stratified", k=3))
    assert Counter(folds.fold[str(i)] for i in range(0, 103, 20)) == {0: 2, 1: 2, 2: 2}


def test_every_label_of_several_is_in_equal_parts():
    rng = np.random.default_rng(0)
    labels = [tuple(int(v) for v in rng.random(6) < (0.5, 0.3, 0.1, 0.05, 0.02, 0.02)) for _ in range(500)]
    input = FoldInput([str(i) for i in range(500)], [str(i) for i in range(500)], labels=labels)
    folds = make_folds(input, FoldsConfig())
    for label in range(6):
        counts = Counter(folds.fold[str(i)] for i in range(500) if labels[i][label])
        assert max(counts.values()) - min(counts[f] for f in range(5)) <= 2


def test_binned_folds_share_the_number():
    rng = np.random.default_rng(0)
    price = np.exp(rng.normal(13, 1, 263))
    input = FoldInput([str(i) for i in range(263)], [str(i) for i in range(263)], labels=price.tolist())
    means = {
        s: [r["mean target"] for r in check(make_folds(input, FoldsConfig(strategy=s)).fold, input, 5).rows]
        for s in ("binned", "random")
    }
    spread = {s: (max(m) - min(m)) / np.mean(m) for s, m in means.items()}
    assert spread["binned"] < 0.1 < spread["random"]


def test_rank_is_the_rule_of_the_carvana_winners():
    areas = {"a": 0.5, "b": 0.1, "c": 0.3, "d": 0.2, "e": 0.9, "f": 0.7}  # by area: b d c a f e
    ids = [f"{car}_{view:02d}" for car in areas for view in range(4)]
    area = [areas[id[0]] + 0.01 * int(id[-1]) for id in ids]
    input = FoldInput(ids, [id[0] for id in ids], area=area)
    folds = make_folds(input, FoldsConfig(strategy="rank", k=3))
    assert {id[0]: f for id, f in folds.fold.items()} == {"b": 0, "d": 1, "c": 2, "a": 0, "f": 1, "e": 2}


def test_time_blocks_follow_each_other_and_groups_stay_whole():
    ids = [f"v{v}_{n}" for v in range(6) for n in range(10)]
    folds = make_folds(FoldInput(ids, [i[:2] for i in ids]), FoldsConfig(strategy="time", k=3))
    assert [folds.fold[f"v{v}_0"] for v in range(6)] == [0, 0, 1, 1, 2, 2]
    plain = [f"f{n}" for n in range(40)]
    folds = make_folds(FoldInput(plain, plain), FoldsConfig(strategy="time", k=4))
    assert [folds.fold[id] for id in plain] == [n // 10 for n in range(40)]  # f9 comes before f10
    late = FoldInput(plain, plain, order=[f"2020-01-{40 - n:02d}" for n in range(40)])
    folds = make_folds(late, FoldsConfig(strategy="time", k=4, by="day"))
    assert [folds.fold[id] for id in plain] == [3 - n // 10 for n in range(40)]
    odd = ["1_10", "2_1", "10_1", "2_02"]
    assert make_folds(FoldInput(odd, odd), FoldsConfig(strategy="time", k=4)).fold == dict(
        zip(odd, [0, 1, 3, 2], strict=True)
    )


@given(st.integers(12, 40), st.integers(2, 4), st.integers(1, 3))
def test_samples_near_a_time_block_do_not_train_while_it_validates(n, k, gap):
    ids = [f"f{i}" for i in range(n)]
    folds = make_folds(FoldInput(ids, ids), FoldsConfig(strategy="time", k=k, gap=gap))
    for f in range(k):
        inside = [int(id[1:]) for id in folds.validation(f)]
        near = {i for i in range(n) if min(inside) - gap <= i <= max(inside) + gap}
        assert {int(id[1:]) for id in folds.training(f)} == set(range(n)) - near


def test_a_gap_that_leaves_nothing_is_refused():
    ids = [f"f{i}" for i in range(10)]
    with pytest.raises(DataError, match=r"folds.gap = 9 leaves nothing"):
        make_folds(FoldInput(ids, ids), FoldsConfig(strategy="time", k=2, gap=9))


def official(parts, groups=None, **more):
    ids = [f"i{n:02d}" for n in range(len(parts))]
    return FoldInput(ids, groups or ids, split=parts, **more)


def test_the_official_validation_part_is_fold_0_and_the_rest_is_split_evenly():
    input = official(["val"] * 4 + ["train"] * 12)
    folds = make_folds(input, FoldsConfig(strategy="official", k=4))
    assert folds.validation(0) == ["i00", "i01", "i02", "i03"]
    assert folds.sizes() == [4, 4, 4, 4]
    assert make_folds(input, FoldsConfig(strategy="official", k=2)).sizes() == [4, 12]


def test_official_parts_are_the_folds_where_there_are_k():
    folds = make_folds(official(["1", "2", "10", "2"]), FoldsConfig(strategy="official", k=3))
    assert folds.fold == {"i00": 0, "i01": 1, "i02": 2, "i03": 1}


@pytest.mark.parametrize(
    ("input", "k", "words"),
    [
        (official(["a", "b", "c"]), 2, "(a: 1, b: 1, c: 1) has neither a validation part nor 2 parts"),
        (official(["val", "train", "train"], ["g", "g", "h"]), 2, "group 'g' is torn"),
        (official(["val", "train", "train"]), 4, "2 groups cannot fill 3 folds"),
        (official([]), 2, "no training sample"),
    ],
)
def test_an_official_split_that_will_not_do_is_refused(input, k, words):
    with pytest.raises(DataError) as caught:
        make_folds(input, FoldsConfig(strategy="official", k=k))
    assert words in str(caught.value)
    assert caught.value.remedy


def test_a_list_is_taken_as_it_is():
    config = FoldsConfig(strategy="file", file="mine.csv", k=2)
    input = FoldInput(["a", "b", "c"], ["g", "g", "h"], given={"a": 1, "b": 1, "c": 0, "gone": 0})
    assert make_folds(input, config).fold == {"a": 1, "b": 1, "c": 0}
    for given_, words in [
        ({"a": 1, "b": 0, "c": 0}, "group 'g' is torn"),
        ({"a": 1, "b": 1}, "no fold for 'c'"),
        ({"a": 1, "b": 1, "c": 1}, "fold 0 has no sample"),
    ]:
        with pytest.raises(DataError, match=words):
            make_folds(replace(input, given=given_), config)


N = 40
EACH = [f"i{n}" for n in range(N)]
VIDEOS = [f"v{n // 4}" for n in range(N)]
AREAS = [0.0 if n % 4 == 0 else n / N for n in range(N)]


@pytest.mark.parametrize(
    ("input", "says"),
    [
        (FoldInput(EACH, EACH), "no groups, nothing else to go by: random"),
        (FoldInput(EACH, VIDEOS), "10 groups, nothing else to go by: grouped"),
        (FoldInput(EACH, EACH, area=AREAS), "no groups, masks differ in area, 25% are empty: binned by area"),
        (
            FoldInput(EACH, VIDEOS, area=[a + 0.1 for a in AREAS]),
            "10 groups, masks differ in area: stratified-grouped by area",
        ),
        (FoldInput(EACH, EACH, area=[float("nan")] * N), "no groups, nothing else to go by: random"),
        (FoldInput(EACH, EACH, labels=[n % 3 for n in range(N)]), "no groups, 3 classes: stratified by class"),
        (
            FoldInput(EACH, VIDEOS, labels=[n % 2 for n in range(N)], area=AREAS),
            "10 groups, 2 classes: stratified-grouped by class",
        ),
        (FoldInput(EACH, EACH, labels=[(1, n % 2) for n in range(N)]), "several labels a sample: stratified by labels"),
        (FoldInput(EACH, EACH, labels=[n / 2 for n in range(N)]), "a number a sample: binned by target"),
        (FoldInput(EACH, EACH, labels=[(n / 2, 3.0) for n in range(N)]), "several numbers a sample: binned by target"),
        (FoldInput(EACH, EACH, alike=["x", "x", *EACH[2:]]), "39 groups, nothing else to go by: grouped"),
        (
            FoldInput(EACH, VIDEOS, split=["val"] * 6 + ["train"] * 34),
            "the official split tears 1 of 10 groups, 10 groups, nothing else to go by: grouped",
        ),
        (
            FoldInput(EACH, VIDEOS, split=["val"] * 4 + ["train"] * 36),
            'an official validation part (folds.strategy = "of',
        ),
        (
            FoldInput(EACH, VIDEOS, split=[f"part {n // 8}" for n in range(N)]),
            "the official split has 5 parts and tears no group: official",
        ),
    ],
)
def test_auto_takes_what_suits_the_data_and_says_why(input, says):
    assert says in str(choose(input, FoldsConfig()))
    make_folds(input, FoldsConfig())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strategy": "grouped"}, "no two samples are in one group"),
        ({"strategy": "stratified"}, "neither a label nor a mask"),
        ({"strategy": "binned"}, "no 'area' to split by"),
        ({"strategy": "rank", "by": "target"}, "no 'target' to split by"),
        ({"strategy": "binned", "by": "a.csv:age"}, "no 'a.csv:age' to split by"),
    ],
)
def test_what_a_strategy_needs_and_the_data_lacks_is_said(settings, words):
    with pytest.raises(DataError) as caught:
        make_folds(FoldInput(EACH, EACH), FoldsConfig(**settings))
    assert words in str(caught.value)
    assert caught.value.remedy


def test_a_value_that_is_no_number_is_named():
    input = FoldInput(EACH, EACH, order=["3", "tall", *["1"] * (N - 2)])
    with pytest.raises(DataError, match="'tall' of 'i1' is not a number"):
        make_folds(input, FoldsConfig(strategy="binned", by="a.csv:height"))


@pytest.mark.parametrize("tree", [{"strategy": "file"}, {"file": "a.csv"}, {"gap": 3}, {"strategy": "halves"}])
def test_keys_that_do_not_fit_together_are_refused(tree):
    with pytest.raises(ConfigError, match=r"fold|strategy"):
        FoldsConfig.from_tree(tree)


def test_seeds_make_different_splits_and_only_seeds():
    input = skewed()
    digests = [make_folds(input, FoldsConfig(seed=s)).digest() for s in (0, 1, 2, 0)]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def test_twenty_thousand_samples_take_less_than_two_seconds():
    rng = np.random.default_rng(0)
    groups = [f"g{g}" for g in rng.integers(0, 5000, 20_000)]
    input = FoldInput([str(i) for i in range(20_000)], groups, labels=rng.integers(0, 12, 20_000).tolist())
    began = time.process_time()
    folds = make_folds(input, FoldsConfig())
    assert time.process_time() - began < 2
    assert check(folds.fold, input, 5).deviation < 0.002


def test_groups_are_stratified_no_worse_than_scikit_learn_does_and_sizes_are_bounded():
    splitters = pytest.importorskip("sklearn.model_selection", reason="scikit-learn, the peer, is not installed")
    ours, theirs = [], []
    for seed in range(5):
        input = skewed(seed=seed)
        ours.append(check(make_folds(input, FoldsConfig(seed=seed)).fold, input, 5))
        peer = splitters.StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        parts = peer.split(input.ids, input.labels, input.groups)
        theirs.append(check({input.ids[i]: f for f, (_, val) in enumerate(parts) for i in val}, input, 5))
    assert sum(c.deviation for c in ours) < sum(c.deviation for c in theirs)
    assert not any(c.notes for c in ours)


def test_order_of_python_hashing_has_no_part_in_it():
    input = skewed(200, 20)
    assert (
        make_folds(shuffled(input, random.Random(3)), FoldsConfig()).digest()
        == make_folds(input, FoldsConfig()).digest()
    )
