"""Maps of classes: only the pixels that members disagree on are weighed, and nothing is lost by it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podium.data.targets import IGNORED
from podium.ensemble.combine import Mean
from podium.ensemble.map_pixels import ContestedMap, MapMix
from podium.metrics import compare_maps, get_metric

ALL = 1 << 20


def by_hand(planes: np.ndarray, truth: np.ndarray, shares: np.ndarray) -> np.ndarray:
    names = [f"c{n}" for n in range(planes.shape[2])]
    labels = Mean(shares).pixels(list(planes)).argmax(axis=1)
    return compare_maps("confusion", truth[None], labels[None].astype(np.uint8), names)


def drawn(seed: int, members: int, pixels: int, classes: int, *, most: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """Few levels, so that there are many ties; some pixels on which all agree; some ignored."""
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, most + 1, (members, pixels, classes), np.uint8)
    planes[:, ::3] = planes[:1, ::3]
    truth = rng.integers(0, classes, pixels).astype(np.uint8)
    truth[rng.random(pixels) < 0.2] = IGNORED
    return planes, truth


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 60), st.integers(2, 5), st.sampled_from([2, 5, 255]))
def test_confusions_are_those_of_whole_maps(seed: int, members: int, pixels: int, classes: int, most: int) -> None:
    planes, truth = drawn(seed, members, pixels, classes, most=most)
    shares = np.random.default_rng(seed).integers(0, 9, members)
    sample = ContestedMap.of(planes, truth, IGNORED, ALL)
    each = [by_hand(planes, truth, shares + one) for one in np.eye(members, dtype=np.int64)]
    assert sample.climb(shares).tolist() == np.array(each).tolist()
    if shares.any():
        assert sample.mixed(shares).tolist() == by_hand(planes, truth, shares).tolist()


def test_pixels_on_which_all_agree_are_not_kept() -> None:
    planes = np.array([[[9, 1], [9, 8], [5, 5], [1, 9]], [[7, 6], [2, 3], [9, 1], [0, 8]]], np.uint8)
    sample = ContestedMap.of(planes, np.array([0, 1, 0, IGNORED], np.uint8), IGNORED, ALL)
    assert sample.truth.tolist() == [1, 0], "they differ; one is at a tie"
    assert sample.sure.tolist() == [[1, 0], [0, 0]], "what is ignored does not count"


def test_some_of_the_pixels_stand_for_all() -> None:
    several = [drawn(seed, 3, 3000, 4) for seed in range(4)]
    exact = MapMix([ContestedMap.of(*one, IGNORED, ALL) for one in several], 3)
    fast = MapMix([ContestedMap.of(*one, IGNORED, 900) for one in several], 3)
    assert (exact.whole, fast.whole) == (True, False)
    metric, shares = get_metric("mean_iou"), np.array([2, 1, 0])
    assert fast.samples[0].probs.shape[1] == 900
    assert abs(exact.measured(shares).score(metric) - fast.measured(shares).score(metric)) < 0.03
    assert [m.score(metric) for m in exact.climb(shares)] == [
        exact.measured(shares + one).score(metric) for one in np.eye(3, dtype=np.int64)
    ]
