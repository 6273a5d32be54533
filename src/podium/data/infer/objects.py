"""Numbers in masks that may be classes or a count of objects: what the regions of each number tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

MOST_SIDE = 512
ROUNDS = 200
SPLIT, FITTING, UNTOLD = 0.2, 0.35, 0.6
"""Shares from which numbers are classes, by pieces and by variance; by chance so much variance tells nothing."""


@dataclass(frozen=True)
class Region:
    """The pixels of one number in one mask.

    Attributes:
        pieces: How many separate pieces of some size they are.
        traits: What an object looks like: logarithm of its share of the image, mean colour (0..1).
    """

    number: int
    pieces: int
    traits: tuple[float, ...]


def regions(labels: npt.NDArray[np.uint16], image: npt.NDArray[np.uint8] | None) -> list[Region]:
    """The regions of every number but 0 in a mask of shape (H, W), and how they look in its image (H, W, 3)."""
    step = max(1, -(-max(labels.shape) // MOST_SIDE))
    labels = labels[::step, ::step]
    if image is not None:
        image = image[::step, ::step]
        image = image if image.shape[:2] == labels.shape else None
    out = []
    for number in np.unique(labels).tolist():
        if number == 0:
            continue
        rows, columns = np.nonzero(labels == number)
        window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        mask = (labels[window] == number).astype(np.uint8)
        sizes = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
        pieces = int((sizes >= max(4, 0.05 * sizes.max())).sum()) or 1
        colour = tuple(image[rows, columns].mean(axis=0) / 255) if image is not None else ()
        out.append(Region(number, pieces, (float(np.log(len(rows) / labels.size)), *map(float, colour))))
    return out


def told_by_regions(masks: Sequence[Sequence[Region]]) -> tuple[bool | None, str]:
    """Whether numbers count objects (True) or stand for classes (False), and what tells; None if nothing does.

    An object is one piece, and what is number 2 in one image has nothing in common with number 2 in another; a class
    lies in several pieces, or looks alike in all images. The latter is told by a permutation test: the part of the
    variance of size and colour that the number explains, against the same with the numbers of each image shuffled.
    """
    every = [r for mask in masks for r in mask]
    if len(masks) < 3 or len(every) < 8:
        return None, ""
    split = sum(r.pieces > 1 for r in every) / len(every)
    if split >= SPLIT:
        return False, f"{split:.0%} of the regions of one number lie in separate pieces"
    explained, chance = _explained(masks)
    if explained is None:
        return None, ""
    if explained > chance and explained >= FITTING:
        return False, f"a number has the same size or colour in all images ({explained:.0%} of the variance is its)"
    if chance > UNTOLD:
        return None, ""
    return True, (
        f"{1 - split:.0%} of the numbers are one piece each, and a number does not look alike in several images "
        f"({explained:.0%} of the variance of size and colour is its, {chance:.0%} would be by chance)"
    )


def _explained(masks: Sequence[Sequence[Region]]) -> tuple[float | None, float]:
    """The largest part of a trait's variance that numbers explain, and the 99th percentile of it by chance."""
    several = [m for m in masks if len(m) > 1]
    if len(several) < 3:
        return None, 0.0
    n_traits = min(len(r.traits) for m in several for r in m)
    traits = np.array([r.traits[:n_traits] for m in several for r in m])
    numbers = np.array([r.number for m in several for r in m])
    image = np.repeat(np.arange(len(several)), [len(m) for m in several])
    if _by_size(several):
        traits = traits[:, 1:]
    if not traits.shape[1]:
        return None, 0.0
    # what all objects of an image share, its light for instance, says nothing of their numbers
    traits = traits - _means(traits, image)[image]
    rng = np.random.default_rng(0)
    found = _share(traits, numbers)
    by_chance = []
    for _ in range(ROUNDS):
        order = np.lexsort((rng.random(len(numbers)), image))  # the numbers shuffled within each image
        by_chance.append(_share(traits, numbers[order]))
    return found, float(np.quantile(by_chance, 0.99))


def _by_size(masks: Sequence[Sequence[Region]]) -> bool:
    """Whether numbers go by size, as some tools count objects: then a number's size tells nothing."""
    falling = [a.traits[0] >= b.traits[0] for m in masks for a, b in pairwise(m)]
    return sum(falling) * 10 >= 9 * len(falling)


def _means(traits: npt.NDArray[np.float64], key: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The mean of each trait for each key 0..K-1, of shape (K, T)."""
    count = np.maximum(np.bincount(key), 1)
    return np.stack([np.bincount(key, weights=column) / count for column in traits.T], axis=1)


def _share(traits: npt.NDArray[np.float64], numbers: npt.NDArray[np.int64]) -> float:
    """The part of the variance that lies between numbers, of the trait for which it is largest."""
    key = np.unique(numbers, return_inverse=True)[1].ravel()
    total = (traits**2).sum(axis=0)
    means = _means(traits, key)
    between = (np.bincount(key)[:, None] * means**2).sum(axis=0)
    return float(np.max(between / np.where(total > 1e-9, total, np.inf)))
