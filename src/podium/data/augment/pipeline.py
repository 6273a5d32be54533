"""One random variant of a sample: geometry as one warp, colour as one pass, then what costs more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from podium.data.augment.colour import linear, recolour
from podium.data.augment.draws import Draws, chosen, draw, generator
from podium.data.augment.effects import disturb
from podium.data.augment.plugin import load_extra
from podium.data.augment.warp import Cut, Source, cut, plan, warp
from podium.data.geometry import Canvas
from podium.recipe import AugmentConfig

Pixels = NDArray[np.uint8]


def augment(
    config: AugmentConfig, canvas: Canvas, rng: np.random.Generator, image: Source, mask: Source
) -> tuple[Pixels, Pixels]:
    """One random variant of an image and its mask, a function of the settings and the generator's state alone.

    Args:
        image: uint8 (H, W, C).
        mask: uint8 (H, W) of labels. Either may be anything of that shape that reads ``[rows, columns]``.

    Returns:
        Image and mask of the canvas' size, possibly views of what was given.

    Raises:
        ConfigError: if the plug-in of `augment.extra` cannot be loaded.
        DataError: if it fails or returns something else than such a pair.
    """
    return variant(config, canvas, draw(rng), image, mask)


def variant(config: AugmentConfig, canvas: Canvas, draws: Draws, image: Source, mask: Source) -> tuple[Pixels, Pixels]:
    """The variant that some random numbers stand for; see `augment`."""
    come = chosen(config, draws)
    outside = config.ignore_label if config.border == "ignore" else None
    planned = plan(config, canvas, draws, come, image.shape)
    if isinstance(planned, Cut):
        new, labels = cut(image, planned, canvas), cut(mask, planned, canvas, outside)
        new = recolour(config, draws, come, new, labels)
    else:
        colour = linear(config, draws, come, image.shape)
        new = warp(image, planned, canvas, nearest=False, colour=colour)
        labels = warp(mask, planned, canvas, nearest=True, outside=outside)
        new = new if colour is not None else recolour(config, draws, come, new, labels)
    new = disturb(config, draws, come, new)
    if config.extra is not None and config.strength:
        return load_extra(config.extra)(new, labels, generator(draws, "extra"))
    return new, labels
