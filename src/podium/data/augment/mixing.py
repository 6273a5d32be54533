"""Changes that need other samples: mixup, cutmix, mosaic, copy-paste. Masks are moved, never mixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.data.augment.draws import Draws, between, chosen, draw, generator
from podium.recipe import AugmentConfig

Pixels = NDArray[Any]
Pair = tuple[Pixels, Pixels]
Others = Callable[[int], Pair]
"""The first, second and third partner of a sample: image and mask, augmented, of the frame's size."""

MIXES = frozenset({"mixup", "cutmix", "mosaic", "copy_paste"})


@dataclass(frozen=True)
class Partners:
    """Whether a variant is mixed, and with whom.

    Attributes:
        places: For each possible partner a number in [0, 1): its place in the epoch's order.
    """

    come: frozenset[str]
    draws: Draws
    places: tuple[float, float, float]


def partners(config: AugmentConfig, rng: np.random.Generator) -> Partners | None:
    """Who is mixed into the variant that a fresh ``rng`` makes; None if nobody is."""
    draws = draw(rng)
    come = chosen(config, draws) & MIXES
    return Partners(come, draws, (draws["partner0"], draws["partner1"], draws["partner2"])) if come else None


def mix(config: AugmentConfig, found: Partners, own: Pair, others: Others) -> Pair:
    """A variant with its partners mixed in.

    With mixup the mask stays the sample's own, whose share is at least a half; the loader adds the other mask.

    Args:
        own: uint8 (H, W, C) and (H, W), augmented.
        others: Asked only for as many partners as are needed.
    """
    image, mask = own
    if "mosaic" in found.come:
        image, mask = _mosaic(generator(found.draws, "mosaic_seed"), (image, mask), others)
    if "cutmix" in found.come:
        image, mask = _cutmix(config, generator(found.draws, "cutmix_seed"), (image, mask), others(0))
    if "copy_paste" in found.come:
        image, mask = _pasted(config, (image, mask), others(0))
    if "mixup" in found.come:
        share = mixup_share(config, found)
        image = np.rint(image * np.float32(1 - share) + others(0)[0] * np.float32(share)).astype(image.dtype)
    return image, mask


def mixup_share(config: AugmentConfig, found: Partners) -> float:
    """How much of the first partner a mixup takes."""
    return between(found.draws["mixup_share"], 0, config.mixup_share)


def _mosaic(rng: np.random.Generator, own: Pair, others: Others) -> Pair:
    """Four quarters about a random middle, the own sample in one of them."""
    h, w = own[1].shape
    y, x = (round(side * rng.uniform(0.3, 0.7)) for side in (h, w))
    image, mask = np.array(own[0]), np.array(own[1])
    quarters = [np.s_[:y, :x], np.s_[:y, x:], np.s_[y:, :x], np.s_[y:, x:]]
    mine = int(rng.integers(4))
    for k, part in enumerate(quarters[:mine] + quarters[mine + 1 :]):
        image[part], mask[part] = (a[part] for a in others(k))
    return image, mask


def _cutmix(config: AugmentConfig, rng: np.random.Generator, own: Pair, other: Pair) -> Pair:
    h, w = own[1].shape
    share = np.sqrt(rng.uniform(0.1, 1) * config.cutmix_area)
    tall, wide = max(1, round(h * share)), max(1, round(w * share))
    top, left = int(rng.integers(h - tall + 1)), int(rng.integers(w - wide + 1))
    part = np.s_[top : top + tall, left : left + wide]
    image, mask = np.array(own[0]), np.array(own[1])
    image[part], mask[part] = other[0][part], other[1][part]
    return image, mask


def _pasted(config: AugmentConfig, own: Pair, other: Pair) -> Pair:
    foreground = (other[1] > 0) & (other[1] != config.ignore_label)
    mask = np.where(foreground, other[1], own[1])
    return np.where(foreground.reshape(*mask.shape, *(1,) * (own[0].ndim - 2)), other[0], own[0]), mask
