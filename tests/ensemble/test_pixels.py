"""Only the pixels that members disagree on are weighed: the counts are those of whole masks, to the last pixel."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from podium.ensemble.combine import Mean
from podium.ensemble.pixels import Contested, PixelMix
from podium.ensemble.shares import hill_climb
from podium.metrics import get_metric

stacks = arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 40)))


def by_hand(planes: np.ndarray, truth: np.ndarray, shares: np.ndarray, level: int) -> list[int]:
    mask = Mean(shares).pixels(list(planes)) > level
    return [int((mask & truth).sum()), int(mask.sum())]


@given(stacks, st.integers(0, 254), st.integers(0, 10_000))
def test_counts_are_those_of_whole_masks(planes: np.ndarray, level: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, shares = rng.random(planes.shape[1]) < 0.5, rng.integers(0, 40, len(planes))
    mask = Contested.of(planes, truth, level)
    more = np.eye(len(planes), dtype=np.int64)
    assert mask.climb(shares, level).tolist() == [by_hand(planes, truth, shares + one, level) for one in more]
    if shares.any():
        assert mask.mixed(shares * 25, level).tolist() == by_hand(planes, truth, shares, level)
    assert mask.truth == truth.sum()


def test_pixels_on_which_all_agree_are_not_kept() -> None:
    planes = np.array([[200, 10, 130, 120, 128], [250, 90, 90, 127, 128]], np.uint8)
    mask = Contested.of(planes, np.array([True, False, False, True, False]), 127)
    assert mask.probs.tolist() == [[130], [90]]
    assert (mask.sure, mask.sure_true, mask.true) == (2, 1, 0)


def members(seed: int, n: int = 12, m: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    truth = [rng.random(400) < 0.4 for _ in range(n)]
    logits = [2 * t - 1 + rng.normal(0, np.linspace(1, 3, m)[:, None], (m, 400)) for t in truth]
    return [(255 / (1 + np.exp(-x))).round().astype(np.uint8) for x in logits], truth


def mix_of(planes: list[np.ndarray], truth: list[np.ndarray], most: int | None = None) -> PixelMix:
    masks = [[Contested.of(p, t, 127, most=most)] for p, t in zip(planes, truth, strict=True)]
    return PixelMix(masks, [127], len(planes[0]))


def test_some_of_the_pixels_stand_for_all() -> None:
    planes, truth = members(0)
    exact, fast = mix_of(planes, truth), mix_of(planes, truth, most=100)
    dice, shares = get_metric("dice"), np.array([3, 1, 1, 0, 0])
    assert fast.samples[0][0].probs.shape[1] <= 101
    assert abs(exact.measured(shares).score(dice) - fast.measured(shares).score(dice)) < 0.02
    whole = mix_of(planes, truth, most=10_000)
    assert (whole.measured(shares).score(dice)) == exact.measured(shares).score(dice)


@settings(max_examples=8)
@given(st.permutations(range(5)))
def test_hill_climb_gives_each_member_its_weight_in_whatever_order_they_come(order: list[int]) -> None:
    planes, truth = members(1)
    dice = get_metric("dice")

    def climbed(stacks: list[np.ndarray]) -> np.ndarray:
        mix = mix_of(stacks, truth)
        return hill_climb(lambda shares: [m.score(dice) for m in mix.climb(shares)], mix.members)

    shuffled = climbed([p[list(order)] for p in planes])
    assert shuffled.tolist() == climbed(planes)[list(order)].tolist()
    assert np.count_nonzero(shuffled) > 1


def test_two_classes_are_counted_each_by_itself() -> None:
    planes, truth = members(2)
    masks = [[Contested.of(p, t, 127), Contested.of(255 - p, ~t, 50)] for p, t in zip(planes, truth, strict=True)]
    found = PixelMix(masks, [127, 50], 5).measured(np.array([1, 1, 0, 0, 2]))
    assert found.arrays["truth"].shape == (12, 2)
    one = by_hand(255 - planes[3], ~truth[3], np.array([1, 1, 0, 0, 2]), 50)
    assert [int(found.arrays[name][3, 1]) for name in ("intersection", "predicted")] == one
